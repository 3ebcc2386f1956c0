/** What writes do and answer, in small transcripts: versions, batches, sliding expiries, deleted ranges; and explain. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, statusNotFound } from '../../../src/base/errors.js';
import { rangeTombstoneCountMax } from '../../../src/base/limits.js';
import {
	flagArgument,
	flagIfAbsent,
	flagKeepExpiry,
	flagSequence,
	flagSliding,
	opAppend,
	opBatch,
	opDelete,
	opDeleteRange,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opSetExpiry,
} from '../../../src/command/command-format.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';
import type { TestCommand } from '../../support/test-command.js';

function open(nowMs = 1000): PartitionHarness {
	return new PartitionHarness(new SimulatedDisk(), { nowMs });
}

/** Answers in a line each: number and text, or the status. */
function answers(harness: PartitionHarness, commands: readonly TestCommand[]): string[] {
	return commands.map((command) => {
		const { status, number, text } = harness.execute(command);
		if (status === 0) return text === '' ? `${number}` : `${number} ${text}`;
		return status === statusNotFound ? `not found ${number}` : `${codeOf(status)} ${number}`;
	});
}

test('every write answers with its version, and a condition on the version is met by that one alone', () => {
	const harness = open();
	const ifVersion = (sequence: number): TestCommand => ({
		opcode: opPut,
		flags: flagSequence,
		sequence,
		key: 'k',
		value: 'v',
	});
	assert.deepEqual(
		answers(harness, [
			ifVersion(7),
			ifVersion(0),
			ifVersion(0),
			{ opcode: opAppend, key: 'k', value: 'w' },
			ifVersion(1),
			ifVersion(2),
			{ opcode: opSetExpiry, flags: flagArgument, argument: 5000, key: 'k' },
			{ opcode: opDelete, flags: flagSequence, sequence: 3, key: 'k' },
			{ opcode: opDelete, flags: flagSequence, sequence: 4, key: 'k' },
			{ opcode: opIncrement, flags: flagSequence, sequence: 0, key: 'n', value: '5' },
			{ opcode: opDeleteRange, key: 'a', value: 'z' },
			{ opcode: opDeleteRange, key: 'z', value: 'a' },
			{ opcode: opGet, key: 'n' },
		]),
		[
			'not found 0',
			'1',
			'not found 0',
			'2 2',
			'not found 0',
			'3',
			'4',
			'not found 0',
			'5',
			'6 5',
			'7',
			'0',
			'not found 0',
		],
	);
	harness.close();
});

test('a batch is done whole or not at all, and each of its commands sees those before it', () => {
	const harness = open();
	const put: TestCommand = { opcode: opPut, key: 'a', value: 'x' };
	const add: TestCommand = { opcode: opIncrement, key: 'n', value: '2' };
	const putAbsent: TestCommand = { ...put, flags: flagIfAbsent };
	const batch = (...commands: TestCommand[]): TestCommand => ({ opcode: opBatch, commands });
	assert.deepEqual(
		answers(harness, [
			batch(add, put, putAbsent),
			batch(put, add, { opcode: opIncrement, key: 'a', value: '1' }),
			{ opcode: opGet, key: 'n' },
			batch(add, add, { opcode: opAppend, key: 'n', value: '0' }, add),
			{ opcode: opGet, key: 'n' },
			batch(put, { opcode: opDeleteRange, key: 'a', value: 'b' }, putAbsent, { opcode: opDelete, key: 'none' }),
			{ opcode: opGet, key: 'a' },
			batch({ opcode: opDelete, key: 'none' }, { opcode: opSetExpiry, key: 'none' }),
			{ opcode: opPut, key: 'after', value: '' },
		]),
		['not found 2', 'MILLRACE_NOT_INTEGER 2', 'not found 0', '4', '4 42', '8', '7 x', '0', '9'],
	);
	harness.close();
});

