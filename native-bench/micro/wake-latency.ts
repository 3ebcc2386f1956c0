/**
 * How long a sleeping thread needs to have its record: one record at a time, the receiver asleep before each. Measured
 * one way, from before `reserve` to after `next`, by the clock all threads share.
 */
import { once } from 'node:events';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { MessageChannel, Worker } from 'node:worker_threads';
import { readU53 } from '../../src/base/bytes.js';
import { PortBellOwner, ThreadBell } from '../../src/ring/bell.js';
import { RingConsumer } from '../../src/ring/ring-consumer.js';
import { createRing } from '../../src/ring/ring-format.js';
import { isTiny, printHeader, sharedClockNs } from './harness.js';
import type { SenderWork } from './wake-latency-worker.js';

const recordCount = isTiny ? 20 : 3000;
/** Between a record and the next, so that the receiver has fallen asleep. */
const pauseMs = 1;

function print(name: string, histogram: RecordableHistogram): void {
	const micros = (ns: number): string => `${(ns / 1000).toFixed(1)} us`.padStart(11);
	const [p50, p99] = [histogram.percentile(50), histogram.percentile(99)];
	console.log(`${name.padEnd(48)} p50 ${micros(p50)}  p99 ${micros(p99)}  max ${micros(histogram.max)}`);
}

function record(histogram: RecordableHistogram, consumer: RingConsumer): number {
	let count = 0;
	while (consumer.next()) {
		histogram.record(Math.max(1, sharedClockNs() - readU53(consumer.source, consumer.offset)));
		count++;
	}
	consumer.release();
	return count;
}

function start(work: SenderWork): Worker {
	const transferList = work.port === undefined ? [] : [work.port];
	return new Worker(new URL('./wake-latency-worker.js', import.meta.url), { workerData: work, transferList });
}

async function measureThreadBell(): Promise<void> {
	const bellWords = ThreadBell.create();
	const ring = createRing(4096);
	const worker = start({ ring, bell: bellWords, port: undefined, recordCount, pauseMs });
	await once(worker, 'online');
	const bell = new ThreadBell(bellWords);
	const consumer = new RingConsumer(ring, undefined);
	const histogram = createHistogram();
	for (let count = 0; count < recordCount; count += record(histogram, consumer)) {
		while (!consumer.hasNext()) bell.sleep(() => consumer.hasNext());
	}
	await once(worker, 'exit');
	print('thread asleep in Atomics.wait', histogram);
}

async function measurePortBell(): Promise<void> {
	const bellWords = PortBellOwner.create();
	const owner = new PortBellOwner(bellWords);
	const ring = createRing(4096);
	const channel = new MessageChannel();
	const consumer = new RingConsumer(ring, undefined);
	const histogram = createHistogram();
	let count = 0;
	const turn = (): void => {
		owner.disarm();
		count += record(histogram, consumer);
		if (count === recordCount) channel.port1.close();
		else if (!owner.arm(() => consumer.hasNext())) setImmediate(turn);
	};
	channel.port1.on('message', turn);
	turn();
	const worker = start({ ring, bell: bellWords, port: channel.port2, recordCount, pauseMs });
	await once(worker, 'exit');
	print('thread asleep in its event loop', histogram);
}

printHeader('wake latency', `${recordCount} records, ${pauseMs} ms apart, one way`);
await measureThreadBell();
await measurePortBell();
