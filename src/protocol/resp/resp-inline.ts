/**
 * Splits one inline command line into arguments by the rules of Redis (sdssplitargs): words separated by blanks;
 * "..." with \n \r \t \b \a \xHH and \<any>; '...' with \' only; a closing quote must be followed by a blank or the
 * end; quotes may open in the middle of a word. Unescaped in place: an argument is never longer than its spelling.
 */
import { byteBackslash, byteDoubleQuote, byteSingleQuote, byteSpace } from './resp-format.js';

/** Where the arguments go: grows as needed. */
export interface ArgumentTarget {
	addArgument(offset: number, size: number): void;
}

function isBlank(byte: number): boolean {
	return byte === byteSpace || (byte >= 0x09 && byte <= 0x0d);
}

/** The value of a hex digit, or -1. */
function hexValue(byte: number): number {
	if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
	const lower = byte | 0x20;
	return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function unescapeByte(byte: number): number {
	if (byte === 0x6e) return 0x0a;
	if (byte === 0x72) return 0x0d;
	if (byte === 0x74) return 0x09;
	if (byte === 0x62) return 0x08;
	return byte === 0x61 ? 0x07 : byte;
}

/** Read and write positions of the quoted part being unescaped; module state, because two numbers come back. */
let readAt = 0;
let writeAt = 0;

/** From after the opening quote to after the closing one. @returns false when the quote is not closed properly */
function unescapeQuoted(bytes: Uint8Array, end: number, quote: number): boolean {
	while (readAt < end) {
		const byte = bytes[readAt] as number;
		if (byte === quote) {
			readAt++;
			return readAt === end || isBlank(bytes[readAt] as number);
		}
		if (byte === byteBackslash && readAt + 1 < end) {
			const next = bytes[readAt + 1] as number;
			if (quote === byteSingleQuote) {
				const isEscape = next === byteSingleQuote;
				bytes[writeAt++] = isEscape ? next : byte;
				readAt += isEscape ? 2 : 1;
				continue;
			}
			const high = next === 0x78 && readAt + 3 < end ? hexValue(bytes[readAt + 2] as number) : -1;
			const low = high >= 0 ? hexValue(bytes[readAt + 3] as number) : -1;
			bytes[writeAt++] = low >= 0 ? high * 16 + low : unescapeByte(next);
			readAt += low >= 0 ? 4 : 2;
			continue;
		}
		bytes[writeAt++] = byte;
		readAt++;
	}
	return false;
}

/**
 * Splits the line `bytes[start, end)` (without its line end), giving offsets relative to `start`.
 * @returns false when quotes are unbalanced; what was added then means nothing
 */
export function splitInline(bytes: Uint8Array, start: number, end: number, target: ArgumentTarget): boolean {
	readAt = start;
	while (true) {
		while (readAt < end && isBlank(bytes[readAt] as number)) readAt++;
		if (readAt === end) return true;
		const wordStart = readAt;
		writeAt = readAt;
		while (readAt < end) {
			const byte = bytes[readAt] as number;
			if (isBlank(byte)) break;
			readAt++;
			if (byte === byteDoubleQuote || byte === byteSingleQuote) {
				if (!unescapeQuoted(bytes, end, byte)) return false;
				break;
			}
			bytes[writeAt++] = byte;
		}
		target.addArgument(wordStart - start, writeAt - wordStart);
	}
}
