import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import type { EntryIterator } from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../../src/storage/lsm/memtable/memtable.js';
import { MemtableIterator } from '../../../src/storage/lsm/memtable/memtable-iterator.js';
import { MergeIterator } from '../../../src/storage/lsm/scan/merge-iterator.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { ArrayIterator } from '../../support/array-iterator.js';
import { testSeed } from '../../support/seed.js';
import {
	assertSameEntries,
	buildTable,
	collect,
	compareEntries,
	type Entry,
	MemoryFileSystem,
	put,
	randomEntries,
	randomKey,
} from './table-support.js';

/** Deals entries out at random to tables and arrays, and opens an iterator over each. */
function dealOut(prng: Prng, entries: readonly Entry[], count: number): EntryIterator[] {
	const files = new MemoryFileSystem();
	const hands: Entry[][] = Array.from({ length: count }, () => []);
	for (const entry of entries) hands[prng.below(count)].push(entry);
	return hands
		.filter((hand) => hand.length > 0)
		.map((hand, id) => {
			if (prng.chance(0.3)) return new ArrayIterator(hand);
			buildTable(files, `${id}`, id, hand, { blockSize: 512 });
			return TableReader.open(files, `${id}`, id).iterator();
		});
}

void test('any number of sources merge into one order, in both directions', () => {
	const prng = new Prng(testSeed('merge'));
	for (const count of [1, 2, 3, 4, 5, 7, 8, 13, 24]) {
		const entries = randomEntries(prng, 600);
		const backward = [...entries].sort((a, b) => Buffer.compare(b.key, a.key) || b.sequence - a.sequence);
		const merge = new MergeIterator(dealOut(prng, entries, count));
		merge.seekFirst();
		assertSameEntries(collect(merge), entries);
		merge.seekLast();
		assertSameEntries(collect(merge), backward);
		for (let i = 0; i < 20; i++) {
			const key = prng.chance(0.5) ? randomKey(prng) : entries[prng.below(entries.length)].key;
			merge.seek(key, 0, key.length);
			assertSameEntries(
				collect(merge),
				entries.filter((entry) => Buffer.compare(entry.key, key) >= 0),
			);
			const isInclusive = prng.chance(0.5);
			merge.seekBackward(key, 0, key.length, isInclusive);
			assertSameEntries(
				collect(merge),
				backward.filter((entry) => Buffer.compare(entry.key, key) < (isInclusive ? 1 : 0)),
			);
		}
		merge.seekFirst();
		assert.equal(merge.sequence, entries[0].sequence, 'it starts again after its end');
	}
});

void test('a skip in the winner leaves out what that source has before the key, and nothing else', () => {
	const prng = new Prng(testSeed('merge skip'));
	for (let round = 0; round < 60; round++) {
		const entries = randomEntries(prng, 200);
		const hands: Entry[][] = [[], [], [], []];
		for (const entry of entries) hands[prng.below(hands.length)].push(entry);
		const merge = new MergeIterator(hands.map((hand) => new ArrayIterator(hand)));
		const isBackward = prng.chance(0.5);
		if (isBackward) merge.seekLast();
		else merge.seekFirst();
		for (let i = prng.below(100); i > 0; i--) merge.next();
		const here = Buffer.from(merge.key.slice(merge.keyOffset, merge.keyOffset + merge.keySize));
		const target = entries[prng.below(entries.length)].key;
		const ahead = Buffer.compare(target, here) * (isBackward ? -1 : 1);
		if (ahead <= 0) continue;
		const { winner } = merge;
		const order = isBackward
			? [...entries].sort((a, b) => Buffer.compare(b.key, a.key) || b.sequence - a.sequence)
			: entries;
		const at = order.findIndex((entry) => entry.sequence === merge.sequence);
		const isSkipped = (entry: Entry): boolean =>
			hands[winner].includes(entry) &&
			(isBackward ? Buffer.compare(entry.key, target) >= 0 : Buffer.compare(entry.key, target) < 0);
		merge.skipInWinner(target, 0, target.length);
		assertSameEntries(
			collect(merge),
			order.slice(at).filter((entry) => !isSkipped(entry)),
		);
	}
});

