/**
 * A ring between two threads: a worker writes records of 128 B in batches, the main thread reads them; each sleeps when
 * the ring is full or empty. `benchmark` cannot time two threads, so the rounds are timed here.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { assert } from '../../src/base/assert.js';
import { readU32 } from '../../src/base/bytes.js';
import { ringSizeDefault } from '../../src/base/limits.js';
import { ThreadBell } from '../../src/ring/bell.js';
import { RingConsumer } from '../../src/ring/ring-consumer.js';
import { createRing } from '../../src/ring/ring-format.js';
import { isTiny, printHeader, printRounds, sharedClockNs } from './harness.js';
import type { ProducerWork } from './ring-threads-worker.js';

const payloadSize = 128;
const roundCount = isTiny ? 2 : 8;
const recordCount = isTiny ? 10_000 : 4_000_000;

/** Reads one round. @returns seconds from its first record to its last */
function readRound(consumer: RingConsumer, bell: ThreadBell): number {
	let startNs = 0;
	let received = 0;
	while (received < recordCount) {
		while (!consumer.hasNext()) bell.sleep(() => consumer.hasNext());
		if (received === 0) startNs = sharedClockNs();
		// Giving back a batch at a time keeps the producer going while we read. It may be in the next round already.
		for (let left = Math.min(512, recordCount - received); left > 0 && consumer.next(); left--) {
			const last = readU32(consumer.source, consumer.offset + payloadSize - 4);
			assert(readU32(consumer.source, consumer.offset) === received && last === received, 'records in order');
			received++;
		}
		consumer.release();
	}
	return (sharedClockNs() - startNs) / 1e9;
}

async function measure(batchCount: number): Promise<void> {
	const work: ProducerWork = {
		ring: createRing(ringSizeDefault),
		producerBell: ThreadBell.create(),
		consumerBell: ThreadBell.create(),
		payloadSize,
		recordCount,
		roundCount: roundCount + 1,
		batchCount,
	};
	const bell = new ThreadBell(work.consumerBell);
	const consumer = new RingConsumer(work.ring, new ThreadBell(work.producerBell));
	const worker = new Worker(new URL('./ring-threads-worker.js', import.meta.url), { workerData: work });
	await once(worker, 'online');
	const rates: number[] = [];
	for (let round = 0; round <= roundCount; round++) {
		const seconds = readRound(consumer, bell);
		// The first round warms both threads up.
		if (round > 0) rates.push(recordCount / seconds);
	}
	await once(worker, 'exit');
	printRounds(`${payloadSize} B, batches of ${batchCount}`, rates);
}

printHeader(
	'ring, two threads',
	`ring ${ringSizeDefault} B; ${roundCount} rounds of ${recordCount} records; whole payloads, ends checked`,
);
await measure(1);
await measure(64);
await measure(512);
