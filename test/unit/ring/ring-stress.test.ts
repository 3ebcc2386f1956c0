/**
 * Two or three real threads over one ring, with payloads that check themselves and both sides asleep often. Records
 * lost, doubled, torn or reordered fail an assertion in the consumer; a lost wake-up stops everything and the
 * watchdog fails the test. MILLRACE_RING_RECORDS sets the records of each run, for a long one.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MessageChannel, Worker } from 'node:worker_threads';
import { ThreadBell } from '../../../src/ring/bell.js';
import { createRing, inlineSizeMax } from '../../../src/ring/ring-format.js';
import { testSeed } from '../../support/seed.js';
import { consumedIndex, publishIndex } from './ring-stress-format.js';
import type { StressWork } from './ring-stress-worker.js';

const recordCount = Number(process.env.MILLRACE_RING_RECORDS ?? 60_000);
/** Without a single record in this time the threads are stuck; far longer than any schedule of a busy machine. */
const stuckMs = 20_000;
/** Positions overflow after a few thousand records. */
const startPosition = 2 ** 32 - (1 << 18);
const workerUrl = new URL('./ring-stress-worker.js', import.meta.url);

interface Scenario {
	readonly name: string;
	readonly ringSize: number;
	readonly sizeMax: number;
	readonly oversizeChance: number;
	readonly batchMax: number;
	readonly pauseChance: number;
	readonly withPublisher: boolean;
	/** Share of `recordCount`. */
	readonly share: number;
}

const scenarios: Scenario[] = [
	{
		name: 'one record at a time through a ring of a few records',
		ringSize: 256,
		sizeMax: inlineSizeMax(256) - 16,
		oversizeChance: 0,
		batchMax: 1,
		pauseChance: 0.002,
		withPublisher: false,
		share: 1,
	},
	{
		name: 'batches with oversized records between them',
		ringSize: 1024,
		sizeMax: 100,
		oversizeChance: 0.02,
		batchMax: 16,
		pauseChance: 0.01,
		withPublisher: false,
		share: 0.5,
	},
	{
		name: 'a publisher in a third thread',
		ringSize: 1024,
		sizeMax: 200,
		oversizeChance: 0.01,
		batchMax: 6,
		pauseChance: 0.01,
		withPublisher: true,
		share: 0.5,
	},
	{
		name: 'large batches through a large ring',
		ringSize: 1 << 20,
		sizeMax: 300,
		oversizeChance: 0,
		batchMax: 2000,
		pauseChance: 0.05,
		withPublisher: false,
		share: 2,
	},
];

/** Runs the threads of a scenario. @returns how often each role went to sleep */
async function run(scenario: Scenario, seed: number): Promise<Map<string, number>> {
	const channel = new MessageChannel();
	const ring = createRing(scenario.ringSize, startPosition);
	const progress = new SharedArrayBuffer(512);
	const shared = {
		...scenario,
		ring,
		progress,
		producerBell: ThreadBell.create(),
		consumerBell: ThreadBell.create(),
		publisherBell: ThreadBell.create(),
		recordCount: Math.ceil(recordCount * scenario.share),
	};
	new Int32Array(progress)[publishIndex] = startPosition | 0;
	const roles: StressWork['role'][] = ['producer', 'consumer'];
	if (scenario.withPublisher) roles.push('publisher');
	const sleeps = new Map<string, number>();
	const workers: Worker[] = [];
	const finished = roles.map((role, index) => {
		const oversizePort = [channel.port1, channel.port2, undefined][index];
		const work: StressWork = { ...shared, role, oversizePort, seed: seed + index };
		const worker = new Worker(workerUrl, {
			workerData: work,
			transferList: oversizePort ? [oversizePort] : [],
		});
		workers.push(worker);
		worker.on('message', (message: { role: string; sleepCount: number }) =>
			sleeps.set(message.role, message.sleepCount),
		);
		return new Promise<void>((resolve, reject) => {
			worker.on('error', reject);
			worker.on('exit', () => resolve());
		});
	});
	const stopWatching = new AbortController();
	try {
		await Promise.race([Promise.all(finished), watch(new Int32Array(progress), stopWatching.signal)]);
	} finally {
		stopWatching.abort();
		await Promise.all(workers.map((worker) => worker.terminate()));
	}
	assert.equal(new Int32Array(progress)[consumedIndex], shared.recordCount);
	return sleeps;
}

/** Never resolves; rejects when no record arrives for `stuckMs`. */
function watch(progress: Int32Array, signal: AbortSignal): Promise<never> {
	return new Promise((_, reject) => {
		let last = -1;
		const timer = setInterval(() => {
			const consumed = Atomics.load(progress, consumedIndex);
			if (consumed === last) reject(new Error(`stuck after ${consumed} records: a wake-up was lost`));
			last = consumed;
		}, stuckMs);
		signal.addEventListener('abort', () => clearInterval(timer));
	});
}

for (const scenario of scenarios) {
	void test(`stress: ${scenario.name}`, async (context) => {
		const sleeps = await run(scenario, testSeed('ring stress'));
		for (const [role, sleepCount] of sleeps) context.diagnostic(`${role} slept ${sleepCount} times`);
		if (scenario.ringSize > 4096) return;
		assert.ok((sleeps.get('consumer') ?? 0) > 0, 'the consumer was made to sleep');
		assert.ok((sleeps.get('producer') ?? 0) > 0, 'the producer was made to sleep');
	});
}
