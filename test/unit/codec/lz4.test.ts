/** Our LZ4 against the addon's, both ways, and against bytes that are no LZ4 at all. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import { codecAreaSize } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { CodecMemory } from '../../../src/codec/codec-memory.js';
import { compressLz4Into, decompressLz4Into } from '../../../src/codec/lz4.js';
import { testSeed } from '../../support/seed.js';

interface Addon {
	compressSync(data: Buffer): Buffer;
	uncompressSync(data: Buffer): Buffer;
}
const addon = createRequire(import.meta.url)('lz4-napi') as Addon;
const memory = CodecMemory.ofThread;

function isCorrupt(error: unknown): boolean {
	return hasCode(error, 'MILLRACE_CORRUPT');
}

/** From the middle of other bytes to the middle of others, which must stay as they are. */
function compress(raw: Buffer, sizeMax = raw.length * 2 + 100, within = memory): Buffer | undefined {
	const source = Buffer.concat([Buffer.alloc(7, 0xaa), raw, Buffer.alloc(9, 0xbb)]);
	const target = Buffer.alloc(sizeMax + 30, 0x5a);
	const size = compressLz4Into(source, 7, raw.length, target, 11, sizeMax, within);
	assert.ok(size <= sizeMax, `${size} of ${sizeMax}`);
	assert.ok(target.subarray(0, 11).equals(Buffer.alloc(11, 0x5a)));
	assert.ok(target.subarray(11 + size).equals(Buffer.alloc(sizeMax + 19 - size, 0x5a)), 'nothing behind it');
	return size === 0 ? undefined : target.subarray(11, 11 + size);
}

function decompress(stored: Buffer, rawSize: number): Buffer {
	const source = Buffer.concat([Buffer.alloc(5, 0xff), stored, Buffer.alloc(5, 0xff)]);
	const target = Buffer.alloc(rawSize + 40, 0x5a);
	try {
		decompressLz4Into(source, 5, stored.length, target, 20, rawSize, memory);
	} finally {
		const isUntouched = target.subarray(0, 20).every((byte) => byte === 0x5a);
		assert.ok(isUntouched && target.subarray(20 + rawSize).every((byte) => byte === 0x5a), 'nothing around it');
	}
	return target.subarray(20, 20 + rawSize);
}

function checkBothWays(raw: Buffer): void {
	const ours = compress(raw);
	if (ours !== undefined) {
		assert.ok(addon.uncompressSync(ours).equals(raw), 'the addon reads what we wrote');
		assert.ok(decompress(ours, raw.length).equals(raw), 'we read what we wrote');
	}
	if (raw.length > 0) assert.ok(decompress(addon.compressSync(raw), raw.length).equals(raw), 'we read what it wrote');
}

const words = ['mill', 'race', 'grinds', ' ', ' ', 'slowly', '{"id":', '000', '00', '\n'];

/** Text, records, runs, short patterns, noise, and all of it mixed. */
function randomBytes(prng: Prng, size: number): Buffer {
	const bytes = Buffer.alloc(size);
	for (let at = 0; at < size; ) {
		const length = Math.min(size - at, 1 + prng.below(prng.chance(0.1) ? 2000 : 60));
		const shape = prng.below(5);
		if (shape === 0) prng.fill(bytes, at, length);
		else if (shape === 1) bytes.fill(prng.below(256), at, at + length);
		else if (shape === 2) bytes.fill(words[prng.below(words.length)], at, at + length);
		else if (shape === 3 && at > 0) bytes.copy(bytes, at, Math.max(0, at - 1 - prng.below(Math.min(at, 70_000))), at);
		else for (let i = 0; i < length; i++) bytes[at + i] = 0x61 + prng.below(4);
		at += length;
	}
	return bytes;
}

void test('sizes 0 to 300 of everything come back, in our hands and in the addon’s', () => {
	const prng = new Prng(testSeed('lz4 small'));
	for (let size = 0; size <= 300; size++) {
		for (let distance = 1; distance <= 17; distance++) {
			const pattern = Buffer.alloc(distance);
			prng.fill(pattern);
			checkBothWays(Buffer.alloc(size, pattern));
		}
		for (let i = 0; i < 5; i++) checkBothWays(randomBytes(prng, size));
	}
});

void test('blocks of all sizes come back, and a limit on the compressed size is kept', () => {
	const prng = new Prng(testSeed('lz4 blocks'));
	for (let i = 0; i < 600; i++) {
		const raw = randomBytes(prng, prng.below(prng.chance(0.05) ? 150_000 : 20_000));
		checkBothWays(raw);
		const limit = prng.below(raw.length + 1);
		const limited = compress(raw, limit);
		if (limited !== undefined) assert.ok(addon.uncompressSync(limited).equals(raw));
	}
	for (const size of [65_535, 65_536, 65_537, codecAreaSize - 1, codecAreaSize, codecAreaSize + 1, 3_000_000]) {
		checkBothWays(randomBytes(prng, size));
		checkBothWays(Buffer.alloc(size));
	}
});

void test('the compressor is about as good as the addon', () => {
	const prng = new Prng(testSeed('lz4 ratio'));
	let ourSize = 0;
	let addonSize = 0;
	for (let i = 0; i < 200; i++) {
		const raw = randomBytes(prng, 4096 << (i % 3));
		ourSize += compress(raw)?.length ?? raw.length;
		addonSize += Math.min(raw.length, addon.compressSync(raw).length);
	}
	assert.ok(ourSize < addonSize * 1.05, `${ourSize} against ${addonSize}`);
});

