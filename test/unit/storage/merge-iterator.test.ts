import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import type { EntryIterator } from '../../../src/storage/lsm/entry.js';
import { MergeIterator } from '../../../src/storage/lsm/merge-iterator.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import {
	assertSameEntries,
	buildTable,
	collect,
	compareEntries,
	type Entry,
	MemoryFileSystem,
	randomEntries,
	randomKey,
} from './table-support.js';

/** Deals entries out to tables at random and opens an iterator over each. */
function dealOut(prng: Prng, entries: readonly Entry[], count: number): EntryIterator[] {
	const files = new MemoryFileSystem();
	const hands: Entry[][] = Array.from({ length: count }, () => []);
	for (const entry of entries) hands[prng.below(count)].push(entry);
	return hands
		.filter((hand) => hand.length > 0)
		.map((hand, id) => {
			buildTable(files, `${id}`, id, hand, { blockSize: 512 });
			return TableReader.open(files, `${id}`, id).iterator();
		});
}

void test('any number of sources merge into one order', () => {
	const prng = new Prng(testSeed('merge'));
	for (const count of [1, 2, 3, 4, 5, 7, 8, 13, 24]) {
		const entries = randomEntries(prng, 600);
		const merge = new MergeIterator(dealOut(prng, entries, count));
		merge.seekFirst();
		assertSameEntries(collect(merge), entries);
		for (let i = 0; i < 20; i++) {
			const key = randomKey(prng);
			merge.seek(key, 0, key.length);
			assertSameEntries(
				collect(merge),
				entries.filter((entry) => Buffer.compare(entry.key, key) >= 0),
			);
		}
		merge.seekFirst();
		assert.equal(merge.sequence, entries[0].sequence, 'it starts again after its end');
	}
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
