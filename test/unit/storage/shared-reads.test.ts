/**
 * Synchronous readers of a partition, in one thread: against a model after every kind of command, with the log, flushes and
 * compactions as far as chance brings them; and everything that can happen in the middle of a read, made to happen there.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode, statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { flagArgument, flagSliding, opGet, opPut } from '../../../src/command/command-format.js';
import { writePoison } from '../../../src/command/poison-note.js';
import { sharedDurableLowWord, sharedSize } from '../../../src/command/worker-boot.js';
import { kindPut, makeEntryView, type RangeTombstone } from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { LsmTree } from '../../../src/storage/lsm/lsm-tree.js';
import { partitionOptions } from '../../../src/storage/lsm/partition-options.js';
import { ArenaReader } from '../../../src/storage/lsm/shared/arena-reader.js';
import { PartitionReader, type ReadStep } from '../../../src/storage/lsm/shared/partition-reader.js';
import { viewSizeFor } from '../../../src/storage/lsm/shared/shared-view-format.js';
import { createStorageMemory, storageMemorySizes } from '../../../src/storage/lsm/shared/storage-memory.js';
import { randomCommand, randomKey } from '../../support/partition-commands.js';
import { smallOptions } from '../../support/partition-harness.js';
import { type ModelState, PartitionModel } from '../../support/partition-model.js';
import { testSeed } from '../../support/seed.js';
import { SharedReadRig } from '../../support/shared-read-rig.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const keyCount = 30;
const mix = { keyCount, valueSizeMax: 300, readPercent: 0, clearPerMille: 5 };

/** Compares a read with a state of the model. */
function checkRead(rig: SharedReadRig, state: ModelState, key: string, snapshot?: number): void {
	const { nowMs } = rig.harness;
	const expected = state.entries.get(key);
	const isLive = expected !== undefined && (expected.expiresAtMs === 0 || expected.expiresAtMs > nowMs);
	const bytes = Buffer.from(key, 'latin1');
	const entry = rig.reader.getEntry(bytes, 0, bytes.length, snapshot);
	assert.deepEqual(
		entry && { ...entry, value: Buffer.from(entry.value).toString('latin1') },
		isLive ? { value: expected.value, version: expected.version, expiresAtMs: expected.expiresAtMs } : undefined,
		`${key} at ${state.sequence}`,
	);
	const wanted = PartitionModel.of(state).wantedExpiry({ opcode: opGet, key }, nowMs);
	assert.equal(rig.reader.wantsTouch, snapshot === undefined && wanted !== 0, `the touch of ${key}`);
}

function runModel(seed: number, stepCount: number): Record<string, number> {
	const prng = new Prng(seed);
	const rig = new SharedReadRig();
	const { harness } = rig;
	const model = new PartitionModel();
	/** Those that may be the newest durable one, in order. */
	let states: ModelState[] = [model.copy()];
	const durableState = (): ModelState => {
		const first = states.findLastIndex(({ sequence }) => sequence <= harness.reachedSequence);
		states = states.slice(first);
		return states[0];
	};
	rig.onStep = (step) => {
		if (step === 'wait') rig.runLog();
	};
	for (let step = 0; step < stepCount; step++) {
		const command = randomCommand(prng, harness.nowMs, { ...mix, versionOf: (key) => model.versionOf(key) });
		harness.execute(command);
		model.apply(command, harness.drainMs);
		assert.equal(model.sequence, harness.partition.lastSequence, 'the model keeps up');
		states.push(model.copy());
		if (prng.chance(0.2)) harness.endDrain();
		if (prng.chance(0.1)) rig.runLog(prng.below(4));
		if (prng.chance(0.1)) harness.runJob(prng);
		if (prng.chance(0.02)) harness.takeNews();
		if (prng.chance(0.01)) harness.flush();
		if (prng.chance(0.005)) harness.compact('', '');
		if (prng.chance(0.05)) harness.nowMs += prng.below(200);
		if (prng.chance(0.02) && model.snapshots.size < 3) {
			harness.acquireSnapshot();
			model.pin();
		}
		if (prng.chance(0.01)) {
			for (const sequence of model.snapshots.keys()) harness.partition.releaseSnapshot(sequence);
			model.snapshots.clear();
		}
		rig.publishDurable();
		for (let i = 0; i < 4; i++) {
			const key = randomKey(prng, keyCount);
			const bytes = Buffer.from(key, 'latin1');
			// What it waits for moves the durable sequence, and is then waited for no more.
			rig.reader.get(bytes, 0, bytes.length);
			checkRead(rig, durableState(), key);
			for (const [sequence, state] of model.snapshots) checkRead(rig, state, key, sequence);
		}
	}
	const statistics = rig.reader.statistics();
	rig.reader.close();
	harness.close();
	return statistics;
}

