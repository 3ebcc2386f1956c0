/** Batches over several partitions, seen from one of them: locks, the log they keep or write again, room, and damage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, statusNotFound, statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { BatchWriter } from '../../../src/command/batch.js';
import {
	commandSize,
	encodeCommand,
	flagArgument,
	flagIfPresent,
	flagSequence,
	opAppend,
	opBatch,
	opClear,
	opDecide,
	opDelete,
	opDeleteRange,
	opGet,
	opIncrement,
	opPrepare,
	opPut,
	outcomeAbort,
	outcomeCommit,
} from '../../../src/command/command-format.js';
import type { PartitionOptions } from '../../../src/storage/lsm/partition-options.js';
import { PartitionHarness, type Reply } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';
import { commandBytes, type TestCommand } from '../../support/test-command.js';

const none = new Uint8Array(0);
const idOf = (name: string): Buffer => Buffer.from(name.padEnd(16, '.'));

function bytesOf(opcode: number, value: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(commandSize(0, 0, value.length));
	encodeCommand(bytes, 0, opcode, 0, 0, none, 0, 0, value, 0, value.length);
	return bytes;
}

function prepareBytes(name: string, commands: readonly TestCommand[], isCoordinator = false): Uint8Array {
	const writer = new BatchWriter();
	for (const { opcode, flags = 0, argument = 0, key = '', value = '', sequence = 0 } of commands) {
		writer.add(opcode, flags, argument, Buffer.from(key), Buffer.from(value), sequence);
	}
	const header = Buffer.from([0, 0, isCoordinator ? 1 : 0, 0]);
	return bytesOf(opPrepare, Buffer.concat([idOf(name), header, writer.value]));
}

const decideBytes = (name: string, outcome: number): Uint8Array =>
	bytesOf(opDecide, Buffer.concat([idOf(name), Buffer.from([outcome, 0, 0, 0])]));

/** A partition, and short words for what is asked of it. */
class Rig {
	readonly disk: SimulatedDisk;
	harness: PartitionHarness;
	readonly options: { nowMs: number; partition?: Partial<PartitionOptions> };

	constructor(disk = new SimulatedDisk({ directories: ['/data'] }), partition: Partial<PartitionOptions> = {}) {
		this.disk = disk;
		this.options = { nowMs: 1_000_000, partition };
		this.harness = new PartitionHarness(disk, this.options);
	}

	try(bytes: Uint8Array): Reply | undefined {
		return this.harness.maybeExecute(bytes, 0);
	}

	must(bytes: Uint8Array): Reply {
		const reply = this.try(bytes);
		assert(reply !== undefined, 'it waits');
		return reply;
	}

	prepare(name: string, commands: readonly TestCommand[], isCoordinator = false): Reply {
		return this.must(prepareBytes(name, commands, isCoordinator));
	}

	decide(name: string, outcome: number): Reply {
		return this.must(decideBytes(name, outcome));
	}

	put(key: string, value: string, more: Partial<TestCommand> = {}): Reply | undefined {
		return this.try(commandBytes({ opcode: opPut, key, value, ...more }));
	}

	get(key: string): string | undefined {
		const { status, text } = this.harness.execute({ opcode: opGet, key });
		return status === statusOk ? text : undefined;
	}

	get transactions(): PartitionHarness['partition']['transactions'] {
		return this.harness.partition.transactions;
	}

	/** The process is gone; what the log got stays. @param memtableSize for the next opening */
	crash(memtableSize?: number): void {
		this.harness.endDrain();
		this.harness.runLog();
		this.harness.abandon();
		const partition = memtableSize === undefined ? this.options.partition : { ...this.options.partition, memtableSize };
		this.harness = new PartitionHarness(this.disk, { ...this.options, ...(partition && { partition }) });
	}

	/** Writes so much that memtables are flushed and segments used again. */
	fill(round: number, count = 40): void {
		for (let i = 0; i < count; i++) {
			const write = (): number | undefined =>
				this.put(`fill${(round * 7 + i) % 50}`, `${round}`.padEnd(900, 'f'))?.status;
			let status = write();
			// There is no room: that comes with a flush or a segment, for which no lock is waited for.
			for (let tries = 0; status === undefined && tries < 4; tries++) {
				this.harness.settle();
				status = write();
			}
			assert.equal(status, statusOk);
			if (i % 3 === 2) this.harness.endDrain();
		}
		this.harness.settle();
	}
}

const put = (key: string, value = 'v', more: Partial<TestCommand> = {}): TestCommand => ({
	opcode: opPut,
	key,
	value,
	...more,
});
const code = (reply: Reply): string => codeOf(reply.status);

