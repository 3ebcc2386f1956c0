import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode, MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { flagArgument, opPut } from '../../../src/command/command-format.js';
import { kindPut } from '../../../src/storage/lsm/entry.js';
import { ExpiryHeap } from '../../../src/storage/lsm/expiry/expiry-heap.js';
import { ExpiryIndex } from '../../../src/storage/lsm/expiry/expiry-index.js';
import { ExpiryWatch } from '../../../src/storage/lsm/expiry/expiry-watch.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../../src/storage/lsm/memtable/memtable.js';
import { arenaUsedWord } from '../../../src/storage/lsm/memtable/memtable-format.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';
import { buildTable, compareEntries, type Entry, MemoryFileSystem, put } from './table-support.js';

const files = new MemoryFileSystem();

function openTable(id: number, entries: readonly Entry[]): TableReader {
	const path = `${id}.sst`;
	buildTable(files, path, id, [...entries].sort(compareEntries), { blockSize: 512 });
	return TableReader.open(files, path, id);
}

/** Puts an entry and notes its expiry, as a partition does. */
function putNoted(index: ExpiryIndex, memtable: Memtable, { key, sequence, expiresAtMs, value }: Entry): void {
	const entry = memtable.words[arenaUsedWord];
	const hash = keyHash(key, 0, key.length);
	memtable.put(hash, key, 0, key.length, sequence, kindPut, expiresAtMs, value, 0, value.length);
	index.addMemtableEntry(memtable, entry, expiresAtMs);
}

/** Rows as text, and how `advance` gets there. */
function drain(index: ExpiryIndex, nowMs: number, countMax = 1000): string[] {
	const rows: string[] = [];
	const onDue = (key: Uint8Array, offset: number, size: number, sequence: number, expiresAtMs: number) => {
		assert.ok(expiresAtMs <= nowMs, 'never early');
		rows.push(`${Buffer.from(key.slice(offset, offset + size)).toString()} ${sequence} ${expiresAtMs}`);
	};
	for (let more = true; more; ) {
		const count = rows.length;
		more = index.advance(nowMs, countMax, onDue);
		assert.ok(rows.length <= count + countMax, 'slices are bounded');
	}
	return rows;
}

void test('the heap gives rows in order of time', () => {
	const prng = new Prng(testSeed('expiry heap'));
	const heap = new ExpiryHeap();
	const model: number[] = [];
	for (let i = 0; i < 20_000; i++) {
		if (model.length === 0 || prng.chance(0.55)) {
			const time = prng.below(1000);
			heap.push(time, time + 5);
			model.push(time);
			if (model.length > 1500) model.sort((a, b) => a - b);
		} else {
			const first = Math.min(...model);
			assert.equal(heap.firstMs, first);
			assert.equal(heap.firstEntry, first + 5);
			heap.pop();
			model.splice(model.indexOf(first), 1);
		}
		assert.equal(heap.count, model.length);
	}
});

void test('rows come at their time and in its order, from memtables and tables alike', () => {
	const index = new ExpiryIndex(1000);
	index.addTable(openTable(1, [put('a', 1, '', 1500), put('b', 2, '', 900), put('c', 3), put('d', 4, '', 1200)]));
	const memtable = new Memtable(new SharedArrayBuffer(1 << 16));
	putNoted(index, memtable, put('e', 5, '', 1300));
	assert.deepEqual(drain(index, 1199), [], 'what was due at the open is passed over');
	assert.equal(index.processedMs, 1199);
	assert.deepEqual(drain(index, 1300), ['d 4 1200', 'e 5 1300']);
	putNoted(index, memtable, put('f', 6, '', 1301));
	putNoted(index, memtable, put('g', 7, '', 1250));
	assert.equal(index.lagMs(1400), 150);
	assert.equal(index.processedMs, 1249, 'a late entry holds compaction back');
	assert.deepEqual(drain(index, 1400), ['g 7 1250', 'f 6 1301']);
	assert.equal(index.lagMs(1400), 0);
	assert.equal(index.expiredCount(1, 1199), 1);
	assert.deepEqual(drain(index, 1600), ['a 1 1500']);
	assert.equal(index.expiredCount(1, 1600), 3);
	assert.equal(index.expiredCount(99, 1600), 0);
	assert.equal(index.processedCount, 5);
});

