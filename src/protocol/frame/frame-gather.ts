/**
 * Gathers the replies to one request that many partitions or many keys answer (getMany, count, stats, clear, flush),
 * until all parts are in. One object per such request; requests on one key never come this way. Main thread only.
 *
 *   part 0..partCount-1, in any order  ->  sum of numbers | first error | payloads |..|..| + where each is
 *
 * Payloads are copied, because a reply's bytes are lent only for its call; `collectedSize` lets the session bound
 * them.
 */
import { assert } from '../../base/assert.js';
import { copyBytes } from '../../base/bytes.js';
import { statusNotFound, statusOk } from '../../base/errors.js';
import { replyValue } from '../../command/command-format.js';

const partWaiting = -2;
const partEmpty = -1;

export class FrameGather {
	readonly operation: number;
	readonly partCount: number;
	/** The first error among the parts, else statusOk. */
	status = statusOk;
	message: Uint8Array = new Uint8Array(0);
	/** Sum of the parts' numbers. */
	number = 0;
	bytes: Uint8Array = new Uint8Array(0);
	collectedSize = 0;
	readonly #offsets: Int32Array;
	readonly #sizes: Int32Array;
	#receivedCount = 0;

	constructor(operation: number, partCount: number) {
		this.operation = operation;
		this.partCount = partCount;
		this.#offsets = new Int32Array(partCount).fill(partWaiting);
		this.#sizes = new Int32Array(partCount);
	}

	get isComplete(): boolean {
		return this.#receivedCount === this.partCount;
	}

	/** Takes one part; its payload is kept unless an error was seen already. */
	take(
		part: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		assert(this.#offsets[part] === partWaiting, `part ${part} of operation ${this.operation} came twice`);
		this.#offsets[part] = partEmpty;
		this.#receivedCount++;
		this.number += number;
		if (this.status !== statusOk) return;
		if (status > statusNotFound) {
			this.fail(status, bytes.slice(offset, offset + size));
		} else if (status === statusOk && kind === replyValue) {
			this.#keep(part, bytes, offset, size);
		}
	}

	/** Makes the whole request answer with an error; what was collected is let go. */
	fail(status: number, message: Uint8Array): void {
		this.status = status;
		this.message = message;
		this.bytes = new Uint8Array(0);
		this.collectedSize = 0;
	}

	/** Where the payload of a part starts in `bytes`, or -1 when it had none. */
	offsetOf(part: number): number {
		return this.#offsets[part] as number;
	}

	sizeOf(part: number): number {
		return this.#sizes[part] as number;
	}

	#keep(part: number, bytes: Uint8Array, offset: number, size: number): void {
		const needed = this.collectedSize + size;
		if (needed > this.bytes.length) {
			const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2, 1024));
			grown.set(this.bytes.subarray(0, this.collectedSize));
			this.bytes = grown;
		}
		copyBytes(bytes, offset, this.bytes, this.collectedSize, size);
		this.#offsets[part] = this.collectedSize;
		this.#sizes[part] = size;
		this.collectedSize = needed;
	}
}
