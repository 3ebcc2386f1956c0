import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { kindPut, kindTombstone, makeEntryView } from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../../src/storage/lsm/memtable/memtable.js';
import { arenaNodesWord, insertionWordsFor } from '../../../src/storage/lsm/memtable/memtable-format.js';
import { MemtableIterator } from '../../../src/storage/lsm/memtable/memtable-iterator.js';
import { testSeed } from '../../support/seed.js';

interface Version {
	sequence: number;
	kind: number;
	expiresAtMs: number;
	value: Buffer;
}

/** A deliberately dumb second implementation: a map of sorted version lists. */
class Model {
	readonly keys = new Map<string, Version[]>();

	put(key: Buffer, version: Version): void {
		const name = key.toString('latin1');
		const versions = this.keys.get(name) ?? [];
		versions.unshift(version);
		this.keys.set(name, versions);
	}

	get(key: Buffer, maxSequence: number): Version | undefined {
		return this.keys.get(key.toString('latin1'))?.find((version) => version.sequence <= maxSequence);
	}

	/** Keys ascending or descending, the versions of each newest first. */
	sorted(isReverse = false): { key: Buffer; version: Version }[] {
		const names = [...this.keys.keys()].map((name) => Buffer.from(name, 'latin1')).sort(Buffer.compare);
		if (isReverse) names.reverse();
		return names.flatMap((key) => (this.keys.get(key.toString('latin1')) ?? []).map((version) => ({ key, version })));
	}
}

/** Keys that hurt radix trees: prefixes of each other, long shared runs, every byte, few and many children. */
function makeKey(prng: Prng): Buffer {
	const shape = prng.below(5);
	if (shape === 0) return Buffer.from('a'.repeat(1 + prng.below(40)));
	if (shape === 1) return Buffer.from(`key:${String(prng.below(3000)).padStart(12, '0')}`);
	if (shape === 2) return Buffer.from([prng.below(256), prng.below(256)]);
	const key = Buffer.alloc(1 + prng.below(shape === 3 ? 4 : 30));
	for (let i = 0; i < key.length; i++) key[i] = prng.chance(0.5) ? prng.below(3) : prng.below(256);
	return key;
}

function fill(prng: Prng, memtable: Memtable, model: Model, count: number, firstSequence: number): number {
	let sequence = firstSequence;
	for (let i = 0; i < count; i++) {
		const key = makeKey(prng);
		const value = Buffer.alloc(prng.below(60));
		prng.fill(value);
		if (!memtable.hasRoom(key.length, value.length)) break;
		const kind = prng.chance(0.2) ? kindTombstone : kindPut;
		const expiresAtMs = prng.chance(0.3) ? 1.7e12 + prng.below(1e9) : 0;
		sequence += 1 + prng.below(3);
		memtable.put(keyHash(key, 0, key.length), key, 0, key.length, sequence, kind, expiresAtMs, value, 0, value.length);
		model.put(key, { sequence, kind, expiresAtMs, value });
	}
	return sequence;
}

function checkEntry(iterator: MemtableIterator, { key, version }: { key: Buffer; version: Version }): void {
	assert.ok(iterator.valid);
	const found = Buffer.from(iterator.key.subarray(iterator.keyOffset, iterator.keyOffset + iterator.keySize));
	assert.deepEqual(found, key);
	assert.equal(iterator.sequence, version.sequence);
	assert.equal(iterator.kind, version.kind);
	assert.equal(iterator.expiresAtMs, version.expiresAtMs);
	const end = iterator.valueOffset + iterator.valueSize;
	assert.deepEqual(Buffer.from(iterator.value.subarray(iterator.valueOffset, end)), version.value);
}

function checkAgainstModel(memtable: Memtable, model: Model): void {
	const iterator = new MemtableIterator(memtable);
	for (const isReverse of [false, true]) {
		if (isReverse) iterator.seekLast();
		else iterator.seekFirst();
		for (const expected of model.sorted(isReverse)) {
			checkEntry(iterator, expected);
			iterator.next();
		}
		assert.equal(iterator.valid, false);
	}
	const expected = model.sorted();
	assert.equal(memtable.entryCount, expected.length);
	assert.equal(memtable.keyCount, model.keys.size);
	assert.equal(memtable.tombstoneCount, expected.filter(({ version }) => version.kind === kindTombstone).length);
	assert.equal(memtable.isEmpty, expected.length === 0);
	if (expected.length === 0) return;
	const sequences = expected.map(({ version }) => version.sequence);
	assert.equal(
		memtable.minSequence,
		sequences.reduce((a, b) => Math.min(a, b)),
	);
	assert.equal(
		memtable.maxSequence,
		sequences.reduce((a, b) => Math.max(a, b)),
	);
}