void test('tables that replace others go on where those were', () => {
	const index = new ExpiryIndex(1000);
	const memtable = new Memtable(new SharedArrayBuffer(1 << 16));
	const entries = [put('a', 1, '', 1100), put('b', 2, '', 1151), put('c', 3, '', 1300)];
	for (const entry of entries) putNoted(index, memtable, entry);
	assert.deepEqual(drain(index, 1150), ['a 1 1100']);
	index.replace({ removedMemtables: [memtable], addedTables: [openTable(2, entries)] });
	assert.deepEqual(drain(index, 1200), ['b 2 1151']);
	assert.deepEqual(drain(index, 1300), ['c 3 1300']);
	index.replace({ addedTables: [openTable(3, [put('d', 4, '', 1301), put('e', 5, '', 1300)])] });
	assert.deepEqual(drain(index, 1301), ['d 4 1301'], 'whose predecessors had no rows: what falls due from now on');
});

void test('a table whose rows cannot be read is given up, with an error, and the others go on', () => {
	const broken = openTable(4, [put('a', 1, '', 1100), put('b', 2, '', 1101)]);
	const index = new ExpiryIndex(1000);
	index.addTable(broken);
	index.addTable(openTable(5, [put('c', 3, '', 1102)]));
	const bytes = files.files.get('4.sst') ?? assert.fail();
	bytes[broken.expiryDirectory?.offsets[0] ?? assert.fail()] ^= 1;
	assert.throws(
		() => drain(index, 2000),
		(error) => hasCode(error, 'MILLRACE_CORRUPT'),
	);
	assert.deepEqual(drain(index, 2000), ['c 3 1102']);
});

/** A partition that does nothing but put, flush, compact and let expire. */
class World {
	nowMs = 1_000_000;
	readonly index = new ExpiryIndex(this.nowMs - 1);
	/** How often each row that must come once was given out. */
	readonly given = new Map<string, number>();
	/** Rows in these times may come twice: they were due when tables changed. */
	readonly repeatable: { fromMs: number; toMs: number }[] = [];
	#memtable = new Memtable(new SharedArrayBuffer(1 << 18));
	#memtableEntries: Entry[] = [];
	#tables = new Map<number, Entry[]>();
	/** A table's rows are looked at when time has moved on. */
	readonly #addedMs = new Map<number, number>();
	#nextId = 100;
	#sequence = 1;
	readonly #prng: Prng;

	constructor(prng: Prng) {
		this.#prng = prng;
	}

