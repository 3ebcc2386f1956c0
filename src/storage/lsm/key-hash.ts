/**
 * The hash a key is known by inside a partition: memtables find it by it, filters are asked with it; computed once for each
 * read. XXH32 with a seed of its own: within one partition routing's hashes are all alike, and would crowd.
 * Persistent: filters on disk were built with it.
 */
import { xxh32 } from '../../base/xxh32.js';

const seed = 0x5f11_7e25;

/** @returns unsigned 32-bit hash of `key[offset, offset + size)` */
export function keyHash(key: Uint8Array, offset: number, size: number): number {
	return xxh32(key, offset, size, seed);
}
