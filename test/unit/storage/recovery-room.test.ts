/** Openings of a partition whose disk is full, or whose log is damaged: what may be given up, and what never is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { opDelete, opPut } from '../../../src/command/command-format.js';
import { examinePartition } from '../../../src/storage/lsm/inspect/doctor.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

function put(harness: PartitionHarness, index: number, size: number): void {
	harness.execute({ opcode: opPut, key: `key${index}`, value: `${index}`.padEnd(size, 'v') });
	harness.endDrain();
	harness.runLog();
}

/** A partition that was closed in good order: a log of several segments, and spares. */
function closedPartition(count = 14): SimulatedDisk {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	harness.settle();
	for (let i = 0; i < count; i++) put(harness, i, i % 4 === 0 ? 900 : 70);
	harness.settle();
	harness.close();
	disk.settle();
	return disk;
}

const segmentsOf = (disk: SimulatedDisk): string[] =>
	Object.keys(disk.snapshot()).filter((path) => path.endsWith('.wal'));

test('a crash while a damaged log is cut leaves every byte of it, under one of two names', () => {
	const prng = new Prng(testSeed('cut-crash'));
	for (const canLink of [true, false]) {
		const disk = closedPartition();
		const segments = segmentsOf(disk);
		disk.flipBit(segments[0], 500, 1);
		disk.settle();
		const before = new Map(segments.map((path) => [path, disk.readFile(path)]));
		if (!canLink) disk.failNext({ operation: 'link', error: 'EXDEV', persistent: true });
		new PartitionHarness(disk, { partition: { damagedLog: 'truncate' } }).abandon();
		assert(disk.exists(`${segments[0]}.damaged`) && !disk.exists(segments[0]));
		let [cutCount, uncutCount] = [0, 0];
		for (let position = 0; position <= disk.position; position++) {
			for (const crashed of disk.enumerateCrashes(position, { limit: 3, prng })) {
				const names = [crashed.exists(segments[0]), crashed.exists(`${segments[0]}.damaged`)];
				cutCount += names[0] ? 0 : 1;
				uncutCount += names[0] ? 1 : 0;
				// What the next opening does must not take it away, either.
				new PartitionHarness(crashed, { partition: { damagedLog: 'truncate' } }).abandon();
				for (const [path, bytes] of before) {
					const kept = [path, `${path}.damaged`].filter((name) => crashed.exists(name));
					assert(
						kept.some((name) => Buffer.compare(crashed.readFile(name), bytes) === 0),
						`${path}: ${crashed.origin()}`,
					);
				}
			}
		}
		assert(cutCount > 0 && uncutCount > 0, `${cutCount} ${uncutCount}`);
	}
});

test('a damaged header of a blank spare, or a missing one: refused with what it costs, and cut when asked', () => {
	for (const isMissing of [false, true]) {
		const disk = closedPartition();
		const spare = segmentsOf(disk).at(-1) as string;
		if (isMissing) disk.remove(spare);
		else disk.flipBit(spare, 9, 3);
		disk.settle();
		const cost = isMissing ? /held, if anything, nobody can tell/ : /nothing is lost by cutting it there/;
		const before = disk.snapshot();
		assert.throws(() => new PartitionHarness(disk), { code: 'MILLRACE_CORRUPT', message: cost });
		assert.deepEqual(disk.snapshot(), before, 'a refusal changes nothing');
		const { findings } = examinePartition(disk, '/data');
		assert.equal(findings.length, 1);
		assert.match(findings[0].remedy, /--damaged-log truncate/);
		assert.match(findings[0].remedy, cost);
		const opened = new PartitionHarness(disk, { partition: { damagedLog: 'truncate' } });
		assert.equal(opened.scan().length, 14, 'nothing was lost');
		put(opened, 99, 10);
		opened.close();
		assert.equal(disk.exists(`${spare}.damaged`), !isMissing);
		assert.equal(new PartitionHarness(disk).scan().length, 15);
	}
});

test('a damaged header of a segment with data is cut there, and the text says what is lost', () => {
	const disk = closedPartition();
	const [first] = segmentsOf(disk);
	disk.flipBit(first, 9, 3);
	assert.throws(() => new PartitionHarness(disk), { code: 'MILLRACE_CORRUPT', message: /up to sequence 14 at least/ });
	const opened = new PartitionHarness(disk, { partition: { damagedLog: 'truncate' } });
	assert.deepEqual(opened.scan(), []);
	assert(disk.exists(`${first}.damaged`));
});

/** Leaves no successor of the manifest: an opening that did no job is a crash soon after. */
function withoutSuccessor(disk: SimulatedDisk): SimulatedDisk {
	new PartitionHarness(disk).abandon();
	return disk;
}

/** The disk has no byte left. */
function fillUp(disk: SimulatedDisk): void {
	disk.capacityBytes = disk.usedBytes();
}

test('on a full disk, an opening takes the room that a crash left to dead files', () => {
	for (const leftover of ['00000900.wal.tmp', 'RESERVE.tmp', '00000700.sst', 'MANIFEST-000099', 'RESERVE']) {
		const disk = withoutSuccessor(closedPartition(40));
		// The fresh manifest needs it.
		const room = 70 * 1024;
		disk.writeFile(`/data/${leftover}`, new Uint8Array(room + 8192));
		fillUp(disk);
		const opened = new PartitionHarness(disk, { partition: { reserveFileSize: room + 8192 } });
		assert(!disk.exists(`/data/${leftover}`), leftover);
		assert.equal(opened.scan().length, 40);
		assert.equal(opened.execute({ opcode: opDelete, key: 'key1' }).status, 0);
		opened.close();
	}
});

test('an opening that finds no room at all leaves nothing of its own behind', () => {
	const disk = withoutSuccessor(closedPartition());
	fillUp(disk);
	const before = disk.snapshot();
	for (let round = 0; round < 3; round++) {
		assert.throws(() => new PartitionHarness(disk), { code: 'ENOSPC' });
		for (const name of Object.keys(disk.snapshot())) assert(name in before, name);
	}
	disk.capacityBytes = Number.POSITIVE_INFINITY;
	assert.equal(new PartitionHarness(disk).scan().length, 14);
});

test('where no whole segment fits, a short one takes the deletes; it is used up, and never taken for a whole one', () => {
	const segmentSize = 4 << 20;
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { partition: { segmentSize } });
	// No job is done: there is no spare when the crash comes.
	for (let i = 0; i < 14; i++) put(harness, i, 70);
	harness.abandon();
	disk.settle();
	disk.capacityBytes = disk.usedBytes() + (2 << 20);
	const options = { partition: { segmentSize, segmentSpareCount: 1 } };
	const opened = new PartitionHarness(disk, options);
	const active = opened.partition.recovery.segments.activeId;
	const path = `/data/${String(active).padStart(8, '0')}.wal`;
	const { [path]: size } = disk.snapshot();
	assert(size >= 64 << 10 && size < segmentSize, `${size} bytes`);
	assert(!opened.partition.recovery.segments.hasRoom(size), 'its end is known');
	assert.equal(opened.execute({ opcode: opDelete, key: 'key1' }).status, 0);
	opened.endDrain();
	opened.runLog();
	opened.abandon();
	disk.capacityBytes = Number.POSITIVE_INFINITY;
	const again = new PartitionHarness(disk, options);
	assert.equal(again.scan().length, 13);
	again.settle();
	for (const [name, bytes] of Object.entries(disk.snapshot())) {
		if (name.endsWith('.wal') && name !== path) assert(bytes >= segmentSize, `${name}: ${bytes}`);
	}
});
