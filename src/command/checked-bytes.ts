/**
 * What callers of the embedded database and of the client may give as keys, values and deltas, checked before anything is sent.
 * Misuse is a `TypeError`; a size over its limit is a coded error.
 */
import { copyOf } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import { keySizeMax, valueSizeMax } from '../base/limits.js';

/** Text is stored as UTF-8. */
export type Bytes = string | Uint8Array;

export function mustKey(key: Bytes): Uint8Array {
	const bytes = mustBeBytes('key', key);
	if (bytes.length >= 1 && bytes.length <= keySizeMax) return bytes;
	throw new MillraceError('MILLRACE_KEY_SIZE', `a key has from 1 to ${keySizeMax} bytes, not ${bytes.length}`);
}

export function mustValue(value: Bytes): Uint8Array {
	const bytes = mustBeBytes('value', value);
	if (bytes.length <= valueSizeMax) return bytes;
	throw new MillraceError('MILLRACE_VALUE_SIZE', `a value has at most ${valueSizeMax} bytes, not ${bytes.length}`);
}

/** A copy of a bound of a range, which may be empty; undefined stays undefined. */
export function mustBound(what: string, bound: Bytes | undefined): Uint8Array | undefined {
	if (bound === undefined) return undefined;
	const bytes = mustBeBytes(what, bound);
	if (bytes.length <= keySizeMax) return copyOf(bytes);
	throw new MillraceError('MILLRACE_KEY_SIZE', `${what} has at most ${keySizeMax} bytes, not ${bytes.length}`);
}

function mustBeBytes(what: string, given: Bytes): Uint8Array {
	if (given instanceof Uint8Array) return given;
	if (typeof given !== 'string') throw new TypeError(`a ${what} is a string or a Uint8Array, not ${typeof given}`);
	// Half a surrogate pair has no UTF-8: it would silently become another character, and two keys could become one.
	if (!isWellFormed(given)) throw new TypeError(`the ${what} is text with half a surrogate pair; give bytes instead`);
	return Buffer.from(given, 'utf8');
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
