/**
 * Calls under way, without an object for each: slots in flat arrays, the slot number travelling as the command's sequence. One
 * asking thread.
 *
 *   slot       0         1         2            3
 *   kind       value     version   (free)       many
 *   size       57        164       –            –             bytes of its request that are in the window
 *   resolve    f         f         undefined    f
 *   reject     f         f         undefined    f
 *   gathered   –         –         –            { missing, values, sizes, error }     calls with a reply for each part
 *
 * `kind` says how a reply becomes what the promise resolves to. A slot is freed by the last reply of its call and by nothing
 * else, so a reply always finds the call it belongs to. Functions are dropped with the slot: they hold the promise and its value.
 */
import { assert } from '../base/assert.js';
import { copyBytes, readF64 } from '../base/bytes.js';
import { codeOf, MillraceError, statusNotFound, statusOk } from '../base/errors.js';
import { replyMessage, replyValue } from '../command/command-format.js';
import type { Reply } from './asker.js';

/** The value, or undefined. */
export const callValue = 0;
/** True for statusOk. */
export const callFound = 1;
/** { version }, or undefined. */
export const callVersion = 2;
/** The payload's decimal as a bigint, or undefined. */
export const callSum = 3;
/** The payload's decimal as a number, or undefined. */
export const callSize = 4;
/** The reply's number, or undefined. */
export const callNumber = 5;
/** { value, version, expiresAtMs }, or undefined. */
export const callEntry = 6;
/** A Reply. */
export const callReply = 7;
/** Nobody waits, whatever comes. */
export const callNothing = 8;
/** A BatchOutcome, also when the partition refused it. */
export const callBatch = 9;
/** From here on: a reply for each part. Values by part. */
export const callManyValues = 10;
/** Replies by part. */
export const callManyReplies = 11;

/** What became of a batch in one partition. */
export interface BatchOutcome {
	/** False: a condition was unmet, or there is an error. */
	readonly isDone: boolean;
	/** Which of its commands that was about, where it was about one. */
	readonly index: number;
	readonly error: MillraceError | undefined;
}

/** What a call with parts gathers. */
export interface Gathered {
	missing: number;
	/** A value or Reply for each part; undefined where there was none. */
	readonly values: unknown[];
	/** Bytes of each part's request. */
	readonly sizes: Uint32Array;
	/** The first error any part met. */
	error: unknown;
}

type Settle = (value: unknown) => void;

const slotCountStart = 1024;
const noValue = Buffer.alloc(0);

/** The functions of the promise made last: what the executor of every promise leaves here. */
let newResolve: Settle;
let newReject: Settle;
const leaveFunctions = (resolve: Settle, reject: Settle): void => {
	newResolve = resolve;
	newReject = reject;
};
const ignore: Settle = () => undefined;

export class CallSlots {
	/** The slot of the call made last. */
	newest = 0;
	#kinds = new Uint8Array(slotCountStart);
	#sizes = new Uint32Array(slotCountStart);
	readonly #resolves: (Settle | undefined)[] = [];
	readonly #rejects: (Settle | undefined)[] = [];
	readonly #gathered: (Gathered | undefined)[] = [];
	readonly #free: number[] = [];
	#count = 0;

	/** Calls under way. */
	get count(): number {
		return this.#count;
	}

	/** A call with one reply, in slot `newest`. @param size bytes of its request */
	add(kind: number, size: number): Promise<unknown> {
		const promise = new Promise(leaveFunctions);
		this.#take(kind, size, newResolve, newReject);
		return promise;
	}

	/** A call nobody waits for. */
	addUnheard(size: number): void {
		this.#take(callNothing, size, ignore, ignore);
	}

