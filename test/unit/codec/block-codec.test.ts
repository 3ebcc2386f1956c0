import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import { hasCode } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import {
	codecDeflate,
	codecLz4,
	codecNumberOf,
	codecZstd,
	compressInto,
	decompressInto,
} from '../../../src/codec/block-codec.js';
import { testSeed } from '../../support/seed.js';

const hasZstandard = 'zstdCompressSync' in zlib;
const codecs = hasZstandard ? [codecLz4, codecZstd, codecDeflate] : [codecLz4, codecDeflate];

function isCorrupt(error: unknown): boolean {
	return hasCode(error, 'MILLRACE_CORRUPT');
}

void test('the second codec is zstd where Node.js has it, else deflate', () => {
	assert.equal(codecNumberOf('lz4'), 1);
	assert.equal(codecNumberOf('zstd'), hasZstandard ? 2 : 3);
});

for (const codec of codecs) {
	void test(`codec ${codec}: what shrinks comes back, from and to the middle of other bytes`, () => {
		const prng = new Prng(testSeed(`codec ${codec}`));
		for (const size of [100, 4000, 16_000, 300_000]) {
			const bytes = Buffer.alloc(size + 6, 'the mill grinds ');
			for (let i = 0; i < size / 20; i++) bytes[prng.below(size)] = prng.below(256);
			const target = Buffer.alloc(size + 20);
			const stored = compressInto(codec, bytes, 3, size, target, 10);
			assert.ok(stored > 0 && stored <= size - size / 8, `${stored} of ${size}`);
			const raw = Buffer.alloc(size + 4, 9);
			decompressInto(codec, target, 10, stored, raw, 2, size);
			assert.ok(raw.subarray(2, size + 2).equals(bytes.subarray(3, size + 3)));
			assert.ok(raw[1] === 9 && raw[size + 2] === 9);
		}
	});

	void test(`codec ${codec}: a block that saves less than an eighth is refused`, () => {
		const prng = new Prng(testSeed(`codec saving ${codec}`));
		const bytes = new Uint8Array(16_384);
		const target = new Uint8Array(16_384);
		prng.fill(bytes);
		assert.equal(compressInto(codec, bytes, 0, bytes.length, target, 0), 0, 'random bytes');
		bytes.fill(0, 0, 1800);
		assert.equal(compressInto(codec, bytes, 0, bytes.length, target, 0), 0, 'a ninth is zeros');
		bytes.fill(0, 0, 2600);
		assert.ok(compressInto(codec, bytes, 0, bytes.length, target, 0) > 0, 'a sixth is zeros');
		assert.equal(compressInto(codec, bytes, 0, 0, target, 0), 0, 'nothing');
	});

	void test(`codec ${codec}: damage, and more or fewer bytes than promised, are MILLRACE_CORRUPT`, () => {
		const prng = new Prng(testSeed(`codec damage ${codec}`));
		const stored = Buffer.alloc(5000);
		const size = compressInto(codec, Buffer.alloc(4096, 'abcdefgh0123'), 0, 4096, stored, 0);
		const target = Buffer.alloc(5000);
		for (const promise of [0, 1, 4095, 4097, 5000]) {
			assert.throws(() => decompressInto(codec, stored, 0, size, target, 0, promise), isCorrupt, `${promise}`);
		}
		for (let cut = 0; cut < size; cut++) {
			assert.throws(() => decompressInto(codec, stored, 0, cut, target, 0, 4096), isCorrupt);
		}
		for (let i = 0; i < 500; i++) {
			const damaged: Buffer = Buffer.from(stored.subarray(0, size));
			damaged[prng.below(size)] = prng.below(256);
			try {
				decompressInto(codec, damaged, 0, size, target, 0, 4096);
			} catch (error) {
				assert.ok(isCorrupt(error));
			}
		}
	});
}

void test('a small block that would decompress to gigabytes is stopped at its promise', () => {
	const bomb = zlib.deflateRawSync(Buffer.alloc(64 * 1024 * 1024));
	const before = process.memoryUsage().rss;
	assert.throws(() => decompressInto(codecDeflate, bomb, 0, bomb.length, Buffer.alloc(4096), 0, 4096), isCorrupt);
	assert.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024);
});

void test('a codec this Node.js lacks, and one nobody has', () => {
	const bytes = Buffer.alloc(100);
	assert.throws(() => decompressInto(9, bytes, 0, 100, bytes, 0, 100), isCorrupt);
	const needZstandard = () => decompressInto(codecZstd, bytes, 0, 100, bytes, 0, 100);
	assert.throws(needZstandard, hasZstandard ? isCorrupt : (error) => hasCode(error, 'MILLRACE_CODEC'));
});
