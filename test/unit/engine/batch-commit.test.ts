/** The driver of batches over partitions: what it asks when somebody says no, or nothing any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readU32 } from '../../../src/base/bytes.js';
import { type ErrorCode, MillraceError, statusNotFound, statusOk } from '../../../src/base/errors.js';
import {
	decideOutcomeOffset,
	opBatch,
	opDecide,
	opForget,
	opPrepare,
	outcomeCommit,
	transactionIdSize,
	wishAlways,
	wishNone,
} from '../../../src/command/command-format.js';
import type { Asker, Command, Reply } from '../../../src/engine/asker.js';
import { BatchCommitter } from '../../../src/engine/batch-commit.js';
import { settleInDoubt } from '../../../src/engine/settle-in-doubt.js';

/** Answers as a script says: by what is asked, the next of its list; ok when there is none. */
class ScriptedAsker implements Asker {
	readonly partitionCount = 3;
	/** In words, in the order asked. */
	readonly asked: string[] = [];
	readonly commands: Command[] = [];
	readonly #script: Record<string, (ErrorCode | 'unmet')[]>;

	constructor(script: Record<string, (ErrorCode | 'unmet')[]> = {}) {
		this.#script = script;
	}

	partitionOf(): number {
		return 0;
	}

	async ask(partition: number, command: Command): Promise<Reply> {
		const words = `${wordOf(command)} ${partition}`;
		this.asked.push(words);
		this.commands.push({ ...command, value: new Uint8Array(command.value ?? []) });
		const answer = this.#script[words]?.shift();
		await Promise.resolve();
		if (answer !== undefined && answer !== 'unmet') throw new MillraceError(answer, `${words} refused`);
		return { status: answer === 'unmet' ? statusNotFound : statusOk, number: 0, value: undefined };
	}

	askAll(command: Command): Promise<Reply[]> {
		return Promise.all([0, 1, 2].map((partition) => this.ask(partition, command)));
	}
}

function wordOf({ opcode, value = new Uint8Array() }: Command): string {
	if (opcode === opPrepare) return 'prepare';
	if (opcode === opForget) return `forget ${value.length / transactionIdSize} at`;
	if (opcode !== opDecide) return opcode === opBatch ? 'batch' : 'barrier';
	return value[decideOutcomeOffset] === outcomeCommit ? 'commit' : 'abort';
}

const parts = [2, 0, 1].map((partition) => ({ partition, value: Buffer.from([1, 0, 0, 0]) }));

function commit(asker: ScriptedAsker, wish = 0, count = 3): Promise<boolean> {
	let entered = 0;
	const gate = {
		slot: 7,
		enterBatch: () => {
			entered++;
			return Promise.resolve();
		},
		leaveBatch: () => {
			entered--;
		},
	};
	return new BatchCommitter(asker, gate).commit(parts.slice(0, count), wish).finally(() => {
		assert.equal(entered, 0, 'the gate is left');
	});
}

test('all prepare, the coordinator decides first, then the others; each step with its wish', async () => {
	const asker = new ScriptedAsker();
	assert.equal(await commit(asker, wishNone), true);
	assert.deepEqual(asker.asked, ['prepare 2', 'prepare 0', 'prepare 1', 'commit 2', 'commit 0', 'commit 1']);
	const wishes = asker.commands.map(({ wish }) => wish);
	assert.deepEqual(wishes, [wishAlways, wishAlways, wishAlways, wishAlways, wishNone, wishNone]);
	const ids = new Set(asker.commands.map(({ value }) => Buffer.from(value ?? []).toString('hex', 0, 16)));
	assert.equal(ids.size, 1);
	assert.equal(readU32(asker.commands[0].value ?? new Uint8Array(4), 0), 7, 'an id begins with the gate slot');
	const alone = new ScriptedAsker();
	assert.equal(await commit(alone, 0, 1), true);
	assert.deepEqual(alone.asked, ['batch 2']);
});

