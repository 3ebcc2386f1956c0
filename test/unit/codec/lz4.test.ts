import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { compressBlock, decompressBlock } from '../../../src/codec/lz4.js';
import { testSeed } from '../../support/seed.js';

function isCorrupt(error: unknown): boolean {
	return hasCode(error, 'MILLRACE_CORRUPT');
}

void test('a block that shrinks comes back as it was, from the middle of other bytes', () => {
	const bytes = Buffer.from('-- the mill grinds '.repeat(200));
	const compressed = compressBlock(bytes, 3, 3000);
	assert.ok(compressed !== undefined && compressed.length < 200);
	const around = Buffer.concat([Buffer.alloc(5, 1), compressed, Buffer.alloc(5, 2)]);
	const raw = decompressBlock(around, 5, compressed.length, 3000);
	assert.ok(raw.equals(bytes.subarray(3, 3003)));
});

void test('a block that saves less than an eighth is refused', () => {
	const prng = new Prng(testSeed('lz4 saving'));
	const bytes = new Uint8Array(16_384);
	prng.fill(bytes);
	assert.equal(compressBlock(bytes, 0, bytes.length), undefined, 'random bytes');
	bytes.fill(0, 0, 1800);
	assert.equal(compressBlock(bytes, 0, bytes.length), undefined, 'a ninth is zeros');
	bytes.fill(0, 0, 2600);
	assert.ok(compressBlock(bytes, 0, bytes.length) !== undefined, 'a sixth is zeros');
});

void test('a size that is not the one promised is refused before anything is allocated', () => {
	const compressed = compressBlock(Buffer.alloc(4096, 7), 0, 4096);
	assert.ok(compressed !== undefined);
	const size = compressed.length;
	assert.throws(() => decompressBlock(compressed, 0, size, 4095), isCorrupt);
	compressed.writeUInt32LE(0xffff_fff0, 0);
	assert.throws(() => decompressBlock(compressed, 0, size, 4096), isCorrupt);
	const before = process.memoryUsage().rss;
	assert.throws(() => decompressBlock(compressed, 0, size, 0xffff_fff0), isCorrupt, 'both lie alike');
	assert.ok(process.memoryUsage().rss - before < 256 * 1024 * 1024);
	compressed.writeUInt32LE(4000, 0);
	assert.throws(() => decompressBlock(compressed, 0, size, 4000), isCorrupt, 'decompresses to more');
	compressed.writeUInt32LE(4097, 0);
	assert.throws(() => decompressBlock(compressed, 0, size, 4097), isCorrupt, 'decompresses to less');
});

void test('damaged and cut blocks give an error or bytes of the right size, never anything else', () => {
	const prng = new Prng(testSeed('lz4 damage'));
	const original = compressBlock(Buffer.from('abcdefgh0123'.repeat(100)), 0, 1200);
	assert.ok(original !== undefined);
	for (let size = 0; size < original.length; size++) {
		assert.throws(() => decompressBlock(original, 0, size, 1200), isCorrupt);
	}
	for (let i = 0; i < 3000; i++) {
		const damaged: Buffer = Buffer.from(original);
		damaged[prng.below(damaged.length)] = prng.below(256);
		try {
			assert.equal(decompressBlock(damaged, 0, damaged.length, 1200).length, 1200);
		} catch (error) {
			assert.ok(isCorrupt(error));
		}
	}
});
