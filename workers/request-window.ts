/**
 * A window of requests: taken from the ring together, so that the memory their keys will need can be touched for all of them
 * before any is carried out; the processor then fetches it for all at once (docs/decisions.md, "windows").
 *
 * One for each channel, which may leave off in the middle of it and go on later. Offsets stay valid until the consumer's release.
 * Runs on the partition's thread.
 */
import { opCount, requestHeaderSize } from '../src/command/command-format.js';
import type { RingConsumer } from '../src/ring/ring-consumer.js';
import type { Partition } from '../src/storage/lsm/partition.js';

/** More than the processor can have under way, few enough for its cache. */
export const windowSizeMax = 32;

export class RequestWindow {
	/** Holds the requests of the window, each at one of `offsets`. */
	source: Uint8Array = new Uint8Array(0);
	readonly offsets = new Int32Array(windowSizeMax);
	/** `keyHash` of each request's key; 0 where there is none. */
	readonly hashes = new Uint32Array(windowSizeMax);
	/** Requests in the window, and how many of them the owner has carried out. */
	count = 0;
	doneCount = 0;
	readonly #requests: RingConsumer;
	/** The consumer stands on an oversized request that no window held yet. */
	#isHeldOver = false;
	/** Sum of what was touched: means nothing, but keeps the loads from being optimized away. */
	#touched = 0;

	/** Requests that were taken from the ring are still to be carried out: it must not be released before that. */
	get isUnfinished(): boolean {
		return this.doneCount < this.count || this.#isHeldOver;
	}

	constructor(requests: RingConsumer) {
		this.#requests = requests;
	}

	/** Fills the window, all of which is done, with the next requests, and warms their keys. @returns how many */
	gather(partition: Partition): number {
		const requests = this.#requests;
		let count = 0;
		while (count < windowSizeMax && (this.#isHeldOver || requests.next())) {
			// An oversized request lives in a buffer of its own: it has a window to itself.
			this.#isHeldOver = !requests.isInline && count > 0;
			if (this.#isHeldOver) break;
			const { source, offset } = requests;
			this.source = source;
			this.offsets[count] = offset;
			const hasKey = source[offset + requestHeaderSize] < opCount;
			this.hashes[count] = hasKey ? partition.hashOf(source, offset + requestHeaderSize) : 0;
			count++;
			if (!requests.isInline) break;
		}
		for (let i = 0; i < count; i++) this.#touched += partition.touch(this.hashes[i], false);
		for (let i = 0; i < count; i++) this.#touched += partition.touch(this.hashes[i], true);
		this.#touched |= 0;
		this.count = count;
		this.doneCount = 0;
		return count;
	}
}
