/**
 * Deleted ranges take room and are kept like any other write: with long bounds, through a replay, and when a damaged log is cut.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { opDeleteRange, opPut } from '../../../src/command/command-format.js';
import { SegmentReader } from '../../../src/storage/lsm/wal/segment-reader.js';
import { segmentIdOf } from '../../../src/storage/lsm/wal/wal-format.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const value = 'v'.repeat(900);

void test('a range with a long end finds room, live and when the log is replayed into fuller memtables', () => {
	for (let putCount = 2; putCount < 14; putCount++) {
		const disk = new SimulatedDisk();
		const harness = new PartitionHarness(disk);
		for (let i = 0; i < putCount; i++) harness.execute({ opcode: opPut, key: `k${i}`, value });
		harness.partition.maybeRotate();
		harness.execute({ opcode: opDeleteRange, key: 'a', value: 'b'.repeat(6000) });
		harness.endDrain();
		while (harness.queue.published.length > 0) harness.runLog();
		harness.abandon();
		disk.settle();
		const reopened = new PartitionHarness(disk);
		assert.equal(reopened.partition.lastSequence, putCount + 1);
		assert.equal(reopened.scan().length, putCount);
		reopened.abandon();
	}
});

void test('a log cut at its damage keeps the deleted ranges before it', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	for (const key of 'abcdef') harness.execute({ opcode: opPut, key, value });
	harness.flush();
	const step = (opcode: number, key: string, end: string): void => {
		harness.execute({ opcode, key, value: end });
		harness.endDrain();
		harness.runLog();
	};
	step(opDeleteRange, 'a', 'e');
	for (let i = 0; i < 4; i++) step(opPut, `x${i}`, value);
	harness.abandon();
	disk.settle();
	const isDamaged = Object.keys(disk.snapshot()).some((path) => damageGroup(disk, path, 8));
	assert.ok(isDamaged, 'the group behind the deletion was found');
	disk.settle();
	const keys = (opened: PartitionHarness): string =>
		opened
			.scan()
			.map(([key]) => key)
			.join('');
	const cut = new PartitionHarness(disk, { partition: { damagedLog: 'truncate' } });
	assert.equal(keys(cut), 'ef');
	cut.abandon();
	disk.settle();
	assert.equal(keys(new PartitionHarness(disk)), 'ef', 'also at the next open');
});

/** Damages the group that begins with a sequence. @returns false when this file does not hold it */
function damageGroup(disk: SimulatedDisk, path: string, sequence: number): boolean {
	const id = segmentIdOf(path.slice(path.lastIndexOf('/') + 1));
	if (id < 0) return false;
	let offset = -1;
	new SegmentReader(disk, '/data').read(id, (group) => {
		if (group.firstSequence === sequence) offset = group.offset;
	});
	if (offset < 0) return false;
	const bytes = Buffer.from(disk.readFile(path));
	bytes[offset + 20] ^= 0xff;
	disk.writeFile(path, bytes);
	return true;
}
