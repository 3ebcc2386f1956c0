/**
 * What callers of the embedded database and of the client may give as keys, values and deltas, checked before anything is sent.
 * Misuse is a `TypeError`; a size over its limit is a coded error.
 */
import { types } from 'node:util';
import { copyOf } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import { keySizeMax, valueSizeMax } from '../base/limits.js';

/** Text is stored as UTF-8. */
export type Bytes = string | Uint8Array;

export function mustKey(key: Bytes): Uint8Array {
	const bytes = mustBeBytes('key', key);
	mustBeKeySize(bytes.length);
	return bytes;
}

export function mustValue(value: Bytes): Uint8Array {
	const bytes = mustBeBytes('value', value);
	mustBeValueSize(bytes.length);
	return bytes;
}

function mustBeKeySize(size: number): void {
	if (size >= 1 && size <= keySizeMax) return;
	throw new MillraceError('MILLRACE_KEY_SIZE', `a key has from 1 to ${keySizeMax} bytes, not ${size}`);
}

function mustBeValueSize(size: number): void {
	if (size <= valueSizeMax) return;
	throw new MillraceError('MILLRACE_VALUE_SIZE', `a value has at most ${valueSizeMax} bytes, not ${size}`);
}

/**
 * A key or value as bytes, made without an object: bytes given are borrowed as they are, text is written into one scratch buffer
 * that the next `take` overwrites. For a caller that copies before it gives control away.
 */
export class BytesInHand {
	/** The bytes are `bytes[0, size)`. */
	bytes: Uint8Array;
	size = 0;
	readonly #scratch: Buffer;

	/** @param scratchSize text of up to a third as many characters needs no buffer of its own */
	constructor(scratchSize = 3 * keySizeMax) {
		this.#scratch = Buffer.allocUnsafeSlow(scratchSize);
		this.bytes = this.#scratch;
	}

	/** @throws TypeError, MILLRACE_KEY_SIZE */
	takeKey(key: Bytes): void {
		this.#take('key', key);
		if (this.size < 1 || this.size > keySizeMax) mustBeKeySize(this.size);
	}

	/** @throws TypeError, MILLRACE_VALUE_SIZE */
	takeValue(value: Bytes): void {
		this.#take('value', value);
		if (this.size > valueSizeMax) mustBeValueSize(this.size);
	}

	#take(what: string, given: Bytes): void {
		if (typeof given !== 'string') {
			this.bytes = mustBeBytes(what, given);
			this.size = this.bytes.length;
		} else if (given.length > shortTextMax || !this.#maybeTakeShort(given)) {
			this.#takeText(what, given);
		}
	}

	/** Short ASCII text, by far the usual key: a loop beats the call into the runtime (30 ns against 70 for 16 characters). */
	#maybeTakeShort(text: string): boolean {
		const scratch = this.#scratch;
		const count = text.length;
		for (let i = 0; i < count; i++) {
			const unit = text.charCodeAt(i);
			if (unit > 0x7f) return false;
			scratch[i] = unit;
		}
		this.bytes = scratch;
		this.size = count;
		return true;
	}

	#takeText(what: string, text: string): void {
		if (text.length * 3 > this.#scratch.length) {
			this.bytes = mustBeBytes(what, text);
			this.size = this.bytes.length;
			return;
		}
		mustBeWellFormed(what, text);
		this.bytes = this.#scratch;
		this.size = this.#scratch.write(text, 0, 'utf8');
	}
}

/** Characters up to which the loop of BytesInHand beats the runtime's encoder. */
const shortTextMax = 32;

/** A copy of a bound of a range, which may be empty; undefined stays undefined. */
export function mustBound(what: string, bound: Bytes | undefined): Uint8Array | undefined {
	if (bound === undefined) return undefined;
	const bytes = mustBeBytes(what, bound);
	if (bytes.length <= keySizeMax) return copyOf(bytes);
	throw new MillraceError('MILLRACE_KEY_SIZE', `${what} has at most ${keySizeMax} bytes, not ${bytes.length}`);
}

function mustBeBytes(what: string, given: Bytes): Uint8Array {
	// The second question knows the arrays of other realms (vm contexts, test runners) as well.
	if (given instanceof Uint8Array || types.isUint8Array(given)) {
		if (given.length === 0 && isDetached(given))
			throw new TypeError(`the ${what} was transferred away: nothing is left of it`);
		return given;
	}
	if (typeof given !== 'string') throw new TypeError(`a ${what} is a string or a Uint8Array, not ${typeof given}`);
	mustBeWellFormed(what, given);
	return Buffer.from(given, 'utf8');
}

/**
 * Only of interest where bytes are empty. Node 20 has no `ArrayBuffer.prototype.detached`, but takes no array of such a buffer.
 */
function isDetached({ buffer }: Uint8Array): boolean {
	if (buffer.byteLength > 0) return false;
	try {
		return new Uint8Array(buffer).length !== 0;
	} catch {
		return true;
	}
}

/** Half a surrogate pair has no UTF-8: it would silently become another character, and two keys could become one. */
function mustBeWellFormed(what: string, text: string): void {
	if (!isWellFormed(text)) throw new TypeError(`the ${what} is text with half a surrogate pair; give bytes instead`);
}

/**
 * `String.prototype.isWellFormed` exists in Node 20; the language library we compile against does not name it yet.
 */
function isWellFormed(text: string): boolean {
	return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

export function mustDelta(delta: number | bigint): string {
	if (typeof delta === 'bigint') {
		if (BigInt.asIntN(64, delta) === delta) return delta.toString();
	} else if (Number.isSafeInteger(delta)) {
		return delta.toString();
	}
	throw new TypeError('the delta is not a safe integer, or a bigint of 64 bits');
}
