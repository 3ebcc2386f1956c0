/** A partition on a disk that fills up and has a reserve, with a budget, copied and checked while it works. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, type MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opDelete, opGet, opPut } from '../../../src/command/command-format.js';
import type { CheckpointResult } from '../../../src/storage/lsm/checkpoint.js';
import { examinePartition } from '../../../src/storage/lsm/doctor.js';
import { manifestFileName } from '../../../src/storage/lsm/manifest/manifest-format.js';
import { readCurrent, readManifest } from '../../../src/storage/lsm/manifest/manifest-reader.js';
import { type VerifyReport, verifyPartition } from '../../../src/storage/lsm/verify-partition.js';
import { SegmentReader } from '../../../src/storage/lsm/wal/segment-reader.js';
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

function verifyLive(harness: PartitionHarness): { report?: VerifyReport } {
	const outcome: { report?: VerifyReport } = {};
	harness.partition.maintenance.verify(harness.reachedSequence, (report, failure) => {
		assert.equal(failure, undefined);
		if (report !== undefined) outcome.report = report;
	});
	return outcome;
}

test('verification of a partition at work finds nothing, whatever is flushed, compacted and recycled meanwhile', () => {
	const prng = new Prng(testSeed('live verification'));
	const harness = new PartitionHarness(new SimulatedDisk(), { partition: { manifestEditCountMax: 5 } });
	for (let round = 0; round < 12; round++) {
		const outcome = verifyLive(harness);
		for (let i = 0; i < 50; i++) {
			harness.execute(randomCommand(prng, 0, { keyCount: 40, valueSizeMax: 500, readPercent: 0, clearPerMille: 10 }));
			if (prng.chance(0.3)) harness.endDrain();
			if (prng.chance(0.3)) harness.runJob(prng);
			if (prng.chance(0.1)) harness.flush();
		}
		harness.settle();
		assert.deepEqual(outcome.report?.problems, []);
		assert((outcome.report?.fileCount ?? 0) > 0);
	}
	harness.close();
});

/** A closed partition with tables in two levels and a log. */
function closedPartition(): { disk: SimulatedDisk; state: unknown } {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	harness.settle();
	for (let i = 0; i < 12; i++) put(harness, key(i), 60);
	harness.flush();
	harness.compact('', '');
	for (let i = 0; i < 6; i++) put(harness, key(i * 3), 80);
	harness.flush();
	for (let i = 0; i < 5; i++) {
		put(harness, key(i + 20), 40);
		harness.settle();
	}
	const state = harness.scan();
	harness.close();
	disk.settle();
	return { disk, state };
}

function endOfGroups(disk: SimulatedDisk, segmentId: number): number {
	return new SegmentReader(disk, '/data').read(segmentId, () => undefined).offset;
}

test('every byte changed: verification says in which file, or the partition opens as it was', () => {
	const { disk, state } = closedPartition();
	const clean = verifyPartition(disk, '/data');
	assert.deepEqual(clean.problems, []);
	assert(clean.fileCount >= 4 && clean.entryCount > 20, JSON.stringify(clean));
	const number = readCurrent(disk, '/data');
	const { state: live, size: manifestSize } = readManifest(disk, '/data', number);
	const files = Object.entries(disk.snapshot()).filter(([path]) => {
		const id = Number(/(\d+)\.(sst|wal)$/.exec(path)?.[1]);
		return (
			live.tables.has(id) || live.segments.has(id) || /CURRENT$/.test(path) || path.endsWith(manifestFileName(number))
		);
	});
	const prng = new Prng(1);
	let [found, harmless] = [0, 0];
	for (const [path, size] of files) {
		const isTable = path.endsWith('.sst');
		const segmentId = Number(/(\d+)\.wal$/.exec(path)?.[1] ?? 0);
		const end = segmentId > 0 ? endOfGroups(disk, segmentId) : path.includes('MANIFEST') ? manifestSize : size;
		for (let offset = 0; offset < end; offset++) {
			const damaged = disk.crashAt(0, prng);
			damaged.flipBit(path, offset, offset % 8);
			const { problems } = verifyPartition(damaged, '/data');
			if (problems.length > 0) {
				found++;
				const isNamed = problems.some(({ file }) => file === path) || path.endsWith('CURRENT');
				assert(isNamed, `${path} at ${offset}: ${JSON.stringify(problems)}`);
				continue;
			}
			assert(!isTable, `${path} at ${offset}: not noticed`);
			harmless++;
			const harness = new PartitionHarness(damaged);
			assert.deepEqual(harness.scan(), state, `${path} at ${offset}`);
			harness.abandon();
		}
	}
	assert(found > 3 * harmless, `${found} found, ${harmless} harmless`);
});

test('the doctor explains a healthy partition, and has a remedy for each thing that is wrong', () => {
	const { disk } = closedPartition();
	disk.writeFile('/data/00000099.sst', new Uint8Array(10));
	disk.writeFile('/data/00000007.wal.damaged', new Uint8Array(10));
	disk.writeFile('/data/notes.txt', new Uint8Array(10));
	const before = disk.snapshot();
	const { lines, findings } = examinePartition(disk, '/data');
	assert.deepEqual(findings, []);
	const text = lines.join('\n');
	for (const words of [
		/level 0: 1 file, .* entries/,
		/level [1-6]: 1 file/,
		/sequence numbers to replay/,
		/no reserve file/,
	]) {
		assert.match(text, words);
	}
	assert.match(text, /removed at the next opening: .*00000099\.sst/);
	assert.match(text, /kept: 00000007\.wal\.damaged/);
	assert.match(text, /not ours, left alone: notes\.txt/);
	assert.deepEqual(disk.snapshot(), before, 'nothing was changed');

	const table = Object.keys(before).find((path) => /data.0+\d\d?\.sst$/.test(path) && !path.includes('99')) ?? '';
	const segment = Object.keys(before).find((path) => path.endsWith('.wal')) ?? '';
	const damages: [string, (copy: SimulatedDisk) => void, RegExp, RegExp][] = [
		['a missing table', (copy) => copy.remove(table), /sst: .*(missing|ENOENT)/, /backup/],
		['a damaged table', (copy) => copy.flipBit(table, (before[table] ?? 0) - 3, 1), /sst: .*at byte/, /backup/],
		[
			'a damaged log',
			(copy) => copy.flipBit(segment, 80, 1),
			/wal: at 64: .*had been durable/,
			/--damaged-log truncate/,
		],
		['no CURRENT', (copy) => copy.remove('/data/CURRENT'), /CURRENT/, /backup/],
		[
			'a stray table',
			(copy) => copy.writeFile('/data/99999999.sst', new Uint8Array(9)),
			/newer than anything/,
			/backup/,
		],
	];
	for (const [what, damage, problem, remedy] of damages) {
		const copy = disk.crashAt(disk.position, new Prng(1));
		damage(copy);
		const { findings: found } = examinePartition(copy, '/data');
		assert(
			found.some((finding) => problem.test(finding.problem)),
			`${what}: ${JSON.stringify(found)}`,
		);
		assert(
			found.some((finding) => remedy.test(finding.remedy)),
			`${what}: ${JSON.stringify(found)}`,
		);
	}
});