/** Sources newest first, cut by sequence: arrays, and tables with and without a filter. */
function dealOutByAge(prng: Prng, entries: readonly Entry[], count: number): EntryIterator[] {
	const files = new MemoryFileSystem();
	const newestFirst = [...entries].sort((a, b) => b.sequence - a.sequence);
	const size = Math.ceil(entries.length / count);
	return Array.from({ length: count }, (_, id) => newestFirst.slice(id * size, (id + 1) * size))
		.filter((hand) => hand.length > 0)
		.map((hand, id) => {
			const sorted = hand.sort(compareEntries);
			if (prng.chance(0.3)) return new ArrayIterator(sorted);
			buildTable(files, `${id}`, id, sorted, { blockSize: 512, bitsPerKey: prng.chance(0.7) ? 10 : 0 });
			return TableReader.open(files, `${id}`, id).iterator();
		});
}

void test('an exact seek stands where a seek does, and every walk goes on from there alike', () => {
	const prng = new Prng(testSeed('merge exact'));
	for (const count of [1, 2, 3, 6]) {
		const entries = randomEntries(prng, 400);
		const merge = new MergeIterator(dealOutByAge(prng, entries, count));
		for (let i = 0; i < 150; i++) {
			const key = prng.chance(0.3) ? randomKey(prng) : entries[prng.below(entries.length)].key;
			const rest = entries.filter((entry) => Buffer.compare(entry.key, key) >= 0);
			const isThere = rest.length > 0 && rest[0].key.equals(key);
			// What it was used for before makes no difference.
			if (prng.chance(0.2)) merge.seekLast();
			assert.equal(merge.seekExact(keyHash(key, 0, key.length), key, 0, key.length), isThere);
			const way = prng.below(4);
			if (way === 0) {
				assert.equal(merge.valid ? merge.sequence : -1, rest[0]?.sequence ?? -1);
			} else if (way === 1 && merge.valid) {
				const { winner } = merge;
				merge.skipInWinner(key, 0, key.length);
				assert.equal(merge.winner, winner);
				assertSameEntries(collect(merge), rest);
			} else if (way === 2) {
				merge.seek(key, 0, key.length);
				assertSameEntries(collect(merge), rest);
			} else {
				assertSameEntries(collect(merge), rest);
			}
			if (prng.chance(0.2)) merge.close();
		}
	}
});

void test('an exact seek leaves older sources alone until the walk moves on', () => {
	const newer = new ArrayIterator([put('b', 9), put('c', 8)]);
	const older = new ArrayIterator([put('b', 3), put('bb', 2)]);
	const merge = new MergeIterator([newer, older]);
	const key = Buffer.from('b');
	merge.seekExact(keyHash(key, 0, 1), key, 0, 1);
	assert.deepEqual([merge.sequence, older.seekCount], [9, 0]);
	// The key was lent.
	key.fill(0);
	const sequences = collect(merge).map(({ sequence }) => sequence);
	assert.deepEqual([sequences, older.seekCount], [[9, 3, 2, 8], 1]);
});

void test('what is written to a newer source after an exact seek comes next, and nothing comes twice', () => {
	const files = new MemoryFileSystem();
	const entry = (key: string, sequence: number): Entry => put(key, sequence, 'v');
	buildTable(files, 'older', 1, [entry('b', 3), entry('b', 2), entry('c', 1)]);
	const memtable = new Memtable(new SharedArrayBuffer(1 << 20));
	const merge = new MergeIterator([new MemtableIterator(memtable), TableReader.open(files, 'older', 1).iterator()]);
	const key = Buffer.from('b');
	const hash = keyHash(key, 0, 1);
	assert.equal(merge.seekExact(hash, key, 0, 1), true);
	memtable.put(hash, key, 0, 1, 9, 1, 0, key, 0, 1);
	assert.deepEqual(
		collect(merge).map(({ sequence }) => sequence),
		[3, 9, 2, 1],
	);
});

void test('no sources, or none with entries, make an empty merge', () => {
	const merge = new MergeIterator([]);
	merge.seekFirst();
	assert.equal(merge.valid, false);
	const outer = new MergeIterator([merge, new MergeIterator([])]);
	outer.seek(Buffer.from('a'), 0, 1);
	assert.equal(outer.valid, false);
	assert.throws(() => outer.next(), /valid/);
});

void test('equal entries come from the source with the lower number first, each once', () => {
	const prng = new Prng(testSeed('merge equal'));
	const entries = randomEntries(prng, 50);
	const sources = [...dealOut(prng, entries, 1), ...dealOut(prng, entries, 1)];
	const merge = new MergeIterator(sources);
	merge.seekFirst();
	assertSameEntries(collect(merge), [...entries, ...entries].sort(compareEntries));
});
