/**
 * The slot table is even enough, moves little when a partition is added, and never changes by accident: directories
 * on disk rely on it. If a golden value fails, the code is wrong, not the value.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { partitionCountMax } from '../../../src/base/limits.js';
import { xxh32 } from '../../../src/base/xxh32.js';
import { buildSlotTable, slotCount } from '../../../src/routing/slot-table.js';

void test('every partition owns its share of slots', () => {
	for (let partitionCount = 2; partitionCount <= partitionCountMax; partitionCount++) {
		const owned = new Uint32Array(partitionCount);
		for (const partition of buildSlotTable(partitionCount)) owned[partition] += 1;
		const mean = slotCount / partitionCount;
		assert.ok(Math.max(...owned) / mean <= 1.1, `${partitionCount} partitions: ${Math.max(...owned)} of ${mean}`);
		assert.ok(Math.min(...owned) / mean >= 0.85, `${partitionCount} partitions: ${Math.min(...owned)} of ${mean}`);
	}
});

void test('a new partition takes its share from all others, and nothing else moves', () => {
	let before = buildSlotTable(1);
	for (let partitionCount = 2; partitionCount <= partitionCountMax; partitionCount++) {
		const after = buildSlotTable(partitionCount);
		let movedCount = 0;
		for (let slot = 0; slot < slotCount; slot++) {
			if (after[slot] === before[slot]) continue;
			movedCount++;
			assert.equal(after[slot], partitionCount - 1, 'slots move only to the new partition');
		}
		assert.ok(movedCount / slotCount <= 1 / partitionCount + 0.05, `${movedCount} of ${slotCount} moved`);
		before = after;
	}
});

void test('the tables on disk never change', () => {
	const golden = [
		[2, 0xd9727be1],
		[3, 0x2768f22b],
		[4, 0xd65493ef],
		[8, 0xfc0db2a4],
		[16, 0x4e95f82a],
		[64, 0xdc64cdc2],
	] as const;
	for (const [partitionCount, hash] of golden) {
		assert.equal(xxh32(buildSlotTable(partitionCount), 0, slotCount), hash, `${partitionCount} partitions`);
	}
	const four = buildSlotTable(4);
	assert.deepEqual(
		[...four.subarray(0, 64)],
		[
			3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
			2, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0,
		],
	);
});

void test('partition counts have limits', () => {
	for (const partitionCount of [0, -1, 1.5, Number.NaN, partitionCountMax + 1]) {
		assert.throws(() => buildSlotTable(partitionCount), { name: 'AssertionError' });
	}
	assert.deepEqual(new Set(buildSlotTable(1)), new Set([0]));
});
