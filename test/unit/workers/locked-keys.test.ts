/** Keys of a batch over several partitions between its prepare and its decision: who stands aside, and what gets through. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { statusOf, statusOk } from '../../../src/base/errors.js';
import { waitingRequestsSizeMax } from '../../../src/base/limits.js';
import { BatchWriter } from '../../../src/command/batch.js';
import {
	decideOutcomeOffset,
	decideSize,
	flagSequence,
	opBatch,
	opCount,
	opDecide,
	opGet,
	opPrepare,
	opPut,
	opScan,
	opShutdown,
	opSnapshot,
	prepareCoordinatorOffset,
	prepareHeaderSize,
	transactionIdSize,
} from '../../../src/command/command-format.js';
import { LoopRig, type RigReply, type RigRequest } from './loop-rig.js';

const idOf = (number: number): Buffer => Buffer.alloc(transactionIdSize, number);

function prepareOf(number: number, ...keys: string[]): RigRequest {
	const batch = new BatchWriter();
	for (const key of keys) batch.add(opPut, 0, 0, Buffer.from(key), Buffer.from(`of batch ${number}`));
	const header = Buffer.alloc(prepareHeaderSize);
	idOf(number).copy(header);
	header.writeUInt16LE(1, prepareCoordinatorOffset);
	return { opcode: opPrepare, value: Buffer.concat([header, batch.value]), sink: 100 + number };
}

function decideOf(number: number, outcome: number): RigRequest {
	const value = Buffer.alloc(decideSize);
	idOf(number).copy(value);
	value[decideOutcomeOffset] = outcome;
	return { opcode: opDecide, value, sink: 100 + number };
}

function batchOf(...keys: string[]): Uint8Array {
	const batch = new BatchWriter();
	for (const key of keys) batch.add(opPut, 0, 0, Buffer.from(key), Buffer.from('of a batch'));
	return batch.value;
}

const answer = (replies: readonly RigReply[], name: string): RigReply | undefined =>
	replies.find((reply) => reply.name === name);
const namesOf = (replies: readonly RigReply[]): string[] => replies.map(({ name }) => name).sort();

test('reads, writes and batches of a locked key wait for the decision and see it; reads of others and at snapshots pass', () => {
	for (const outcome of [1, 0]) {
		const rig = new LoopRig();
		rig.ask({ opcode: opPut, key: 'a', value: 'old' });
		const { number: sequence } = rig.ask({ opcode: opSnapshot });
		assert.equal(rig.ask(prepareOf(1, 'a', 'b')).status, statusOk);
		rig.send('read', { opcode: opGet, key: 'a', sink: 1 });
		rig.send('at a snapshot', { opcode: opGet, key: 'a', flags: flagSequence, sequence, sink: 2 });
		rig.send('scan', { opcode: opScan, flags: flagSequence, sequence, sink: 2 });
		rig.send('unlocked write', { opcode: opPut, key: 'c', value: 'v', sink: 3 });
		rig.send('write', { opcode: opPut, key: 'b', value: 'later', sink: 4 });
		rig.send('batch', { opcode: opBatch, value: batchOf('x', 'a'), sink: 5 });
		rig.send('other read', { opcode: opGet, key: 'c', sink: 6 });
		rig.send('read behind', { opcode: opGet, key: 'b', sink: 4 });
		rig.settle();
		const passed = rig.takeReplies();
		assert.deepEqual(namesOf(passed), ['at a snapshot', 'other read', 'scan', 'unlocked write']);
		assert.equal(answer(passed, 'at a snapshot')?.text, 'old');
		rig.send('decide', decideOf(1, outcome));
		rig.settle();
		const rest = rig.takeReplies();
		assert.deepEqual(namesOf(rest), ['batch', 'decide', 'read', 'read behind', 'write']);
		for (const { name, status, text } of rest) assert.equal(status, statusOk, `${name}: ${text}`);
		assert.equal(answer(rest, 'read')?.text, outcome === 1 ? 'of batch 1' : 'old');
		assert.equal(answer(rest, 'read behind')?.text, 'later');
	}
});

test('a prepare never waits behind what waits for a lock: it is told to try again', () => {
	const rig = new LoopRig();
	rig.ask(prepareOf(1, 'a'));
	rig.send('write', { opcode: opPut, key: 'a', value: 'v' });
	rig.settle();
	assert.deepEqual(rig.takeReplies(), []);
	for (const key of ['a', 'other']) {
		const prepare = rig.ask(prepareOf(2, key));
		assert.equal(prepare.status, statusOf('MILLRACE_BUSY'), prepare.text);
	}
	rig.send('decide', decideOf(1, 1));
	rig.settle();
	assert.deepEqual(namesOf(rig.takeReplies()), ['decide', 'write']);
	assert.equal(rig.ask(prepareOf(2, 'a')).status, statusOk);
	assert.equal(rig.ask(decideOf(2, 0)).status, statusOk);
});

test('a prepare that waits for room is told to try again when another has become undecided before it', () => {
	const rig = new LoopRig();
	const { maintenance } = rig.host.partition;
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	maintenance.writeDelayMs = () => 5;
	rig.send('put', { opcode: opPut, key: 'k', value: 'v' });
	rig.settle();
	rig.send('first', prepareOf(1, 'a'));
	rig.send('second', prepareOf(2, 'b'));
	rig.send('write', { opcode: opPut, key: 'a', value: 'v' });
	rig.send('third', prepareOf(3, 'c'));
	rig.settle();
	assert.deepEqual(namesOf(rig.takeReplies()), ['put']);
	maintenance.writeDelayMs = () => 0;
	rig.settle();
	const replies = rig.takeReplies();
	assert.deepEqual(namesOf(replies), ['first', 'second', 'third']);
	assert.equal(answer(replies, 'first')?.status, statusOk);
	assert.equal(answer(replies, 'third')?.status, statusOf('MILLRACE_BUSY'));
});

test('a decision gets through: past slowed writes, past all that waits, past a full row, out of any ring', () => {
	const rig = new LoopRig({}, { ringSize: 1 << 22 });
	rig.attach(1, 1 << 22);
	rig.ask(prepareOf(1, 'locked'));
	const wide = 'v'.repeat(100_000);
	let sent = 0;
	for (let size = 0; size < 2 * waitingRequestsSizeMax; size += wide.length) {
		for (const channel of [0, 1]) {
			sent++;
			rig.send('write', { opcode: opPut, key: 'locked', value: wide, channel });
		}
		if (sent % 20 === 0) rig.settle();
	}
	rig.settle();
	assert.deepEqual(rig.takeReplies(), []);
	rig.send('read', { opcode: opGet, key: 'free', channel: 1 });
	rig.send('decide', { ...decideOf(1, 1), channel: 1 });
	rig.host.partition.maintenance.writeDelayMs = () => 5;
	rig.settle();
	assert.deepEqual(namesOf(rig.takeReplies()), ['decide', 'read']);
});

test('who waits for a lock for too long is told; a batch that stays undecided holds up no shutdown', () => {
	const rig = new LoopRig({}, { stallTimeoutMs: 0 });
	rig.ask(prepareOf(1, 'a'));
	for (const opcode of [opGet, opPut]) {
		const { status, text } = rig.ask({ opcode, key: 'a', value: opcode === opPut ? 'v' : '' });
		assert.deepEqual(
			[status, text],
			[statusOf('MILLRACE_BUSY'), 'a batch over several partitions has kept its key for 0 ms'],
		);
	}
	const patient = new LoopRig();
	patient.attach(1);
	patient.ask(prepareOf(1, 'a'));
	patient.send('write', { opcode: opPut, key: 'a', value: 'v', channel: 1 });
	patient.send('read', { opcode: opGet, key: 'a', sink: 7 });
	patient.send('shutdown', { opcode: opShutdown });
	patient.settle();
	const replies = patient.takeReplies();
	assert.deepEqual(namesOf(replies), ['read', 'shutdown', 'write']);
	assert.equal(answer(replies, 'write')?.status, statusOf('MILLRACE_CLOSED'));
	assert.equal(patient.loop.isOver, true);
	assert.equal(answer(replies, 'shutdown')?.status, statusOk);
});

test('a count without a snapshot is of what is stored, and waits for no decision', () => {
	const rig = new LoopRig();
	rig.ask({ opcode: opPut, key: 'a', value: 'v' });
	rig.ask(prepareOf(1, 'a', 'b'));
	assert.equal(rig.ask({ opcode: opCount }).number, 1);
	rig.ask(decideOf(1, 1));
	assert.equal(rig.ask({ opcode: opCount }).number, 2);
});