test('a refused batch tells of writes that its earlier conditions met, so it waits for them to be durable', () => {
	const harness = open();
	harness.execute({ opcode: opPut, key: 'b', value: 'v' });
	harness.settle();
	const ifVersion = (key: string, sequence: number): TestCommand => ({
		opcode: opPut,
		flags: flagSequence,
		sequence,
		key,
		value: 'w',
	});
	assert.equal(harness.execute({ opcode: opPut, key: 'a', value: 'v' }).number, 2, 'not durable yet');
	const refused = harness.execute({ opcode: opBatch, commands: [ifVersion('a', 2), ifVersion('b', 999)] });
	assert.deepEqual([refused.status, refused.number, refused.sequence], [statusNotFound, 1, 2]);
	assert(!refused.hasLeft, 'a crash could still take away what it tells of');
	const refusedAtOnce = harness.execute({ opcode: opBatch, commands: [ifVersion('b', 999), ifVersion('a', 2)] });
	assert(refusedAtOnce.hasLeft, 'it depends on the durable version alone');
	harness.settle();
	assert(refused.hasLeft);
	harness.close();
});

test('a batch too large for a memtable is refused; one that just fits rotates once', () => {
	const harness = open();
	const commands = (count: number): TestCommand[] =>
		Array.from({ length: count }, (_, i) => ({ opcode: opPut, key: `key${i}`, value: 'v'.repeat(400) }));
	assert.deepEqual(answers(harness, [{ opcode: opBatch, commands: commands(60) }]), ['MILLRACE_VALUE_SIZE 0']);
	assert.deepEqual(answers(harness, [{ opcode: opBatch, commands: commands(20) }]), ['20']);
	assert.deepEqual(answers(harness, [{ opcode: opBatch, commands: commands(20) }]), ['40']);
	assert.equal(harness.partition.statistics().immutableMemtables, 1);
	harness.close();
});

test('a sliding expiry is moved on by reads, but not by asking for it; another expiry stands still', () => {
	const harness = open(1000);
	const wait = (ms: number): void => {
		harness.endDrain();
		harness.nowMs += ms;
	};
	const expiry = (): string => answers(harness, [{ opcode: opGetExpiry, key: 'k' }])[0] ?? '';
	const sliding: TestCommand = {
		opcode: opPut,
		flags: flagArgument | flagSliding,
		argument: 2600,
		key: 'k',
		value: 'v',
	};
	assert.deepEqual(answers(harness, [sliding]), ['1']);
	wait(100);
	assert.deepEqual(
		[answers(harness, [{ opcode: opGet, key: 'k' }]), expiry()],
		[['1 v'], '2600'],
		'not yet: 15/16 are left',
	);
	wait(1);
	assert.deepEqual([answers(harness, [{ opcode: opGet, key: 'k' }]), expiry()], [['1 v'], '2701']);
	wait(1500);
	assert.equal(expiry(), '2701');
	assert.deepEqual([answers(harness, [{ opcode: opHas, key: 'k' }]), expiry()], [['0'], '4201']);
	assert.deepEqual(answers(harness, [{ opcode: opAppend, key: 'k', value: 'w' }]), ['4 2']);
	wait(200);
	assert.deepEqual([answers(harness, [{ opcode: opGet, key: 'k' }]), expiry()], [['4 vw'], '4401'], 'it still slides');
	assert.deepEqual(answers(harness, [{ opcode: opSetExpiry, flags: flagArgument, argument: 9000, key: 'k' }]), ['6']);
	wait(2000);
	assert.deepEqual([answers(harness, [{ opcode: opGet, key: 'k' }]), expiry()], [['6 vw'], '9000']);
	wait(5199);
	assert.deepEqual(answers(harness, [{ opcode: opGet, key: 'k' }]), ['not found 0']);
	const { touches, touchesMissed } = harness.partition.statistics().expiry as Record<string, number>;
	assert.deepEqual([touches, touchesMissed], [3, 0]);
	harness.close();
});

