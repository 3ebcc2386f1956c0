/** Iterators of a table: both directions against a sorted list, what they read, and what they do to the cache. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import type { EntryIterator } from '../../../src/storage/lsm/entry.js';
import { BlockCache } from '../../../src/storage/lsm/table/block-cache.js';
import { ReadTrace } from '../../../src/storage/lsm/table/read-trace.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import {
	assertSameEntries,
	assertSameEntry,
	buildTable,
	collect,
	copyEntry,
	type Entry,
	getFrom,
	MemoryFileSystem,
	put,
	randomEntries,
	randomKey,
} from './table-support.js';

const path = 'db/000007.table';

/** Keys descending, versions of a key newest first. */
function backward(entries: readonly Entry[]): Entry[] {
	const groups: Entry[][] = [];
	for (const entry of entries) {
		const group = groups.at(-1);
		if (group?.[0].key.equals(entry.key)) group.push(entry);
		else groups.push([entry]);
	}
	return groups.reverse().flat();
}

function assertWalks(iterator: EntryIterator, expected: readonly Entry[], count: number): void {
	for (let i = 0; i < count && i < expected.length; i++) {
		assert.ok(iterator.valid, `entry ${i} of ${expected.length}`);
		const key = Buffer.from(iterator.key.slice(iterator.keyOffset, iterator.keyOffset + iterator.keySize));
		assertSameEntry(copyEntry(key, iterator), expected[i]);
		iterator.next();
	}
	if (expected.length < count) assert.ok(!iterator.valid, 'the table ends here');
}

/** Any seek, and where it leads in the list. */
function seekRandomly(
	iterator: EntryIterator,
	entries: readonly Entry[],
	reversed: readonly Entry[],
	prng: Prng,
): Entry[] {
	const key = prng.chance(0.4) ? randomKey(prng) : entries[prng.below(entries.length)].key;
	const around = Buffer.concat([Buffer.from('xy'), key, Buffer.from('z')]);
	const way = prng.below(10);
	if (way === 0) {
		iterator.seekFirst();
		return [...entries];
	}
	if (way === 1) {
		iterator.seekLast();
		return [...reversed];
	}
	if (way < 5) {
		iterator.seek(around, 2, key.length);
		return entries.filter((entry) => Buffer.compare(entry.key, key) >= 0);
	}
	const isInclusive = prng.chance(0.5);
	iterator.seekBackward(around, 2, key.length, isInclusive);
	return reversed.filter((entry) => Buffer.compare(entry.key, key) < (isInclusive ? 1 : 0));
}

for (const blockSize of [64, 300, 4096, 16_384]) {
	void test(`tables of ${blockSize}-byte blocks are walked both ways, from anywhere`, () => {
		const prng = new Prng(testSeed(`table iterator ${blockSize}`));
		for (const count of [1, 2, 17, 200, 3000]) {
			const entries = randomEntries(prng, count);
			const reversed = backward(entries);
			const files = new MemoryFileSystem();
			buildTable(files, path, 7, entries, { blockSize });
			for (const cacheSize of [undefined, 0, 20_000, 1 << 20]) {
				const cache = cacheSize === undefined ? undefined : new BlockCache(cacheSize, blockSize);
				const reader = TableReader.open(files, path, 7, cache);
				const iterator = reader.iterator();
				iterator.seekLast();
				assertSameEntries(collect(iterator), reversed);
				for (let i = 0; i < 60; i++) {
					assertWalks(iterator, seekRandomly(iterator, entries, reversed, prng), 50);
				}
				iterator.close();
				cache?.checkInvariants();
				reader.close();
			}
		}
	});
}

void test('a key whose versions fill many blocks comes newest first in both directions', () => {
	const prng = new Prng(testSeed('table iterator versions'));
	const entries: Entry[] = [put('j', 1, 'before')];
	for (let sequence = 9_000; sequence > 0; sequence -= 3) entries.push(put('k', sequence, `v${sequence}`));
	entries.push(put('l', 1, 'after'), put('m', 2, 'last'));
	const files = new MemoryFileSystem();
	buildTable(files, path, 7, entries, { blockSize: 512 });
	const reader = TableReader.open(files, path, 7, new BlockCache(1 << 16, 512));
	const reversed = backward(entries);
	const iterator = reader.iterator();
	iterator.seekLast();
	assertSameEntries(collect(iterator), reversed);
	iterator.seekBackward(Buffer.from('k'), 0, 1, true);
	assert.equal(iterator.sequence, 9_000, 'the newest version first');
	iterator.seekBackward(Buffer.from('k'), 0, 1, false);
	assertWalks(iterator, entries.slice(0, 1), 2);
	for (let i = 0; i < 30; i++) assertWalks(iterator, seekRandomly(iterator, entries, reversed, prng), 20);
});

const value = Buffer.alloc(100);

/** 20,000 entries in blocks of 4 KiB, hardly compressible. */
function bigTable(): { files: MemoryFileSystem; entries: Entry[]; size: number } {
	const prng = new Prng(11);
	const entries: Entry[] = [];
	for (let i = 0; i < 20_000; i++) {
		prng.fill(value);
		entries.push(put(`key:${String(i).padStart(12, '0')}`, i + 1, Buffer.from(value)));
	}
	const files = new MemoryFileSystem();
	const { size } = buildTable(files, path, 7, entries, { blockSize: 4096 });
	return { files, entries, size };
}

