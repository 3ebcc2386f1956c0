/** A walk sees the moment at which it began, however much is written, flushed, merged and cleared while it goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import type { LiveCursor } from '../../../src/storage/lsm/live-cursor.js';
import { randomCommand, randomKey } from '../../support/partition-commands.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { PartitionModel } from '../../support/partition-model.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

interface Walk {
	readonly cursor: LiveCursor;
	readonly expected: [string, number][];
	readonly found: [string, number][];
}

function startWalk(harness: PartitionHarness, model: PartitionModel, after: string): Walk {
	const cursor = harness.partition.cursor();
	cursor.start(Buffer.from(after, 'latin1'));
	const live = model.live(harness.drainMs).filter(([key]) => key > after);
	return { cursor, expected: live.map(([key, entry]) => [key, entry.version]), found: [] };
}

/** @returns true at the end */
function stepWalk(walk: Walk, stepCount: number): boolean {
	const { cursor, found } = walk;
	for (let i = 0; i < stepCount && !cursor.isAtEnd; i++) {
		if (!cursor.step()) continue;
		const { key, keyOffset, keySize, sequence } = cursor.entry;
		found.push([Buffer.from(key.subarray(keyOffset, keyOffset + keySize)).toString('latin1'), sequence]);
		cursor.pass();
	}
	return cursor.isAtEnd;
}

test('walks see their moment', () => {
	const prng = new Prng(testSeed('live-cursor'));
	// Walks pin memtables: there must be more of them than walks can pin.
	const harness = new PartitionHarness(new SimulatedDisk(), { nowMs: 1000, partition: { memtableCountMax: 24 } });
	const model = new PartitionModel();
	let walks: Walk[] = [];
	let finishedCount = 0;
	for (let i = 0; i < 6000; i++) {
		const command = randomCommand(prng, harness.nowMs, {
			keyCount: 120,
			valueSizeMax: 300,
			readPercent: 0,
			clearPerMille: 4,
		});
		harness.execute(command);
		model.apply(command, harness.drainMs);
		if (prng.chance(0.02) && walks.length < 4) {
			walks.push(startWalk(harness, model, prng.chance(0.5) ? '' : randomKey(prng, 120)));
		}
		if (prng.chance(0.05)) {
			harness.settle();
			harness.nowMs += prng.below(500);
		}
		if (prng.chance(0.01)) harness.flush();
		for (const walk of walks) {
			if (!prng.chance(0.05) || !stepWalk(walk, 1 + prng.below(10))) continue;
			assert.deepEqual(walk.found, walk.expected);
			walk.cursor.close();
			finishedCount++;
			walks = walks.filter((other) => other !== walk);
		}
	}
	const { maintenance } = harness.partition;
	assert(finishedCount > 5 && maintenance.mergeCount > 0, `${finishedCount} walks, ${maintenance.mergeCount} merges`);
	for (const walk of walks) walk.cursor.close();
	harness.close();
});