test('a touch counts as a write: the version changes after the get that made it, and then stays for a sixteenth', () => {
	const harness = open(1000);
	const ifVersion = (sequence: number): TestCommand => ({
		opcode: opPut,
		flags: flagSequence | flagKeepExpiry,
		sequence,
		key: 'k',
		value: 'w',
	});
	const get: TestCommand = { opcode: opGet, key: 'k' };
	answers(harness, [{ opcode: opPut, flags: flagArgument | flagSliding, argument: 2600, key: 'k', value: 'v' }]);
	harness.settle();
	harness.nowMs += 800;
	assert.deepEqual(answers(harness, [get, ifVersion(1), get, ifVersion(2)]), ['1 v', 'not found 0', '2 v', '3']);
	harness.close();
});

test('reads of sliding entries that fill the memtable have it rotated, and go on', () => {
	const harness = open(1000);
	const value = 'v'.repeat(3000);
	harness.execute({ opcode: opPut, flags: flagArgument | flagSliding, argument: 1000 + 1600, key: 'k', value });
	for (let i = 0; i < 40; i++) {
		harness.settle();
		harness.nowMs += 400;
		assert.equal(harness.execute({ opcode: opGet, key: 'k' }).text, value, `read ${i}`);
	}
	assert(harness.partition.maintenance.flushCount > 3, 'nothing was written but by reads');
	harness.close();
});

test('deleted ranges have a limit, after which they are refused until some are compacted away', () => {
	const partition = { memtableSize: 1 << 20, segmentSize: 1 << 20 };
	const harness = new PartitionHarness(new SimulatedDisk(), { nowMs: 1000, partition });
	const key = (i: number): string => `key${String(i).padStart(6, '0')}`;
	const ranges = (from: number, count: number): TestCommand => ({
		opcode: opBatch,
		commands: Array.from({ length: count }, (_, i) => ({
			opcode: opDeleteRange,
			key: key((from + i) * 2),
			value: key((from + i) * 2 + 1),
		})),
	});
	harness.execute({ opcode: opPut, key: 'key', value: 'v' });
	for (let i = 0; i < rangeTombstoneCountMax; i += 500) {
		assert.deepEqual(answers(harness, [ranges(i, 500)]), [String(i + 501)]);
		harness.settle();
	}
	assert.deepEqual(answers(harness, [{ opcode: opDeleteRange, key: 'x', value: 'y' }]), ['MILLRACE_BUSY 0']);
	assert.deepEqual(answers(harness, [ranges(1e5, 1)]), ['MILLRACE_BUSY 0']);
	harness.flush();
	harness.compact('', '');
	assert.deepEqual(answers(harness, [{ opcode: opDeleteRange, key: 'x', value: 'y' }]), ['10002']);
	harness.close();
});

test('explain tells where a key was found, by whom it is hidden, and what was asked on the way', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { nowMs: 1000 });
	const explain = (key: string) => harness.partition.explain(Buffer.from(key));
	harness.execute({ opcode: opPut, key: 'a', value: 'va' });
	harness.execute({ opcode: opPut, key: 'b', value: 'vb' });
	assert.equal(explain('a').where, 'memtable (active)');
	harness.flush();
	harness.close();
	const again = new PartitionHarness(disk, { nowMs: 1000 });
	const told = again.partition.explain(Buffer.from('a'));
	assert.deepEqual([told.result, told.version, told.valueSize], ['live', 1, 2]);
	assert.match(told.where, /^level 0, table \d+$/);
	assert.deepEqual(
		told.steps.map((step) => (step.source === 'table' ? [step.filter, step.isFound] : [step.state, step.isFound])),
		[
			['active', false],
			['maybe', true],
		],
	);
	assert.equal(again.partition.explain(Buffer.from('ab')).result, 'absent');
	again.execute({ opcode: opDeleteRange, key: 'b', value: 'c' });
	const hidden = again.partition.explain(Buffer.from('b'));
	assert.deepEqual([hidden.result, hidden.version, hidden.deletedBySequence], ['deleted by a range', 2, 3]);
	again.execute({ opcode: opDelete, key: 'a' });
	assert.equal(again.partition.explain(Buffer.from('a')).result, 'deleted');
	assert.doesNotThrow(() => JSON.stringify(again.partition.statistics()));
	again.close();
});
