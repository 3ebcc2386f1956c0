/** The hash in JavaScript is the addon's XXH32, bit for bit: every length through all code paths, and random keys. */
import assert from 'node:assert/strict';
import test from 'node:test';
import xxhash from 'xxhash-addon';
import { Prng } from '../../../src/base/prng.js';
import { xxh32 } from '../../../src/base/xxh32.js';
import { testSeed } from '../../support/seed.js';

function addonHash(bytes: Uint8Array, offset: number, size: number): number {
	return xxhash.XXHash32.hash(Buffer.from(bytes.buffer, offset, size)).readUInt32BE(0);
}

void test('published vectors', () => {
	const abc = new TextEncoder().encode('abc');
	assert.equal(xxh32(abc, 0, 0), 0x02cc5d05);
	assert.equal(xxh32(abc, 0, 3), 0x32d153ff);
});

void test('every length 0..300 at every alignment', () => {
	const prng = new Prng(testSeed('xxh32 lengths'));
	const bytes = new Uint8Array(320);
	prng.fill(bytes);
	for (let size = 0; size <= 300; size++) {
		for (let offset = 0; offset < 9; offset++) {
			assert.equal(xxh32(bytes, offset, size), addonHash(bytes, offset, size), `${size} at ${offset}`);
		}
	}
});

void test('random keys and random seeds', () => {
	const prng = new Prng(testSeed('xxh32 keys'));
	const bytes = new Uint8Array(4096);
	for (let round = 0; round < 20_000; round++) {
		const size = prng.chance(0.01) ? prng.below(4096) : prng.below(64);
		prng.fill(bytes, 0, size);
		assert.equal(xxh32(bytes, 0, size), addonHash(bytes, 0, size), `${size} bytes`);
		if (round % 16 !== 0) continue;
		const seed = prng.nextU32();
		// The addon takes its seed big-endian.
		const seedBytes = Buffer.alloc(4);
		seedBytes.writeUInt32BE(seed);
		const hasher = new xxhash.XXHash32(seedBytes);
		hasher.update(Buffer.from(bytes.buffer, 0, size));
		const expected = hasher.digest().readUInt32BE(0);
		assert.equal(xxh32(bytes, 0, size, seed), expected, `seed ${seed}, ${size} bytes`);
	}
});
