/**
 * Writes at their limits: the largest values that slide, batches that grow as they are applied, smaller memtables than before.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, hasCode, statusOk } from '../../../src/base/errors.js';
import { keySizeMax, rangeTombstoneCountMax, valueSizeMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import {
	commandHeaderSize,
	flagArgument,
	flagKeepExpiry,
	flagSequence,
	flagSliding,
	opAppend,
	opBatch,
	opDeleteRange,
	opGet,
	opPut,
	opSetExpiry,
} from '../../../src/command/command-format.js';
import { BatchPlan } from '../../../src/storage/lsm/apply/apply-batch.js';
import { BatchRanges } from '../../../src/storage/lsm/apply/batch-ranges.js';
import { verifyPartition } from '../../../src/storage/lsm/inspect/verify-partition.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';
import { commandBytes, type TestCommand } from '../../support/test-command.js';

const MiB = 1024 * 1024;
const sliding = { flags: flagArgument | flagSliding, argument: 60_000 };

test('a sliding value may be as long as any other, in memory, in the log and in tables', () => {
	const options = {
		nowMs: 1000,
		partition: { memtableSize: 64 * MiB, segmentSize: 24 * MiB, tableFileSize: 32 * MiB, blockSize: 4096 },
	};
	const disk = new SimulatedDisk();
	let harness = new PartitionHarness(disk, options);
	const done = (command: TestCommand): string => {
		const { status } = harness.execute(command);
		harness.settle();
		return status === statusOk ? 'ok' : codeOf(status);
	};
	const key = 'k'.repeat(keySizeMax);
	const value = 'x'.repeat(valueSizeMax);
	assert.equal(done({ opcode: opPut, key, value, ...sliding }), 'ok');
	assert.equal(done({ opcode: opPut, key, value, flags: flagKeepExpiry }), 'ok');
	assert.equal(done({ opcode: opPut, key: 'b', value }), 'ok');
	assert.equal(done({ opcode: opSetExpiry, key: 'b', ...sliding }), 'ok');
	assert.equal(done({ opcode: opPut, key: 'c', value: value.slice(1), ...sliding }), 'ok');
	assert.equal(done({ opcode: opAppend, key: 'c', value: 'x' }), 'ok');
	assert.equal(done({ opcode: opAppend, key: 'c', value: 'x' }), 'MILLRACE_VALUE_SIZE');
	const mustBeWhole = (): void => {
		for (const name of [key, 'b', 'c']) {
			assert.equal(harness.execute({ opcode: opGet, key: name }).text, value, `the value of ${name[0]}`);
		}
	};
	mustBeWhole();
	harness.close();
	harness = new PartitionHarness(disk, options);
	mustBeWhole();
	harness.flush();
	harness.compact('', '');
	mustBeWhole();
	harness.close();
	assert.deepEqual(verifyPartition(disk, '/data').problems, []);
});

test('a batch of few bytes that stores more than a memtable holds is given up before it takes the memory', () => {
	const partition = { memtableSize: MiB, segmentSize: MiB };
	const harness = new PartitionHarness(new SimulatedDisk(), { nowMs: 1000, partition });
	harness.execute({ opcode: opPut, key: 'a', value: 'x'.repeat(100_000) });
	harness.settle();
	const batchOf = (count: number): TestCommand => ({
		opcode: opBatch,
		commands: Array.from({ length: count }, (_, i) => ({
			opcode: opSetExpiry,
			flags: flagArgument,
			argument: 5000 + i,
			key: 'a',
		})),
	});
	assert.equal(codeOf(harness.execute(batchOf(2000)).status), 'MILLRACE_VALUE_SIZE');
	assert.equal(harness.execute(batchOf(9)).status, statusOk, 'the next one is not concerned');
	const { tree } = harness.partition.recovery;
	const plan = new BatchPlan(MiB);
	assert(
		!plan.evaluate(tree, harness.partition.lastSequence + 1, 1000, commandBytes(batchOf(2000)), commandHeaderSize),
	);
	assert(plan.isTooLarge);
	assert.equal(plan.size, 11 * 100_001, 'it looked no further than the first command that was one too many');
	harness.close();
});

test('a batch of too many deleted ranges is refused before it is evaluated', () => {
	const partition = { memtableSize: MiB, segmentSize: MiB };
	const harness = new PartitionHarness(new SimulatedDisk(), { partition });
	const unmet: TestCommand = { opcode: opPut, key: 'a', value: '', flags: flagSequence, sequence: 9 };
	const range: TestCommand = { opcode: opDeleteRange, key: 'a', value: 'b' };
	const commands = [unmet, ...Array.from({ length: rangeTombstoneCountMax + 1 }, () => range)];
	assert.equal(codeOf(harness.execute({ opcode: opBatch, commands }).status), 'MILLRACE_BUSY');
	harness.close();
});

test('the ranges of a batch cover what they cover one by one', () => {
	const prng = new Prng(testSeed('batch ranges'));
	for (let round = 0; round < 200; round++) {
		const text = Array.from({ length: 20 }, () => 'abcd'[prng.below(4)]).join('');
		const batch = Buffer.from(text, 'latin1');
		const ranges = new BatchRanges();
		ranges.begin(batch);
		const added: { start: string; end: string; sequence: number }[] = [];
		for (let sequence = 1; sequence <= 40; sequence++) {
			const [startOffset, endOffset] = [prng.below(17), prng.below(17)];
			const [startSize, endSize] = [prng.below(4), prng.below(4)];
			const start = text.slice(startOffset, startOffset + startSize);
			const end = text.slice(endOffset, endOffset + endSize);
			if (end !== '' && start >= end) continue;
			ranges.add(startOffset, startSize, endOffset, endSize, sequence);
			added.push({ start, end, sequence });
			const key = text.slice(prng.below(17)).slice(0, 1 + prng.below(3));
			const newest = added.findLast((range) => range.start <= key && (range.end === '' || key < range.end));
			const keyBytes = Buffer.from(key, 'latin1');
			assert.equal(ranges.coverSequence(keyBytes, 0, key.length), newest?.sequence ?? 0, `${text} ${key}`);
		}
	}
});

test('a log that needs larger memtables than given is refused with the size that does, and is whole once given it', () => {
	const large = { memtableSize: 2 * MiB, segmentSize: MiB };
	const value = 'x'.repeat(200_000);
	const append = (i: number): TestCommand => ({ opcode: opAppend, key: `key${i % 3}`, value });
	const writes: TestCommand[] = [
		{ opcode: opPut, key: 'a', value },
		{ opcode: opBatch, commands: [0, 1, 2, 3].map(append) },
	];
	for (const write of writes) {
		const disk = new SimulatedDisk();
		let harness = new PartitionHarness(disk, { partition: large });
		harness.execute(write);
		const expected = harness.scan();
		harness.settle();
		harness.close();
		let needed = 0;
		assert.throws(
			() => new PartitionHarness(disk, { partition: { ...large, memtableSize: 16 * 1024 } }),
			(error: unknown) => {
				assert(hasCode(error, 'MILLRACE_OPTION'));
				needed = Number(/memtableSize of (\d+)/.exec(error.message)?.[1]);
				return true;
			},
		);
		assert(needed >= value.length && needed <= 2 * MiB, `${needed}`);
		harness = new PartitionHarness(disk, { partition: { ...large, memtableSize: needed } });
		assert.deepEqual(harness.scan(), expected);
		harness.close();
	}
});
