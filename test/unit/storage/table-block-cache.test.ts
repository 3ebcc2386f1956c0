import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { BlockCache, cachedBlockOverhead } from '../../../src/storage/lsm/table/block-cache.js';
import { testSeed } from '../../support/seed.js';

void test('the cache gives back what was put or nothing, and never passes its budget', () => {
	const prng = new Prng(testSeed('block cache'));
	const capacity = 200_000;
	const cache = new BlockCache(capacity);
	const put = new Map<string, { block: Buffer; tableId: number }>();
	let hits = 0;
	for (let i = 0; i < 60_000; i++) {
		const tableId = prng.below(4) + (prng.chance(0.5) ? 2 ** 33 : 0);
		const offset = prng.below(400) * 16_384 * (prng.chance(0.5) ? 1 : 2 ** 20);
		const name = `${tableId} ${offset}`;
		const found = cache.get(tableId, offset);
		if (found !== undefined) {
			hits++;
			assert.equal(found, put.get(name)?.block);
		} else {
			const block = Buffer.alloc(prng.below(prng.chance(0.1) ? 40_000 : 600));
			cache.put(tableId, offset, block);
			put.set(name, { block, tableId });
		}
		if (prng.chance(0.0005)) {
			cache.drop(tableId);
			for (const [key, { tableId: id }] of put) if (id === tableId) put.delete(key);
		}
		assert.ok(cache.stats.usedBytes <= capacity);
	}
	assert.ok(hits > 1000, `${hits} hits`);
	for (const id of [0, 1, 2, 3]) {
		cache.drop(id);
		cache.drop(id + 2 ** 33);
	}
	assert.equal(cache.stats.usedBytes, 0, 'nothing is left behind');
	assert.equal(cache.stats.blockCount, 0);
});

void test('blocks in use outlive blocks read once', () => {
	const blockSize = 1000;
	const cache = new BlockCache(100 * (blockSize + cachedBlockOverhead));
	for (let i = 0; i < 50; i++) cache.put(1, i, Buffer.alloc(blockSize));
	for (let i = 0; i < 2000; i++) {
		cache.put(2, i, Buffer.alloc(blockSize));
		assert.ok(cache.get(1, i % 50) !== undefined, `after ${i} blocks`);
	}
	assert.equal(cache.stats.blockCount, 100);
});

void test('a block too large for the budget is not kept, and a cache of nothing keeps nothing', () => {
	const cache = new BlockCache(80_000);
	cache.put(1, 0, Buffer.alloc(10_001));
	assert.equal(cache.get(1, 0), undefined);
	const none = new BlockCache(0);
	none.put(1, 0, Buffer.alloc(0));
	assert.equal(none.stats.blockCount, 0);
});

void test('hits, misses and evictions are counted', () => {
	const cache = new BlockCache(10 * (100 + cachedBlockOverhead));
	cache.get(1, 0);
	for (let i = 0; i < 12; i++) cache.put(1, i, Buffer.alloc(100));
	cache.get(1, 11);
	const { hitCount, missCount, evictionCount, blockCount } = cache.stats;
	assert.deepEqual(
		{ hitCount, missCount, evictionCount, blockCount },
		{
			hitCount: 1,
			missCount: 1,
			evictionCount: 2,
			blockCount: 10,
		},
	);
});
