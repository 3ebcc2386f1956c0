/**
 * Requests that cannot be carried out yet: writes for which there is no room, or that are slowed down; reads and writes of a key
 * that a batch over several partitions keeps; and whatever must not overtake them. They wait here in the order they came, so that
 * everything else goes on being taken from the rings.
 *
 *   ring ─┬─ a read of another key, a scan of another connection ──────> carried out at once
 *         ├─ a write; a read of a key that waits to be written; ... ───> waiting ──(in order, when it can be)──> carried out
 *         └─ a decision of a batch over several partitions that finds no room ─> decisions ──(before all others)──> carried out
 *
 * What keeps its order: the writes among each other, from the first that waits; for one sink, a read behind a write of its key
 * (or of a range), a write behind a read of its key, and any other request (scan, flush, snapshot, barrier) behind all that the
 * sink has waiting. Between two sinks there is no order before either is answered. Sinks are numbered by each asking thread: an
 * asker is a channel and a sink.
 *
 * A decision waits for nobody: what waits may wait for it. Nor does what says that a decision may be forgotten.
 *
 * Bounded: when it is full the rings are left alone until there is room, as they would be without this, unless a decision may lie
 * in them; then it fills up to a larger bound, and beyond that whoever would have to wait is refused. Copies are made here and
 * nowhere else on the path of a request: only while something stalls anyway. Runs on the partition's thread.
 */
import { assert } from '../src/base/assert.js';
import { readU32 } from '../src/base/bytes.js';
import { lockedRequestsSizeMax, waitingRequestsSizeMax } from '../src/base/limits.js';
import {
	channelMask,
	commandFlagsOffset,
	commandSize,
	flagSequence,
	isRead,
	isWrite,
	opAppend,
	opBatch,
	opClear,
	opDecide,
	opDeleteRange,
	opForget,
	opPrepare,
	opPut,
	opReleaseSnapshot,
	opScan,
	opSetExpiry,
	opShutdown,
	opStats,
	opTransactions,
	readCommandKeySize,
	readCommandValueSize,
	requestChannelOffset,
	requestHeaderSize,
	requestSinkOffset,
} from '../src/command/command-format.js';

