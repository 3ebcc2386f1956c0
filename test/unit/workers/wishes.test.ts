/** What a request wishes of the durability of its answer, against what the database promises of itself. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { statusOf, statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opBarrier, opExplain, opGet, opPut, wishAlways, wishNone } from '../../../src/command/command-format.js';
import { Partition } from '../../../src/storage/lsm/partition.js';
import { testSeed } from '../../support/seed.js';
import { LoopRig } from './loop-rig.js';

/** Sequences that a crash now leaves, by one legal disk. */
function sequencesAfterCrash(rig: LoopRig, prng: Prng): number {
	const partition = new Partition(
		rig.disk.crashAt(rig.disk.position, prng),
		'/data',
		{
			queue: { target: new Uint8Array(1 << 20), reserve: () => 0, commit: () => {}, publish: () => {} },
			commitPosition: () => 0,
			submitJob: () => {},
			waitForLog: () => {},
			note: () => {},
			clockMs: () => rig.nowMs,
		},
		{ reserveFileSize: 0 },
	);
	const { lastSequence } = partition;
	partition.close();
	return lastSequence;
}

const namesOf = (rig: LoopRig): string[] => rig.takeReplies().map(({ name }) => name);

test('a write that wishes for nothing is answered before the log has seen it; who reads it waits for the log', () => {
	const rig = new LoopRig();
	rig.attach(1);
	for (const channel of [0, 1]) {
		rig.send('none', { opcode: opPut, key: 'k', value: 'v', channel, wish: wishNone });
		rig.send('default', { opcode: opPut, key: 'l', value: 'v', channel });
		rig.send('read', { opcode: opGet, key: 'k', channel });
	}
	rig.turn();
	assert.deepEqual(namesOf(rig), ['none', 'none']);
	rig.runLog();
	assert.deepEqual(namesOf(rig), ['default', 'read', 'default', 'read']);
});

test('a write that wishes for a sync has one before its answer, one for all of a drain; others do not wait for it', () => {
	const prng = new Prng(testSeed('wishes'));
	for (const durability of ['interval', 'none', 'always'] as const) {
		const rig = new LoopRig({}, { durability, ringSize: 1 << 16 });
		rig.attach(1, 1 << 16);
		for (let round = 0; round < 4; round++) {
			const before = rig.disk.position;
			for (const channel of [0, 1]) {
				for (let i = 0; i < 5; i++) {
					rig.send(`${channel} ${i}`, {
						opcode: opPut,
						key: `${channel}${round}${i}`,
						value: 'v',
						channel,
						wish: wishAlways,
					});
					rig.send('default', { opcode: opPut, key: 'l', value: 'v', channel });
				}
			}
			rig.turn();
			assert.deepEqual(namesOf(rig), []);
			rig.runLog();
			assert.equal(namesOf(rig).length, 20);
			assert.equal(rig.disk.position - before, 2, 'one write, one sync');
			assert.equal(sequencesAfterCrash(rig, prng), rig.host.partition.lastSequence);
		}
	}
});

test('no answer that waits for a sync leaves with a group that was written before it', () => {
	const rig = new LoopRig({}, { durability: 'none' });
	const { partition, queue } = rig.host;
	// In the middle of a drain, everything so far is handed to the log, as when the log ring runs full.
	partition.explain = () => {
		partition.finishGroup();
		queue.publish();
		rig.runLog();
		return {} as ReturnType<typeof partition.explain>;
	};
	rig.send('before', { opcode: opPut, key: 'a', value: 'v' });
	rig.send('wishes', { opcode: opPut, key: 'b', value: 'v', wish: wishAlways });
	rig.send('behind', { opcode: opPut, key: 'c', value: 'v' });
	rig.send('explain', { opcode: opExplain, key: 'a' });
	rig.send('later', { opcode: opPut, key: 'd', value: 'v' });
	rig.turn();
	assert.deepEqual(namesOf(rig), ['explain', 'before']);
	const { position } = rig.disk;
	rig.runLog();
	assert.deepEqual(namesOf(rig), ['wishes', 'behind', 'later']);
	assert.equal(rig.disk.position, position + 2);
});

test('a barrier that wishes for it is a sync; wishes hold for answers that are left behind, too', () => {
	const prng = new Prng(testSeed('wishes left behind'));
	const rig = new LoopRig({}, { durability: 'none' });
	rig.isLogHasty = true;
	rig.attach(1, 1 << 13);
	for (let i = 0; i < 60; i++) {
		rig.send(`put ${i}`, { opcode: opPut, key: `k${i}`, value: 'v', channel: 1, wish: wishAlways });
		if (i % 10 === 9) rig.turn();
	}
	for (let i = 0; i < 60; i++) rig.send(`get ${i}`, { opcode: opGet, key: 'k0', channel: 1 });
	const wide = 'w'.repeat(1000);
	for (let i = 0; i < 4; i++) rig.send(`wide ${i}`, { opcode: opPut, key: 'wide', value: wide, channel: 1 });
	rig.turn();
	let count = 0;
	for (let i = 0; count < 124 && i < 400; i++) {
		for (const { name, status, number } of rig.takeReplies([1], 3)) {
			count++;
			assert.equal(status, statusOk);
			if (name.startsWith('put')) assert.ok(sequencesAfterCrash(rig, prng) >= number, `${name} is on the disk`);
		}
		if (prng.below(2) === 0) rig.turn();
		else rig.runLog();
	}
	assert.equal(count, 124);
	rig.ask({ opcode: opPut, key: 'last', value: 'v' });
	rig.ask({ opcode: opBarrier, wish: wishAlways });
	assert.equal(sequencesAfterCrash(rig, prng), rig.host.partition.lastSequence);
});

test('when the log fails, an answer that waits for a sync is an error, also when its write was handed to the system', () => {
	const rig = new LoopRig({}, { durability: 'none' });
	const { partition, queue } = rig.host;
	partition.explain = () => {
		partition.finishGroup();
		queue.publish();
		rig.runLog();
		rig.failLog();
		return {} as ReturnType<typeof partition.explain>;
	};
	rig.send('wishes', { opcode: opPut, key: 'b', value: 'v', wish: wishAlways });
	rig.send('explain', { opcode: opExplain, key: 'b' });
	rig.settle();
	const wishes = rig.takeReplies().find(({ name }) => name === 'wishes');
	assert.equal(wishes?.status, statusOf('MILLRACE_POISONED'));
});