test('a memtable agrees with a map: get, order, versions, seek', () => {
	const prng = new Prng(testSeed('memtable'));
	for (let round = 0; round < 6; round++) {
		const memtable = new Memtable(new SharedArrayBuffer(2 << 20));
		const model = new Model();
		const base = round === 5 ? 2 ** 40 : 0;
		const last = fill(prng, memtable, model, 1 + prng.below(6000), base);
		checkAgainstModel(memtable, model);
		const view = makeEntryView();
		const sorted = model.sorted();
		const reversed = model.sorted(true);
		const iterator = new MemtableIterator(memtable);
		for (let i = 0; i < 3000; i++) {
			const key = makeKey(prng);
			const maxSequence = prng.chance(0.5) ? last : base + prng.below(last - base + 1);
			const expected = model.get(key, maxSequence);
			assert.equal(
				memtable.get(keyHash(key, 0, key.length), key, 0, key.length, maxSequence, view),
				expected !== undefined,
			);
			if (expected !== undefined) {
				assert.equal(view.sequence, expected.sequence);
				const value = view.value.subarray(view.valueOffset, view.valueOffset + view.valueSize);
				assert.deepEqual(Buffer.from(value), expected.value);
			}
			checkSeek(prng, iterator, sorted, reversed, key);
		}
	}
});

/** Seeks in either direction, or to exactly this key, and takes some steps. */
function checkSeek(
	prng: Prng,
	iterator: MemtableIterator,
	sorted: ReturnType<Model['sorted']>,
	reversed: ReturnType<Model['sorted']>,
	key: Buffer,
): void {
	const isReverse = prng.chance(0.5);
	const isInclusive = prng.chance(0.5);
	if (!isReverse && prng.chance(0.5)) {
		const isThere = sorted.some((entry) => entry.key.equals(key));
		assert.equal(iterator.seekExact(keyHash(key, 0, key.length), key, 0, key.length), isThere);
		if (!isThere) return;
	} else if (isReverse) iterator.seekBackward(key, 0, key.length, isInclusive);
	else iterator.seek(key, 0, key.length);
	const order = isReverse ? reversed : sorted;
	const at = order.findIndex((entry) => {
		const compared = Buffer.compare(entry.key, key);
		if (compared === 0) return !isReverse || isInclusive;
		return isReverse ? compared < 0 : compared > 0;
	});
	// Some walk far enough to load ahead.
	const stepCount = prng.chance(0.1) ? 40 : 4;
	const expected = at < 0 ? [] : order.slice(at, at + stepCount);
	for (const entry of expected) {
		checkEntry(iterator, entry);
		iterator.next();
	}
	if (expected.length < stepCount) assert.equal(iterator.valid, false);
}

for (const isReverse of [false, true]) {
	test(`a walk ${isReverse ? 'backward ' : ''}beside writes sees every entry that was there when it began`, () => {
		const prng = new Prng(testSeed(`memtable walk ${isReverse}`));
		const memtable = new Memtable(new SharedArrayBuffer(4 << 20));
		const model = new Model();
		const pinned = fill(prng, memtable, model, 3000, 0);
		const expected = model.sorted(isReverse);
		const iterator = new MemtableIterator(memtable);
		let sequence = pinned;
		let index = 0;
		if (isReverse) iterator.seekLast();
		else iterator.seekFirst();
		for (; iterator.valid; iterator.next()) {
			if (iterator.sequence <= pinned) {
				assert.equal(iterator.sequence, expected[index].version.sequence);
				index++;
			}
			sequence = fill(prng, memtable, model, 3, sequence);
		}
		assert.equal(index, expected.length);
	});
}