/** Stands for writes of many keys, which every read of their asker stays behind. */
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
	#decisions: WaitingRequest[] = [];
	#waitedCount = 0;
	#waitedMsMax = 0;
	/** Those that are no reads of one key: writes stay behind them. */
	#orderedCount = 0;
	#prepareCount = 0;
	#shutdownCount = 0;
	/** Waiting requests of each asker. */
	readonly #askers = new Map<number, number>();
	/** Waiting writes, and waiting reads, of each key of each asker, by `keyOf`. */
	readonly #writtenKeys = new Map<number, number>();
	readonly #readKeys = new Map<number, number>();

	/** Requests in order; decisions are apart. */
	get count(): number {
		return this.#requests.length - this.#first;
	}

	/** Nothing waits at all. */
	get isEmpty(): boolean {
		return this.count === 0 && this.#decisions.length === 0;
	}

	/** No more should be added. A window of requests that has been taken may still be. */
	get isFull(): boolean {
		return this.#size >= waitingRequestsSizeMax;
	}

	/** Nothing more may be added, even if a decision may lie in the rings. */
	get isFullOfLocked(): boolean {
		return this.#size >= lockedRequestsSizeMax;
	}

	/** The partition is to end when all this is done. */
	get hasShutdown(): boolean {
		return this.#shutdownCount > 0;
	}

	/** The one that waits longest. */
	get first(): WaitingRequest {
		assert(this.count > 0, 'something waits');
		return this.#requests[this.#first];
	}

	/** True when a request would overtake what it has to stay behind. */
	mustWait(request: Uint8Array, offset: number, hash: number): boolean {
		if (this.isEmpty) return false;
		const opcode = request[offset + requestHeaderSize];
		if (opcode === opShutdown) return true;
		if (isUnordered(opcode) || this.count === 0) return false;
		const asker = askerOf(request, offset);
		if (isWrite(opcode)) {
			if (this.#orderedCount > 0) return true;
			return isOfManyKeys(opcode) ? this.#askers.has(asker) : this.#readKeys.has(keyOf(hash, asker));
		}
		if (!isRead(opcode) || opcode === opScan) return this.#askers.has(asker);
		return this.#writtenKeys.has(keyOf(hash, asker)) || this.#writtenKeys.has(keyOf(manyKeysHash, asker));
	}

	/** Copies a request. */
	add(request: Uint8Array, offset: number, hash: number, nowMs: number): void {
		const bytes = copyOf(request, offset);
		if (bytes[requestHeaderSize] === opDecide) {
			this.#decisions.push({ bytes, hash, sinceMs: nowMs });
			return;
		}
		this.#requests.push({ bytes, hash, sinceMs: nowMs });
		this.#countIn(bytes, hash, 1);
	}

	/** How much had to wait, and for how long at most. */
	statistics(): Record<string, number> {
		return {
			waitingRequests: this.count + this.#decisions.length,
			waitedRequests: this.#waitedCount,
			waitedMsMax: Math.round(this.#waitedMsMax),
		};
	}

	/** Lets go of the first, which waited until now. */
	shift(nowMs: number): void {
		const { bytes, hash, sinceMs } = this.first;
		this.#noteWaited(nowMs - sinceMs);
		this.#first++;
		this.#countIn(bytes, hash, -1);
		// Taken requests are dropped together: `Array.shift` would move all others every time.
		if (this.#first * 2 < this.#requests.length) return;
		this.#requests = this.#requests.slice(this.#first);
		this.#first = 0;
	}

	/** Offers the decisions, oldest first, until one is not taken. @returns how many were */
	offerDecisions(maybeTake: (decision: WaitingRequest) => boolean, nowMs: number): number {
		let count = 0;
		while (count < this.#decisions.length && maybeTake(this.#decisions[count])) {
			this.#noteWaited(nowMs - this.#decisions[count].sinceMs);
			count++;
		}
		if (count > 0) this.#decisions.splice(0, count);
		return count;
	}

	/** Takes out all that would prepare a batch over several partitions. */
	takePrepares(): Buffer[] {
		if (this.#prepareCount === 0) return [];
		return this.#take((bytes) => bytes[requestHeaderSize] === opPrepare);
	}

	/** Drops what a channel has waiting: its thread has gone. */
	dropChannel(channel: number): void {
		const isOfChannel = (bytes: Buffer): boolean => channelOf(bytes, 0) === channel;
		this.#take(isOfChannel);
		this.#decisions = this.#decisions.filter(({ bytes }) => !isOfChannel(bytes));
	}

	#take(isWanted: (bytes: Buffer) => boolean): Buffer[] {
		const all = this.#requests.slice(this.#first);
		const taken = all.filter(({ bytes }) => isWanted(bytes));
		for (const { bytes, hash } of taken) this.#countIn(bytes, hash, -1);
		this.#requests = all.filter(({ bytes }) => !isWanted(bytes));
		this.#first = 0;
		return taken.map(({ bytes }) => bytes);
	}

	#noteWaited(ms: number): void {
		this.#waitedCount++;
		this.#waitedMsMax = Math.max(this.#waitedMsMax, ms);
	}

	#countIn(bytes: Buffer, hash: number, by: 1 | -1): void {
		this.#size += by * bytes.length;
		const asker = askerOf(bytes, 0);
		addTo(this.#askers, asker, by);
		const opcode = bytes[requestHeaderSize];
		if (opcode === opShutdown) this.#shutdownCount += by;
		if (opcode === opPrepare) this.#prepareCount += by;
		if (isRead(opcode) && opcode !== opScan) {
			addTo(this.#readKeys, keyOf(hash, asker), by);
			return;
		}
		this.#orderedCount += by;
		if (isWrite(opcode)) addTo(this.#writtenKeys, keyOf(isOfManyKeys(opcode) ? manyKeysHash : hash, asker), by);
	}
}

/** Their order means nothing to anybody, and what waits may need them to go. */
function isUnordered(opcode: number): boolean {
	return (
		opcode === opDecide ||
		opcode === opForget ||
		opcode === opTransactions ||
		opcode === opReleaseSnapshot ||
		opcode === opStats
	);
}

/** True for a write of one key, and for a read of one as it is now, not at a snapshot. */
export function isOfOneKey(request: Uint8Array, offset: number): boolean {
	const command = offset + requestHeaderSize;
	const opcode = request[command];
	if (isRead(opcode)) return opcode !== opScan && (request[command + commandFlagsOffset] & flagSequence) === 0;
	return (opcode >= opPut && opcode <= opSetExpiry) || opcode === opAppend;
}

function isOfManyKeys(opcode: number): boolean {
	return opcode === opClear || opcode === opDeleteRange || opcode === opBatch || opcode === opPrepare;
}

function copyOf(request: Uint8Array, offset: number): Buffer {
	const command = offset + requestHeaderSize;
	const flags = request[command + commandFlagsOffset];
	const size = commandSize(flags, readCommandKeySize(request, command), readCommandValueSize(request, command));
	return Buffer.from(request.subarray(offset, command + size));
}

function channelOf(request: Uint8Array, offset: number): number {
	return readU32(request, offset + requestChannelOffset) & channelMask;
}

/** Channel and sink in 21 bits, so that a hash fits beside them. Where two askers fall together, one may wait for the other. */
function askerOf(request: Uint8Array, offset: number): number {
	return (
		(Math.imul(channelOf(request, offset), 0x9e37_79b1) + readU32(request, offset + requestSinkOffset)) & 0x1f_ffff
	);
}

function keyOf(hash: number, asker: number): number {
	return asker * 2 ** 32 + hash;
}

function addTo(counts: Map<number, number>, key: number, by: number): void {
	const count = (counts.get(key) ?? 0) + by;
	if (count === 0) counts.delete(key);
	else counts.set(key, count);
}
