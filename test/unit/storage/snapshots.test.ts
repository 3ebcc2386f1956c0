/** Snapshots: how long they are held, and how they are let go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import { snapshotCountMax } from '../../../src/base/limits.js';
import { flagSequence, opClear, opGet, opPut } from '../../../src/command/command-format.js';
import { releaseLost, SnapshotHandle } from '../../../src/command/snapshot-handle.js';
import { SnapshotRegistry } from '../../../src/storage/lsm/snapshots.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

test('a sequence stays pinned until each of its snapshots is released', () => {
	const snapshots = new SnapshotRegistry(1000, assert.fail);
	for (const sequence of [3, 5, 5, 9]) snapshots.acquire(sequence, 0);
	assert.deepEqual(snapshots.sequences, [3, 5, 9]);
	assert.deepEqual([snapshots.release(5), snapshots.has(5), snapshots.release(3)], [true, true, true]);
	assert.deepEqual([snapshots.release(5), snapshots.release(5), snapshots.release(4)], [true, false, false]);
	assert.deepEqual([snapshots.sequences, snapshots.count], [[9], 1]);
});

test('a snapshot is warned of at half its time and released at the end of it', () => {
	const notes: string[] = [];
	const snapshots = new SnapshotRegistry(1000, (text) => notes.push(text.replace(/:.*/, '')));
	snapshots.acquire(7, 100);
	assert.equal(snapshots.tickDelayMs(100), 500);
	snapshots.tick(599);
	assert.deepEqual(notes, []);
	snapshots.tick(600);
	snapshots.acquire(8, 700);
	snapshots.tick(900);
	assert.deepEqual(notes, ['a snapshot at 7 is held for 500 ms']);
	assert.equal(snapshots.oldestAgeMs(900), 800);
	snapshots.tick(1100);
	assert.deepEqual(notes.slice(1), ['the snapshot at 7 was held for 1000 ms and is released']);
	assert.deepEqual([snapshots.has(7), snapshots.has(8), snapshots.expiredCount], [false, true, 1]);
	snapshots.tick(1200);
	snapshots.tick(1700);
	assert.equal(notes.length, 4);
	assert.equal(snapshots.tickDelayMs(1700), undefined);
});

test('there is a limit to snapshots', () => {
	const snapshots = new SnapshotRegistry(1000, assert.fail);
	for (let i = 0; i < snapshotCountMax; i++) snapshots.acquire(i >> 1, 0);
	assert.throws(
		() => snapshots.acquire(snapshotCountMax, 0),
		(error) => hasCode(error, 'MILLRACE_BUSY'),
	);
	snapshots.release(0);
	snapshots.acquire(snapshotCountMax, 0);
});

test('a handle lets go once: by using, by close, or when it is lost, with a warning', () => {
	const events: string[] = [];
	const make = (): SnapshotHandle => new SnapshotHandle([4], () => events.push('released'));
	{
		using handle = make();
		assert.deepEqual(handle.sequences, [4]);
	}
	const handle = make();
	handle.close();
	handle.close();
	assert.deepEqual(events, ['released', 'released']);
	// The collector cannot be told when to come: what it would call is called here.
	releaseLost({ release: () => events.push('lost'), warn: (text) => events.push(text), stack: 'at here.js:1' });
	assert.equal(events[3], 'lost');
	assert.match(events[2] ?? '', /never closed.*'using'.*Made at here\.js:1/);
});

test('a partition reads at its snapshots until they are released, too old, or cleared away', () => {
	const harness = new PartitionHarness(new SimulatedDisk(), { nowMs: 1000, partition: { snapshotAgeMaxMs: 60_000 } });
	const put = (value: string): void => void harness.execute({ opcode: opPut, key: 'k', value });
	const readAt = (sequence: number): string => {
		const { status, text } = harness.execute({ opcode: opGet, key: 'k', flags: flagSequence, sequence });
		return status === 0 ? text : String(status);
	};
	put('first');
	const first = harness.acquireSnapshot();
	for (let i = 0; i < 5; i++) {
		put(`value ${i}`);
		harness.flush();
	}
	harness.compact('', '');
	assert.equal(readAt(first), 'first');
	assert.equal(readAt(first + 1), '24', 'nothing is pinned there');
	{
		using handle = harness.partition.snapshot();
		assert.equal(readAt(handle.sequences[0]), 'value 4');
	}
	assert.equal(readAt(harness.partition.lastSequence), '24');
	harness.endDrain();
	harness.nowMs += 60_000;
	assert.equal(readAt(first), '24');
	assert.match(harness.notes.join('\n'), /held for 60000 ms and is released/);
	const last = harness.acquireSnapshot();
	harness.execute({ opcode: opClear });
	assert.equal(readAt(last), '24');
	harness.close();
});

test('a release of a snapshot that was dropped by force does not let go of a later one at the same sequence', () => {
	const snapshots = new SnapshotRegistry(1000, () => undefined);
	const drop = (nowMs: number): void => snapshots.tick(nowMs);
	snapshots.acquire(7, 0);
	drop(1000);
	snapshots.acquire(7, 1000);
	assert.deepEqual([snapshots.release(7), snapshots.has(7)], [false, true], 'of the first');
	assert.deepEqual([snapshots.release(7), snapshots.has(7)], [true, false], 'of the second');
	snapshots.acquire(7, 2000);
	snapshots.acquire(7, 2000);
	drop(3000);
	assert.equal(snapshots.release(7), false, 'one of two, before another is pinned');
	snapshots.acquire(7, 3000);
	assert.deepEqual([snapshots.release(7), snapshots.release(7), snapshots.release(7)], [false, true, false]);
	assert.deepEqual([snapshots.sequences, snapshots.count], [[], 0]);
});

test('reads under way are pinned beside snapshots, whose time they do not prolong, until they end or all is cleared', () => {
	const snapshots = new SnapshotRegistry(1000, () => undefined);
	snapshots.acquire(5, 0);
	const read = snapshots.beginRead(5);
	snapshots.beginRead(9);
	snapshots.beginRead(3);
	assert.deepEqual([snapshots.sequences, snapshots.count], [[3, 5, 9], 1]);
	snapshots.tick(1000);
	assert.deepEqual([snapshots.has(5), snapshots.sequences], [false, [3, 5, 9]]);
	snapshots.endRead(3, read);
	assert.deepEqual(snapshots.sequences, [5, 9]);
	snapshots.releaseAll();
	assert.deepEqual([snapshots.sequences, snapshots.isReadKept(read)], [[], false]);
	snapshots.endRead(5, read);
	assert.equal(snapshots.isReadKept(snapshots.beginRead(10)), true);
});

test('what a read keeps can be pinned when it is no longer the newest, and late releases of others do not let go of it', () => {
	const snapshots = new SnapshotRegistry(1000, () => undefined);
	const read = snapshots.beginRead(5);
	snapshots.acquire(5, 0);
	snapshots.acquire(9, 900);
	snapshots.tick(1000);
	assert.deepEqual(snapshots.sequences, [5, 9], 'the snapshot at 5 was too old, the read goes on');
	snapshots.acquire(12, 1100);
	snapshots.acquire(5, 1100);
	snapshots.endRead(5, read);
	assert.deepEqual(snapshots.sequences, [5, 9, 12], 'ascending');
	assert.deepEqual([snapshots.release(5), snapshots.has(5)], [false, true], 'of the one that was dropped');
	assert.deepEqual([snapshots.release(5), snapshots.has(5)], [true, false]);
});
