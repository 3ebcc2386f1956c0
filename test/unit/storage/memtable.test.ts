import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareBytes } from '../../../src/base/bytes.js';
import { Prng } from '../../../src/base/prng.js';
import { kindPut, kindTombstone, makeEntryView } from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../../src/storage/lsm/memtable/memtable.js';
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

	sorted(): { key: Buffer; version: Version }[] {
		const names = [...this.keys.keys()].map((name) => Buffer.from(name, 'latin1')).sort(Buffer.compare);
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

function checkAgainstModel(memtable: Memtable, model: Model): void {
	const expected = model.sorted();
	const iterator = new MemtableIterator(memtable);
	iterator.seekFirst();
	for (const { key, version } of expected) {
		assert.ok(iterator.valid);
		const found = Buffer.from(iterator.key.subarray(iterator.keyOffset, iterator.keyOffset + iterator.keySize));
		assert.deepEqual(found, key);
		assert.equal(iterator.sequence, version.sequence);
		assert.equal(iterator.kind, version.kind);
		assert.equal(iterator.expiresAtMs, version.expiresAtMs);
		const end = iterator.valueOffset + iterator.valueSize;
		assert.deepEqual(Buffer.from(iterator.value.subarray(iterator.valueOffset, end)), version.value);
		iterator.next();
	}
	assert.equal(iterator.valid, false);
	assert.equal(memtable.entryCount, expected.length);
	assert.equal(memtable.keyCount, model.keys.size);
	assert.equal(memtable.tombstoneCount, expected.filter(({ version }) => version.kind === kindTombstone).length);
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
			iterator.seek(key, 0, key.length);
			const at = sorted.find((entry) => Buffer.compare(entry.key, key) >= 0);
			assert.equal(iterator.valid, at !== undefined);
			if (at !== undefined) {
				const compared = compareBytes(iterator.key, iterator.keyOffset, iterator.keySize, at.key, 0, at.key.length);
				assert.equal(compared, 0);
				assert.equal(iterator.sequence, at.version.sequence);
			}
		}
	}
});

test('a walk beside writes sees every entry that was there when it began', () => {
	const prng = new Prng(testSeed('memtable walk'));
	const memtable = new Memtable(new SharedArrayBuffer(4 << 20));
	const model = new Model();
	const pinned = fill(prng, memtable, model, 3000, 0);
	const expected = model.sorted();
	const iterator = new MemtableIterator(memtable);
	let sequence = pinned;
	let index = 0;
	for (iterator.seekFirst(); iterator.valid; iterator.next()) {
		if (iterator.sequence <= pinned) {
			assert.equal(iterator.sequence, expected[index].version.sequence);
			index++;
		}
		sequence = fill(prng, memtable, model, 3, sequence);
	}
	assert.equal(index, expected.length);
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