test('a prepared batch locks its keys: writes of them wait, other batches are told at once, and a decision frees them', () => {
	const rig = new Rig();
	rig.put('a', 'old');
	assert.equal(rig.prepare('one', [put('a', 'new'), put('b')]).status, statusOk);
	assert.equal(rig.transactions.count, 1);
	assert.equal(rig.put('a', 'x'), undefined);
	assert.equal(rig.try(commandBytes({ opcode: opBatch, commands: [put('c'), put('b')] })), undefined);
	assert.equal(rig.try(commandBytes({ opcode: opDeleteRange, key: 'x', value: 'y' })), undefined);
	assert.equal(rig.try(commandBytes({ opcode: opClear })), undefined);
	assert.equal(rig.put('c', 'x')?.status, statusOk, 'other keys are free');
	const before = rig.harness.partition.lastSequence;
	assert.equal(code(rig.prepare('two', [put('d'), put('b')])), 'MILLRACE_BUSY');
	assert.equal(code(rig.prepare('one', [put('z')])), 'MILLRACE_ARGUMENT', 'an id is used once');
	assert.equal(code(rig.prepare('two', [{ opcode: opDeleteRange, key: 'x', value: 'y' }])), 'MILLRACE_ARGUMENT');
	const unmet = rig.prepare('two', [put('d'), put('e', 'v', { flags: flagIfPresent })]);
	assert.deepEqual([unmet.status, unmet.number], [statusNotFound, 1]);
	assert.equal(code(rig.prepare('two', [{ opcode: opIncrement, key: 'c', value: '1' }])), 'MILLRACE_NOT_INTEGER');
	assert.equal(rig.decide('two', outcomeCommit).status, statusNotFound);
	assert.equal(rig.harness.partition.lastSequence, before, 'none of that is logged');
	assert.equal(rig.transactions.count, 1);
	const done = rig.decide('one', outcomeCommit);
	assert.deepEqual([done.status, done.number], [statusOk, before + 2]);
	assert.deepEqual([rig.get('a'), rig.get('b'), rig.transactions.count], ['new', 'v', 0]);
	assert.equal(rig.put('a', 'x')?.status, statusOk);
	assert.equal(rig.prepare('three', [put('a', 'never')]).status, statusOk);
	assert.equal(rig.decide('three', outcomeAbort).status, statusOk);
	assert.deepEqual([rig.get('a'), rig.transactions.count, rig.transactions.size], ['x', 0, 0]);
	assert.equal(rig.decide('three', outcomeCommit).status, statusNotFound, 'what is aborted stays so');
});

test('a batch comes to what it was when it was prepared, also when its conditions ran out meanwhile, live and replayed', () => {
	const rig = new Rig(undefined, { tableFileSize: 2048 });
	const { nowMs } = rig.options;
	rig.put('ttl', '41', { flags: flagArgument, argument: nowMs + 500 });
	const version = rig.harness.partition.lastSequence;
	rig.fill(0);
	const commands = [
		{ opcode: opIncrement, key: 'ttl', value: '1', flags: flagSequence, sequence: version },
		{ opcode: opAppend, key: 'ttl', value: '0' },
		{ opcode: opDelete, key: 'absent' },
	];
	assert.equal(rig.prepare('one', commands).status, statusOk);
	assert.equal(rig.prepare('nothing', [{ opcode: opDelete, key: 'absent too' }]).status, statusOk);
	// The entry expires, is heard of, and its table is compacted with much else.
	for (let round = 1; round < 5; round++) {
		rig.harness.nowMs += 400;
		rig.fill(round);
		rig.harness.compact('', '');
	}
	const sequence = rig.harness.partition.lastSequence;
	assert.equal(rig.decide('one', outcomeCommit).number, rig.harness.partition.lastSequence);
	assert(rig.harness.partition.lastSequence >= sequence + 3);
	assert.equal(rig.decide('nothing', outcomeCommit).number, 0);
	// It keeps the expiry, so nobody can read it: a table says what it came to.
	const stored = (): string => {
		const bytes = Buffer.alloc(100);
		const view = { kind: 0, sequence: 0, expiresAtMs: 0, value: bytes as Uint8Array, valueOffset: 0, valueSize: 0 };
		const { tree } = rig.harness.partition.recovery;
		const key = Buffer.from('ttl');
		const isThere = tree.get(
			rig.harness.partition.hashOf(commandBytes({ opcode: opGet, key: 'ttl' }), 0),
			key,
			0,
			3,
			2 ** 52,
			view,
		);
		return isThere
			? Buffer.from(view.value.subarray(view.valueOffset, view.valueOffset + view.valueSize)).toString()
			: '';
	};
	assert.equal(stored(), '420');
	const last = rig.harness.partition.lastSequence;
	rig.harness.compact('', '');
	rig.crash();
	assert.equal(rig.harness.partition.lastSequence, last);
	assert.equal(stored(), '420', 'a replay comes to the same');
});