test('an unmet condition, or an error, aborts what was prepared, and nothing is decided', async () => {
	const unmet = new ScriptedAsker({ 'prepare 0': ['unmet'], 'prepare 1': ['MILLRACE_BUSY'] });
	assert.equal(await commit(unmet), false);
	assert.deepEqual(unmet.asked.slice(3), ['abort 2']);
	const failed = new ScriptedAsker({ 'prepare 0': ['MILLRACE_POISONED'] });
	await assert.rejects(commit(failed), { code: 'MILLRACE_POISONED' });
	assert.deepEqual(failed.asked.slice(3), ['abort 2', 'abort 0', 'abort 1'], 'also where nobody knows');
});

test('another batch in the way: aborted, and tried again under another id; what is full for now is asked again', async () => {
	const busy = new ScriptedAsker({
		'prepare 1': ['MILLRACE_BUSY', 'MILLRACE_BUSY'],
		'commit 0': ['MILLRACE_OVERLOADED'],
	});
	assert.equal(await commit(busy), true);
	const tries = ['prepare 2', 'prepare 0', 'prepare 1', 'abort 2', 'abort 0'];
	const last = ['prepare 2', 'prepare 0', 'prepare 1', 'commit 2', 'commit 0', 'commit 1', 'commit 0'];
	assert.deepEqual(busy.asked, [...tries, ...tries, ...last]);
	const prepares = busy.commands.filter(({ opcode }) => opcode === opPrepare);
	assert.equal(new Set(prepares.map(({ value }) => Buffer.from(value ?? []).toString('hex', 0, 16))).size, 3);
});

test('an error of the coordinator leaves the outcome open, one of the others does not', async () => {
	const open = new ScriptedAsker({ 'commit 2': ['MILLRACE_POISONED'] });
	await assert.rejects(commit(open), { code: 'MILLRACE_POISONED', message: /may or may not be there/ });
	assert.deepEqual(open.asked.slice(3), ['commit 2']);
	const decided = new ScriptedAsker({ 'commit 0': ['MILLRACE_WORKER_DIED'] });
	await assert.rejects(commit(decided), { code: 'MILLRACE_WORKER_DIED', message: /is decided, and will be there/ });
	assert.deepEqual(decided.asked.slice(3), ['commit 2', 'commit 0', 'commit 1']);
});

test('settling commits what its coordinator decided, aborts the rest, and forgets when all is synced', async () => {
	const id = (slot: number, letter: string): string => `0${slot}000000${letter.repeat(24)}`;
	const inDoubt = (name: string, coordinator: number): { id: string; coordinator: number } => ({
		id: name,
		coordinator,
	});
	const reports = [
		{ inDoubt: [inDoubt(id(1, 'a'), 2), inDoubt(id(1, 'b'), 2), inDoubt(id(2, 'c'), 1)], decided: [] },
		{ inDoubt: [], decided: [id(2, 'c')] },
		{ inDoubt: [inDoubt(id(1, 'b'), 2)], decided: [id(1, 'a'), id(1, 'd')] },
	];
	const asker = new ScriptedAsker();
	await settleInDoubt(asker, reports, (name) => name.startsWith('01'));
	const expected = [
		'barrier 2',
		'commit 0',
		'abort 0',
		'abort 2',
		'barrier 0',
		'barrier 1',
		'barrier 2',
		'forget 2 at 2',
	];
	assert.deepEqual(asker.asked, expected);
	const failing = new ScriptedAsker({ 'commit 0': ['MILLRACE_POISONED'] });
	await assert.rejects(
		settleInDoubt(failing, reports, (name) => name.startsWith('01')),
		{ code: 'MILLRACE_POISONED' },
	);
	assert(!failing.asked.some((words) => words.startsWith('forget')), 'what is not carried out is not forgotten');
	assert(failing.asked.includes('abort 2'), 'what can be settled is');
});
