/** Snapshots of the asking thread: all partitions or none, released once, whatever happens meanwhile. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { hasCode, MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opReleaseSnapshot, opSnapshot } from '../../../src/command/command-format.js';
import { createDatabaseMemory, GateSlot, loadEpoch } from '../../../src/command/database-memory.js';
import type { Command } from '../../../src/engine/asker.js';
import { EpochGate } from '../../../src/engine/epoch-gate.js';
import { Snapshots } from '../../../src/engine/snapshots.js';
import { FakePartitions } from '../../support/fake-partitions.js';
import { testSeed } from '../../support/seed.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function makeSnapshots(partitionCount = 3) {
	const partitions = new FakePartitions(partitionCount, new Prng(testSeed('snapshots')));
	for (let i = 0; i < 20; i++) partitions.write(`key ${i}`, 'v');
	const memory = createDatabaseMemory();
	const gate = new EpochGate(new GateSlot(memory, 0));
	const other = new GateSlot(memory, 1);
	const epoch = (): number => loadEpoch(new Int32Array(memory));
	return { partitions, gate, other, epoch, snapshots: new Snapshots(partitions, gate) };
}

async function settle(): Promise<void> {
	for (let i = 0; i < 12; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Refuses `count` pins in a partition with an error. */
function refusePins(
	partitions: FakePartitions,
	partition: number,
	count: number,
	code: 'MILLRACE_BUSY' | 'MILLRACE_SNAPSHOT',
) {
	let left = count;
	partitions.onRequest = (at: number, { opcode }: Command) => {
		if (opcode === opSnapshot && at === partition && left-- > 0) throw new MillraceError(code, 'no');
	};
}

test('a snapshot pins each partition once, at a new epoch, until it is closed', async () => {
	const { partitions, snapshots, epoch } = makeSnapshots();
	{
		using snapshot = await snapshots.acquire();
		assert.equal(epoch(), 1);
		assert.equal(partitions.pinnedCount, 3);
		assert.equal(snapshots.sequenceAt(snapshot, 2), snapshot.sequences[2]);
		const foreign = makeSnapshots().snapshots;
		assert.throws(() => foreign.sequenceAt(snapshot, 0), TypeError);
		assert.throws(() => snapshots.sequenceAt({ ...snapshot } as typeof snapshot, 0), TypeError);
		snapshot.close();
		assert.throws(
			() => snapshots.sequenceAt(snapshot, 0),
			(error) => hasCode(error, 'MILLRACE_SNAPSHOT'),
		);
	}
	await settle();
	assert.equal(partitions.pinnedCount, 0);
	assert.equal(partitions.counts.get(opReleaseSnapshot), 3, 'closing again releases nothing');
});

test('when one partition refuses, the others let go; when it was cleared meanwhile, another cut is made', async () => {
	const { partitions, snapshots, epoch } = makeSnapshots();
	refusePins(partitions, 1, 1, 'MILLRACE_BUSY');
	await assert.rejects(snapshots.acquire(), (error) => hasCode(error, 'MILLRACE_BUSY'));
	await settle();
	assert.equal(partitions.pinnedCount, 0);
	refusePins(partitions, 2, 2, 'MILLRACE_SNAPSHOT');
	const snapshot = await snapshots.acquire();
	assert.equal(epoch(), 4);
	await settle();
	assert.equal(partitions.pinnedCount, 3);
	snapshot.close();
	refusePins(partitions, 2, 100, 'MILLRACE_SNAPSHOT');
	await assert.rejects(snapshots.acquire(), (error) => hasCode(error, 'MILLRACE_SNAPSHOT'));
	await settle();
	assert.equal(partitions.pinnedCount, 0);
});

test('a snapshot taken at once has its cut then, unless a batch is under way, and may be closed before it is ready', async () => {
	const { partitions, snapshots, other, epoch } = makeSnapshots();
	const soon = snapshots.acquireSoon();
	assert.equal(epoch(), 1, 'cut');
	assert.equal(soon.cut, undefined);
	assert.throws(
		() => snapshots.sequenceAt(soon, 0),
		(error) => hasCode(error, 'MILLRACE_SNAPSHOT'),
	);
	await soon.ready;
	assert.equal(snapshots.sequenceAt(soon, 0), soon.sequences[0]);
	soon.close();
	const early = snapshots.acquireSoon();
	early.close();
	await early.ready;
	await settle();
	assert.equal(partitions.pinnedCount, 0);
	assert.ok(other.maybeEnterBatch());
	const later = snapshots.acquireSoon();
	assert.equal(epoch(), 2);
	other.leaveBatch();
	await later.cut;
	assert.equal(epoch(), 3);
	await later.ready;
	later.close();
	refusePins(partitions, 0, 1, 'MILLRACE_BUSY');
	const failed = snapshots.acquireSoon();
	await assert.rejects(failed.ready, (error) => hasCode(error, 'MILLRACE_BUSY'));
	failed.close();
	await settle();
	assert.equal(partitions.pinnedCount, 0);
});

test('closing beside or after the end of the database harms nobody', async () => {
	const { partitions, snapshots, gate } = makeSnapshots();
	const snapshot = await snapshots.acquire();
	const closed = new MillraceError('MILLRACE_CLOSED', 'closed');
	snapshots.end(closed);
	gate.end(closed);
	partitions.onRequest = () => {
		throw closed;
	};
	snapshot.close();
	await settle();
	await assert.rejects(snapshots.acquire(), (error) => hasCode(error, 'MILLRACE_CLOSED'));
	const soon = snapshots.acquireSoon();
	await assert.rejects(soon.ready, (error) => hasCode(error, 'MILLRACE_CLOSED'));
	soon.close();
	await settle();
});

test('a snapshot that nobody closed is released by the collector, with a word about where it was made', async () => {
	const { partitions, snapshots } = makeSnapshots();
	const warnings: Error[] = [];
	const hear = (warning: Error): number => warnings.push(warning);
	process.on('warning', hear);
	const dropOne = async (): Promise<void> => void (await snapshots.acquire());
	await dropOne();
	assert.equal(partitions.pinnedCount, 3);
	for (let i = 0; i < 200 && warnings.length === 0; i++) {
		collectGarbage();
		await new Promise((resolve) => setImmediate(resolve));
	}
	process.off('warning', hear);
	await settle();
	assert.equal(partitions.pinnedCount, 0);
	assert.match(warnings[0]?.message ?? '', /a snapshot was never closed.*dropOne/s);
});
