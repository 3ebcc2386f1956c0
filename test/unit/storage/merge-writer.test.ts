import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sequenceMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { isExpired, kindTombstone } from '../../../src/storage/lsm/entry.js';
import { type MergePolicy, writeMerged } from '../../../src/storage/lsm/table/merge-writer.js';
import { TableBuilder } from '../../../src/storage/lsm/table/table-builder.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import {
	assertSameEntries,
	buildTable,
	collect,
	compareEntries,
	type Entry,
	getFromModel,
	MemoryFileSystem,
	put,
	tombstone,
} from './table-support.js';

const keepAll: MergePolicy = { keepSequences: [], dropTombstones: false, expiredBeforeMs: 0 };

/** @returns what is left of `entries` after a merge */
function merge(entries: readonly Entry[], policy: MergePolicy): Entry[] {
	const files = new MemoryFileSystem();
	buildTable(files, 'in', 1, entries);
	const source = TableReader.open(files, 'in', 1).iterator();
	source.seekFirst();
	const builder = new TableBuilder(files.open('out', 'create'), 2);
	const count = writeMerged(source, builder, policy);
	assert.equal(builder.entryCount, count);
	if (count === 0) return [];
	builder.finish();
	const iterator = TableReader.open(files, 'out', 2).iterator();
	iterator.seekFirst();
	return collect(iterator);
}

function sequencesAfter(entries: readonly Entry[], policy: Partial<MergePolicy>): number[] {
	return merge(entries, { ...keepAll, ...policy }).map((entry) => entry.sequence);
}

void test('only the newest version of a key stays, and those that snapshots see', () => {
	const versions = [put('a', 9), tombstone('a', 7), put('a', 4), put('a', 2)];
	assert.deepEqual(sequencesAfter(versions, {}), [9]);
	assert.deepEqual(sequencesAfter(versions, { keepSequences: [5] }), [9, 4]);
	assert.deepEqual(sequencesAfter(versions, { keepSequences: [4, 5, 6] }), [9, 4]);
	assert.deepEqual(sequencesAfter(versions, { keepSequences: [1] }), [9]);
	assert.deepEqual(sequencesAfter(versions, { keepSequences: [2, 8, 9, 20] }), [9, 7, 2]);
	assert.deepEqual(sequencesAfter(versions, { keepSequences: [3, 5, 8] }), [9, 7, 4, 2]);
});

void test('tombstones stay above the bottom, and go at the bottom unless they hide something', () => {
	const versions = [tombstone('a', 9), put('a', 4), put('b', 3), tombstone('c', 8)];
	assert.deepEqual(sequencesAfter(versions, {}), [9, 3, 8]);
	assert.deepEqual(sequencesAfter(versions, { dropTombstones: true }), [3]);
	assert.deepEqual(sequencesAfter(versions, { dropTombstones: true, keepSequences: [5] }), [9, 4, 3]);
	const layers = [tombstone('a', 9), tombstone('a', 7), put('a', 4), tombstone('a', 2)];
	assert.deepEqual(sequencesAfter(layers, { dropTombstones: true, keepSequences: [3, 5, 8] }), [9, 7, 4]);
	assert.deepEqual(sequencesAfter(layers, { dropTombstones: true, keepSequences: [3, 8] }), []);
});

void test('expired entries become tombstones, or go at the bottom', () => {
	const entries = [put('a', 9, 'x', 1000), put('a', 3, 'old'), put('b', 8, 'y', 1001), put('c', 7, 'z')];
	const left = merge(entries, { ...keepAll, expiredBeforeMs: 1000 });
	assertSameEntries(left, [tombstone('a', 9), entries[2], entries[3]]);
	const bottom = merge(entries, { ...keepAll, expiredBeforeMs: 1000, dropTombstones: true });
	assertSameEntries(bottom, [entries[2], entries[3]]);
});

void test('no reader, now or in a snapshot, sees a difference after any merge', () => {
	const prng = new Prng(testSeed('merge policy'));
	for (let round = 0; round < 150; round++) {
		const entries: Entry[] = [];
		for (let sequence = 1; sequence <= 60; sequence++) {
			const key = `k${prng.below(8)}`;
			if (prng.chance(0.3)) entries.push(tombstone(key, sequence));
			else entries.push(put(key, sequence, `v${sequence}`, prng.chance(0.3) ? 1 + prng.below(100) : 0));
		}
		entries.sort(compareEntries);
		const keepSequences = Array.from({ length: prng.below(5) }, () => prng.below(70)).sort((a, b) => a - b);
		const expiredBeforeMs = prng.below(100);
		const policy = { keepSequences, dropTombstones: prng.chance(0.5), expiredBeforeMs };
		const left = merge(entries, policy);
		for (const at of [...keepSequences, sequenceMax]) {
			for (let i = 0; i < 8; i++) {
				const key = Buffer.from(`k${i}`);
				const seen = (entry: Entry | undefined) =>
					entry === undefined || entry.kind === kindTombstone || isExpired(entry.expiresAtMs, expiredBeforeMs)
						? undefined
						: entry.value.toString();
				assert.equal(seen(getFromModel(left, key, at)), seen(getFromModel(entries, key, at)), `${key} at ${at}`);
			}
		}
		assert.ok(left.length <= 8 * (keepSequences.length + 1), 'nothing is kept without need');
	}
});
