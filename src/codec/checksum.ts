/**
 * XXH3-64 over byte ranges: the checksum of every block Millrace stores. The addon computes it; one call costs some
 * 440 ns plus 15 µs a MiB, so it is for blocks and groups, never for single keys (base/xxh32.ts is for those).
 *
 * A checksum is eight bytes exactly as the addon gives them (the canonical, big-endian form of XXH3). It is never
 * made a number. Any thread may call; the ranges may lie in a SharedArrayBuffer.
 */
import { createRequire } from 'node:module';
import { bufferOver } from '../base/bytes.js';

interface HashAddon {
	readonly XXHash3: { hash(data: Buffer): Buffer };
}

const { XXHash3 } = createRequire(import.meta.url)('xxhash-addon') as HashAddon;

/** Bytes of a checksum. */
export const checksumSize = 8;

/** @returns a fresh array of eight bytes: XXH3-64 of `bytes[offset, offset + size)` */
export function checksum64(bytes: Uint8Array, offset: number, size: number): Uint8Array {
	return XXHash3.hash(bufferOver(bytes, offset, size));
}

/** Writes the checksum of `bytes[offset, offset + size)` to `target[targetOffset..]`. */
export function writeChecksum64(
	bytes: Uint8Array,
	offset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
): void {
	const checksum = checksum64(bytes, offset, size);
	for (let i = 0; i < checksumSize; i++) target[targetOffset + i] = checksum[i] as number;
}

/** True when `expected[expectedOffset..]` holds the checksum of `bytes[offset, offset + size)`. */
export function checksum64Matches(
	bytes: Uint8Array,
	offset: number,
	size: number,
	expected: Uint8Array,
	expectedOffset: number,
): boolean {
	const checksum = checksum64(bytes, offset, size);
	for (let i = 0; i < checksumSize; i++) {
		if (checksum[i] !== expected[expectedOffset + i]) return false;
	}
	return true;
}
