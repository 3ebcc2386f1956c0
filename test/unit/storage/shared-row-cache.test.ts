/**
 * The rows a reading thread keeps of tables: by itself against a model, with laps, collisions and tables that change; and in a
 * reader, where a row must not outlive what it was read from, nor hide what is judged at each read.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { flagArgument, flagSliding, opPut } from '../../../src/command/command-format.js';
import { kindPut, kindSlidingPut, kindTombstone, makeEntryView } from '../../../src/storage/lsm/entry.js';
import { RowCache, rowAbsent, rowFound, rowMissed } from '../../../src/storage/lsm/shared/row-cache.js';
import { testSeed } from '../../support/seed.js';
import { SharedReadRig } from '../../support/shared-read-rig.js';

const kinds = [kindPut, kindTombstone, kindSlidingPut];

interface Row {
	readonly kind: number;
	readonly sequence: number;
	readonly expiresAtMs: number;
	readonly value: Buffer;
}

function randomRow(prng: Prng): Row | undefined {
	if (prng.chance(0.2)) return undefined;
	const value = Buffer.alloc(prng.below(prng.chance(0.1) ? 5000 : 200), prng.below(256));
	const sequence = prng.chance(0.5) ? prng.below(1000) : Number.MAX_SAFE_INTEGER - prng.below(1000);
	const expiresAtMs = prng.chance(0.5) ? 0 : 1.7e12 + prng.below(1000);
	return { kind: kinds[prng.below(kinds.length)], sequence, expiresAtMs, value };
}

/** What tables say, and a cache before them. */
class RowWorld {
	readonly cache: RowCache;
	readonly #prng: Prng;
	readonly #rows: (Row | undefined)[];
	readonly #hashes: number[];
	readonly #view = makeEntryView();

	constructor(prng: Prng, keyCount: number, budget: number, positionMax: number) {
		this.#prng = prng;
		this.cache = new RowCache(budget, positionMax);
		this.#rows = Array.from({ length: keyCount }, () => randomRow(prng));
		// Few of them, so that keys share buckets and tags.
		this.#hashes = Array.from({ length: keyCount }, () => (prng.chance(0.2) ? prng.below(3) : prng.nextU32()));
	}

	/** Some keys are others in the tables from now on. */
	change(): void {
		for (let i = 0; i < 5; i++) this.#rows[this.#prng.below(this.#rows.length)] = randomRow(this.#prng);
		this.cache.forgetRows();
	}

