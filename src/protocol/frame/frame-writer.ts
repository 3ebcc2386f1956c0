/**
 * Writes frames into bytes the caller made room for: replies (session) and requests (client). Each function writes at
 * `target[offset..]` and returns the offset after what it wrote. Room needed: `frameOverheadMax`, plus
 * `bytesHeaderSizeMax` and the size of every key and value beyond the first two.
 */
import { assert } from '../../base/assert.js';
import { copyBytes, writeU16BigEndian, writeU32, writeU32BigEndian } from '../../base/bytes.js';
import { opCount, opIncrement, opPut, opScan, opSetExpiry } from '../../command/command-format.js';
import { type ScanOptions, scanFlagsOf } from '../../command/scan-options.js';
import {
	frameHeaderSize,
	operationGetMany,
	prefaceByte0,
	prefaceByte1,
	prefaceByte2,
	prefaceSize,
	protocolVersion,
	tagArray16,
	tagArray32,
	tagBin8,
	tagBin16,
	tagBin32,
	tagFixarray,
	tagFixstr,
	tagNil,
	tagStr8,
	tagStr16,
	tagStr32,
	tagUint8,
	tagUint16,
	tagUint32,
	tagUint64,
	wireScanFlags,
} from './frame-format.js';

// --- pieces ---------------------------------------------------------------------------------------

export function encodePreface(target: Uint8Array, offset: number): number {
	target[offset] = prefaceByte0;
	target[offset + 1] = prefaceByte1;
	target[offset + 2] = prefaceByte2;
	target[offset + 3] = protocolVersion;
	return offset + prefaceSize;
}

/** Fills in the length of the frame that started at `frameOffset` and ends at `end`. @returns `end` */
export function finishFrame(target: Uint8Array, frameOffset: number, end: number): number {
	writeU32(target, frameOffset, end - frameOffset - frameHeaderSize);
	return end;
}

export function encodeArrayHeader(target: Uint8Array, at: number, count: number): number {
	if (count < 16) {
		target[at] = tagFixarray | count;
		return at + 1;
	}
	if (count <= 0xffff) {
		target[at] = tagArray16;
		writeU16BigEndian(target, at + 1, count);
		return at + 3;
	}
	target[at] = tagArray32;
	writeU32BigEndian(target, at + 1, count);
	return at + 5;
}

/** @param value integer in [0, 2^53) */
export function encodeNumber(target: Uint8Array, at: number, value: number): number {
	if (value < 0x80) {
		assert(value >= 0, 'numbers on the wire are not negative');
		target[at] = value;
		return at + 1;
	}
	if (value <= 0xff) {
		target[at] = tagUint8;
		target[at + 1] = value;
		return at + 2;
	}
	if (value <= 0xffff) {
		target[at] = tagUint16;
		writeU16BigEndian(target, at + 1, value);
		return at + 3;
	}
	if (value <= 0xffff_ffff) {
		target[at] = tagUint32;
		writeU32BigEndian(target, at + 1, value);
		return at + 5;
	}
	assert(Number.isSafeInteger(value), 'numbers on the wire are integers below 2^53');
	target[at] = tagUint64;
	writeU32BigEndian(target, at + 1, Math.floor(value / 0x1_0000_0000));
	writeU32BigEndian(target, at + 5, value >>> 0);
	return at + 9;
}

export function encodeNil(target: Uint8Array, at: number): number {
	target[at] = tagNil;
	return at + 1;
}

export function encodeBytes(target: Uint8Array, at: number, source: Uint8Array, offset: number, size: number): number {
	if (size <= 0xff) {
		target[at] = tagBin8;
		target[at + 1] = size;
		at += 2;
	} else if (size <= 0xffff) {
		target[at] = tagBin16;
		writeU16BigEndian(target, at + 1, size);
		at += 3;
	} else {
		target[at] = tagBin32;
		writeU32BigEndian(target, at + 1, size);
		at += 5;
	}
	copyBytes(source, offset, target, at, size);
	return at + size;
}

/** @param source UTF-8 */
export function encodeText(target: Uint8Array, at: number, source: Uint8Array, offset: number, size: number): number {
	if (size < 32) {
		target[at] = tagFixstr | size;
		at += 1;
	} else if (size <= 0xff) {
		target[at] = tagStr8;
		target[at + 1] = size;
		at += 2;
	} else if (size <= 0xffff) {
		target[at] = tagStr16;
		writeU16BigEndian(target, at + 1, size);
		at += 3;
	} else {
		target[at] = tagStr32;
		writeU32BigEndian(target, at + 1, size);
		at += 5;
	}
	copyBytes(source, offset, target, at, size);
	return at + size;
}

// --- replies --------------------------------------------------------------------------------------

/** Everything of a reply up to its payload. */
export function encodeReplyStart(target: Uint8Array, offset: number, id: number, status: number): number {
	let at = encodeArrayHeader(target, offset + frameHeaderSize, 4);
	at = encodeNumber(target, at, id);
	return encodeNumber(target, at, status);
}

