/** A partition on a disk that fails or fills up, and a log that hangs: what is promised, refused, and goes on by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, hasCode, statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opClear, opDelete, opGet, opPut } from '../../../src/command/command-format.js';
import { PartitionHarness, type Reply } from '../../support/partition-harness.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

function put(harness: PartitionHarness, key: string, size = 10): Reply {
	return harness.execute({ opcode: opPut, key, value: 'v'.repeat(size) });
}

function keysOf(harness: PartitionHarness): string[] {
	return harness.scan().map(([key]) => key);
}

/** Runs jobs until none is left, while the log hangs. */
function runJobsOnly(harness: PartitionHarness): void {
	while (harness.runJob());
}

test('a failed sync of the log at any call: nothing later is acknowledged, and everything that was is there afterwards', () => {
	for (let after = 0; after < 20; after++) {
		const disk = new SimulatedDisk();
		const harness = new PartitionHarness(disk);
		harness.settle();
		disk.failNext({ operation: 'sync', path: /wal$/, after, error: 'EIO' });
		const acknowledged: string[] = [];
		let isFailed = false;
		for (let i = 0; i < 20; i++) {
			const key = `key${String(i).padStart(2, '0')}`;
			const reply = put(harness, key, 300);
			harness.settle();
			isFailed ||= harness.logError !== undefined || harness.partition.maintenance.refusal !== undefined;
			if (reply.hasLeft && reply.status === 0) {
				assert(!isFailed, 'nothing is acknowledged after a failure');
				acknowledged.push(key);
			}
		}
		assert(isFailed, `a sync failed, after ${after} others`);
		assert.equal(codeOf(put(harness, 'more').status), 'MILLRACE_POISONED');
		const served = harness.execute({ opcode: opGet, key: 'key00' });
		assert(after === 0 || served.status === 0, 'reads go on');
		harness.abandon();
		for (const survivor of [disk.crashAt(disk.position, new Prng(after)), disk]) {
			survivor.clearFaults();
			const again = new PartitionHarness(survivor);
			const keys = keysOf(again);
			assert.deepEqual(keys.slice(0, acknowledged.length), acknowledged);
			assert(keys.length <= acknowledged.length + 1, 'at most the one in doubt besides');
			again.close();
		}
	}
});

test('a failed write of the log ends it: the executor is not used again', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	harness.settle();
	put(harness, 'a');
	harness.settle();
	disk.failNext({ operation: 'write', path: /wal$/, error: 'EIO', writtenSize: 30 });
	const doubtful = put(harness, 'b');
	harness.settle();
	assert(!doubtful.hasLeft && harness.logError !== undefined);
	const read = harness.execute({ opcode: opGet, key: 'b' });
	harness.settle();
	assert(!read.hasLeft, 'what is not durable is not shown');
	assert(harness.execute({ opcode: opGet, key: 'a' }).hasLeft);
	harness.abandon();
	assert.deepEqual(keysOf(new PartitionHarness(disk)), ['a']);
});

test('a full disk refuses writes when room runs out, and goes on by itself when space returns', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { nowMs: 1000 });
	harness.settle();
	disk.capacityBytes = disk.usedBytes() + 600;
	const accepted: string[] = [];
	let refused: Reply | undefined;
	for (let i = 0; i < 60 && refused === undefined; i++) {
		const key = `key${String(i).padStart(2, '0')}`;
		const reply = put(harness, key, 700);
		harness.settle();
		if (reply.status === 0) accepted.push(key);
		else refused = reply;
	}
	assert(refused !== undefined && accepted.length > 3, `${accepted.length} accepted`);
	assert.equal(codeOf(refused.status), 'MILLRACE_DISK_FULL');
	assert.equal(harness.logError, undefined, 'the log is unharmed');
	assert.deepEqual(keysOf(harness), accepted, 'reads go on');
	harness.settle();
	assert.equal(codeOf(put(harness, 'x', 700).status), 'MILLRACE_DISK_FULL', 'still full');
	disk.capacityBytes = Number.POSITIVE_INFINITY;
	harness.endDrain();
	harness.nowMs += harness.partition.maintenance.tickDelayMs(harness.nowMs) ?? 0;
	for (let i = 0; i < 30; i++) {
		const key = `new${String(i).padStart(2, '0')}`;
		assert.equal(put(harness, key, 700).status, 0, key);
		harness.settle();
		accepted.push(key);
	}
	assert.deepEqual(keysOf(harness), accepted);
	assert.equal(harness.partition.maintenance.isDiskFull, false);
	harness.close();
	assert.deepEqual(keysOf(new PartitionHarness(disk)), accepted);
});

