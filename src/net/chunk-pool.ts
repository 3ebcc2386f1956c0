/**
 * Output chunks of one fixed size, lent to connections while they have something to write. A stack, so that the
 * chunk written last, still warm in the cache, is lent next. Main thread only; a chunk has exactly one owner:
 * the pool, or the connection between `takeChunk` and `returnChunk`.
 *
 * Chunks above the ordinary size are made for one large reply and left to the collector.
 */
import { assert } from '../base/assert.js';

/** Bytes of an ordinary chunk: some 150 replies of 100 B, so that a pipelined burst goes out in one piece. */
export const chunkSize = 16 * 1024;
/** Chunks kept for reuse (4 MiB); more than that at once means slow readers, and their memory should go back. */
const chunkCountMax = 256;

const pool: Buffer[] = [];

/** @returns a chunk of at least `size` bytes with undefined content */
export function takeChunk(size: number): Buffer {
	if (size > chunkSize) return Buffer.allocUnsafeSlow(size);
	return pool.pop() ?? Buffer.allocUnsafeSlow(chunkSize);
}

/** Takes a chunk back. Nothing may read or write it any more, the kernel and libuv included. */
export function returnChunk(chunk: Buffer): void {
	assert(chunk.length >= chunkSize, 'only whole chunks come back');
	if (chunk.length === chunkSize && pool.length < chunkCountMax) pool.push(chunk);
}
