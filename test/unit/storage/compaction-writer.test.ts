import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sequenceMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { isExpired, kindTombstone, type RangeTombstone } from '../../../src/storage/lsm/entry.js';
import { MergeIterator } from '../../../src/storage/lsm/scan/merge-iterator.js';
import {
	type CompactionCounts,
	type CompactionPolicy,
	writeCompaction,
} from '../../../src/storage/lsm/table/compaction-writer.js';
import { TableBuilder } from '../../../src/storage/lsm/table/table-builder.js';
import { compareKeys, reachesKey, type TableMeta } from '../../../src/storage/lsm/table/table-meta.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import {
	assertSameEntries,
	buildTable,
	collect,
	compareEntries,
	type Entry,
	MemoryFileSystem,
	put,
	rangeTombstone,
	tombstone,
} from './table-support.js';

const keepAll: CompactionPolicy = {
	keepSequences: [],
	isBottom: false,
	expiredBeforeMs: 0,
	tableFileSize: Number.POSITIVE_INFINITY,
	tableCountMax: 1,
	grandparents: [],
};

interface Compacted {
	/** Of each output. */
	readonly metas: TableMeta[];
	readonly entries: Entry[][];
	readonly counts: CompactionCounts;
}

/** Compacts inputs that are tables, into tables which are verified and read back. */
function compact(
	inputs: readonly (readonly Entry[])[],
	given: Partial<CompactionPolicy>,
	rangeTombstones: readonly RangeTombstone[] = [],
): Compacted {
	const files = new MemoryFileSystem();
	const sources = inputs.map((entries, i) => {
		buildTable(files, `in${i}`, i, entries, { blockSize: 256 });
		return TableReader.open(files, `in${i}`, i).iterator();
	});
	const source = new MergeIterator(sources);
	source.seekFirst();
	const metas: TableMeta[] = [];
	let openIndex = -1;
	const counts = writeCompaction(
		source,
		rangeTombstones,
		{ ...keepAll, ...given },
		{
			openOutput: (index) => {
				assert.equal(index, ++openIndex);
				assert.equal(metas.length, index, 'one output at a time');
				return new TableBuilder(files.open(`out${index}`, 'create'), 100 + index, { blockSize: 256 });
			},
			finishOutput: (builder) => metas.push(builder.finish()),
		},
	);
	assert.equal(counts.tableCount, metas.length);
	const entries = metas.map((meta, i) => {
		const reader = TableReader.open(files, `out${i}`, 100 + i);
		reader.verify();
		assert.deepEqual(reader.meta, meta);
		const iterator = reader.iterator();
		iterator.seekFirst();
		return collect(iterator);
	});
	assert.equal(counts.writtenCount, entries.flat().length);
	return { metas, entries, counts };
}

function sequencesAfter(entries: readonly Entry[], policy: Partial<CompactionPolicy>): number[] {
	return compact([entries], policy)
		.entries.flat()
		.map((entry) => entry.sequence);
}

/** `[b, f) 7` */
function show({ start, end, sequence }: RangeTombstone): string {
	return `[${Buffer.from(start).toString()}, ${Buffer.from(end).toString()}) ${sequence}`;
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
	assert.deepEqual(sequencesAfter(versions, { isBottom: true }), [3]);
	assert.deepEqual(sequencesAfter(versions, { isBottom: true, keepSequences: [5] }), [9, 4, 3]);
	const layers = [tombstone('a', 9), tombstone('a', 7), put('a', 4), tombstone('a', 2)];
	assert.deepEqual(sequencesAfter(layers, { isBottom: true, keepSequences: [3, 5, 8] }), [9, 7, 4]);
	assert.deepEqual(sequencesAfter(layers, { isBottom: true, keepSequences: [3, 8] }), []);
});

void test('expired entries become tombstones, or go at the bottom', () => {
	const entries = [put('a', 9, 'x', 1000), put('a', 3, 'old'), put('b', 8, 'y', 1001), put('c', 7, 'z')];
	const left = compact([entries], { expiredBeforeMs: 1000 });
	assertSameEntries(left.entries.flat(), [tombstone('a', 9), entries[2], entries[3]]);
	const bottom = compact([entries], { expiredBeforeMs: 1000, isBottom: true });
	assertSameEntries(bottom.entries.flat(), [entries[2], entries[3]]);
	assert.equal(bottom.counts.expiredCount, 1);
	assert.equal(bottom.counts.shadowedCount, 1);
	assert.equal(bottom.counts.tombstoneCount, 0);
});

