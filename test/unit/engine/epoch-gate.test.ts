/** The gate: no batch lies across an epoch, nobody starves; with threads played in one, and with real ones. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import { hasCode, MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { createDatabaseMemory, GateSlot, loadEpoch } from '../../../src/command/database-memory.js';
import { EpochGate } from '../../../src/engine/epoch-gate.js';
import { testSeed } from '../../support/seed.js';

/** Threads that take turns: what each wants to look at later is called when the test says so. */
function playThreads(count: number): { gates: EpochGate[]; epoch: () => number; looks: (() => void)[] } {
	const memory = createDatabaseMemory();
	const words = new Int32Array(memory);
	const looks: (() => void)[] = [];
	const gates = Array.from(
		{ length: count },
		(_, slot) => new EpochGate(new GateSlot(memory, slot), (look) => looks.push(look)),
	);
	return { gates, epoch: () => loadEpoch(words), looks };
}

/** Lets everything happen that waits for nothing but promises. */
async function settle(): Promise<void> {
	await new Promise((resolve) => setImmediate(resolve));
}

test('a quiet gate keeps nobody waiting', async () => {
	const { gates, epoch, looks } = playThreads(2);
	const [gate] = gates as [EpochGate, EpochGate];
	assert.equal(gate.maybeNewEpoch(), 1);
	assert.ok(gate.maybeEnterBatch());
	assert.ok(gate.maybeEnterBatch(), 'one batch does not hold up another');
	assert.equal(gate.maybeNewEpoch(), undefined, 'under way');
	assert.ok(gate.maybeEnterBatch(), 'the gate is open again');
	for (let i = 0; i < 3; i++) gate.leaveBatch();
	assert.equal(await gate.newEpoch(), 2);
	assert.equal(epoch(), 2);
	assert.equal(looks.length, 0, 'nothing was waited for');
});

test('an epoch that is wanted holds new batches back, in all threads, and they enter when it has begun', async () => {
	const { gates, epoch, looks } = playThreads(2);
	const [gate, other] = gates as [EpochGate, EpochGate];
	await gate.enterBatch();
	await other.enterBatch();
	const order: string[] = [];
	const wishes = [1, 2].map(() => other.newEpoch().then((number) => order.push(`epoch ${number}`)));
	const late = [gate, other].map((each, i) => each.enterBatch().then(() => order.push(`batch ${i}`)));
	await settle();
	assert.deepEqual(order, []);
	gate.leaveBatch();
	for (const look of looks.splice(0)) look();
	await settle();
	assert.deepEqual(order, [], 'one is under way yet');
	// The last to end lets its own thread go on at once; the other one looks.
	other.leaveBatch();
	await settle();
	assert.deepEqual(order, ['epoch 1', 'epoch 2', 'batch 1']);
	assert.equal(epoch(), 2);
	for (const look of looks.splice(0)) look();
	await Promise.all([...wishes, ...late]);
	assert.equal(order[3], 'batch 0');
});

test('what is done while it is closed has no batch beside it; epochs begin meanwhile', async () => {
	const { gates, looks } = playThreads(2);
	const [gate, other] = gates as [EpochGate, EpochGate];
	await other.enterBatch();
	const events: string[] = [];
	let end = (): void => undefined;
	const closed = gate.whileClosed(async () => {
		events.push('closed');
		await new Promise<void>((resolve) => {
			end = resolve;
		});
		return 7;
	});
	await settle();
	assert.deepEqual(events, []);
	other.leaveBatch();
	for (const look of looks.splice(0)) look();
	await settle();
	assert.deepEqual(events, ['closed']);
	assert.equal(other.maybeEnterBatch(), false);
	assert.equal(await gate.newEpoch(), 1);
	assert.equal(await other.newEpoch(), 2);
	assert.equal(other.maybeEnterBatch(), false);
	end();
	assert.equal(await closed, 7);
	assert.ok(other.maybeEnterBatch());
	other.leaveBatch();
	await assert.rejects(
		gate.whileClosed(() => Promise.reject(new Error('no'))),
		/no/,
	);
	assert.ok(other.maybeEnterBatch(), 'it opens after a failure, too');
});