test('memtables are flushed and segments used again while batches are open; nothing of them is lost', () => {
	const rig = new Rig();
	assert.equal(rig.prepare('open', [put('a', 'x'.repeat(700)), put('b')]).status, statusOk);
	assert.equal(rig.prepare('decided', [put('c')], true).status, statusOk);
	assert.equal(rig.decide('decided', outcomeCommit).status, statusOk);
	const first = rig.harness.partition.lastSequence;
	for (let round = 0; round < 6; round++) rig.fill(round);
	const { partition, recycleCount } = rig.harness;
	assert(partition.flushedSequence > first, 'what was written first is flushed');
	assert(recycleCount > 2, `${recycleCount} segments were used again`);
	assert(partition.transactions.oldestSequence > partition.flushedSequence, 'what is needed is in the log');
	const report = partition.transactions.report();
	assert.deepEqual(report.inDoubt, [{ id: idOf('open').toString('hex'), coordinator: 0 }]);
	assert.deepEqual(report.decided, [idOf('decided').toString('hex')]);
	rig.crash();
	assert.deepEqual(rig.transactions.report(), report);
	assert.equal(rig.put('b', 'y'), undefined, 'and locked');
	assert.equal(rig.decide('open', outcomeCommit).status, statusOk);
	// A clear takes everything from the log but the decision.
	assert.equal(rig.try(commandBytes({ opcode: opClear }))?.status, statusOk);
	for (let round = 0; round < 3; round++) rig.fill(round);
	rig.crash();
	assert.deepEqual(rig.transactions.report(), { inDoubt: [], decided: report.decided });
	rig.transactions.forget(report.decided[0]);
	for (let round = 0; round < 3; round++) rig.fill(round);
	rig.crash();
	assert.deepEqual(rig.transactions.report(), { inDoubt: [], decided: [] });
});

test('a decision that finds the memtable full is carried out in the next, with its prepare, in one log', () => {
	const prng = new Prng(testSeed('decide-room'));
	for (let size = 0; size < 14; size++) {
		const rig = new Rig();
		rig.prepare('one', [put('a', 'x'.repeat(900)), { opcode: opIncrement, key: 'count', value: '7' }], size % 2 === 0);
		for (let i = 0; i < size; i++) assert.equal(rig.put(`key${i}`, 'y'.repeat(900))?.status, statusOk);
		assert.equal(rig.decide('one', outcomeCommit).status, statusOk);
		rig.harness.settle();
		const { partition } = rig.harness;
		assert.equal(partition.transactions.count, 0);
		const crashed = new Rig(rig.disk.crashAt(rig.disk.position, prng));
		assert.deepEqual(crashed.harness.scan(), rig.harness.scan());
		assert.equal(crashed.get('count'), '7');
		assert.equal(crashed.transactions.decidedCount, size % 2 === 0 ? 1 : 0);
	}
});

test('an opening with smaller memtables keeps what a crash left open, at whatever point it is cut off', () => {
	const prng = new Prng(testSeed('small-memtable'));
	const rig = new Rig(undefined, { memtableSize: 256 * 1024 });
	rig.prepare('open', [put('a', 'x'.repeat(500))]);
	rig.prepare('decided', [put('c')], true);
	rig.decide('decided', outcomeCommit);
	for (let i = 0; i < 150; i++) rig.put(`key${i}`, 'y'.repeat(900));
	rig.harness.settle();
	const report = rig.transactions.report();
	rig.disk.settle();
	rig.crash(16 * 1024);
	const { partition } = rig.harness;
	assert(partition.recovery.carriedCount === 2 && partition.flushedSequence > 100, 'tables were written on the way');
	assert.deepEqual(rig.transactions.report(), report);
	const scan = rig.harness.scan();
	const { position } = rig.disk;
	for (let at = 0; at <= position; at += 3) {
		for (const crashed of rig.disk.enumerateCrashes(at, { limit: 3, prng })) {
			const again = new Rig(crashed, { memtableSize: 16 * 1024 });
			assert.deepEqual(again.transactions.report(), report, crashed.origin());
			assert.deepEqual(again.harness.scan(), scan, crashed.origin());
			again.harness.abandon();
		}
	}
	assert.equal(rig.decide('open', outcomeCommit).status, statusOk);
	assert.equal(rig.get('a')?.length, 500);
});

test('a full disk does not refuse a decision, a failed log does, and then the batch is in doubt after opening', () => {
	const rig = new Rig(undefined, { diskBudget: 200_000 });
	rig.prepare('one', [put('a')]);
	rig.prepare('two', [put('b')]);
	for (
		let round = 0;
		rig.put('fill', `${round}`) !== undefined && !rig.harness.partition.maintenance.isDiskFull;
		round++
	) {
		for (let i = 0; i < 40; i++) rig.put(`fill${round}-${i}`, 'f'.repeat(900));
		rig.harness.settle();
		assert(round < 50, 'the budget is used up');
	}
	assert.equal(code(rig.prepare('three', [put('c')])), 'MILLRACE_DISK_FULL');
	assert.equal(rig.decide('one', outcomeCommit).status, statusOk);
	rig.harness.settle();
	rig.disk.failNext({ operation: 'sync', error: 'EIO' });
	rig.put('fill', 'last');
	rig.try(commandBytes({ opcode: opDelete, key: 'fill' }));
	rig.harness.endDrain();
	rig.harness.runLog();
	assert.equal(code(rig.decide('two', outcomeCommit)), 'MILLRACE_POISONED');
	assert.equal(rig.transactions.count, 1, 'nobody knows, so it stays locked');
	rig.harness.abandon();
	const again = new Rig(rig.disk, { diskBudget: 200_000 });
	assert.deepEqual(again.transactions.report().inDoubt.length, 1);
	assert.equal(again.get('a'), 'v');
});