void test('a deleted range takes the versions it covers, unless a snapshot lies between', () => {
	const entries = [put('a', 1), put('b', 2), put('c', 9), put('c', 3), tombstone('d', 4), put('e', 5)];
	const ranges = [rangeTombstone('b', 'e', 7)];
	const now = compact([entries], {}, ranges);
	assert.deepEqual(
		now.entries.flat().map((entry) => entry.sequence),
		[1, 9, 5],
	);
	assert.equal(now.counts.rangeDeletedCount, 3);
	assert.deepEqual(now.metas[0].rangeTombstones.map(show), ['[b, e) 7']);
	const pinned = compact([entries], { keepSequences: [3] }, ranges);
	assert.deepEqual(
		pinned.entries.flat().map((entry) => entry.sequence),
		[1, 2, 9, 3, 5],
	);
	// At the bottom a range goes with what it hid, or stays for what a snapshot still sees.
	assert.deepEqual(compact([entries], { isBottom: true }, ranges).metas[0].rangeTombstones, []);
	const bottom = compact([entries], { isBottom: true, keepSequences: [3] }, ranges);
	assert.deepEqual(bottom.metas[0].rangeTombstones.map(show), ['[b, e) 7']);
	assert.deepEqual(compact([entries], { isBottom: true, keepSequences: [7] }, ranges).metas[0].rangeTombstones, []);
});

void test('outputs share deleted ranges without a gap, and pieces become one again', () => {
	const value = Buffer.alloc(300);
	new Prng(1).fill(value);
	const entries = [...'dhm'].map((key, i) => put(key, 10 + i, value));
	const ranges = [rangeTombstone('a', 'f', 5), rangeTombstone('f', '', 5), rangeTombstone('', 'c', 3)];
	const { metas } = compact([entries], { tableFileSize: 100, tableCountMax: 9 }, ranges);
	assert.deepEqual(
		metas.map((meta) => meta.rangeTombstones.map(show)),
		[['[, a) 3', '[a, h) 5'], ['[h, m) 5'], ['[m, ) 5']],
	);
	assert.deepEqual(
		metas.map((meta) => Buffer.from(meta.lowerBound).toString()),
		['', 'h', 'm'],
	);
	assert.equal(metas[2].upperBound, undefined);
	assert.equal(compact([entries], { tableFileSize: 100, tableCountMax: 2 }, ranges).metas.length, 2);
	const whole = compact(
		[entries],
		{},
		metas.flatMap((meta) => meta.rangeTombstones),
	);
	assert.deepEqual(whole.metas[0].rangeTombstones.map(show), ['[, a) 3', '[a, ) 5']);
});

void test('ranges alone make a table with one deletion, or at the bottom none', () => {
	const ranges = [rangeTombstone('', 'c', 3), rangeTombstone('b', 'd', 4)];
	const { metas, entries } = compact([], {}, ranges);
	assertSameEntries(entries.flat(), [tombstone(Buffer.of(0), 3)]);
	assert.deepEqual(metas[0].rangeTombstones.map(show), ['[, b) 3', '[b, d) 4']);
	assert.deepEqual([metas[0].minSequence, metas[0].maxSequence], [3, 4]);
	assert.equal(compact([], { isBottom: true }, ranges).metas.length, 0);
	// A range without a key is nothing: the first key that there can be is its end.
	assert.equal(compact([], {}, [rangeTombstone('', '\0', 9)]).metas.length, 0);
});

void test('a table that would overlap too much of the level below ends early', () => {
	const entries = [...'abcdefgh'].map((key, i) => put(key, 1 + i));
	const grandparents = [...'bdf'].map((key) => ({ upper: Buffer.from(key), size: 6000 }));
	const { entries: outputs } = compact([entries], { tableFileSize: 1000, tableCountMax: 9, grandparents });
	assert.deepEqual(
		outputs.map((output) => output.map((entry) => entry.key.toString()).join('')),
		['abcd', 'efgh'],
	);
});

interface World {
	readonly entries: readonly Entry[];
	readonly ranges: readonly RangeTombstone[];
}

/** What a reader at a sequence sees, found the dumb way. */
function seenAt({ entries, ranges }: World, key: Buffer, at: number, nowMs: number): string | undefined {
	let newest: Entry | undefined;
	for (const entry of entries) {
		const isNewer = newest === undefined || entry.sequence > newest.sequence;
		if (entry.sequence <= at && isNewer && entry.key.equals(key)) newest = entry;
	}
	if (newest === undefined || newest.kind === kindTombstone || isExpired(newest.expiresAtMs, nowMs)) return undefined;
	const { sequence, value } = newest;
	const isDeleted = ranges.some((range) => range.sequence <= at && range.sequence > sequence && covers(range, key));
	return isDeleted ? undefined : value.toString();
}