test('a batch of another thread that does not end is not waited for without end; its own may end after the end', async () => {
	const memory = createDatabaseMemory();
	const [blocked, gate, closing] = [0, 1, 2].map((slot) => new EpochGate(new GateSlot(memory, slot), undefined, 20));
	await blocked.enterBatch();
	const isBusy = (error: unknown): boolean => hasCode(error, 'MILLRACE_BUSY');
	await assert.rejects(gate.newEpoch(), isBusy);
	await assert.rejects(
		gate.whileClosed(async () => assert.fail('a batch is under way')),
		isBusy,
	);
	await gate.enterBatch();
	gate.leaveBatch();
	new GateSlot(memory, 3).closeGate();
	closing.hurry(new MillraceError('MILLRACE_CLOSED', 'closing'));
	await assert.rejects(closing.enterBatch(), (error) => hasCode(error, 'MILLRACE_CLOSED'));
	new GateSlot(memory, 3).openGate();
	// The opener clears the slot of a thread before that hears of the end.
	new GateSlot(memory, 0).clear();
	blocked.end(new MillraceError('MILLRACE_CLOSED', 'closed'));
	blocked.leaveBatch();
	assert.equal(await gate.newEpoch(), 1);
});

test('the end refuses who waits, and who comes', async () => {
	const { gates, looks } = playThreads(2);
	const [gate, other] = gates as [EpochGate, EpochGate];
	await other.enterBatch();
	const waiting = [gate.newEpoch(), gate.enterBatch(), gate.whileClosed(async () => assert.fail('not done'))];
	gate.end(new MillraceError('MILLRACE_CLOSED', 'the database is closed'));
	waiting.push(gate.newEpoch(), gate.enterBatch());
	for (const each of waiting) await assert.rejects(each, (error) => hasCode(error, 'MILLRACE_CLOSED'));
	for (const look of looks.splice(0)) look();
	assert.equal(looks.length, 0, 'it looks no more');
	assert.ok(other.maybeEnterBatch(), 'what it had closed is open');
});

test('in any order of events no epoch begins beside a batch, and all who wait get through', async () => {
	const seed = testSeed('epoch gate');
	for (let round = 0; round < 60; round++) {
		const prng = new Prng(seed + round);
		const { gates, epoch, looks } = playThreads(1 + prng.below(4));
		/** Batches under way: their thread, and the epoch that held when they entered. */
		const under: { gate: EpochGate; epoch: number }[] = [];
		let closedCount = 0;
		let waitingCount = 0;
		const waited = (promise: Promise<unknown>): void => {
			waitingCount++;
			void promise.finally(() => waitingCount--);
		};
		const leave = (): void => {
			const [batch] = under.splice(prng.below(under.length), 1);
			if (batch === undefined) return;
			assert.equal(epoch(), batch.epoch, 'the epoch it began in holds');
			assert.equal(closedCount, 0);
			batch.gate.leaveBatch();
		};
		const look = (): void => looks.splice(prng.below(looks.length), 1)[0]?.();
		for (let step = 0; step < 300; step++) {
			const gate = gates[prng.below(gates.length)] as EpochGate;
			const choice = prng.below(12);
			if (choice < 4) waited(gate.enterBatch().then(() => under.push({ gate, epoch: epoch() })));
			else if (choice < 7) leave();
			else if (choice < 8) waited(gate.newEpoch());
			else if (choice < 9) gate.maybeNewEpoch();
			else if (choice < 10 && prng.chance(0.3)) {
				const work = async (): Promise<void> => {
					closedCount++;
					assert.equal(under.length, 0);
					for (let turn = prng.below(3); turn > 0; turn--) await settle();
					closedCount--;
				};
				waited(gate.whileClosed(work));
			} else look();
			if (prng.chance(0.5)) await settle();
		}
		for (let i = 0; waitingCount > 0; i++) {
			assert.ok(i < 3000, `${waitingCount} wait for ever`);
			await settle();
			leave();
			for (const each of looks.splice(0)) each();
		}
	}
});

test('threads that begin batches and epochs as fast as they can', async () => {
	const memory = createDatabaseMemory();
	const start = (slot: number): Promise<{ batches: number; epochs: number }> =>
		new Promise((resolve, reject) => {
			const worker = new Worker(new URL('./epoch-gate-worker.js', import.meta.url), { workerData: { memory, slot } });
			worker.once('message', resolve);
			worker.once('error', reject);
		});
	const results = await Promise.all([0, 1, 2].map(start));
	const sum = results.reduce((total, { epochs }) => total + epochs, 0);
	assert.equal(loadEpoch(new Int32Array(memory)), sum);
	assert.ok(new GateSlot(memory, 5).isQuiet);
	assert.ok(results.every(({ batches }) => batches > 0));
});
