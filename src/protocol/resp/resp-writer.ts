/**
 * Encodes replies: `encodeX(target, at, ...)` writes at `at` and returns the offset after it. The caller made room:
 * the payload's size plus `replyOverheadMax`, or what `errorSizeOf` says. No strings for the common replies; the
 * same functions write into a connection's output, into the parking buffer and into tests' arrays.
 */
import { copyBytes } from '../../base/bytes.js';
import { codeOf, type ErrorCode, errorTable } from '../../base/errors.js';
import {
	byteCarriageReturn,
	byteColon,
	byteDollar,
	byteLineFeed,
	byteMinus,
	byteSpace,
	byteStar,
	byteZero,
	errorNotInteger,
	errorOverflow,
} from './resp-format.js';

/** Bytes of the longest "-WORD CODE " before the message of an error status. */
const errorPrefixMax = 64;

function makeErrorStart(code: ErrorCode): Buffer {
	if (code === 'MILLRACE_NOT_INTEGER') return Buffer.from(`-${errorNotInteger}\r\n`, 'latin1');
	if (code === 'MILLRACE_OVERFLOW') return Buffer.from(`-${errorOverflow}\r\n`, 'latin1');
	return Buffer.from(`-${errorTable[code].resp} ${code} `, 'latin1');
}

/** By status: "-WORD CODE ", to be followed by the message; or a whole classic line, which ends in a line feed. */
const errorStarts = new Map<ErrorCode, Buffer>();
for (const code of Object.keys(errorTable) as ErrorCode[]) errorStarts.set(code, makeErrorStart(code));

function encodeLineEnd(target: Uint8Array, at: number): number {
	target[at] = byteCarriageReturn;
	target[at + 1] = byteLineFeed;
	return at + 2;
}

/** @param value integer in (-2^53, 2^53) */
function encodeDecimal(target: Uint8Array, at: number, value: number): number {
	if (value < 0) {
		target[at++] = byteMinus;
		value = -value;
	}
	if (value < 10) {
		target[at] = byteZero + value;
		return at + 1;
	}
	let digitCount = 1;
	for (let bound = 10; bound <= value; bound *= 10) digitCount++;
	const end = at + digitCount;
	for (let i = end - 1; i >= at; i--) {
		const tenth = Math.floor(value / 10);
		target[i] = byteZero + (value - tenth * 10);
		value = tenth;
	}
	return end;
}

/** A reply or part of one that is ready as bytes. */
export function encodeRaw(target: Uint8Array, at: number, raw: Uint8Array): number {
	copyBytes(raw, 0, target, at, raw.length);
	return at + raw.length;
}

/** `$<size>\r\n<bytes>\r\n` */
export function encodeBulk(target: Uint8Array, at: number, bytes: Uint8Array, offset: number, size: number): number {
	target[at] = byteDollar;
	at = encodeLineEnd(target, encodeDecimal(target, at + 1, size));
	copyBytes(bytes, offset, target, at, size);
	return encodeLineEnd(target, at + size);
}

/** `:<value>\r\n` @param value integer in (-2^53, 2^53) */
export function encodeInteger(target: Uint8Array, at: number, value: number): number {
	target[at] = byteColon;
	return encodeLineEnd(target, encodeDecimal(target, at + 1, value));
}

/** `:<text>\r\n`, for 64-bit integers that come as text */
export function encodeIntegerText(
	target: Uint8Array,
	at: number,
	bytes: Uint8Array,
	offset: number,
	size: number,
): number {
	target[at] = byteColon;
	copyBytes(bytes, offset, target, at + 1, size);
	return encodeLineEnd(target, at + 1 + size);
}

/** `*<count>\r\n` */
export function encodeArrayHeader(target: Uint8Array, at: number, count: number): number {
	target[at] = byteStar;
	return encodeLineEnd(target, encodeDecimal(target, at + 1, count));
}

/** Most bytes `encodeErrorStatus` writes for a message of `size` bytes. */
export function errorSizeOf(size: number): number {
	return size + errorPrefixMax;
}

/** The error line of a status: `-WORD CODE message\r\n`, line ends in the message made blanks. */
export function encodeErrorStatus(
	target: Uint8Array,
	at: number,
	status: number,
	message: Uint8Array,
	offset: number,
	size: number,
): number {
	const start = errorStarts.get(codeOf(status)) as Buffer;
	at = encodeRaw(target, at, start);
	if (start[start.length - 1] === byteLineFeed) return at;
	for (let i = offset; i < offset + size; i++) {
		const byte = message[i] as number;
		target[at++] = byte === byteCarriageReturn || byte === byteLineFeed ? byteSpace : byte;
	}
	return encodeLineEnd(target, at);
}

/** The bytes of `-<text>\r\n`, line ends in the text made blanks; characters are bytes. For errors found here. */
export function errorLine(text: string): Buffer {
	return Buffer.from(`-${text.replace(/[\r\n]/g, ' ')}\r\n`, 'latin1');
}
