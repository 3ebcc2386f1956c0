/**
 * Keys and values between abstract-level and the store. Pure.
 *
 * **Empty keys.** abstract-level has them, the store has not. Keys of nothing but zero bytes are the first of all keys, in the
 * order of their lengths, so each takes the place of the next, and all others stay as they are:
 *
 *   level     ''   00     00 00     …   00 01   00 61   01   61   …
 *   stored    00   00 00  00 00 00  …   00 01   00 61   01   61   …
 *
 * One to one, onto all stored keys, in the same order: a directory may be used with either API, and only keys of nothing but zero
 * bytes have another name in the other. A prefix for every key would have made two kinds of directories, and cost a copy of each.
 */
import type { Bytes } from '../command/checked-bytes.js';

/** abstract-level's names of what a key or value is given as, or wanted as. */
export type Format = 'utf8' | 'buffer' | 'view';

/** What abstract-level's own encodings make of keys and values. */
export type Formatted = string | Uint8Array;

export function storedKey(key: Formatted): Bytes {
	if (typeof key === 'string') return isZeroText(key) ? `${key}\0` : key;
	if (!isZeros(key)) return key;
	return new Uint8Array(key.length + 1);
}

/** The stored key's bytes, or a view of them. */
export function levelKey(stored: Uint8Array): Uint8Array {
	return isZeros(stored) ? stored.subarray(1) : stored;
}

function isZeros(bytes: Uint8Array): boolean {
	for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
	return true;
}

function isZeroText(text: string): boolean {
	for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== 0) return false;
	return true;
}

/** Bytes that are the caller's own, as what is wanted of them; not copied again. */
export function formatted(bytes: Uint8Array, format: Format): Formatted {
	if (format === 'view') return bytes;
	const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return format === 'buffer' ? buffer : buffer.toString('utf8');
}
