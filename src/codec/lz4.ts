/**
 * LZ4 blocks as tables store them: a 4-byte little-endian count of the bytes it decompresses to, then a raw LZ4 block
 * (the form lz4-napi makes, which older tables were written with).
 *
 * Blocks up to `codecAreaSize` are done in linear memory (codec-memory.ts): three to five times as fast as a call of the
 * addon, and without its Buffer for the collector. Only larger ones go through the addon.
 *
 * Nothing is decompressed by its own promise: the caller has verified a checksum over these bytes, and says which size
 * its own header promises; only when both agree is anything done. Any thread.
 */
import { createRequire } from 'node:module';
import { bufferOver, copyBytes, readU32, writeU32 } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import { codecAreaSize } from '../base/limits.js';
import type { CodecMemory } from './codec-memory.js';

interface CompressionAddon {
	compressSync(data: Buffer): Buffer;
	uncompressSync(data: Buffer): Buffer;
}

const addon = createRequire(import.meta.url)('lz4-napi') as CompressionAddon;

const sizePrefixSize = 4;
/** No LZ4 sequence byte stands for more than 255 bytes of output, so a larger promise is a lie. */
const expansionMax = 255;

/**
 * Compresses `source[offset, offset + size)` to `target[targetOffset..]`.
 * @param memory of this thread; where source or target lie in it, nothing is copied
 * @returns bytes written, or 0 when they would be more than `sizeMax`
 */
export function compressLz4Into(
	source: Uint8Array,
	offset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
	sizeMax: number,
	memory: CodecMemory,
): number {
	if (sizeMax <= sizePrefixSize) return 0;
	if (size > codecAreaSize) return compressByAddon(source, offset, size, target, targetOffset, sizeMax);
	const from = source === memory.bytes ? offset : memory.input;
	if (source !== memory.bytes) copyBytes(source, offset, memory.bytes, from, size);
	const isTargetInside = target === memory.bytes;
	const to = isTargetInside ? targetOffset + sizePrefixSize : memory.output;
	const limit = isTargetInside ? sizeMax - sizePrefixSize : Math.min(sizeMax - sizePrefixSize, codecAreaSize);
	const blockSize = memory.compress(from, size, to, limit);
	if (blockSize === 0) return 0;
	writeU32(target, targetOffset, size);
	if (!isTargetInside) copyBytes(memory.bytes, to, target, targetOffset + sizePrefixSize, blockSize);
	return sizePrefixSize + blockSize;
}

function compressByAddon(
	source: Uint8Array,
	offset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
	sizeMax: number,
): number {
	const compressed = addon.compressSync(bufferOver(source, offset, size));
	if (compressed.length > sizeMax) return 0;
	target.set(compressed, targetOffset);
	return compressed.length;
}

/**
 * Decompresses what `compressLz4Into` made to `target[targetOffset, … + rawSize)`.
 * @param rawSize bytes it must decompress to, as the caller's own header says and its limits allow
 * @param memory of this thread; where source or target lie in it, nothing is copied
 * @throws MillraceError MILLRACE_CORRUPT when the bytes are no such block
 */
export function decompressLz4Into(
	source: Uint8Array,
	offset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
	rawSize: number,
	memory: CodecMemory,
): void {
	const promisedSize = size >= sizePrefixSize ? readU32(source, offset) : -1;
	if (promisedSize !== rawSize || rawSize > size * expansionMax) {
		const sizes = `${size} bytes promise ${promisedSize}, the header ${rawSize}`;
		throw new MillraceError('MILLRACE_CORRUPT', `LZ4 block: ${sizes}`);
	}
	const isSourceInside = source === memory.bytes;
	const isTargetInside = target === memory.bytes;
	if ((!isSourceInside && size > codecAreaSize) || (!isTargetInside && rawSize > codecAreaSize)) {
		decompressByAddon(source, offset, size, target, targetOffset, rawSize);
		return;
	}
	const from = isSourceInside ? offset : memory.input;
	if (!isSourceInside) copyBytes(source, offset, memory.bytes, from, size);
	const to = isTargetInside ? targetOffset : memory.output;
	if (!memory.decompress(from + sizePrefixSize, size - sizePrefixSize, to, rawSize)) {
		throw new MillraceError('MILLRACE_CORRUPT', 'LZ4 block: malformed');
	}
	if (!isTargetInside) copyBytes(memory.bytes, to, target, targetOffset, rawSize);
}

function decompressByAddon(
	source: Uint8Array,
	offset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
	rawSize: number,
): void {
	let raw: Buffer;
	try {
		raw = addon.uncompressSync(bufferOver(source, offset, size));
	} catch (cause) {
		throw new MillraceError('MILLRACE_CORRUPT', 'LZ4 block: malformed', { cause });
	}
	if (raw.length !== rawSize) {
		throw new MillraceError('MILLRACE_CORRUPT', `LZ4 block: ${raw.length} bytes for ${rawSize}`);
	}
	target.set(raw, targetOffset);
}