	/** A call with `parts` replies, in slot `newest`. */
	addGathering(kind: number, parts: number): Promise<unknown> {
		assert(kind >= callManyValues && parts > 0, 'a call that gathers has parts');
		const promise = new Promise(leaveFunctions);
		this.#take(kind, 0, newResolve, newReject);
		this.#gathered[this.newest] = {
			missing: parts,
			values: new Array<unknown>(parts).fill(undefined),
			sizes: new Uint32Array(parts),
			error: undefined,
		};
		return promise;
	}

	#take(kind: number, size: number, resolve: Settle, reject: Settle): void {
		const slot = this.#free.pop() ?? this.#resolves.length;
		if (slot >= this.#kinds.length) this.#grow();
		this.#kinds[slot] = kind;
		this.#sizes[slot] = size;
		this.#resolves[slot] = resolve;
		this.#rejects[slot] = reject;
		this.#count++;
		this.newest = slot;
	}

	#grow(): void {
		const kinds = new Uint8Array(this.#kinds.length * 2);
		kinds.set(this.#kinds);
		this.#kinds = kinds;
		const sizes = new Uint32Array(kinds.length);
		sizes.set(this.#sizes);
		this.#sizes = sizes;
	}

	/** Says how large the request of one part is. */
	setPartSize(slot: number, part: number, size: number): void {
		this.#gatheredOf(slot).sizes[part] = size;
	}

	/** Bytes of the request that a reply for this slot and part answers. */
	sizeOf(slot: number, part: number): number {
		return this.#kinds[slot] < callManyValues ? this.#sizes[slot] : this.#gatheredOf(slot).sizes[part];
	}

	/** A reply came. The bytes are copied where they are kept. */
	settle(
		slot: number,
		part: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		const call = this.#kinds[slot];
		if (status > statusNotFound && call !== callBatch)
			this.fail(slot, part, errorOf(status, kind, bytes, offset, size));
		else if (call === callValue) this.#resolve(slot, kind === replyValue ? ownCopy(bytes, offset, size) : undefined);
		else if (call === callVersion) this.#resolve(slot, status === statusOk ? { version: number } : undefined);
		else if (call >= callManyValues) {
			const value = kind === replyValue ? ownCopy(bytes, offset, size) : undefined;
			const gathered = this.#gatheredOf(slot);
			gathered.values[part] = call === callManyValues ? value : ({ status, number, value } satisfies Reply);
			this.#settlePart(slot, gathered, 1);
		} else this.#resolve(slot, resultOf(call, status, kind, number, bytes, offset, size));
	}

	/** One part, or a call that has one, has failed. */
	fail(slot: number, part: number, error: unknown): void {
		this.failFrom(slot, part, part + 1, error);
	}

	/** Parts [from, to) have failed, or a call that has one. */
	failFrom(slot: number, from: number, to: number, error: unknown): void {
		if (this.#kinds[slot] < callManyValues) {
			const reject = this.#rejects[slot];
			assert(reject !== undefined, 'a reply comes for a slot that waits');
			this.#release(slot);
			reject(error);
			return;
		}
		const gathered = this.#gatheredOf(slot);
		gathered.error ??= error;
		this.#settlePart(slot, gathered, to - from);
	}

	/** Nothing will answer any more. */
	failAll(error: Error): void {
		const rejects = this.#rejects.splice(0);
		this.#resolves.length = 0;
		this.#gathered.length = 0;
		this.#free.length = 0;
		this.#count = 0;
		for (const reject of rejects) reject?.(error);
	}

	#resolve(slot: number, value: unknown): void {
		const resolve = this.#resolves[slot];
		assert(resolve !== undefined, 'a reply comes for a slot that waits');
		this.#release(slot);
		resolve(value);
	}

	#settlePart(slot: number, gathered: Gathered, count: number): void {
		gathered.missing -= count;
		assert(gathered.missing >= 0, 'one reply for each part');
		if (gathered.missing > 0) return;
		if (gathered.error === undefined) {
			this.#resolve(slot, gathered.values);
			return;
		}
		const reject = this.#rejects[slot];
		this.#release(slot);
		reject?.(gathered.error);
	}

	#gatheredOf(slot: number): Gathered {
		const gathered = this.#gathered[slot];
		assert(gathered !== undefined, 'the slot of a reply to a part gathers');
		return gathered;
	}

	#release(slot: number): void {
		this.#resolves[slot] = undefined;
		this.#rejects[slot] = undefined;
		if (this.#kinds[slot] >= callManyValues) this.#gathered[slot] = undefined;
		this.#free.push(slot);
		this.#count--;
	}
}

/** What the rarer kinds resolve to. */
function resultOf(
	call: number,
	status: number,
	kind: number,
	number: number,
	bytes: Uint8Array,
	offset: number,
	size: number,
): unknown {
	const isOk = status === statusOk;
	switch (call) {
		case callFound:
			return isOk;
		case callSum:
			return isOk ? BigInt(textOf(bytes, offset, size)) : undefined;
		case callSize:
			return isOk ? Number(textOf(bytes, offset, size)) : undefined;
		case callNumber:
			return isOk ? number : undefined;
		case callEntry: {
			if (!isOk) return undefined;
			const expiresAtMs = readF64(bytes, offset);
			const value = ownCopy(bytes, offset + 8, size - 8);
			return { value, version: number, expiresAtMs: expiresAtMs === 0 ? undefined : expiresAtMs };
		}
		case callReply: {
			const value = kind === replyValue ? ownCopy(bytes, offset, size) : undefined;
			return { status, number, value } satisfies Reply;
		}
		case callBatch: {
			const error = status > statusNotFound ? errorOf(status, kind, bytes, offset, size) : undefined;
			return { isDone: isOk, index: number, error } satisfies BatchOutcome;
		}
		default:
			return undefined;
	}
}

/**
 * The caller's own copy. From Node's pool: an array with memory of its own takes 700 ns to make, this 80 for 100 bytes
 * (docs/decisions.md).
 */
export function ownCopy(bytes: Uint8Array, offset: number, size: number): Buffer {
	if (size === 0) return noValue;
	const copy = Buffer.allocUnsafe(size);
	copyBytes(bytes, offset, copy, 0, size);
	return copy;
}

function errorOf(status: number, kind: number, bytes: Uint8Array, offset: number, size: number): MillraceError {
	return new MillraceError(codeOf(status), kind === replyMessage ? textOf(bytes, offset, size) : '');
}

/** Shared memory is no input for decoders: a copy first. */
function textOf(bytes: Uint8Array, offset: number, size: number): string {
	return ownCopy(bytes, offset, size).toString('utf8');
}
