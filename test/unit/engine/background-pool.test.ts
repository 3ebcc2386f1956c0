/**
 * The pool's order: short jobs never wait behind long ones, and level 0 goes first among compactions. Real threads, no real jobs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackgroundPool } from '../../../src/engine/background-pool.js';

const workerUrl = new URL('./pool-job-worker.js', import.meta.url);

/** A job that blocks the thread that has it until it is released. */
interface Held {
	readonly done: Promise<unknown>;
	/** Place among the jobs that have begun; 0: it has not. */
	readonly place: () => number;
	release(): void;
}

function hold(pool: BackgroundPool, begun: SharedArrayBuffer, job: object): Held {
	const gate = new SharedArrayBuffer(8);
	const words = new Int32Array(gate);
	return {
		done: pool.run({ directory: '', job: { ...job, gate, begun } }),
		place: () => Atomics.load(words, 1),
		release: () => {
			Atomics.store(words, 0, 1);
			Atomics.notify(words, 0);
		},
	};
}

test('a segment never waits behind flushes, a flush never behind compactions; of these, level 0 comes first', async () => {
	const pool = new BackgroundPool(workerUrl);
	const begun = new SharedArrayBuffer(4);
	const compaction = (level: number): object => ({ kind: 'compact', inputs: [{ id: 1, level }] });
	// More than any pool has threads.
	const held = Array.from({ length: 12 }, (_, i) => hold(pool, begun, compaction(i === 11 ? 0 : 5)));
	const flush = hold(pool, begun, { kind: 'flush' });
	flush.release();
	assert.deepEqual(await flush.done, { result: 'flush' }, 'while compactions hold their threads');
	const flushes = Array.from({ length: 12 }, () => hold(pool, begun, { kind: 'flush' }));
	const segment = hold(pool, begun, { kind: 'prepareSegment' });
	segment.release();
	assert.deepEqual(await segment.done, { result: 'prepareSegment' }, 'while flushes hold theirs as well');
	for (const { release } of flushes) release();
	const [levelZero] = held.splice(11);
	assert.equal(levelZero.place(), 0, 'it has to wait');
	for (const { release } of held) release();
	levelZero.release();
	await Promise.all([levelZero, ...held, ...flushes].map(({ done }) => done));
	assert(levelZero.place() < Math.max(...held.map(({ place }) => place())), 'but not for those that came before it');
	await pool.close();
});

test('checkpoints and verifications are no short jobs either', { timeout: 20_000 }, async () => {
	for (const kind of ['checkpoint', 'verify']) {
		const pool = new BackgroundPool(workerUrl);
		const begun = new SharedArrayBuffer(4);
		const held = Array.from({ length: 12 }, () => hold(pool, begun, { kind }));
		const segment = hold(pool, begun, { kind: 'prepareSegment' });
		segment.release();
		assert.deepEqual(await segment.done, { result: 'prepareSegment' });
		assert.equal(held.at(-1)?.place(), 0, 'while others wait');
		for (const { release } of held) release();
		await Promise.all(held.map(({ done }) => done));
		await pool.close();
	}
});

test('closing answers everything that waits', async () => {
	const pool = new BackgroundPool(workerUrl);
	const begun = new SharedArrayBuffer(4);
	const held = Array.from({ length: 12 }, () => hold(pool, begun, { kind: 'compact', inputs: [] }));
	await pool.close();
	for (const outcome of await Promise.all(held.map(({ done }) => done))) {
		assert.match(JSON.stringify(outcome), /the background pool failed/);
	}
	assert.match(
		JSON.stringify(await pool.run({ directory: '', job: { kind: 'compact' } })),
		/the background pool failed/,
	);
});