	put(): void {
		const lifeMs = this.#prng.chance(0.1) ? 0 : 1 + this.#prng.below(5000);
		const entry = put(`k${this.#prng.below(500)}`, this.#sequence++, '', this.nowMs + lifeMs);
		putNoted(this.index, this.#memtable, entry);
		this.#memtableEntries.push(entry);
		this.given.set(rowOf(entry), 0);
	}

	flush(): void {
		if (this.#memtableEntries.length === 0) return;
		this.#noteChange();
		const id = this.#nextId++;
		this.index.replace({ removedMemtables: [this.#memtable], addedTables: [openTable(id, this.#memtableEntries)] });
		this.#tables.set(id, this.#memtableEntries);
		this.#addedMs.set(id, this.nowMs);
		this.#memtable = new Memtable(new SharedArrayBuffer(1 << 18));
		this.#memtableEntries = [];
	}

	/** Some tables become two, without what expired and was given out. */
	compact(): void {
		const removedTableIds = [...this.#tables.keys()].filter(() => this.#prng.chance(0.5));
		const { processedMs } = this.index;
		const left = removedTableIds
			.flatMap((id) => this.#tables.get(id) ?? [])
			.filter((entry) => entry.expiresAtMs > processedMs)
			.sort(compareEntries);
		if (left.length < 2) return;
		this.#noteChange();
		const middle = left.length >>> 1;
		const outputs = [left.slice(0, middle), left.slice(middle)].map((entries) => ({ id: this.#nextId++, entries }));
		const addedTables = outputs.map(({ id, entries }) => openTable(id, entries));
		this.index.replace({ removedTableIds, addedTables });
		for (const id of removedTableIds) this.#tables.delete(id);
		for (const { id, entries } of outputs) {
			this.#tables.set(id, entries);
			this.#addedMs.set(id, this.nowMs);
		}
	}

	advance(countMax: number): void {
		let lastMs = 0;
		let count = 0;
		const more = this.index.advance(this.nowMs, countMax, (key, offset, size, sequence, expiresAtMs) => {
			assert.ok(expiresAtMs <= this.nowMs, 'never early');
			assert.ok(expiresAtMs >= lastMs, 'in order of time');
			lastMs = expiresAtMs;
			count++;
			const row = `${Buffer.from(key.slice(offset, offset + size)).toString()} ${sequence}`;
			const before = this.given.get(row) ?? assert.fail(`${row} is not known`);
			const mayRepeat = this.repeatable.some(({ fromMs, toMs }) => fromMs <= expiresAtMs && expiresAtMs <= toMs);
			assert.ok(before === 0 || mayRepeat, `${row} came twice`);
			this.given.set(row, before + 1);
		});
		assert.ok(count <= countMax);
		if (!more) this.#checkSettled();
	}

	/** Nothing lags: every row due was given out, and the shares are exact. */
	#checkSettled(): void {
		assert.equal(this.index.lagMs(this.nowMs), 0);
		assert.equal(this.index.processedMs, this.nowMs);
		for (const entry of [...this.#memtableEntries, ...[...this.#tables.values()].flat()]) {
			const isDue = entry.expiresAtMs <= this.nowMs;
			assert.equal((this.given.get(rowOf(entry)) ?? 0) > 0, isDue, rowOf(entry));
		}
		for (const [id, entries] of this.#tables) {
			if (this.#addedMs.get(id) === this.nowMs) continue;
			const expiredCount = entries.filter((entry) => entry.expiresAtMs <= this.nowMs).length;
			// Small tables have one block of rows, which counts as spread evenly over its time.
			const estimate = this.index.expiredCount(id, this.nowMs);
			const expiringCount = entries.filter((entry) => entry.expiresAtMs > 0).length;
			assert.ok(estimate >= 0 && estimate <= expiringCount);
			assert.equal(estimate === expiringCount, expiredCount === expiringCount, `${estimate} of ${expiringCount}`);
		}
	}

	#noteChange(): void {
		const { processedMs } = this.index;
		if (processedMs < this.nowMs) this.repeatable.push({ fromMs: processedMs + 1, toMs: this.nowMs });
	}
}

function rowOf({ key, sequence }: Entry): string {
	return `${key.toString()} ${sequence}`;
}

void test('rows are never missed and never early, whatever is flushed and compacted meanwhile', () => {
	const prng = new Prng(testSeed('expiry index'));
	const world = new World(prng);
	for (let step = 0; step < 4000; step++) {
		const dice = prng.below(100);
		if (dice < 70) world.put();
		else if (dice < 72) world.flush();
		else if (dice < 74) world.compact();
		else if (dice < 85) world.nowMs += prng.below(60);
		else world.advance(1 + prng.below(20));
	}
	world.nowMs += 10_000;
	for (let i = 0; i < 100; i++) world.advance(500);
	for (const [row, count] of world.given) assert.ok(count > 0, `${row} was missed`);
	const repeatedCount = [...world.given.values()].filter((count) => count > 1).length;
	assert.ok(repeatedCount < world.given.size / 20, `${repeatedCount} of ${world.given.size} rows came twice`);
	files.files.clear();
});

void test('an expired entry whose newest version cannot be read is passed over, counted, and told of once', () => {
	const harness = new PartitionHarness(new SimulatedDisk(), { nowMs: 1000 });
	for (const [key, timeMs] of [
		['a', 2000],
		['b', 2001],
		['c', 2002],
	] as const) {
		harness.execute({ opcode: opPut, key, value: 'v', flags: flagArgument, argument: timeMs });
	}
	const { tree } = harness.partition.recovery;
	const notes: string[] = [];
	const watch = new ExpiryWatch(tree, (text) => notes.push(text));
	const get = tree.get.bind(tree);
	tree.get = (hash, key, keyOffset, ...rest) => {
		if (key[keyOffset] !== 0x63) throw new MillraceError('MILLRACE_CORRUPT', 'a damaged block');
		return get(hash, key, keyOffset, ...rest);
	};
	for (let i = 0; i < 10; i++) watch.tick(3000 + i);
	const { processed, expired, unreadable, lagMs } = watch.statistics(3010);
	assert.deepEqual({ processed, expired, unreadable, lagMs }, { processed: 3, expired: 1, unreadable: 2, lagMs: 0 });
	assert.equal(tree.expiries.processedMs, 3009, 'compaction may drop all of them');
	assert.deepEqual(notes, ['an entry that expired could not be read: MillraceError: a damaged block']);
	harness.close();
});