void test('a match never refers to an earlier block, however many there were', () => {
	const prng = new Prng(testSeed('lz4 epoch'));
	const raw = randomBytes(prng, 5000);
	const first = compress(raw);
	assert.deepEqual(compress(raw), first, 'the same bytes give the same block');
	// More than 2^32 bytes in all, so that the positions in the hash table begin anew: between random blocks, which fill it.
	const long = new CodecMemory(0);
	for (let i = 0; i < 2 ** 32 / codecAreaSize - 16; i++) {
		long.compress(long.input, codecAreaSize, long.output, codecAreaSize);
	}
	for (let i = 0; i < 600; i++) {
		const block = randomBytes(prng, 1 + prng.below(20_000));
		const stored = compress(block, block.length * 2 + 100, long);
		if (stored !== undefined) assert.ok(addon.uncompressSync(stored).equals(block), `block ${i}`);
	}
	assert.deepEqual(compress(raw, raw.length * 2 + 100, long), first);
});

void test('a size that is not the one promised is refused', () => {
	const stored = compress(Buffer.alloc(4096, 7));
	assert.ok(stored !== undefined);
	assert.throws(() => decompress(stored, 4095), isCorrupt);
	stored.writeUInt32LE(4000, 0);
	assert.throws(() => decompress(stored, 4000), isCorrupt, 'decompresses to more');
	stored.writeUInt32LE(4097, 0);
	assert.throws(() => decompress(stored, 4097), isCorrupt, 'decompresses to less');
	stored.writeUInt32LE(0xffff_fff0, 0);
	const nothing = Buffer.alloc(0);
	const refuse = () => decompressLz4Into(stored, 0, stored.length, nothing, 0, 0xffff_fff0, memory);
	assert.throws(refuse, isCorrupt, 'both lie alike');
});

void test('damaged, cut and invented blocks give an error or harmless bytes, and touch nothing else', () => {
	const prng = new Prng(testSeed('lz4 damage'));
	let failureCount = 0;
	const attempt = (stored: Buffer, rawSize: number) => {
		try {
			decompress(stored, rawSize);
		} catch (error) {
			assert.ok(isCorrupt(error), String(error));
			failureCount++;
		}
	};
	for (let round = 0; round < 40; round++) {
		const raw = randomBytes(prng, 20 + prng.below(3000));
		const stored = addon.compressSync(raw);
		for (let i = 0; i < 150; i++) {
			const damaged: Buffer = Buffer.from(stored);
			const count = 1 + prng.below(3);
			for (let j = 0; j < count; j++) {
				const at = Math.min(4, damaged.length - 1) + prng.below(Math.max(1, damaged.length - 4));
				if (at < damaged.length) damaged[at] = prng.chance(0.3) ? 0xff : prng.below(256);
			}
			attempt(prng.chance(0.2) ? damaged.subarray(0, 4 + prng.below(damaged.length - 3)) : damaged, raw.length);
		}
	}
	for (let i = 0; i < 4000; i++) {
		const rawSize = prng.below(600);
		const invented = Buffer.alloc(4 + prng.below(60));
		prng.fill(invented);
		invented.writeUInt32LE(rawSize, 0);
		attempt(invented, rawSize);
	}
	assert.ok(failureCount > 5000, `${failureCount} failures`);
});

void test('decompression stays between the bytes before and behind its target', () => {
	const prng = new Prng(testSeed('lz4 bounds'));
	const own = new CodecMemory(20_000);
	const { bytes, input, tail } = own;
	const attempt = (stored: Uint8Array, rawSize: number) => {
		bytes.set(stored, input);
		bytes.fill(0x5a, tail, tail + 20_000);
		const isWhole = own.decompress(input, stored.length, tail + 8000, rawSize);
		for (let i = tail; i < tail + 20_000; i++) {
			if (bytes[i] !== 0x5a && (i < tail + 8000 || i >= tail + 8000 + rawSize)) assert.fail(`byte ${i - tail - 8000}`);
		}
		return isWhole;
	};
	const noted = Buffer.from('abcdefgh');
	// 8 literals, a match of 19 + 50 bytes 8 back, 5 literals.
	const sound = Buffer.concat([Buffer.of(0x8f), noted, Buffer.of(8, 0, 50), Buffer.of(0x50), Buffer.from('vwxyz')]);
	assert.ok(attempt(sound, 82));
	for (let rawSize = 0; rawSize < 82; rawSize++) assert.ok(!attempt(sound, rawSize), `${rawSize}`);
	for (const distance of [0, 9, 10, 100, 7999, 65_535]) {
		sound.writeUInt16LE(distance, 9);
		assert.ok(!attempt(sound, 82), `a distance of ${distance} leads out of the block`);
	}
	let wholeCount = 0;
	for (let i = 0; i < 3000; i++) {
		const invented = Buffer.alloc(1 + prng.below(40));
		prng.fill(invented);
		if (prng.chance(0.7)) invented[0] = (prng.below(4) << 4) | prng.below(16);
		if (attempt(invented, prng.below(300))) wholeCount++;
	}
	assert.ok(wholeCount < 1500);
});
