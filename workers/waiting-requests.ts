/**
 * Requests that cannot be carried out yet: writes for which there is no room, or that are slowed down, and whatever must not
 * overtake them. They wait here in the order they came, so that everything else goes on being taken from the ring.
 *
 *   ring ─┬─ a read of another key, a scan of another connection ──────> carried out at once
 *         └─ a write; a read of a key that waits to be written; ... ───> waiting ──(in order, when there is room)──> carried out
 *
 * What keeps its order: the writes among each other; for one sink, a read behind a write of its key (or of a range), and any
 * other request (scan, flush, snapshot, barrier) behind all that the sink has waiting. Between two sinks there is no order before
 * either is answered.
 *
 * Bounded: when it is full the ring is left alone until there is room, as it would be without this. Copies are made here and
 * nowhere else on the path of a request: only while writes are stalled anyway. Runs on the partition's thread.
 */
import { assert } from '../src/base/assert.js';
import { readU32 } from '../src/base/bytes.js';
import { waitingRequestsSizeMax } from '../src/base/limits.js';
import {
	commandFlagsOffset,
	commandSize,
	isRead,
	isWrite,
	opBatch,
	opClear,
	opDeleteRange,
	opReleaseSnapshot,
	opScan,
	opShutdown,
	opStats,
	readCommandKeySize,
	readCommandValueSize,
	requestHeaderSize,
	requestSinkOffset,
} from '../src/command/command-format.js';

/** Stands for writes of many keys, which every read of their sink stays behind. */
const manyKeysHash = 0;

export interface WaitingRequest {
	/** Envelope and command. */
	readonly bytes: Buffer;
	/** `keyHash` of its key; 0 where it has none. */
	readonly hash: number;
	/** When it began to wait, by the loop's monotonic clock. */
	readonly sinceMs: number;
}

export class WaitingRequests {
	#requests: WaitingRequest[] = [];
	/** Requests before this index have been taken. */
	#first = 0;
	#size = 0;
	#waitedCount = 0;
	#waitedMsMax = 0;
	/** Waiting requests of each sink. */
	readonly #sinks = new Map<number, number>();
	/** Waiting writes of each key of each sink, by `keyOf`. */
	readonly #keys = new Map<number, number>();

	get count(): number {
		return this.#requests.length - this.#first;
	}

	/** No more should be added. A window of requests that has been taken may still be. */
	get isFull(): boolean {
		return this.#size >= waitingRequestsSizeMax;
	}

	/** The one that waits longest. */
	get first(): WaitingRequest {
		assert(this.count > 0, 'something waits');
		return this.#requests[this.#first];
	}

	/** True when a request would overtake what it has to stay behind. */
	mustWait(request: Uint8Array, offset: number, hash: number): boolean {
		if (this.count === 0) return false;
		const opcode = request[offset + requestHeaderSize];
		if (isWrite(opcode) || opcode === opShutdown) return true;
		// Their order means nothing to anybody, and what waits may need a snapshot to go.
		if (opcode === opStats || opcode === opReleaseSnapshot) return false;
		const sink = readU32(request, offset + requestSinkOffset);
		if (!isRead(opcode) || opcode === opScan) return this.#sinks.has(sink);
		return this.#keys.has(keyOf(hash, sink)) || this.#keys.has(keyOf(manyKeysHash, sink));
	}

	/** Copies a request. */
	add(request: Uint8Array, offset: number, hash: number, nowMs: number): void {
		const command = offset + requestHeaderSize;
		const flags = request[command + commandFlagsOffset];
		const size = commandSize(flags, readCommandKeySize(request, command), readCommandValueSize(request, command));
		const bytes = Buffer.from(request.subarray(offset, command + size));
		this.#requests.push({ bytes, hash, sinceMs: nowMs });
		this.#size += bytes.length;
		this.#countIn(bytes, hash, 1);
	}

	/** How much had to wait, and for how long at most. */
	statistics(): Record<string, number> {
		return {
			waitingRequests: this.count,
			waitedRequests: this.#waitedCount,
			waitedMsMax: Math.round(this.#waitedMsMax),
		};
	}

	/** Lets go of the first, which waited until now. */
	shift(nowMs: number): void {
		const { bytes, hash, sinceMs } = this.first;
		this.#waitedCount++;
		this.#waitedMsMax = Math.max(this.#waitedMsMax, nowMs - sinceMs);
		this.#first++;
		this.#size -= bytes.length;
		this.#countIn(bytes, hash, -1);
		// Taken requests are dropped together: `Array.shift` would move all others every time.
		if (this.#first * 2 < this.#requests.length) return;
		this.#requests = this.#requests.slice(this.#first);
		this.#first = 0;
	}

	#countIn(bytes: Buffer, hash: number, by: 1 | -1): void {
		const sink = readU32(bytes, requestSinkOffset);
		addTo(this.#sinks, sink, by);
		const opcode = bytes[requestHeaderSize];
		if (!isWrite(opcode)) return;
		const hasManyKeys = opcode === opClear || opcode === opDeleteRange || opcode === opBatch;
		addTo(this.#keys, keyOf(hasManyKeys ? manyKeysHash : hash, sink), by);
	}
}

function keyOf(hash: number, sink: number): number {
	return sink * 2 ** 32 + hash;
}

function addTo(counts: Map<number, number>, key: number, by: number): void {
	const count = (counts.get(key) ?? 0) + by;
	if (count === 0) counts.delete(key);
	else counts.set(key, count);
}
