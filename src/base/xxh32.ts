/**
 * XXH32 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) over a byte range, seed 0 by default.
 * Bit-identical to the addon's (a test asserts it); in JavaScript because an addon call costs some 440 ns and a short key
 * here about 24.
 */
const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;
const prime3 = 0xc2b2ae3d;
const prime4 = 0x27d4eb2f;
const prime5 = 0x165667b1;

function word(bytes: Uint8Array, at: number): number {
	return (
		(bytes[at] as number) |
		((bytes[at + 1] as number) << 8) |
		((bytes[at + 2] as number) << 16) |
		((bytes[at + 3] as number) << 24)
	);
}

function round(lane: number, input: number): number {
	const sum = (lane + Math.imul(input, prime2)) | 0;
	return Math.imul((sum << 13) | (sum >>> 19), prime1);
}

/** @returns unsigned 32-bit hash of `bytes[offset, offset + size)` */
export function xxh32(bytes: Uint8Array, offset: number, size: number, seed = 0): number {
	const end = offset + size;
	let at = offset;
	let hash: number;
	if (size >= 16) {
		let lane1 = (seed + prime1 + prime2) | 0;
		let lane2 = (seed + prime2) | 0;
		let lane3 = seed | 0;
		let lane4 = (seed - prime1) | 0;
		const limit = end - 16;
		do {
			lane1 = round(lane1, word(bytes, at));
			lane2 = round(lane2, word(bytes, at + 4));
			lane3 = round(lane3, word(bytes, at + 8));
			lane4 = round(lane4, word(bytes, at + 12));
			at += 16;
		} while (at <= limit);
		hash =
			((lane1 << 1) | (lane1 >>> 31)) +
			((lane2 << 7) | (lane2 >>> 25)) +
			((lane3 << 12) | (lane3 >>> 20)) +
			((lane4 << 18) | (lane4 >>> 14));
	} else {
		hash = seed + prime5;
	}
	hash = (hash + size) | 0;
	for (; at + 4 <= end; at += 4) {
		hash = (hash + Math.imul(word(bytes, at), prime3)) | 0;
		hash = Math.imul((hash << 17) | (hash >>> 15), prime4);
	}
	for (; at < end; at++) {
		hash = (hash + Math.imul(bytes[at] as number, prime5)) | 0;
		hash = Math.imul((hash << 11) | (hash >>> 21), prime1);
	}
	hash = Math.imul(hash ^ (hash >>> 15), prime2);
	hash = Math.imul(hash ^ (hash >>> 13), prime3);
	return (hash ^ (hash >>> 16)) >>> 0;
}