	read(number: number): number {
		const key = Buffer.from(`..${'k'.repeat(number % 40)}${number}.`);
		const view = this.#view;
		const row = this.#rows[number];
		const outcome = this.cache.find(this.#hashes[number], key, 2, key.length - 3, view);
		if (outcome === rowAbsent) assert.equal(row, undefined, `the absence of ${number}`);
		if (outcome === rowFound) {
			const { kind, sequence, expiresAtMs, value, valueOffset, valueSize } = view;
			const copy = Buffer.from(value.subarray(valueOffset, valueOffset + valueSize));
			assert.deepEqual({ kind, sequence, expiresAtMs, value: copy }, row, `the row of ${number}`);
		}
		if (outcome === rowMissed) {
			const lent = row && { ...row, valueOffset: 0, valueSize: row.value.length };
			this.cache.admit(key, 2, key.length - 3, row !== undefined, lent ?? view);
		}
		return outcome;
	}
}

test('a row that is found is what the tables say now', () => {
	const seed = testSeed('row cache');
	for (let run = 0; run < 8; run++) {
		const prng = new Prng(seed + run);
		// Room for all of it, or for some; positions that end often, or never.
		const world = new RowWorld(prng, 300, run % 2 === 0 ? 16 * 1024 : 256 * 1024, run < 4 ? 20_000 : 2 ** 30);
		for (let step = 0; step < 20_000; step++) {
			if (prng.chance(0.001)) world.change();
			world.read(prng.chance(0.7) ? prng.below(40) : prng.below(300));
		}
		const { readsInRows, rowsAdmitted, rowsRenewed } = world.cache.statistics();
		assert.ok(readsInRows > 1000 && rowsAdmitted > 100, 'rows are kept');
		assert.ok(run % 2 === 1 || rowsRenewed > 10, 'and written anew');
	}
});

test('a key is kept from its second miss on, and at the first after the tables have changed', () => {
	const world = new RowWorld(new Prng(5), 1, 64 * 1024, 2 ** 30);
	const isHit = (): boolean => world.read(0) !== rowMissed;
	assert.deepEqual([isHit(), isHit(), isHit()], [false, false, true]);
	world.cache.forgetRows();
	assert.deepEqual([isHit(), isHit()], [false, true]);
});

test('without a budget nothing is kept', () => {
	const world = new RowWorld(new Prng(5), 10, 0, 2 ** 30);
	for (let i = 0; i < 100; i++) assert.equal(world.read(i % 10), rowMissed);
	assert.ok(world.cache.statistics().rowCacheBytes < 100);
});

/** Reads a key until its row is kept, then once more. */
function readOften(rig: SharedReadRig, key: string): string | undefined {
	for (let i = 0; i < 3; i++) rig.get(key);
	const before = rig.reader.statistics().readsInRows;
	const value = rig.get(key);
	assert.equal(rig.reader.statistics().readsInRows, before + 1, `${key} is a row`);
	return value;
}

test('a row ends with the tables it was read from', () => {
	const rig = new SharedReadRig();
	rig.put('key', 'old');
	rig.churn();
	assert.equal(readOften(rig, 'key'), 'old');
	assert.equal(readOften(rig, 'other'), undefined);
	rig.put('key', 'in a memtable');
	rig.put('other', 'likewise');
	rig.runLog();
	assert.deepEqual([rig.get('key'), rig.get('other')], ['in a memtable', 'likewise']);
	rig.churn();
	assert.deepEqual([readOften(rig, 'key'), readOften(rig, 'other')], ['in a memtable', 'likewise']);
	rig.delete('key');
	rig.churn();
	assert.equal(rig.get('key'), undefined);
	rig.harness.compact('', '');
	rig.churn();
	assert.deepEqual([readOften(rig, 'key'), readOften(rig, 'other')], [undefined, 'likewise']);
});

test('tables that change while they are asked leave no row of theirs', () => {
	const rig = new SharedReadRig();
	rig.put('key', 'old');
	rig.churn();
	rig.get('key');
	for (const step of ['view', 'durable', 'looked'] as const) {
		rig.once(step, () => {
			rig.put('key', step);
			rig.churn();
		});
		rig.get('key');
		assert.equal(rig.get('key'), step);
	}
});

test('ranges, expiry and snapshots are judged at each read of a row', () => {
	const rig = new SharedReadRig();
	const expiresAtMs = rig.harness.nowMs + 1600;
	rig.put('key', 'old');
	const snapshot = rig.harness.acquireSnapshot();
	rig.put('key', 'new');
	const newer = rig.harness.acquireSnapshot();
	rig.execute({
		opcode: opPut,
		key: 'slides',
		value: 'value',
		flags: flagArgument | flagSliding,
		argument: expiresAtMs,
	});
	rig.execute({ opcode: opPut, key: 'ends', value: 'value', flags: flagArgument, argument: expiresAtMs });
	rig.churn();
	assert.equal(readOften(rig, 'key'), 'new');
	assert.deepEqual(
		[rig.get('key', snapshot), rig.get('key', newer), rig.get('ends', newer)],
		['old', 'new', undefined],
	);
	assert.equal(readOften(rig, 'ends'), 'value');
	assert.deepEqual([readOften(rig, 'slides'), rig.reader.wantsTouch], ['value', false]);
	rig.harness.nowMs += 200;
	assert.deepEqual([rig.get('slides'), rig.reader.wantsTouch], ['value', true]);
	rig.harness.nowMs += 1400;
	assert.deepEqual([rig.get('slides'), rig.get('ends')], [undefined, undefined]);
	rig.deleteRange('k', 'l');
	rig.runLog();
	assert.deepEqual([rig.get('key'), rig.get('key', newer), rig.get('key', snapshot)], [undefined, 'new', 'old']);
	rig.put('key', 'again');
	rig.runLog();
	assert.equal(rig.get('key'), 'again');
});