void test('without a cache, whole tables are read in pieces of 256 KiB, seeks begin with 32 KiB', () => {
	const { files, entries, size } = bigTable();
	const reader = TableReader.open(files, path, 7);
	files.reads.length = 0;
	const iterator = reader.iterator();
	iterator.seekFirst();
	assert.equal(collect(iterator).length, entries.length);
	assert.ok(files.reads.length <= size / (256 * 1024 - 5000) + 1, `${files.reads.length} reads for ${size}`);
	for (const seek of [
		() => iterator.seek(entries[9_000].key, 0, 16),
		() => iterator.seekBackward(entries[12_000].key, 0, 16, true),
	]) {
		files.reads.length = 0;
		seek();
		assert.ok(files.reads.length === 1 && files.reads[0] <= 32 * 1024, `reads of ${files.reads.join(', ')}`);
		for (let i = 0; i < 8000; i++) iterator.next();
		assert.ok(files.reads.length < 12 && files.reads.every((read) => read <= 256 * 1024), 'then reads ahead');
	}
	assert.equal(reader.counts.cacheHitCount, 0);
});

void test('with a cache, a short scan reads the blocks it needs one by one, and the next time none', () => {
	const { files, entries } = bigTable();
	const cache = new BlockCache(1 << 20, 4096);
	const reader = TableReader.open(files, path, 7, cache);
	const iterator = reader.iterator();
	files.reads.length = 0;
	iterator.seek(entries[9_000].key, 0, 16);
	assert.ok(files.reads.length === 1 && files.reads[0] < 4200, 'one block');
	assertWalks(iterator, entries.slice(9_000), 40);
	assert.equal(files.reads.length, 2, 'and the next when it is reached');
	const again = reader.iterator();
	again.seek(entries[9_000].key, 0, 16);
	assertWalks(again, entries.slice(9_000), 40);
	assertSameEntry(getFrom(reader, entries[9_001].key, 1e9), entries[9_001]);
	assert.equal(files.reads.length, 2, 'all of it is cached now');
	assert.equal(cache.stats.blockCount, 2);
});

void test('a long scan leaves the cache as it was, and takes from it what lies at the edge of its reads', () => {
	const { files, entries } = bigTable();
	const cache = new BlockCache(1 << 20, 4096);
	const reader = TableReader.open(files, path, 7, cache);
	for (let i = 0; i < 3000; i++) getFrom(reader, entries[i].key, 1e9);
	const { blockCount } = cache.stats;
	const iterator = reader.iterator();
	iterator.seekFirst();
	files.reads.length = 0;
	assertSameEntries(collect(iterator), entries);
	assert.equal(cache.stats.blockCount, blockCount, 'nothing was added, nothing driven out');
	assert.equal(cache.stats.evictionCount, 0);
	assert.ok(files.reads.length < 20, `${files.reads.length} reads`);
});

void test('what an iterator lends stays, though the cache gives its block’s place to others', () => {
	const { files, entries } = bigTable();
	const cache = new BlockCache(64 * 1024, 4096);
	const reader = TableReader.open(files, path, 7, cache);
	const iterators = [100, 7_000, 15_000].map((at) => {
		const iterator = reader.iterator();
		iterator.seek(entries[at].key, 0, 16);
		return { at, iterator };
	});
	for (let i = 0; i < entries.length; i += 30) getFrom(reader, entries[i].key, 1e9);
	assert.ok(cache.stats.evictionCount > 100);
	for (const { at, iterator } of iterators) assertWalks(iterator, entries.slice(at), 300);
	// Closed iterators' buffers go to others.
	for (const { iterator } of iterators) iterator.close();
	const first = reader.iterator();
	const second = reader.iterator();
	first.seek(entries[10].key, 0, 16);
	second.seek(entries[19_000].key, 0, 16);
	assertWalks(first, entries.slice(10), 200);
	assertWalks(second, entries.slice(19_000), 200);
});

void test('reads are counted, and a trace says what one of them touched', () => {
	const { files, entries } = bigTable();
	const reader = TableReader.open(files, path, 7, new BlockCache(1 << 20, 4096));
	let nowUs = 0;
	const clock = () => {
		nowUs += 5;
		return nowUs;
	};
	const traced = (key: Buffer, maxSequence: number) => {
		const trace = new ReadTrace(clock);
		const found = getFrom(reader, key, maxSequence, trace);
		assert.equal(trace.steps.length, 1);
		assert.equal(trace.steps[0].isFound, found !== undefined);
		return trace.steps[0];
	};
	const cold = traced(entries[5].key, 1e9);
	const { blockOffset, blockSize } = cold;
	const hot = { tableId: 7, filter: 'maybe', blockOffset, blockSize, isCacheHit: true, isFound: true, tookUs: 5 };
	assert.ok(blockOffset === 0 && blockSize > 1000);
	assert.deepEqual(cold, { ...hot, isCacheHit: false });
	assert.deepEqual(traced(entries[5].key, 1e9), hot);
	assert.deepEqual(traced(entries[5].key, 5), { ...hot, isFound: false }, 'too new');
	const denied = traced(Buffer.from('nobody'), 1e9);
	assert.deepEqual(denied, {
		...hot,
		filter: 'absent',
		blockOffset: -1,
		blockSize: 0,
		isCacheHit: false,
		isFound: false,
	});
	for (let i = 0; i < 1000; i++) assert.equal(getFrom(reader, Buffer.from(`nobody ${i}`), 1e9), undefined);
	const { getCount, filterNegativeCount, filterFalsePositiveCount, blockReadCount, blockReadBytes, cacheHitCount } =
		reader.counts;
	assert.equal(getCount, 1004);
	assert.equal(filterNegativeCount + filterFalsePositiveCount, 1002);
	assert.ok(filterNegativeCount > 950);
	assert.ok(blockReadCount >= 1 && blockReadBytes >= blockSize && cacheHitCount >= 2);
});