test('reads are those of the newest durable state, and of snapshots', () => {
	const seed = testSeed('shared reads');
	const runs = Array.from({ length: 6 }, (_, run) => runModel(seed + run, 500));
	const sum = (name: string): number => runs.reduce((total, statistics) => total + statistics[name], 0);
	assert.ok(sum('tablesOpened') > 6 && sum('waitsForLog') > 6 && sum('readsInMemtables') > 1000, 'of every kind');
	assert.ok(sum('readsInTables') > 1000 && sum('readsInRows') > 1000 && sum('rowsAdmitted') > 100, 'of tables, too');
});

const steps: readonly ReadStep[] = ['view', 'durable', 'looked', 'copied'];

test('an arena that is reset in the middle of a read is noticed, at every step', () => {
	for (const step of steps) {
		const rig = new SharedReadRig();
		rig.put('key', 'value');
		rig.runLog();
		assert.equal(rig.get('key'), 'value');
		rig.once(step, () => rig.churn());
		assert.equal(rig.get('key'), 'value', `reset at '${step}'`);
		assert.ok(rig.reader.statistics().retries > 0, `a retry after '${step}'`);
		// Absence, too, must not be what a reset arena says.
		rig.put('other', 'here');
		rig.runLog();
		rig.once('durable', () => rig.churn());
		assert.equal(rig.get('other'), 'here');
		// Nor a deleted range of other times.
		rig.deleteRange('o', 'p');
		rig.runLog();
		rig.once('view', () => rig.churn());
		assert.equal(rig.get('other'), undefined);
		assert.equal(rig.get('key'), 'value');
	}
});

test('a value in a table that is compacted away and removed in the middle of a read is found', () => {
	const rig = new SharedReadRig();
	rig.put('key', 'old');
	rig.churn();
	for (const step of ['view', 'durable', 'looked'] as const) {
		rig.put('key', step);
		rig.churn();
		rig.once(step, () => {
			rig.harness.compact('', '');
			rig.churn();
		});
		assert.equal(rig.get('key'), step);
	}
	assert.ok(rig.reader.statistics().retries > 0, 'a file was gone');
});

test('a table that is not there although the view names it is damage', () => {
	const rig = new SharedReadRig();
	rig.put('key', 'value');
	rig.churn();
	for (const name of rig.fileSystem.list('/data')) if (name.endsWith('.sst')) rig.fileSystem.remove(`/data/${name}`);
	assert.throws(
		() => rig.get('key'),
		(error) => hasCode(error, 'MILLRACE_CORRUPT'),
	);
});

test('what is not durable is not seen, unless somebody was told of it', () => {
	const rig = new SharedReadRig();
	rig.put('key', 'old');
	rig.runLog();
	const version = rig.put('key', 'new');
	rig.deleteRange('key', 'kez');
	rig.put('key', 'newest');
	assert.equal(rig.get('key'), 'old');
	let waitCount = 0;
	rig.onStep = (step) => {
		if (step === 'wait' && ++waitCount === 2) rig.runLog();
	};
	rig.harness.partition.promise(version);
	assert.equal(rig.get('key'), 'newest');
	assert.equal(waitCount, 2);
});

test('absence that a clear or a table not yet durable may be the reason of is waited for', () => {
	const rig = new SharedReadRig();
	const poison = (): void => writePoison(rig.memory.shared, 'MILLRACE_POISONED', 'the disk is gone');
	rig.put('key', 'value');
	rig.runLog();
	rig.clear();
	rig.once('wait', () => rig.runLog());
	assert.equal(rig.get('key'), undefined);
	assert.equal(rig.reader.statistics().waitsForLog, 1);
	rig.put('key', 'again');
	rig.runLog();
	rig.clear();
	rig.put('other', 'not durable');
	rig.once('wait', poison);
	assert.throws(
		() => rig.get('key'),
		(error) => hasCode(error, 'MILLRACE_POISONED'),
	);
});

