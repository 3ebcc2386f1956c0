/**
 * XXH3-64 with seed 0 of more than 240 bytes (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) in linear memory. AssemblyScript,
 * compiled by `make wasm`. Shorter runs are left to the addon: the specification has a rule of its own for each of four ranges.
 */

const prime32A: u64 = 0x9e3779b1;
const prime32B: u64 = 0x85ebca77;
const prime32C: u64 = 0xc2b2ae3d;
const prime64A: u64 = 0x9e3779b185ebca87;
const prime64B: u64 = 0xc2b2ae3d27d4eb4f;
const prime64C: u64 = 0x165667b19e3779f9;
const prime64D: u64 = 0x85ebca77c2b2ae63;
const prime64E: u64 = 0x27d4eb2f165667c5;
const avalanchePrime: u64 = 0x165667919e3779f9;

const stripeSize: u32 = 64;
const secretStep: u32 = 8;
const secretSize: u32 = 192;

/** The default secret of XXH3. */
const secret: usize = memory.data<u8>([
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
	0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
	0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
	0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
	0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
	0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
	0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
	0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
	0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
	0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
	0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
	0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
]);

/** Writes the checksum of `bytes[0, size)`, most significant byte first. @param size above 240 */
export function writeChecksum(bytes: u32, size: u32, target: u32): void {
	store<u64>(target, bswap(xxh3(bytes, size)));
}

/** True when the eight bytes at `expected` are that checksum. @param size above 240 */
export function checksumMatches(bytes: u32, size: u32, expected: u32): bool {
	return load<u64>(expected) === bswap(xxh3(bytes, size));
}

function xxh3(bytes: u32, size: u32): u64 {
	let a0 = prime32C;
	let a1 = prime64A;
	let a2 = prime64B;
	let a3 = prime64C;
	let a4 = prime64D;
	let a5 = prime32B;
	let a6 = prime64E;
	let a7 = prime32A;
	const blockEnd: usize = secret + secretSize - stripeSize;
	let remaining = (size - 1) / stripeSize;
	let at = bytes;
	let key = secret;
	for (;;) {
		if (remaining === 0) {
			at = bytes + size - stripeSize;
			key = blockEnd - 7;
		}
		a1 += load<u64>(at);
		a0 += product(load<u64>(at) ^ load<u64>(key));
		a0 += load<u64>(at, 8);
		a1 += product(load<u64>(at, 8) ^ load<u64>(key, 8));
		a3 += load<u64>(at, 16);
		a2 += product(load<u64>(at, 16) ^ load<u64>(key, 16));
		a2 += load<u64>(at, 24);
		a3 += product(load<u64>(at, 24) ^ load<u64>(key, 24));
		a5 += load<u64>(at, 32);
		a4 += product(load<u64>(at, 32) ^ load<u64>(key, 32));
		a4 += load<u64>(at, 40);
		a5 += product(load<u64>(at, 40) ^ load<u64>(key, 40));
		a7 += load<u64>(at, 48);
		a6 += product(load<u64>(at, 48) ^ load<u64>(key, 48));
		a6 += load<u64>(at, 56);
		a7 += product(load<u64>(at, 56) ^ load<u64>(key, 56));
		if (remaining === 0) break;
		remaining--;
		at += stripeSize;
		key += secretStep;
		if (key === blockEnd) {
			a0 = scramble(a0, 0);
			a1 = scramble(a1, 8);
			a2 = scramble(a2, 16);
			a3 = scramble(a3, 24);
			a4 = scramble(a4, 32);
			a5 = scramble(a5, 40);
			a6 = scramble(a6, 48);
			a7 = scramble(a7, 56);
			key = secret;
		}
	}
	let hash = <u64>size * prime64A;
	hash += folded(a0, a1, 11);
	hash += folded(a2, a3, 27);
	hash += folded(a4, a5, 43);
	hash += folded(a6, a7, 59);
	hash ^= hash >>> 37;
	hash *= avalanchePrime;
	return hash ^ (hash >>> 32);
}

// @ts-expect-error: decorator
@inline
function product(value: u64): u64 {
	return (value & 0xffffffff) * (value >>> 32);
}

// @ts-expect-error: decorator
@inline
function scramble(accumulator: u64, secretOffset: usize): u64 {
	const key = load<u64>(secret + secretSize - stripeSize + secretOffset);
	return (accumulator ^ (accumulator >>> 47) ^ key) * prime32A;
}

/** Both halves of a product of 128 bits, combined. */
function folded(left: u64, right: u64, secretOffset: usize): u64 {
	const a = left ^ load<u64>(secret + secretOffset);
	const b = right ^ load<u64>(secret + secretOffset + 8);
	const lowA = a & 0xffffffff;
	const lowB = b & 0xffffffff;
	const highA = a >>> 32;
	const highB = b >>> 32;
	const low = lowA * lowB;
	const middle = highA * lowB;
	const cross = (low >>> 32) + (middle & 0xffffffff) + lowA * highB;
	const high = (middle >>> 32) + (cross >>> 32) + highA * highB;
	return high ^ ((cross << 32) | (low & 0xffffffff));
}
