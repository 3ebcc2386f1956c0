/** Verification and the doctor: they find what is wrong on a partition at work and on one that is closed, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opPut } from '../../../src/command/command-format.js';
import { examinePartition } from '../../../src/storage/lsm/inspect/doctor.js';
import { type VerifyReport, verifyPartition } from '../../../src/storage/lsm/inspect/verify-partition.js';
import { manifestFileName } from '../../../src/storage/lsm/manifest/manifest-format.js';
import { readCurrent, readManifest } from '../../../src/storage/lsm/manifest/manifest-reader.js';
import { SegmentReader } from '../../../src/storage/lsm/wal/segment-reader.js';
import { randomCommand } from '../../support/partition-commands.js';
import { PartitionHarness, type Reply } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const key = (i: number): string => `key${String(i).padStart(4, '0')}`;

/** With a value that does not compress. */
function put(harness: PartitionHarness, name: string, size = 10): Reply {
	const prng = new Prng(size + name.length * 7 + Number(/\d+/.exec(name)?.[0] ?? 0));
	const value = Array.from({ length: size }, () => String.fromCharCode(prng.below(256))).join('');
	return harness.execute({ opcode: opPut, key: name, value });
}

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

function problemsOf({ report }: { report?: VerifyReport }): unknown {
	return report?.problems;
}

test('a log that moves into its next segment between two steps of a verification has no gap', () => {
	const harness = new PartitionHarness(new SimulatedDisk(), { partition: { segmentSpareCount: 2 } });
	for (let i = 0; i < 3; i++) {
		put(harness, key(i), 500);
		harness.settle();
	}
	const outcome = verifyLive(harness);
	const step = (): void => {
		harness.runLog();
		harness.takeNews();
		harness.runJob();
	};
	const isSegment = (): boolean => harness.jobs.some((job) => job.kind === 'verify' && job.task.what === 'segment');
	while (!isSegment()) step();
	// The active segment is read now; then it fills up, and the spare behind it is written to before its turn comes.
	step();
	for (let i = 3; i < 11; i++) {
		put(harness, key(i), 500);
		harness.endDrain();
		harness.runLog();
	}
	harness.settle();
	assert.deepEqual(outcome.report?.problems, []);
	harness.close();
});

test('a manifest that the log thread has still to write is verified once it is there', () => {
	const harness = new PartitionHarness(new SimulatedDisk(), { partition: { manifestEditCountMax: 3 } });
	const rollCount = (): number => Number(harness.partition.maintenance.diskStatistics.manifestRolls);
	harness.settle();
	const before = rollCount();
	for (let i = 0; rollCount() === before; i++) {
		assert(i < 20, 'it rolls on');
		put(harness, key(i));
		harness.endDrain();
		harness.partition.maybeRotate();
		// The log hangs.
		while (rollCount() === before && harness.runJob());
		if (rollCount() === before) harness.settle();
	}
	const outcome = verifyLive(harness);
	while (harness.runJob());
	assert.equal(problemsOf(outcome), undefined, 'it waits');
	harness.settle();
	assert.deepEqual(problemsOf(outcome), []);
	// A log that fails under it: no roll will ever come, and it waits no longer.
	for (let i = 0; rollCount() === before + 1; i++) {
		assert(i < 20, 'it rolls on');
		put(harness, key(i));
		harness.endDrain();
		harness.partition.maybeRotate();
		while (rollCount() === before + 1 && harness.runJob());
		if (rollCount() === before + 1) harness.settle();
	}
	const late = verifyLive(harness);
	while (harness.runJob());
	assert.equal(problemsOf(late), undefined);
	harness.partition.maintenance.refuseWrites(new MillraceError('MILLRACE_POISONED', 'the log failed'));
	assert.deepEqual(problemsOf(late), []);
	harness.abandon();
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
