/** A partition on a disk that fills up and has a reserve, with a budget, copied and checked while it works. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, type MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opDelete, opGet, opPut } from '../../../src/command/command-format.js';
import type { CheckpointResult } from '../../../src/storage/lsm/inspect/checkpoint.js';
import { verifyPartition } from '../../../src/storage/lsm/inspect/verify-partition.js';
import { randomCommand } from '../../support/partition-commands.js';
import { PartitionHarness, type Reply } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const reserveFileSize = 8192;
const key = (i: number): string => `key${String(i).padStart(4, '0')}`;

/** With a value that does not compress. */
function put(harness: PartitionHarness, name: string, size = 10): Reply {
	const prng = new Prng(size + name.length * 7 + Number(/\d+/.exec(name)?.[0] ?? 0));
	const value = Array.from({ length: size }, () => String.fromCharCode(prng.below(256))).join('');
	return harness.execute({ opcode: opPut, key: name, value });
}

function remove(harness: PartitionHarness, name: string): Reply {
	return harness.execute({ opcode: opDelete, key: name });
}

/** Lets a second pass, and what it brings be done. */
function passSecond(harness: PartitionHarness): void {
	harness.endDrain();
	harness.nowMs += 1001;
	harness.execute({ opcode: opGet, key: 'nothing' });
	harness.settle();
}

function diskStateOf(harness: PartitionHarness): string {
	return String(harness.partition.maintenance.diskStatistics.diskState);
}

test('a full disk: the reserve goes, deletes and compactions go on in its room, and puts once there is space for it', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { nowMs: 1000, partition: { reserveFileSize } });
	for (let i = 0; i < 10; i++) put(harness, key(i), 500);
	harness.flush();
	assert.equal(disk.snapshot()['/data/RESERVE'], reserveFileSize);
	for (let i = 0; i < 10; i++) put(harness, key(i), 500);
	harness.settle();
	disk.capacityBytes = disk.usedBytes() + 50;
	harness.flush();
	assert.equal(diskStateOf(harness), 'full');
	assert(!disk.exists('/data/RESERVE'), 'it was given up');
	assert.equal(harness.partition.maintenance.flushCount, 2, 'and the flush went into its room');
	assert.equal(codeOf(put(harness, 'more').status), 'MILLRACE_DISK_FULL');
	assert.match(harness.partition.maintenance.explain(0), /disk is full/);
	for (let i = 0; i < 10; i += 2) {
		assert.equal(remove(harness, key(i)).status, 0, 'deletes are taken');
		assert.equal(harness.execute({ opcode: opGet, key: key(i + 1) }).status, 0, 'reads go on');
	}
	harness.settle();
	for (let i = 0; i < 5; i++) passSecond(harness);
	assert.equal(codeOf(put(harness, 'more').status), 'MILLRACE_DISK_FULL', 'there is no room for the reserve yet');
	disk.capacityBytes = disk.usedBytes() + 20 * reserveFileSize;
	passSecond(harness);
	assert.equal(disk.snapshot()['/data/RESERVE'], reserveFileSize);
	assert.equal(put(harness, 'more').status, 0);
	assert.equal(diskStateOf(harness), 'ok');
	const expected = harness.scan();
	assert.equal(expected.length, 6);
	harness.close();
	const again = new PartitionHarness(disk, { partition: { reserveFileSize } });
	assert.deepEqual(again.scan(), expected);
	again.settle();
	assert(!again.jobs.some((job) => job.kind === 'prepareReserve'), 'the reserve was still there');
	again.close();
});

test('everything deleted on a full disk: unasked, the deletes are flushed and compacted, and puts go on', () => {
	for (const isFlushed of [false, true]) {
		const disk = new SimulatedDisk();
		const harness = new PartitionHarness(disk, { nowMs: 1000, partition: { reserveFileSize: 24 * 1024 } });
		harness.settle();
		disk.capacityBytes = disk.usedBytes() + 100_000;
		let count = 0;
		do {
			while (put(harness, key(count), 700).status === 0) {
				harness.settle();
				assert(++count < 500, 'it fills up');
			}
			for (let i = 0; i < 10; i++) passSecond(harness);
		} while (diskStateOf(harness) === 'ok');
		if (isFlushed) harness.flush();
		assert.equal(diskStateOf(harness), 'full');
		// Nothing can be freed yet: the pauses between tries grow.
		const before = disk.position;
		for (let i = 0; i < 100; i++) passSecond(harness);
		const perSecond = (disk.position - before) / 100;
		assert(perSecond < 5, `${perSecond} changes of the disk a second`);
		for (let i = 0; i < count; i++) assert.equal(remove(harness, key(i)).status, 0, `delete ${i} of ${count}`);
		harness.settle();
		let seconds = 0;
		while (diskStateOf(harness) === 'full' && seconds++ < 30) passSecond(harness);
		assert(seconds < 10, `${seconds} s: ${JSON.stringify(harness.partition.maintenance.diskStatistics)}`);
		assert.equal(put(harness, 'more').status, 0);
		assert.deepEqual(
			harness.scan().map(([name]) => name),
			['more'],
		);
		harness.close();
	}
});

