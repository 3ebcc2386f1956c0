/**
 * Compression of table blocks: the numbers codecs are known by on disk, and the two calls that use them.
 *
 *   compressInto    bytes ─> stored payload, or nothing when that would not save an eighth
 *   decompressInto  stored payload ─> exactly as many bytes as its header promises, or MILLRACE_CORRUPT
 *
 *   lz4       u32 raw size | LZ4 block          WebAssembly for blocks up to 256 KiB, lz4-napi above (lz4.ts)
 *   zstd      one Zstandard frame               node:zlib, from Node 22.15 on
 *   deflate   a raw deflate stream              node:zlib everywhere
 *
 * Whoever asks for 'zstd' gets deflate where Node has no Zstandard. Any thread; nothing returned aliases anything.
 */
import * as zlib from 'node:zlib';
import { bufferOver } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import { CodecMemory } from './codec-memory.js';
import { compressLz4Into, decompressLz4Into } from './lz4.js';

/** Persistent, in every block header: append, never renumber. */
export const codecRaw = 0;
export const codecLz4 = 1;
export const codecZstd = 2;
export const codecDeflate = 3;

/** What a table may be asked to be written with. */
export type CodecName = 'lz4' | 'zstd';

interface Zstandard {
	zstdCompressSync(data: Buffer): Buffer;
	zstdDecompressSync(data: Buffer, options: { maxOutputLength: number }): Buffer;
}

/** What this Node.js has; its types are those of Node 20, which has none. */
const zstandard = 'zstdCompressSync' in zlib ? (zlib as unknown as Zstandard) : undefined;

/** A block must shrink by an eighth, or reading it pays for decompression and gets nothing back. */
const savingDivisor = 8;
/** Deflate's own default: the last level is written once and read often. */
const deflateLevel = 6;

/** Bytes a payload of `size` may have once compressed, to be worth it. */
export function compressedSizeMax(size: number): number {
	return size - Math.ceil(size / savingDivisor);
}

/** The number under which blocks of this codec are written by this Node.js. */
export function codecNumberOf(name: CodecName): number {
	if (name === 'lz4') return codecLz4;
	return zstandard === undefined ? codecDeflate : codecZstd;
}

/**
 * Compresses `source[offset, offset + size)` to `target[targetOffset..]`, where there is room for `size` bytes.
 * @param codec `codecNumberOf` a name
 * @param memory where source or target lie in it, LZ4 copies nothing
 * @returns bytes written; 0 when that saves less than 12.5 %, and the payload is to be stored as it is
 */
export function compressInto(
	codec: number,
	source: Uint8Array,
	offset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
	memory: CodecMemory = CodecMemory.ofThread,
): number {
	if (codec === codecLz4) {
		return compressLz4Into(source, offset, size, target, targetOffset, compressedSizeMax(size), memory);
	}
	const bytes = bufferOver(source, offset, size);
	let stored: Buffer;
	if (codec === codecDeflate) stored = zlib.deflateRawSync(bytes, { level: deflateLevel });
	else if (codec === codecZstd && zstandard !== undefined) stored = zstandard.zstdCompressSync(bytes);
	else throw new MillraceError('MILLRACE_CODEC', `this Node.js cannot compress with codec ${codec}`);
	if (stored.length > compressedSizeMax(size)) return 0;
	target.set(stored, targetOffset);
	return stored.length;
}

/**
 * Decompresses `source[offset, offset + size)` to `target[targetOffset, … + rawSize)`. Never writes elsewhere, nor makes
 * more than `rawSize` bytes of it, whatever the bytes are.
 * @param rawSize bytes it must decompress to, as the caller's own header says and its limits allow
 * @param memory where source or target lie in it, LZ4 copies nothing
 * @throws MillraceError MILLRACE_CORRUPT when the bytes are no such block; MILLRACE_CODEC when Node.js lacks Zstandard
 */
export function decompressInto(
	codec: number,
	source: Uint8Array,
	offset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
	rawSize: number,
	memory: CodecMemory = CodecMemory.ofThread,
): void {
	if (codec === codecLz4) {
		decompressLz4Into(source, offset, size, target, targetOffset, rawSize, memory);
		return;
	}
	const raw = inflate(codec, bufferOver(source, offset, size), rawSize);
	if (raw.length !== rawSize) {
		throw new MillraceError('MILLRACE_CORRUPT', `codec ${codec}: ${raw.length} bytes for ${rawSize}`);
	}
	target.set(raw, targetOffset);
}

function inflate(codec: number, stored: Buffer, rawSize: number): Buffer {
	// zlib refuses a limit of 0; one byte too many is told by its count.
	const options = { maxOutputLength: Math.max(1, rawSize) };
	if (codec === codecZstd && zstandard === undefined) {
		throw new MillraceError('MILLRACE_CODEC', 'zstd needs Node.js 22.15 or newer');
	}
	try {
		if (codec === codecZstd && zstandard !== undefined) return zstandard.zstdDecompressSync(stored, options);
		if (codec === codecDeflate) return zlib.inflateRawSync(stored, options);
	} catch (cause) {
		throw new MillraceError('MILLRACE_CORRUPT', `codec ${codec}: malformed`, { cause });
	}
	throw new MillraceError('MILLRACE_CORRUPT', `codec ${codec} is unknown`);
}
