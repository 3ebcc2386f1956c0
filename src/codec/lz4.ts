/**
 * The door to LZ4 (lz4-napi). A compressed block is what the library makes: a 4-byte little-endian count of the bytes
 * it decompresses to, then a raw LZ4 block.
 *
 * The library trusts that count when it allocates, so nothing reaches it unchecked: the caller has verified a checksum
 * over these bytes, and says which size its own header promises; only when both agree is anything decompressed.
 * Any thread; results are fresh Buffers the caller owns.
 */
import { createRequire } from 'node:module';
import { bufferOver, readU32 } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';

interface CompressionAddon {
	compressSync(data: Buffer): Buffer;
	uncompressSync(data: Buffer): Buffer;
}

const addon = createRequire(import.meta.url)('lz4-napi') as CompressionAddon;

const sizePrefixSize = 4;
/** A block must shrink by an eighth, or reading it pays for decompression and gets nothing back. */
const savingDivisor = 8;
/** No LZ4 sequence byte stands for more than 255 bytes of output, so a larger promise is a lie. */
const expansionMax = 255;

/** @returns `bytes[offset, offset + size)` compressed, or undefined if that saves less than 12.5 % */
export function compressBlock(bytes: Uint8Array, offset: number, size: number): Buffer | undefined {
	const compressed = addon.compressSync(bufferOver(bytes, offset, size));
	return compressed.length <= size - size / savingDivisor ? compressed : undefined;
}

/**
 * Decompresses what `compressBlock` made.
 * @param expectedSize bytes it must decompress to, as the caller's own header says and its limits allow
 * @throws MillraceError MILLRACE_CORRUPT when the bytes are no such block
 */
export function decompressBlock(bytes: Uint8Array, offset: number, size: number, expectedSize: number): Buffer {
	const promisedSize = size >= sizePrefixSize ? readU32(bytes, offset) : -1;
	if (promisedSize !== expectedSize || expectedSize > size * expansionMax) {
		const sizes = `${size} bytes promise ${promisedSize}, the header ${expectedSize}`;
		throw new MillraceError('MILLRACE_CORRUPT', `LZ4 block: ${sizes}`);
	}
	let raw: Buffer;
	try {
		raw = addon.uncompressSync(bufferOver(bytes, offset, size));
	} catch (cause) {
		throw new MillraceError('MILLRACE_CORRUPT', 'LZ4 block: malformed', { cause });
	}
	if (raw.length !== expectedSize) {
		throw new MillraceError('MILLRACE_CORRUPT', `LZ4 block: ${raw.length} bytes for ${expectedSize}`);
	}
	return raw;
}