/** What follows the payload. */
export function encodeReplyEnd(target: Uint8Array, offset: number, at: number, number: number): number {
	return finishFrame(target, offset, encodeNumber(target, at, number));
}

// --- requests -------------------------------------------------------------------------------------

function encodeRequestStart(target: Uint8Array, offset: number, count: number, id: number, operation: number): number {
	let at = encodeArrayHeader(target, offset + frameHeaderSize, count);
	at = encodeNumber(target, at, id);
	return encodeNumber(target, at, operation);
}

/** [id, operation]: ping, stats, flush, clear. */
export function encodeBareRequest(target: Uint8Array, offset: number, id: number, operation: number): number {
	return finishFrame(target, offset, encodeRequestStart(target, offset, 2, id, operation));
}

/** [id, operation, key]: get, has, getExpiry, delete. */
export function encodeKeyRequest(
	target: Uint8Array,
	offset: number,
	id: number,
	operation: number,
	key: Uint8Array,
): number {
	const at = encodeRequestStart(target, offset, 3, id, operation);
	return finishFrame(target, offset, encodeBytes(target, at, key, 0, key.length));
}

/** [id, put, key, value], with flags and expiry behind when there are any. */
export function encodePutRequest(
	target: Uint8Array,
	offset: number,
	id: number,
	key: Uint8Array,
	value: Uint8Array,
	flags: number,
	expiryMs: number,
): number {
	const isPlain = flags === 0 && expiryMs === 0;
	let at = encodeRequestStart(target, offset, isPlain ? 4 : 6, id, opPut);
	at = encodeBytes(target, at, key, 0, key.length);
	at = encodeBytes(target, at, value, 0, value.length);
	if (!isPlain) {
		at = encodeNumber(target, at, flags);
		at = encodeNumber(target, at, expiryMs);
	}
	return finishFrame(target, offset, at);
}

/** [id, increment, key, delta]. @param delta decimal text */
export function encodeIncrementRequest(
	target: Uint8Array,
	offset: number,
	id: number,
	key: Uint8Array,
	delta: Uint8Array,
): number {
	let at = encodeRequestStart(target, offset, 4, id, opIncrement);
	at = encodeBytes(target, at, key, 0, key.length);
	return finishFrame(target, offset, encodeText(target, at, delta, 0, delta.length));
}

/** [id, setExpiry, key, expiry, flags]. @param expiryMs 0: never again */
export function encodeSetExpiryRequest(
	target: Uint8Array,
	offset: number,
	id: number,
	key: Uint8Array,
	expiryMs: number,
	flags: number,
): number {
	let at = encodeRequestStart(target, offset, 5, id, opSetExpiry);
	at = encodeBytes(target, at, key, 0, key.length);
	at = encodeNumber(target, at, expiryMs);
	return finishFrame(target, offset, encodeNumber(target, at, flags));
}

/** [id, scan, partition, cursor, countMax], with flags, lower, upper and page size behind when there are any. */
export function encodeScanRequest(
	target: Uint8Array,
	offset: number,
	id: number,
	partition: number,
	cursor: Uint8Array,
	countMax: number,
	options: ScanOptions,
): number {
	const flags = scanFlagsOf(options);
	const isPlain = flags === 0 && options.pageSizeMax === 0;
	let at = encodeRequestStart(target, offset, isPlain ? 5 : 9, id, opScan);
	at = encodeNumber(target, at, partition);
	at = encodeBytes(target, at, cursor, 0, cursor.length);
	at = encodeNumber(target, at, countMax);
	if (!isPlain) {
		at = encodeRange(target, at, flags, options);
		at = encodeNumber(target, at, options.pageSizeMax);
	}
	return finishFrame(target, offset, at);
}

/** [id, count], with flags, lower and upper behind when not everything is counted. */
export function encodeCountRequest(target: Uint8Array, offset: number, id: number, options: ScanOptions): number {
	const flags = scanFlagsOf(options);
	const at = encodeRequestStart(target, offset, flags === 0 ? 2 : 5, id, opCount);
	return finishFrame(target, offset, flags === 0 ? at : encodeRange(target, at, flags, options));
}

/** Flags, lower, upper: that there is a bound is said by the bound. */
function encodeRange(target: Uint8Array, at: number, flags: number, { lower, upper }: ScanOptions): number {
	at = encodeNumber(target, at, flags & wireScanFlags);
	at = lower === undefined ? encodeNil(target, at) : encodeBytes(target, at, lower, 0, lower.length);
	return upper === undefined ? encodeNil(target, at) : encodeBytes(target, at, upper, 0, upper.length);
}

/** [id, getMany, [key, ...]] */
export function encodeGetManyRequest(
	target: Uint8Array,
	offset: number,
	id: number,
	keys: readonly Uint8Array[],
): number {
	let at = encodeRequestStart(target, offset, 3, id, operationGetMany);
	at = encodeArrayHeader(target, at, keys.length);
	for (const key of keys) at = encodeBytes(target, at, key, 0, key.length);
	return finishFrame(target, offset, at);
}