test('tables that lack what is durable, for what is not, are waited for', () => {
	const rig = new SharedReadRig();
	const { harness } = rig;
	rig.put('key', 'old');
	rig.settle();
	rig.put('key', 'new');
	// All of it without the log: the new version is flushed and compacted, and drives the old one out.
	const flush = (): void => {
		assert.equal(harness.partition.maybeRotate(), statusOk);
		harness.endDrain();
		while (harness.runJob());
	};
	flush();
	harness.partition.maintenance.compactRange(Buffer.alloc(0), Buffer.alloc(0), () => undefined);
	flush();
	for (let i = 0; i < 3; i++) {
		rig.put('other', String(i));
		flush();
	}
	assert.equal(harness.partition.recovery.tree.view.readableMemtables.length, 3, 'arenas were used again');
	rig.once('wait', () => rig.runLog());
	assert.equal(rig.get('key'), 'new');
	assert.equal(rig.reader.statistics().waitsForLog, 1);
});

test('sequences beyond 32 bits are told from their low words', () => {
	const options = partitionOptions(smallOptions);
	for (const start of [2 ** 31 - 5, 2 ** 32 - 5, 2 ** 40 + 2 ** 31, 2 ** 52]) {
		const storage = createStorageMemory({ ...storageMemorySizes(options), viewSize: viewSizeFor(10) });
		const shared = new SharedArrayBuffer(sharedSize);
		const tree = new LsmTree(options, [], 0, storage);
		tree.beginAfter(start);
		const memory = { partition: 0, directory: '/data', shared, ...storage, blockCacheSize: 0 };
		const reader = new PartitionReader(new SimulatedDisk(), memory);
		const key = Buffer.from('key');
		for (let sequence = start + 1; sequence < start + 10; sequence++) {
			const value = Buffer.from(String(sequence));
			tree.put(keyHash(key, 0, 3), key, 0, 3, sequence, kindPut, 0, value, 0, value.length);
			Atomics.store(new Int32Array(shared), sharedDurableLowWord, (sequence - 1) | 0);
			assert.equal(reader.getEntry(key, 0, 3)?.version, sequence === start + 1 ? undefined : sequence - 1);
			assert.equal(reader.statistics().waitsForLog, 0);
		}
	}
});

test('snapshots that were dropped are refused, those that are pinned again are not', () => {
	const rig = new SharedReadRig({ partition: { snapshotAgeMaxMs: 1000 } });
	const read = (snapshot: number) => rig.get('key', snapshot);
	const isGone = (error: unknown): boolean => hasCode(error, 'MILLRACE_SNAPSHOT');
	rig.put('key', 'old');
	const old = rig.harness.acquireSnapshot();
	rig.put('key', 'new');
	const newer = rig.harness.acquireSnapshot();
	rig.runLog();
	rig.churn();
	assert.deepEqual([read(old), read(newer)], ['old', 'new']);
	rig.harness.nowMs += 2000;
	rig.harness.execute({ opcode: opGet, key: 'key' });
	assert.throws(() => read(old), isGone);
	assert.throws(() => read(newer), isGone);
	// Nothing was written since: the same sequence again.
	const held = rig.harness.acquireSnapshot();
	rig.harness.endDrain();
	rig.harness.nowMs += 2000;
	rig.harness.execute({ opcode: opGet, key: 'key' });
	assert.throws(() => read(held), isGone);
	assert.equal(rig.harness.acquireSnapshot(), held);
	assert.equal(read(held), 'new');
	rig.clear();
	rig.runLog();
	assert.throws(() => read(held), isGone);
	const empty = rig.harness.acquireSnapshot();
	assert.equal(read(empty), undefined);
	// More than are named: the floor rises.
	for (let i = 0; i < 50; i++) {
		rig.put('key', String(i));
		rig.harness.acquireSnapshot();
	}
	rig.runLog();
	rig.harness.nowMs += 2000;
	rig.harness.execute({ opcode: opGet, key: 'key' });
	for (let i = 1; i <= 50; i++) assert.throws(() => read(empty + i), isGone);
});