test('a full disk is tried again after a second, also when the clock was put back', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { nowMs: 5_000_000 });
	disk.failNext({ operation: 'write', path: /wal.tmp$/, error: 'ENOSPC', persistent: true });
	put(harness, 'a');
	harness.settle();
	const { maintenance } = harness.partition;
	assert(maintenance.isDiskFull);
	harness.nowMs = 1_000_000;
	assert((maintenance.tickDelayMs(harness.nowMs) ?? 0) <= 1000, `in ${maintenance.tickDelayMs(harness.nowMs)} ms`);
	harness.execute({ opcode: opGet, key: 'a' });
	harness.settle();
	assert(maintenance.isDiskFull, 'tried again, and still full');
	assert((maintenance.tickDelayMs(harness.nowMs) ?? 0) > 1, 'not in a busy loop');
	disk.clearFaults();
	harness.nowMs += 1000;
	harness.execute({ opcode: opGet, key: 'a' });
	harness.settle();
	assert(!maintenance.isDiskFull);
	harness.close();
});

test('a full disk in the middle of a flush loses nothing', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { nowMs: 1000 });
	for (let i = 0; i < 8; i++) put(harness, `key${i}`, 400);
	harness.settle();
	disk.failNext({ operation: 'write', path: /sst$/, error: 'ENOSPC', writtenSize: 100 });
	harness.partition.maybeRotate();
	harness.settle();
	assert(harness.partition.maintenance.isDiskFull);
	assert.equal(harness.partition.maintenance.flushCount, 0);
	assert(!Object.keys(disk.snapshot()).some((path) => path.endsWith('.sst')), 'nothing half-made stays');
	assert.equal(keysOf(harness).length, 8);
	harness.endDrain();
	harness.nowMs += 1000;
	assert.equal(keysOf(harness).length, 8);
	harness.settle();
	assert.equal(harness.partition.maintenance.flushCount, 1);
	assert.equal(keysOf(harness).length, 8);
	harness.close();
});

test('an I/O error in a flush refuses writes, and reads go on', () => {
	for (const operation of ['write', 'sync', 'read', 'open'] as const) {
		const disk = new SimulatedDisk();
		const harness = new PartitionHarness(disk);
		for (let i = 0; i < 8; i++) put(harness, `key${i}`, 400);
		harness.settle();
		disk.failNext({ operation, path: /sst$/, error: 'EIO' });
		harness.partition.maybeRotate();
		harness.settle();
		assert(hasCode(harness.partition.maintenance.refusal, 'MILLRACE_POISONED'), operation);
		assert.equal(codeOf(put(harness, 'more').status), 'MILLRACE_POISONED');
		assert.equal(harness.execute({ opcode: opGet, key: 'key3' }).status, 0);
		assert.equal(keysOf(harness).length, 8);
		harness.close();
		const again = new PartitionHarness(disk);
		assert.equal(keysOf(again).length, 8);
		assert.equal(put(again, 'more').status, 0);
		again.close();
	}
});

test('while the log hangs, a read of a key that a compaction has dropped waits for the delete it depends on', () => {
	const harness = new PartitionHarness(new SimulatedDisk());
	for (let i = 0; i < 7; i++) {
		put(harness, i === 0 ? 'gone' : `key${i}`);
		harness.flush();
	}
	const removed = harness.execute({ opcode: opDelete, key: 'gone' });
	harness.endDrain();
	assert.equal(harness.partition.maybeRotate(), statusOk);
	runJobsOnly(harness);
	assert.equal(harness.partition.maintenance.compactionCount, 1);
	const read = harness.execute({ opcode: opGet, key: 'gone' });
	assert.equal(read.status, 1);
	assert(!removed.hasLeft && !read.hasLeft, 'nobody may see a delete that can still be lost');
	harness.settle();
	assert(removed.hasLeft && read.hasLeft);
	harness.close();
});

test('a clear while a flush and a compaction are under way: their tables never appear, and their files go', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	for (let i = 0; i < 3; i++) {
		put(harness, 'key');
		put(harness, `last${i}`);
		harness.flush();
	}
	put(harness, 'key');
	put(harness, 'last');
	harness.endDrain();
	assert.equal(harness.partition.maybeRotate(), statusOk);
	while (harness.jobs.some((job) => job.kind === 'flush')) harness.runJob();
	put(harness, 'in flight');
	harness.endDrain();
	assert.equal(harness.partition.maybeRotate(), statusOk);
	assert(harness.jobs.some((job) => job.kind === 'compact') && harness.jobs.some((job) => job.kind === 'flush'));
	harness.execute({ opcode: opClear });
	harness.settle();
	assert.deepEqual(keysOf(harness), []);
	harness.settle();
	assert(!Object.keys(disk.snapshot()).some((path) => path.endsWith('.sst')), String(Object.keys(disk.snapshot())));
	put(harness, 'after');
	harness.close();
	assert.deepEqual(keysOf(new PartitionHarness(disk)), ['after']);
});
