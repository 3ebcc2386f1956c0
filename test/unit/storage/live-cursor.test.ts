/**
 * A walk over a real partition, in either direction, sees the moment or snapshot at which it began, however much is written,
 * deleted by ranges, flushed, compacted and cleared while it goes on. (What a walk finds in a range: scan.test.ts.)
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { wholeRange } from '../../../src/command/scan-options.js';
import type { LiveCursor } from '../../../src/storage/lsm/scan/live-cursor.js';
import { randomCommand, randomKey } from '../../support/partition-commands.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { liveEntries, PartitionModel } from '../../support/partition-model.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

type Found = [string, string, number][];

interface Walk {
	readonly cursor: LiveCursor;
	readonly expected: Found;
	readonly found: Found;
}

function latin1(bytes: Uint8Array, offset: number, size: number): string {
	return Buffer.from(bytes.subarray(offset, offset + size)).toString('latin1');
}

function startWalk(prng: Prng, harness: PartitionHarness, model: PartitionModel, snapshot: number | undefined): Walk {
	const isReverse = prng.chance(0.5);
	const from = prng.chance(0.3) ? '' : randomKey(prng, 120);
	// From a key on, which is mostly there: the seek is an exact one.
	const isBound = from !== '' && !isReverse && prng.chance(0.7);
	const isBehind = (key: string): boolean =>
		from === '' || (isReverse ? key < from : key > from) || (isBound && key === from);
	const cursor = harness.partition.cursor(snapshot);
	const fromKey = Buffer.from(from, 'latin1');
	const range = isBound ? { ...wholeRange, lower: fromKey, isLowerInclusive: true } : { ...wholeRange, isReverse };
	cursor.start(isBound ? Buffer.alloc(0) : fromKey, range);
	const state = (snapshot === undefined ? undefined : model.snapshots.get(snapshot)) ?? model;
	const live = liveEntries(state, harness.drainMs).filter(([key]) => isBehind(key));
	const expected = live.map(([key, { value, version }]): Found[number] => [key, value, version]);
	return { cursor, expected: isReverse ? expected.reverse() : expected, found: [] };
}

/** @returns true at the end */
function stepWalk(walk: Walk, stepCount: number): boolean {
	const { cursor, found } = walk;
	for (let i = 0; i < stepCount && !cursor.isAtEnd; i++) {
		if (!cursor.step()) continue;
		const { key, keyOffset, keySize, value, valueOffset, valueSize, sequence } = cursor.entry;
		found.push([latin1(key, keyOffset, keySize), latin1(value, valueOffset, valueSize), sequence]);
		cursor.pass();
	}
	return cursor.isAtEnd;
}

test('walks see their moment', () => {
	const prng = new Prng(testSeed('live-cursor'));
	// Walks pin memtables: there must be more of them than walks can pin.
	const harness = new PartitionHarness(new SimulatedDisk(), { nowMs: 1000, partition: { memtableCountMax: 16 } });
	const model = new PartitionModel();
	let walks: Walk[] = [];
	let finishedCount = 0;
	let snapshot: number | undefined;
	for (let i = 0; i < 6000; i++) {
		const command = randomCommand(prng, harness.nowMs, {
			keyCount: 120,
			valueSizeMax: 300,
			readPercent: 0,
			clearPerMille: 4,
		});
		harness.execute(command);
		model.apply(command, harness.drainMs);
		if (snapshot !== undefined && (!model.snapshots.has(snapshot) || prng.chance(0.01))) {
			if (model.snapshots.delete(snapshot)) harness.partition.releaseSnapshot(snapshot);
			snapshot = undefined;
		} else if (snapshot === undefined && prng.chance(0.02)) {
			snapshot = harness.partition.acquireSnapshot();
			assert.equal(snapshot, model.pin());
		}
		if (prng.chance(0.03) && walks.length < 3) {
			walks.push(startWalk(prng, harness, model, prng.chance(0.5) ? snapshot : undefined));
		}
		if (prng.chance(0.05)) {
			harness.settle();
			harness.nowMs += prng.below(500);
		}
		if (prng.chance(0.01)) harness.flush();
		for (const walk of walks) {
			if (!prng.chance(0.1)) continue;
			const isAtEnd = stepWalk(walk, 1 + prng.below(30));
			// Some are broken off: what they leave is used by others.
			if (!isAtEnd && !prng.chance(0.2)) continue;
			assert.deepEqual(walk.found, isAtEnd ? walk.expected : walk.expected.slice(0, walk.found.length));
			walk.cursor.close();
			finishedCount++;
			walks = walks.filter((other) => other !== walk);
		}
	}
	const { compactionCount } = harness.partition.maintenance;
	assert(finishedCount > 5 && compactionCount > 0, `${finishedCount} walks, ${compactionCount} compactions`);
	for (const walk of walks) walk.cursor.close();
	harness.close();
});