test('range tombstones come back newest first, in another Memtable over the arena too, and are no entries', () => {
	const prng = new Prng(testSeed('memtable ranges'));
	const memtable = new Memtable(new SharedArrayBuffer(1 << 20));
	const model = new Model();
	const ranges: { start: string; end: string; sequence: number }[] = [];
	let sequence = 2 ** 33;
	for (let i = 0; i < 100; i++) {
		const start = prng.chance(0.2) ? Buffer.alloc(0) : makeKey(prng);
		const end = prng.chance(0.2) ? Buffer.alloc(0) : makeKey(prng);
		assert.ok(memtable.hasRoom(start.length, end.length));
		sequence++;
		const both = Buffer.concat([start, end]);
		memtable.putRangeTombstone(sequence, both, 0, start.length, both, start.length, end.length);
		ranges.unshift({ start: start.toString('hex'), end: end.toString('hex'), sequence });
		if (i === 0)
			assert.deepEqual([memtable.minSequence, memtable.maxSequence, memtable.isEmpty], [sequence, sequence, false]);
		sequence = fill(prng, memtable, model, prng.below(10), sequence);
	}
	const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
	const found = new Memtable(memtable.arena).rangeTombstones();
	assert.deepEqual(
		found.map((each) => ({ ...each, start: hex(each.start), end: hex(each.end) })),
		ranges,
	);
	assert.equal(memtable.minSequence, 2 ** 33 + 1);
	assert.equal(memtable.maxSequence, sequence);
	assert.equal(memtable.rangeTombstoneCount, 100);
	assert.equal(memtable.entryCount, model.sorted().length);
	const iterator = new MemtableIterator(memtable);
	iterator.seekFirst();
	for (const expected of model.sorted()) {
		checkEntry(iterator, expected);
		iterator.next();
	}
	memtable.reset();
	assert.deepEqual([memtable.rangeTombstones(), memtable.isEmpty], [[], true]);
});

test('a batch that has room fits, whatever its keys do to the tree', () => {
	const prng = new Prng(testSeed('memtable batch'));
	let fittedCount = 0;
	for (let round = 0; round < 40; round++) {
		const memtable = new Memtable(new SharedArrayBuffer(512 << 10));
		let sequence = fill(prng, memtable, new Model(), prng.below(1500), 0);
		const isBushy = prng.chance(0.5);
		// Keys that make one node48 after the other grow, or any.
		const keys = Array.from({ length: 1 + prng.below(2500) }, (_, i) =>
			isBushy ? Buffer.from([i % 50, i / 50, prng.below(256)]) : makeKey(prng),
		);
		const size = keys.reduce((sum, key) => sum + key.length, 0);
		if (!memtable.hasRoomForAll(keys.length, size)) continue;
		fittedCount++;
		assert.ok(Memtable.couldHoldAll(memtable.arena.byteLength, keys.length, size));
		for (const key of keys) {
			sequence++;
			// An expiry, because it takes room. `put` asserts that there is room.
			memtable.put(keyHash(key, 0, key.length), key, 0, key.length, sequence, kindPut, 1e12, key, 0, 0);
		}
	}
	assert.ok(fittedCount > 10);
	assert.equal(Memtable.couldHoldAll(64 << 20, 65_536, 16 << 20), true, 'the largest batch fits an empty arena');
});

test('a batch in which every key makes a full node grow stays within the words reckoned for it', () => {
	for (const fullCount of [4, 16, 48]) {
		const memtable = new Memtable(new SharedArrayBuffer(4 << 20));
		let sequence = 0;
		const add = (node: number, label: number): void => {
			const key = Buffer.from([1, node, label]);
			sequence++;
			memtable.put(keyHash(key, 0, 3), key, 0, 3, sequence, kindPut, 0, key, 0, 0);
		};
		const nodeCount = 30;
		for (let node = 0; node < nodeCount; node++) for (let label = 0; label < fullCount; label++) add(node, label);
		const reckoned = insertionWordsFor(memtable.keyCount, nodeCount);
		const before = memtable.words[arenaNodesWord];
		for (let node = 0; node < nodeCount; node++) add(node, 200);
		const taken = before - memtable.words[arenaNodesWord];
		assert.ok(taken > 0 && taken <= reckoned, `${taken} of ${reckoned} words`);
	}
});

test('room is known before a put, and a reset arena is empty', () => {
	const memtable = new Memtable(new SharedArrayBuffer(64 << 10));
	const prng = new Prng(testSeed('memtable room'));
	const model = new Model();
	fill(prng, memtable, model, 100_000, 0);
	checkAgainstModel(memtable, model);
	assert.ok(memtable.usedBytes <= memtable.arena.byteLength);
	memtable.reset();
	checkAgainstModel(memtable, new Model());
	const again = new Model();
	fill(prng, memtable, again, 100_000, 0);
	checkAgainstModel(memtable, again);
});
