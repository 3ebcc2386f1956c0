/**
 * Buffers that iterators hold for as long as they live: taken from here and given back, so that thousands of short scans a second
 * leave nothing for the collector. Sizes are powers of two; of each a thread keeps up to `bufferPoolSizeMax` bytes in reserve.
 * What is given back must not be used any more by whoever gave it.
 */
import { assert } from '../../../base/assert.js';
import { bufferPoolSizeMax } from '../../../base/limits.js';

const sizeMin = 4096;
/** Larger buffers are rare, and made when needed. */
export const pooledBufferSizeMax = 256 * 1024;

const freeBuffers: Uint8Array[][] = [];
for (let size = sizeMin; size <= pooledBufferSizeMax; size *= 2) freeBuffers.push([]);

/** 4 KiB: 0, 8 KiB: 1, … */
function classOf(size: number): number {
	return Math.max(0, 32 - Math.clz32(size - 1) - 12);
}

/** @returns a buffer of at least `size` bytes, with anything in it */
export function takeBuffer(size: number): Uint8Array {
	if (size > pooledBufferSizeMax) return new Uint8Array(size);
	const sizeClass = classOf(size);
	return freeBuffers[sizeClass].pop() ?? new Uint8Array(sizeMin << sizeClass);
}

/** @param buffer that `takeBuffer` gave, and nobody reads any more */
export function giveBuffer(buffer: Uint8Array): void {
	if (buffer.length > pooledBufferSizeMax || buffer.length < sizeMin) return;
	const free = freeBuffers[classOf(buffer.length)];
	assert(!free.includes(buffer), 'a buffer is given back once');
	if ((free.length + 1) * buffer.length <= bufferPoolSizeMax) free.push(buffer);
}
