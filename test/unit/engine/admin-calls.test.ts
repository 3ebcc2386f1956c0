/** What administration asks of the partitions, and makes of their answers; checkpoints beside batches; calls that are aborted. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { hasCode, MillraceError } from '../../../src/base/errors.js';
import { opCheckpoint, opDeleteRange, opFlush, opVerify } from '../../../src/command/command-format.js';
import { createDatabaseMemory, GateSlot } from '../../../src/command/database-memory.js';
import { AdminCalls } from '../../../src/engine/admin-calls.js';
import type { Asker, Command, Reply } from '../../../src/engine/asker.js';
import { EpochGate } from '../../../src/engine/epoch-gate.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

type Answer = (partition: number, command: Command) => unknown;

/** Two partitions whose answers the test makes: JSON, or nothing. */
function makeAdmin(answer: Answer) {
	const asked: { partition: number; command: Command }[] = [];
	const ask = async (partition: number, command: Command): Promise<Reply> => {
		asked.push({ partition, command });
		const shown = await answer(partition, command);
		return { status: 0, number: 0, value: shown === undefined ? undefined : Buffer.from(JSON.stringify(shown)) };
	};
	const asker: Asker = {
		partitionCount: 2,
		partitionOf: () => 1,
		ask,
		askAll: (command) => Promise.all([ask(0, command), ask(1, command)]),
	};
	const memory = createDatabaseMemory();
	const disk = new SimulatedDisk();
	const other = new GateSlot(memory, 1);
	return { admin: new AdminCalls(asker, new EpochGate(new GateSlot(memory, 0)), disk), asked, disk, other };
}

async function settle(): Promise<void> {
	for (let i = 0; i < 8; i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

const made = { tableCount: 1, tableBytes: 10, copiedBecause: '' };

test('answers of all partitions are put together', async () => {
	const { admin, asked } = makeAdmin((partition, { opcode }) => {
		if (opcode === opVerify)
			return partition === 0 ? [] : [{ file: '/d/partition-001/3.sst', offset: 5, problem: 'bad' }];
		return { partition };
	});
	assert.deepEqual(await admin.verify(), [{ file: '/d/partition-001/3.sst', offset: 5, problem: 'bad' }]);
	assert.deepEqual(await admin.stats(), [{ partition: 0 }, { partition: 1 }]);
	assert.equal((await admin.explain('key')).partition, 1);
	asked.length = 0;
	await admin.deleteRange({ gt: 'a', lte: 'b' });
	await admin.deleteRange({ lt: '' });
	assert.equal(asked.length, 2, 'nothing is asked for a range without keys');
	const [{ command }] = asked as [(typeof asked)[0]];
	assert.deepEqual([command.opcode, `${command.key}`, `${command.value}`], [opDeleteRange, '97,0', '98,0']);
	await assert.rejects(admin.deleteRange({ limit: 1 } as object), TypeError);
	await assert.rejects(admin.compact({ gt: 'a', gte: 'b' }), TypeError);
});

test('a checkpoint waits for batches under way and holds up others; it leaves nothing when a partition fails', async () => {
	let end = (): void => undefined;
	const { admin, asked, disk, other } = makeAdmin(async (partition, { opcode }) => {
		assert.equal(opcode, opCheckpoint);
		if (partition === 0) throw new MillraceError('MILLRACE_DISK_FULL', 'full');
		await new Promise<void>((resolve) => {
			end = resolve;
		});
		return made;
	});
	disk.makeDirectory('/target');
	assert.ok(other.maybeEnterBatch());
	const outcome = admin.checkpoint('/target/copy');
	const refused = assert.rejects(outcome, (error) => hasCode(error, 'MILLRACE_DISK_FULL'));
	await settle();
	assert.equal(asked.length, 0);
	other.leaveBatch();
	await settle();
	assert.equal(asked.length, 2);
	assert.equal(other.maybeEnterBatch(), false);
	assert.ok(disk.exists('/target/copy.unfinished'), 'one partition is at it yet');
	end();
	await refused;
	assert.ok(other.maybeEnterBatch());
	other.leaveBatch();
	assert.deepEqual(disk.list('/target'), []);
	await assert.rejects(admin.checkpoint(''), TypeError);
});

test('an aborted call rejects with the reason, at once, and is not begun when it was aborted before', async () => {
	let end = (): void => undefined;
	const { admin, asked, disk, other } = makeAdmin(
		() =>
			new Promise<void>((resolve) => {
				end = resolve;
			}),
	);
	const controller = new AbortController();
	const reason = new Error('enough');
	const flush = assert.rejects(admin.flush({ signal: controller.signal }), (error) => error === reason);
	disk.makeDirectory('/target');
	assert.ok(other.maybeEnterBatch());
	const checkpoint = assert.rejects(
		admin.checkpoint('/target/copy', { signal: controller.signal }),
		(error) => error === reason,
	);
	controller.abort(reason);
	await flush;
	await checkpoint;
	end();
	other.leaveBatch();
	await settle();
	assert.deepEqual(disk.list('/target'), [], 'its turn came too late');
	assert.ok(other.maybeEnterBatch(), 'the gate is open');
	assert.deepEqual(
		asked.map(({ command }) => command.opcode),
		[opFlush, opFlush],
	);
	await assert.rejects(admin.verify({ signal: controller.signal }), (error) => error === reason);
	assert.equal(asked.length, 2);
	await assert.rejects(admin.flush({ signal: 'now' as unknown as AbortSignal }), TypeError);
});