function covers({ start, end }: RangeTombstone, key: Uint8Array): boolean {
	return compareKeys(start, key) <= 0 && (end.length === 0 || compareKeys(key, end) < 0);
}

const keyCount = 12;
const keyOf = (i: number) => Buffer.from(`k${String(i).padStart(2, '0')}`);

function randomWorld(prng: Prng, firstSequence: number, count: number, rangeChance: number): World {
	const entries: Entry[] = [];
	const ranges: RangeTombstone[] = [];
	const bound = (i: number) => (i === 0 || i === keyCount ? '' : keyOf(i).toString());
	for (let sequence = firstSequence; sequence < firstSequence + count; sequence++) {
		const key = keyOf(prng.below(keyCount));
		if (prng.chance(rangeChance)) {
			const start = prng.below(keyCount);
			ranges.push(rangeTombstone(bound(start), bound(start + 1 + prng.below(keyCount - start)), sequence));
		} else if (prng.chance(0.25)) {
			entries.push(tombstone(key, sequence));
		} else {
			entries.push(
				put(key, sequence, `v${sequence}`.padEnd(prng.below(60)), prng.chance(0.3) ? 1 + prng.below(100) : 0),
			);
		}
	}
	return { entries: entries.sort(compareEntries), ranges };
}

/** Each table covers what it should, and they do not touch each other. */
function checkOutputs({ metas, entries }: Compacted): void {
	for (let i = 0; i < metas.length; i++) {
		const { rangeTombstones, firstKey, lowerBound } = metas[i];
		assert.ok(entries[i].length > 0);
		const next = metas[i + 1];
		if (next !== undefined) {
			assert.ok(!reachesKey(metas[i], next.firstKey), 'tables do not share a key');
			assert.ok(compareKeys(next.lowerBound, next.firstKey) === 0, 'ranges begin with the table');
		}
		assert.ok(i === 0 || compareKeys(lowerBound, firstKey) === 0);
		for (const { end } of rangeTombstones) {
			assert.ok(next === undefined || (end.length > 0 && compareKeys(end, next.firstKey) <= 0), 'clipped');
		}
	}
}

void test('no reader, now or in a snapshot, sees a difference after any compaction', () => {
	const prng = new Prng(testSeed('compaction writer'));
	let outputCount = 0;
	for (let round = 0; round < 400; round++) {
		const isBottom = prng.chance(0.5);
		const below: World = isBottom ? { entries: [], ranges: [] } : randomWorld(prng, 1, 20, 0);
		const above = randomWorld(prng, 21, 60, prng.chance(0.5) ? 0.15 : 0);
		const inputs: Entry[][] = Array.from({ length: 1 + prng.below(3) }, () => []);
		for (const entry of above.entries) inputs[prng.below(inputs.length)].push(entry);
		const keepSequences = Array.from({ length: prng.below(5) }, () => prng.below(90)).sort((a, b) => a - b);
		const expiredBeforeMs = prng.below(100);
		const compacted = compact(
			inputs.filter((entries) => entries.length > 0),
			{
				keepSequences,
				isBottom,
				expiredBeforeMs,
				tableFileSize: prng.chance(0.5) ? 1 + prng.below(700) : Number.POSITIVE_INFINITY,
				tableCountMax: 1 + prng.below(8),
			},
			above.ranges,
		);
		checkOutputs(compacted);
		outputCount += compacted.metas.length;
		const before = { entries: [...above.entries, ...below.entries], ranges: above.ranges };
		const left = compacted.entries.flat();
		const after = {
			entries: [...left, ...below.entries],
			ranges: compacted.metas.flatMap((meta) => meta.rangeTombstones),
		};
		for (const at of [...keepSequences, sequenceMax]) {
			for (let i = 0; i < keyCount; i++) {
				const key = keyOf(i);
				const what = `round ${round}: ${key} at ${at}`;
				assert.equal(seenAt(after, key, at, expiredBeforeMs), seenAt(before, key, at, expiredBeforeMs), what);
			}
		}
		assert.ok(left.length <= keyCount * (keepSequences.length + 1), 'nothing is kept without need');
		const { shadowedCount, tombstoneCount, rangeDeletedCount, expiredCount } = compacted.counts;
		const droppedCount = above.entries.length - left.length;
		const countedMin = shadowedCount + tombstoneCount + rangeDeletedCount;
		assert.ok(countedMin <= droppedCount + 1 && droppedCount <= countedMin + expiredCount, 'each drop has a reason');
	}
	assert.ok(outputCount > 600, `${outputCount} outputs`);
});
