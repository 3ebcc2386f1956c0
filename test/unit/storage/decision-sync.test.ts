/**
 * Records of batches over several partitions that are logged again, in a database that syncs late: the first record leaves the
 * log with a flush or a clear, whose edit is synced at once, so the second one must be synced before.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { BatchWriter } from '../../../src/command/batch.js';
import {
	commandSize,
	encodeCommand,
	opClear,
	opDecide,
	opPrepare,
	opPut,
	outcomeCommit,
} from '../../../src/command/command-format.js';
import { PartitionHarness, type Reply } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const none = new Uint8Array(0);
const id = Buffer.from('0123456789abcdef');

function ask(harness: PartitionHarness, opcode: number, value: Uint8Array): Reply {
	const bytes = new Uint8Array(commandSize(0, 0, value.length));
	encodeCommand(bytes, 0, opcode, 0, 0, none, 0, 0, value, 0, value.length);
	const reply = harness.maybeExecute(bytes, 0);
	assert(reply !== undefined && reply.status === statusOk);
	return reply;
}

function preparedPut(key: string, value: string, isCoordinator: boolean): Uint8Array {
	const writer = new BatchWriter();
	writer.add(opPut, 0, 0, Buffer.from(key), Buffer.from(value));
	return Buffer.concat([id, Buffer.from([1, 0, isCoordinator ? 1 : 0, 0]), writer.value]);
}

for (const durability of ['interval', 'none'] as const) {
	test(`a part that was prepared and decided is stored or in doubt after a power loss, durability '${durability}'`, () => {
		const prng = new Prng(testSeed(`decision-sync-${durability}`));
		let flushedCount = 0;
		for (let size = 11; size < 15; size++) {
			const disk = new SimulatedDisk({ directories: ['/data'] });
			const harness = new PartitionHarness(disk, { durability });
			ask(harness, opPrepare, preparedPut('a', 'x'.repeat(900), false));
			harness.settle();
			harness.executor.sync();
			for (let i = 0; i < size; i++) harness.execute({ opcode: opPut, key: `key${i}`, value: 'y'.repeat(900) });
			harness.settle();
			const since = disk.position;
			ask(harness, opDecide, Buffer.concat([id, Buffer.from([outcomeCommit, 0, 0, 0])]));
			harness.settle();
			// The next drain begins the flush that the batch held back.
			harness.execute({ opcode: opPut, key: 'key0', value: 'z' });
			harness.settle();
			if (harness.partition.flushedSequence > 0) flushedCount++;
			for (let at = since; at <= disk.position; at++) {
				for (const crashed of disk.enumerateCrashes(at, { limit: 32, prng })) {
					const again = new PartitionHarness(crashed, { durability });
					const isStored = again.scan().some(([key]) => key === 'a');
					const { inDoubt } = again.partition.transactions.report();
					assert(isStored || inDoubt.length === 1, `${size} writes between, at ${at}: ${crashed.origin()}`);
					again.abandon();
				}
			}
			harness.abandon();
		}
		assert(flushedCount > 0, 'in some the prepare left the log');
	});

	test(`a decision that others may ask for outlives a clear and a power loss, durability '${durability}'`, () => {
		const prng = new Prng(testSeed(`clear-sync-${durability}`));
		const disk = new SimulatedDisk({ directories: ['/data'] });
		const harness = new PartitionHarness(disk, { durability });
		ask(harness, opPrepare, preparedPut('a', 'v', true));
		ask(harness, opDecide, Buffer.concat([id, Buffer.from([outcomeCommit, 0, 0, 0])]));
		harness.settle();
		harness.executor.sync();
		const since = disk.position;
		harness.execute({ opcode: opClear });
		harness.settle();
		for (let at = since; at <= disk.position; at++) {
			for (const crashed of disk.enumerateCrashes(at, { limit: 32, prng })) {
				const again = new PartitionHarness(crashed, { durability });
				assert.equal(again.partition.transactions.decidedCount, 1, `at ${at}: ${crashed.origin()}`);
				again.abandon();
			}
		}
		harness.abandon();
	});
}
