/** Batches that come from outside: what is let in, and that nothing broken is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { maybeBatchProblem } from '../../../src/command/batch.js';
import {
	batchHeaderSize,
	commandHeaderSize,
	flagReturnOld,
	opAppend,
	opBatch,
	opClear,
	opDelete,
	opDeleteRange,
	opGet,
	opPut,
	opTouch,
	readCommandSize,
	sequenceCountOf,
} from '../../../src/command/command-format.js';
import { testSeed } from '../../support/seed.js';
import { commandBytes, type TestCommand } from '../../support/test-command.js';

function problemOf(commands: readonly TestCommand[]): string {
	return maybeBatchProblem(commandBytes({ opcode: opBatch, commands }, 3), 3) ?? '';
}

test('a batch holds writes of one key and deleted ranges, and says how many sequence numbers it takes', () => {
	const commands: TestCommand[] = [
		{ opcode: opPut, key: 'a', value: '1' },
		{ opcode: opAppend, key: 'b', value: '' },
		{ opcode: opDelete, key: 'c' },
		{ opcode: opDeleteRange },
	];
	assert.equal(problemOf(commands), '');
	assert.equal(sequenceCountOf(commandBytes({ opcode: opBatch, commands }, 3), 3), 4);
	assert.equal(sequenceCountOf(commandBytes({ opcode: opPut, key: 'a', value: '1' }), 0), 1);
});

test('whatever else stands in a batch is refused, with its place and in words', () => {
	const good: TestCommand = { opcode: opPut, key: 'a', value: '1' };
	assert.match(problemOf([]), /from 1 to 65536 commands, not 0/);
	for (const opcode of [opGet, opClear, opTouch, opBatch, 0, 255]) {
		assert.match(problemOf([good, { opcode, key: 'a' }]), /command 1 .* has no place in a batch/);
	}
	assert.match(problemOf([{ ...good, flags: flagReturnOld }]), /does not have the flags 8/);
	assert.match(problemOf([good, good, { opcode: opPut }]), /command 2 .* from 1 to 16384 bytes, not 0/);
	assert.match(problemOf([{ opcode: opDeleteRange, key: 'a', value: 'x'.repeat(16385) }]), /16385 bytes, more than/);
	const keyed = commandBytes({ opcode: opBatch, key: 'k', commands: [good] });
	assert.match(maybeBatchProblem(keyed, 0) ?? '', /neither key nor flags/);
});

test('no cut and no changed byte of a batch leads out of it', () => {
	const prng = new Prng(testSeed('batch bytes'));
	const commands: TestCommand[] = [
		{ opcode: opPut, key: 'a', value: '1'.repeat(20) },
		{ opcode: opDeleteRange, key: 'b', value: 'c' },
		{ opcode: opDelete, key: 'd' },
	];
	const whole = commandBytes({ opcode: opBatch, commands });
	const size = readCommandSize(whole, 0);
	let refusedCount = 0;
	for (let round = 0; round < 20_000; round++) {
		const bytes = whole.slice(0, size);
		bytes[commandHeaderSize + prng.below(size - commandHeaderSize)] ^= 1 << prng.below(8);
		if (maybeBatchProblem(bytes, 0) !== undefined) {
			refusedCount++;
			continue;
		}
		let at = commandHeaderSize + batchHeaderSize;
		for (let i = 0; i < sequenceCountOf(bytes, 0); i++) at += readCommandSize(bytes, at);
		assert.equal(at, size, 'the commands fill the batch');
	}
	assert(refusedCount > 1000, `${refusedCount} refused`);
	for (let cut = 1; cut < size - commandHeaderSize; cut++) {
		const bytes = whole.slice(0, size - cut);
		new DataView(bytes.buffer).setUint32(4, size - commandHeaderSize - cut, true);
		assert.notEqual(maybeBatchProblem(bytes, 0), undefined, `${cut} bytes cut off`);
	}
});
