/**
 * Replays that write tables on the way, between a prepare and its decision: what is left of the log must be enough for the next
 * replay.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { BatchWriter } from '../../../src/command/batch.js';
import {
	commandSize,
	encodeCommand,
	opDecide,
	opDelete,
	opPrepare,
	opPut,
	outcomeAbort,
	outcomeCommit,
} from '../../../src/command/command-format.js';
import { PartitionHarness, type Reply } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const none = new Uint8Array(0);
const id = Buffer.from('0123456789abcdef');
const large = { partition: { memtableSize: 256 * 1024 } };
const small = { partition: { memtableSize: 16 * 1024 } };

function ask(harness: PartitionHarness, opcode: number, value: Uint8Array): Reply {
	const bytes = new Uint8Array(commandSize(0, 0, value.length));
	encodeCommand(bytes, 0, opcode, 0, 0, none, 0, 0, value, 0, value.length);
	const reply = harness.maybeExecute(bytes, 0);
	assert(reply !== undefined && reply.status === statusOk);
	return reply;
}

for (const outcome of [outcomeCommit, outcomeAbort]) {
	test(`a decision to ${outcome === outcomeCommit ? 'commit' : 'abort'} is replayed with smaller memtables, and again`, () => {
		const prng = new Prng(testSeed(`replayed-${outcome}`));
		for (let count = 12; count < 40; count += 1 + prng.below(6)) {
			const disk = new SimulatedDisk({ directories: ['/data'] });
			let harness = new PartitionHarness(disk, large);
			const writer = new BatchWriter();
			// One that comes to nothing is in the log all the same.
			if (prng.chance(0.3)) writer.add(opDelete, 0, 0, Buffer.from('absent'), none);
			else writer.add(opPut, 0, 0, Buffer.from('a'), Buffer.from('x'.repeat(900)));
			ask(harness, opPrepare, Buffer.concat([id, Buffer.from([0, 0, 1, 0]), writer.value]));
			for (let i = 0; i < count; i++) harness.execute({ opcode: opPut, key: `key${i}`, value: 'y'.repeat(900) });
			ask(harness, opDecide, Buffer.concat([id, Buffer.from([outcome, 0, 0, 0])]));
			harness.execute({ opcode: opPut, key: 'last', value: 'z' });
			harness.settle();
			const scan = harness.scan();
			harness.abandon();
			disk.settle();
			harness = new PartitionHarness(disk, small);
			assert.deepEqual(harness.scan(), scan, `${count} writes between`);
			harness.abandon();
			for (let at = 0; at <= disk.position; at += 1 + prng.below(8)) {
				for (const crashed of disk.enumerateCrashes(at, { limit: 2, prng })) {
					const again = new PartitionHarness(crashed, prng.chance(0.5) ? small : large);
					assert.deepEqual(again.scan(), scan, `${count} writes between, cut off at ${at}: ${crashed.origin()}`);
					assert.equal(again.partition.transactions.count, 0);
					assert.equal(again.partition.transactions.decidedCount, outcome === outcomeCommit ? 1 : 0);
					again.abandon();
				}
			}
		}
	});
}