test('a sliding entry asks to be touched when its time is due', () => {
	const rig = new SharedReadRig();
	const expiresAtMs = rig.harness.nowMs + 1600;
	rig.execute({ opcode: opPut, key: 'key', value: 'value', flags: flagArgument | flagSliding, argument: expiresAtMs });
	rig.runLog();
	assert.deepEqual([rig.get('key'), rig.reader.wantsTouch], ['value', false]);
	rig.harness.nowMs += 200;
	assert.deepEqual([rig.get('key'), rig.reader.wantsTouch], ['value', true]);
	rig.harness.nowMs += 1400;
	assert.deepEqual([rig.get('key'), rig.reader.wantsTouch], [undefined, false]);
});

test('bounds that a row of the view cuts off lead to the right table all the same', () => {
	const rig = new SharedReadRig({ partition: { blockCacheSize: 0 } });
	const prefix = 'p'.repeat(70);
	for (let i = 0; i < 200; i++) rig.put(prefix + String(i).padStart(4, '0'), `${i} ${'v'.repeat(200)}`);
	rig.put(prefix.slice(0, 56), 'just as long as the row');
	rig.put(prefix.slice(0, 55), 'shorter');
	rig.settle();
	rig.harness.compact('', '');
	rig.churn();
	for (let i = 0; i < 200; i++) assert.ok(rig.get(prefix + String(i).padStart(4, '0'))?.startsWith(`${i} `));
	assert.equal(rig.get(prefix.slice(0, 56)), 'just as long as the row');
	assert.equal(rig.get(prefix.slice(0, 55)), 'shorter');
	assert.equal(rig.get(prefix), undefined);
	assert.equal(rig.get('q'), undefined);
});

test('more tables than the view holds, and a closed partition, are refused with a code', () => {
	const rig = new SharedReadRig({ tableCount: 1 });
	rig.put('key', 'value');
	rig.runLog();
	assert.equal(rig.get('key'), 'value');
	rig.churn();
	assert.throws(
		() => rig.get('key'),
		(error) => hasCode(error, 'MILLRACE_BUSY'),
	);
	rig.harness.close();
	assert.throws(
		() => rig.get('key'),
		(error) => hasCode(error, 'MILLRACE_CLOSED'),
	);
	rig.reader.close();
	assert.throws(
		() => rig.get('key'),
		(error) => hasCode(error, 'MILLRACE_CLOSED'),
	);
});

test('whatever is in an arena, looking into it ends and does no harm', () => {
	const seed = testSeed('arenas of garbage');
	const prng = new Prng(seed);
	const arena = new SharedArrayBuffer(16 * 1024);
	const words = new Int32Array(arena);
	const reader = new ArenaReader(arena);
	const view = makeEntryView();
	const counts = { torn: 0, found: 0, absent: 0 };
	for (let round = 0; round < 3000; round++) {
		// Small numbers look like offsets and sizes.
		const isSmall = prng.chance(0.7);
		for (let i = 0; i < words.length; i++) words[i] = isSmall ? prng.below(words.length) : prng.nextU32();
		const key = Buffer.alloc(1 + prng.below(3), prng.below(256));
		const hash = prng.chance(0.5) ? prng.below(words.length) : keyHash(key, 0, key.length);
		const entry = reader.find(hash, key, 0, key.length, prng.below(2 ** 30));
		if (entry < 0) counts.torn++;
		else if (entry === 0) counts.absent++;
		else counts.found++;
		if (entry > 0 && reader.show(entry, view)) {
			assert.ok(view.valueOffset + view.valueSize <= arena.byteLength);
		}
		const any = 200 + prng.below(words.length - 300);
		if (reader.show(any, view)) assert.ok(view.valueSize >= 0 && view.valueOffset + view.valueSize <= arena.byteLength);
		const found: RangeTombstone[] = [];
		reader.copyRanges(prng.below(words.length), prng.below(2 ** 30), found);
		assert.ok(found.length < words.length);
	}
	assert.ok(counts.torn > 0, JSON.stringify(counts));
});
