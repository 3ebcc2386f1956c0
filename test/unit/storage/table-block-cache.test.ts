import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { BlockCache } from '../../../src/storage/lsm/table/block-cache.js';
import { testSeed } from '../../support/seed.js';

/** Puts a block of one repeated byte. @returns false when the cache does not take it */
function put(cache: BlockCache, tableId: number, offset: number, size: number, fill = 0): boolean {
	const address = cache.reserve(size);
	if (address < 0) return false;
	cache.memory.bytes.fill(fill, address, address + size);
	cache.commit(tableId, offset);
	return true;
}

function has(cache: BlockCache, tableId: number, offset: number): boolean {
	return cache.find(tableId, offset) >= 0;
}

/** What the cache holds for a block, as [size, fill]; undefined when it does not. */
function contentOf(cache: BlockCache, tableId: number, offset: number): [number, number] | undefined {
	const slot = cache.find(tableId, offset);
	if (slot < 0) return undefined;
	const address = cache.address(slot);
	const size = cache.size(slot);
	const bytes = cache.memory.bytes.subarray(address, address + size);
	assert.ok(
		bytes.every((byte) => byte === bytes[0]),
		'nobody else wrote to the block',
	);
	return [size, size === 0 ? 0 : bytes[0]];
}

for (const blockSize of [256, 1024, 8192]) {
	void test(`the cache gives back what was put or nothing, within its budget (slots for ${blockSize} B)`, () => {
		const prng = new Prng(testSeed(`block cache ${blockSize}`));
		const capacity = 200_000;
		const cache = new BlockCache(capacity, blockSize);
		const expected = new Map<string, { tableId: number; content: [number, number] }>();
		let hits = 0;
		for (let i = 0; i < 40_000; i++) {
			const tableId = prng.below(4) + (prng.chance(0.5) ? 2 ** 33 : 0);
			const offset = prng.below(400) * 16_384 * (prng.chance(0.5) ? 1 : 2 ** 20);
			const name = `${tableId} ${offset}`;
			const found = contentOf(cache, tableId, offset);
			if (found !== undefined) {
				hits++;
				assert.deepEqual(found, expected.get(name)?.content);
			} else {
				const size = prng.below(prng.chance(0.1) ? 40_000 : 600);
				const fill = size === 0 ? 0 : prng.below(256);
				// A place that is reserved and not committed is nobody's: a block that turned out to be damaged.
				if (prng.chance(0.1)) cache.reserve(prng.below(2000));
				if (put(cache, tableId, offset, size, fill)) expected.set(name, { tableId, content: [size, fill] });
				else assert.ok(size > 15_000, `a block of ${size} bytes was refused`);
			}
			if (prng.chance(0.0005)) {
				cache.drop(tableId);
				for (const [key, { tableId: id }] of expected) if (id === tableId) expected.delete(key);
			}
			if (i % 16 === 0) cache.checkInvariants();
			assert.ok(cache.stats.usedBytes <= capacity);
		}
		assert.ok(hits > 200, `${hits} hits`);
		const idleBytes = new BlockCache(capacity, blockSize).stats.usedBytes;
		for (const id of [0, 1, 2, 3]) {
			cache.drop(id);
			cache.drop(id + 2 ** 33);
		}
		assert.equal(cache.stats.usedBytes, idleBytes, 'nothing is left behind');
		assert.equal(cache.stats.blockCount, 0);
		cache.checkInvariants();
	});
}

void test('blocks in use outlive blocks read once', () => {
	const prng = new Prng(testSeed('block cache clock'));
	const cache = new BlockCache(100_000, 1000);
	for (let i = 0; i < 40; i++) put(cache, 1, i, 900 + prng.below(100));
	for (let i = 0; i < 2000; i++) {
		put(cache, 2, i, 900 + prng.below(100));
		assert.ok(has(cache, 1, i % 40), `after ${i} blocks`);
	}
	cache.checkInvariants();
});

void test('a cache of blocks of like size is nearly full of them, whatever is in use', () => {
	const prng = new Prng(testSeed('block cache full'));
	const capacity = 4 * 1024 * 1024;
	const cache = new BlockCache(capacity, 4096);
	const offsets = 4000;
	for (let i = 0; i < 40_000; i++) {
		const offset = Math.floor(prng.below(offsets) * (prng.below(1000) / 1000));
		if (!has(cache, 1, offset)) put(cache, 1, offset, 3900 + prng.below(196));
	}
	const { usedBytes, blockCount } = cache.stats;
	assert.ok(blockCount * 4000 > capacity * 0.85, `${blockCount} blocks, ${usedBytes} of ${capacity} bytes`);
	cache.checkInvariants();
});

void test('a block too large for the budget is not kept, and a cache of nothing keeps nothing', () => {
	const cache = new BlockCache(80_000, 1000);
	assert.equal(put(cache, 1, 0, 10_001), false);
	assert.ok(!has(cache, 1, 0));
	for (const capacity of [0, 1, 1000, 5000]) {
		const none = new BlockCache(capacity, 4096);
		assert.equal(none.reserve(0), -1);
		assert.ok(!has(none, 1, 0));
		none.drop(1);
		assert.ok(none.stats.blockCount === 0 && none.stats.usedBytes <= capacity);
	}
	assert.throws(() => new BlockCache(2 ** 31), /cache of/);
});

void test('hits, misses and evictions are counted', () => {
	const cache = new BlockCache(8 * 1100, 2000);
	assert.ok(!has(cache, 1, 0));
	let blockCount = 0;
	for (let i = 0; i < 12; i++) if (put(cache, 1, i, 1000)) blockCount++;
	assert.equal(blockCount, 12);
	assert.ok(has(cache, 1, 11));
	const { hitCount, missCount, evictionCount, blockCount: left } = cache.stats;
	assert.deepEqual([hitCount, missCount, evictionCount + left], [1, 1, 12]);
	assert.ok(evictionCount >= 4);
});
