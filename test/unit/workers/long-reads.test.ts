/** Long reads beside writes: none keeps the memtables that writes need, and each sees what there was when it began. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { statusOf, statusOk } from '../../../src/base/errors.js';
import { BatchWriter } from '../../../src/command/batch.js';
import {
	commandSize,
	encodeCommand,
	flagArgument,
	flagSequence,
	opBatch,
	opClear,
	opCompact,
	opCount,
	opDelete,
	opDeleteRange,
	opPut,
	opReleaseSnapshot,
	opSnapshot,
	requestHeaderSize,
} from '../../../src/command/command-format.js';
import { encodeScanOptions, wholeRange } from '../../../src/command/scan-options.js';
import { CommandResult } from '../../../src/storage/lsm/apply/command-result.js';
import { LongRead } from '../../../workers/long-reads.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';
import { LoopRig } from './loop-rig.js';

const keyCount = 12_000;
const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`;

function load(rig: LoopRig): void {
	for (let from = 0; from < keyCount; from += 200) {
		const batch = new BatchWriter();
		for (let i = from; i < from + 200; i++) batch.add(opPut, 0, 0, Buffer.from(keyOf(i)), Buffer.from('old'));
		assert.equal(rig.ask({ opcode: opBatch, value: batch.value }).status, statusOk);
	}
}

test('while a count goes on, writes get through more memtables than there are, and it sees none of them', () => {
	const rig = new LoopRig();
	load(rig);
	const { number: sequence } = rig.ask({ opcode: opSnapshot });
	rig.send('count', { opcode: opCount, sink: 1 });
	rig.send('count at a snapshot', { opcode: opCount, flags: flagSequence, sequence, sink: 2 });
	rig.send('release', { opcode: opReleaseSnapshot, flags: flagArgument, argument: sequence, sink: 2 });
	rig.send('delete all', { opcode: opDeleteRange, key: keyOf(0), value: keyOf(keyCount / 2), sink: 3 });
	rig.send('compact', { opcode: opCompact, sink: 4 });
	const wide = 'v'.repeat(1000);
	const counts: number[] = [];
	let written = 0;
	let writtenBefore = 0;
	for (let turn = 0; counts.length < 2 && turn < 1000; turn++) {
		rig.send('delete', { opcode: opDelete, key: keyOf(keyCount - 1 - turn), sink: 3 });
		for (let i = 0; i < 30; i++) rig.send('put', { opcode: opPut, key: `later ${turn} ${i}`, value: wide, sink: 3 });
		rig.turn();
		rig.runLog();
		rig.runJobs();
		for (const { name, number, status } of rig.takeReplies()) {
			assert.equal(status, statusOk, name);
			if (name === 'put') written++;
			if (!name.startsWith('count')) continue;
			counts.push(number);
			writtenBefore = written;
		}
	}
	assert.deepEqual(counts, [keyCount, keyCount]);
	assert.ok(writtenBefore * wide.length > 4 * 64 * 1024, `${writtenBefore} writes before the last count`);
	rig.settle();
	assert.deepEqual(rig.host.partition.recovery.tree.pinnedSequences(), [], 'nothing stays pinned');
});

test('a count that a clear comes after sees what there was before, and so does one that had begun', () => {
	const rig = new LoopRig();
	load(rig);
	rig.send('begun', { opcode: opCount, sink: 1 });
	rig.send('moved on', { opcode: opCount, sink: 4 });
	rig.turn();
	rig.host.partition.maybeRotate();
	rig.turn();
	rig.send('late', { opcode: opCount, sink: 2 });
	rig.send('clear', { opcode: opClear, sink: 2 });
	rig.send('put', { opcode: opPut, key: 'new', value: 'v', sink: 2 });
	rig.send('new', { opcode: opCount, sink: 2 });
	for (let i = 0; i < 10; i++) rig.settle();
	const numbers = new Map(rig.takeReplies().map(({ name, number }) => [name, number]));
	assert.equal(numbers.get('moved on'), keyCount);
	assert.deepEqual([numbers.get('begun'), numbers.get('late'), numbers.get('new')], [keyCount, keyCount, 1]);
});

test('three reads, one of each memtable, do not stop writes; they end where they should', () => {
	const harness = new PartitionHarness(new SimulatedDisk());
	const { partition } = harness;
	const value = encodeScanOptions(wholeRange);
	const reads: LongRead[] = [];
	const result = new CommandResult();
	for (let i = 0; i < 3; i++) {
		harness.execute({ opcode: opPut, key: `a${i}`, value: '1' });
		const request = new Uint8Array(requestHeaderSize + commandSize(0, 0, value.length));
		encodeCommand(request, requestHeaderSize, opCount, 0, 0, value, 0, 0, value, 0, value.length);
		reads.push(new LongRead(request, 0, partition.beginRead()));
		if (i < 2) harness.flush();
	}
	for (let i = 0; i < 300; i++) {
		const { status } = harness.execute({ opcode: opPut, key: `b${i}`, value: 'x'.repeat(100) });
		assert.notEqual(status, statusOf('MILLRACE_OVERLOADED'));
		if (i % 10 === 0) harness.settle();
		for (const read of reads) read.maybeLetGo();
	}
	harness.execute({ opcode: opDeleteRange, key: '', value: '' });
	harness.flush();
	harness.compact('', '');
	for (const read of reads) read.maybeLetGo();
	const counts = reads.map((read) => {
		while (!read.step(result));
		return result.number;
	});
	assert.deepEqual(counts, [1, 2, 3]);
	harness.close();
});
