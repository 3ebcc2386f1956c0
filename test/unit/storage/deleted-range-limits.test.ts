/** Deleted ranges are bounded in number and in bytes, whatever they cover of each other and whichever snapshots see them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, statusOk } from '../../../src/base/errors.js';
import { rangeTombstoneCountMax, rangeTombstoneSizeMax } from '../../../src/base/limits.js';
import { opDeleteRange, opGet, opPut } from '../../../src/command/command-format.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

/** The log gets what was written; no job is done. */
function endGroup(harness: PartitionHarness): void {
	harness.endDrain();
	harness.runLog();
}

const large = { memtableSize: 4 << 20, segmentSize: 1 << 20 };

test('a memtable full of ranges that cover each other is rotated, live and in a replay', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { partition: large, durability: 'none' });
	harness.execute({ opcode: opPut, key: 'q00000001', value: 'deleted' });
	let most = 0;
	for (let i = 0; i < 2.5 * rangeTombstoneCountMax; i++) {
		const end = `q${String(i).padStart(8, '0')}`;
		assert.equal(harness.execute({ opcode: opDeleteRange, key: 'q', value: end }).status, statusOk);
		most = Math.max(most, harness.partition.recovery.tree.active.rangeTombstoneCount);
		if (i % 500 === 0) harness.settle();
	}
	assert.equal(most, rangeTombstoneCountMax);
	assert.equal(harness.scan().length, 0);
	assert.equal(harness.partition.recovery.tree.rangeTombstones.fragmentCount, 2);
	harness.execute({ opcode: opPut, key: 'q2', value: 'kept' });
	harness.flush();
	harness.compact('', '');
	assert.deepEqual(
		harness.scan().map(([key]) => key),
		['q2'],
	);
	// None of these gets into a table.
	harness.jobs.length = 0;
	for (let i = 0; i < 1.5 * rangeTombstoneCountMax; i++) {
		harness.execute({ opcode: opDeleteRange, key: 'q', value: `q${String(i).padStart(8, '0')}` });
		if (i % 500 === 0) endGroup(harness);
	}
	endGroup(harness);
	harness.abandon();
	const again = new PartitionHarness(disk, { partition: large });
	assert.equal(again.partition.recovery.tree.active.rangeTombstoneCount, rangeTombstoneCountMax / 2);
	assert.equal(again.scan().length, 1);
	again.close();
});

test('snapshots between deletions of everything, and wide bounds, come to an end with a code', () => {
	const harness = new PartitionHarness(new SimulatedDisk(), { partition: large, durability: 'none' });
	const { partition } = harness;
	const size = (): number => partition.recovery.tree.rangeTombstones.fragments.byteSize;
	const refusal = (countMax: number, key: (i: number) => string, end: (i: number) => string): string => {
		for (let i = 0; i < countMax; i++) {
			if (end(i) === '') partition.acquireSnapshot();
			const { status } = harness.execute({ opcode: opDeleteRange, key: key(i), value: end(i) });
			if (i % 100 === 0) harness.settle();
			if (status !== statusOk) return codeOf(status);
		}
		return '';
	};
	const name = (i: number): string => String(i).padStart(8, '0');
	const manyCount = 3000;
	assert.equal(
		refusal(
			manyCount,
			(i) => name(2 * i),
			(i) => name(2 * i + 1),
		),
		'',
	);
	assert.equal(
		refusal(
			500,
			() => '',
			() => '',
		),
		'MILLRACE_BUSY',
	);
	assert.ok(size() > rangeTombstoneSizeMax / 2 && size() <= rangeTombstoneSizeMax, `${size()} bytes`);
	assert.equal(harness.execute({ opcode: opPut, key: 'a', value: 'still written' }).status, statusOk);
	assert.equal(harness.execute({ opcode: opGet, key: 'a' }).text, 'still written');
	harness.close();

	const wide = new PartitionHarness(new SimulatedDisk(), { partition: { ...large, memtableSize: 1 << 24 } });
	const pad = 'w'.repeat(15_000);
	let answer = '';
	for (let i = 0; i < 300 && answer === ''; i++) {
		const { status } = wide.execute({
			opcode: opDeleteRange,
			key: `${name(2 * i)}${pad}`,
			value: `${name(2 * i + 1)}${pad}`,
		});
		if (status !== statusOk) answer = codeOf(status);
		wide.settle();
	}
	assert.equal(answer, 'MILLRACE_BUSY');
	wide.close();
});