test('over its budget, a partition that is left alone flushes the deletes it took', () => {
	const harness = new PartitionHarness(new SimulatedDisk(), { nowMs: 1000, partition: { diskBudget: 240_000 } });
	let count = 0;
	for (; count < 500 && diskStateOf(harness) === 'ok'; count++) {
		put(harness, key(count), 700);
		harness.settle();
	}
	for (let i = 0; i < count; i++) assert.equal(remove(harness, key(i)).status, 0);
	harness.settle();
	for (let i = 0; i < 10; i++) passSecond(harness);
	assert.equal(diskStateOf(harness), 'ok');
	harness.close();
});

test('over its budget, a partition takes deletes only, until compaction has brought it 5 % below', () => {
	const disk = new SimulatedDisk();
	const diskBudget = 190_000;
	const harness = new PartitionHarness(disk, { nowMs: 1000, partition: { diskBudget } });
	let count = 0;
	for (; count < 1000 && diskStateOf(harness) === 'ok'; count++) {
		assert.equal(put(harness, key(count), 700).status, 0);
		if (count % 8 === 7) harness.flush();
	}
	assert.equal(diskStateOf(harness), 'over budget');
	assert.equal(codeOf(put(harness, 'more', 700).status), 'MILLRACE_DISK_FULL');
	assert.match(harness.partition.maintenance.explain(0), /disk budget of 190000/);
	for (let i = 0; i < count; i++) if (i % 4 !== 0) assert.equal(remove(harness, key(i)).status, 0);
	harness.flush();
	harness.compact('', '');
	harness.settle();
	assert.equal(diskStateOf(harness), 'ok', JSON.stringify(harness.partition.maintenance.diskStatistics));
	assert.equal(put(harness, 'more', 700).status, 0);
	assert.equal(harness.scan().length, Math.ceil(count / 4) + 1);
	harness.close();
});

test('a checkpoint of a partition at work opens with the state of its flush, whatever happens afterwards', () => {
	const prng = new Prng(testSeed('checkpoint of a live partition'));
	const disk = new SimulatedDisk({ directories: ['/copies'] });
	const harness = new PartitionHarness(disk);
	const partition = { partition: {}, directory: '/copies/one' };
	for (let round = 0; round < 6; round++) {
		for (let i = 0; i < 60; i++) {
			harness.execute(randomCommand(prng, 0, { keyCount: 40, valueSizeMax: 300, readPercent: 0, clearPerMille: 5 }));
			if (prng.chance(0.1)) harness.settle();
		}
		harness.flush();
		const expected = harness.scan();
		const { lastSequence } = harness.partition;
		const done: (CheckpointResult | MillraceError | undefined)[] = [];
		const target = `/copies/${round}`;
		harness.partition.maintenance.checkpoint(target, (result, failure) => done.push(result ?? failure));
		harness.partition.maintenance.checkpoint(`${target}b`, (result, failure) => done.push(result ?? failure));
		assert.equal((done.shift() as MillraceError).code, 'MILLRACE_BUSY');
		// The job comes late: everything it was to link is compacted and forgotten before.
		const isCheckpoint = (job: { kind: string }): boolean => job.kind === 'checkpoint';
		const [late] = harness.jobs.splice(harness.jobs.findIndex(isCheckpoint), 1);
		for (let i = 0; i < 40; i++) {
			harness.execute(randomCommand(prng, 0, { keyCount: 40, valueSizeMax: 300, readPercent: 0, clearPerMille: 50 }));
			if (prng.chance(0.3)) harness.endDrain();
			if (prng.chance(0.3)) harness.runJob(prng);
		}
		harness.flush();
		harness.compact('', '');
		harness.jobs.push(late);
		harness.settle();
		const [result] = done as CheckpointResult[];
		assert.equal(result.lastSequence, lastSequence);
		assert.equal(result.copiedBecause, '');
		assert.deepEqual(verifyPartition(disk, target).problems, []);
		const copy = new PartitionHarness(disk, { ...partition, directory: target });
		assert.equal(copy.partition.lastSequence, lastSequence);
		assert.deepEqual(copy.scan(), expected);
		assert.equal(put(copy, 'new').status, 0, 'the copy is a partition like any other');
		copy.close();
	}
	put(harness, 'something to link');
	harness.flush();
	const failures: unknown[] = [];
	disk.failNext({ operation: 'link', error: 'ENOSPC' });
	harness.partition.maintenance.checkpoint('/copies/full', (_, failure) => failures.push(failure?.code));
	harness.settle();
	assert.deepEqual(failures, ['MILLRACE_DISK_FULL']);
	assert.equal(diskStateOf(harness), 'ok', 'the copy’s disk is no matter of the partition');
	assert(!disk.exists('/copies/full'));
	harness.close();
});
