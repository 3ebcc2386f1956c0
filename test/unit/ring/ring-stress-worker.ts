/**
 * Thread entry of the stress test, one role each: 'producer', 'publisher' or 'consumer'. Payloads check themselves:
 *   u32 sequence | u32 size | u32 xxh32 of the bytes that follow | random bytes
 * Every thread sleeps without a timeout, so a lost wake-up stops all of them for good and the test's watchdog sees it.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../../src/base/assert.js';
import { readU32, writeU32 } from '../../../src/base/bytes.js';
import { Prng } from '../../../src/base/prng.js';
import { xxh32 } from '../../../src/base/xxh32.js';
import { ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import { RingPublisher } from '../../../src/ring/ring-publisher.js';
import { consumedIndex, doneIndex, publishIndex } from './ring-stress-format.js';

export interface StressWork {
	readonly role: 'producer' | 'publisher' | 'consumer';
	readonly ring: SharedArrayBuffer;
	readonly producerBell: SharedArrayBuffer;
	readonly consumerBell: SharedArrayBuffer;
	readonly publisherBell: SharedArrayBuffer;
	/** Int32 words of ring-stress-format.ts. */
	readonly progress: SharedArrayBuffer;
	readonly withPublisher: boolean;
	readonly oversizePort: MessagePort | undefined;
	readonly recordCount: number;
	readonly sizeMax: number;
	readonly oversizeChance: number;
	readonly batchMax: number;
	readonly pauseChance: number;
	readonly seed: number;
}

const headerSize = 12;

const work = workerData as StressWork;
const progress = new Int32Array(work.progress);
const prng = new Prng(work.seed);
const pauseWord = new Int32Array(new SharedArrayBuffer(4));
let sleepCount = 0;

/** Lets the other side overtake: mostly for moments, sometimes long enough for it to fall asleep. */
function maybePause(): void {
	if (!prng.chance(work.pauseChance)) return;
	if (prng.chance(0.1)) Atomics.wait(pauseWord, 0, 0, 1);
	else for (let spins = prng.below(2000); spins > 0; spins--) Atomics.load(pauseWord, 0);
}

function sleep(bell: ThreadBell, hasWork: () => boolean): void {
	sleepCount++;
	bell.sleep(hasWork);
}

function produce(): void {
	const bell = new ThreadBell(work.producerBell);
	const publisherBell = new ThreadBell(work.publisherBell);
	const producer = new RingProducer(work.ring, new ThreadBell(work.consumerBell), work.oversizePort);
	const publish = (): void => {
		if (work.withPublisher) {
			Atomics.store(progress, publishIndex, producer.position | 0);
			publisherBell.ring();
		} else {
			producer.publish();
		}
	};
	let batch = 1;
	for (let sequence = 0; sequence < work.recordCount; sequence++) {
		const isOversize = prng.chance(work.oversizeChance);
		const size = headerSize + prng.below(isOversize ? 20_000 : work.sizeMax - headerSize + 1);
		const reservedSize = size + prng.below(3) * 8;
		if (!producer.hasRoom(reservedSize)) {
			publish();
			producer.waitingForRoom(true);
			while (!producer.hasRoom(reservedSize)) sleep(bell, () => producer.hasRoom(reservedSize));
			producer.waitingForRoom(false);
		}
		const offset = producer.reserve(reservedSize);
		assert(offset >= 0, 'reserve succeeds after hasRoom');
		const bytes = producer.target;
		for (let i = headerSize; i < size; i++) bytes[offset + i] = prng.nextU32();
		writeU32(bytes, offset, sequence);
		writeU32(bytes, offset + 4, size);
		writeU32(bytes, offset + 8, xxh32(bytes, offset + headerSize, size - headerSize));
		producer.commit(size);
		if (--batch > 0) continue;
		publish();
		batch = 1 + prng.below(work.batchMax);
		maybePause();
	}
	publish();
	Atomics.store(progress, doneIndex, 1);
	publisherBell.ring();
}

function publishForProducer(): void {
	const bell = new ThreadBell(work.publisherBell);
	const publisher = new RingPublisher(work.ring, new ThreadBell(work.consumerBell));
	let published = Atomics.load(progress, publishIndex);
	publisher.publishTo(published >>> 0);
	const isNew = (): boolean =>
		Atomics.load(progress, publishIndex) !== published || Atomics.load(progress, doneIndex) === 1;
	for (;;) {
		while (!isNew()) sleep(bell, isNew);
		const isDone = Atomics.load(progress, doneIndex) === 1;
		published = Atomics.load(progress, publishIndex);
		publisher.publishTo(published >>> 0);
		if (isDone) return;
		maybePause();
	}
}

function consume(): void {
	const bell = new ThreadBell(work.consumerBell);
	const consumer = new RingConsumer(work.ring, new ThreadBell(work.producerBell), work.oversizePort);
	let sequence = 0;
	while (sequence < work.recordCount) {
		let batch = 1 + prng.below(work.batchMax);
		while (batch-- > 0 && consumer.next()) {
			const { source, offset, size } = consumer;
			assert(readU32(source, offset) === sequence, `record ${sequence} has its sequence number`);
			assert(readU32(source, offset + 4) === size, `record ${sequence} has its size`);
			const hash = xxh32(source, offset + headerSize, size - headerSize);
			assert(readU32(source, offset + 8) === hash, `record ${sequence} has its bytes`);
			sequence++;
		}
		consumer.release();
		Atomics.store(progress, consumedIndex, sequence);
		maybePause();
		while (sequence < work.recordCount && !consumer.hasNext()) sleep(bell, () => consumer.hasNext());
	}
	assert(!consumer.hasNext(), 'there is nothing after the last record');
}

if (work.role === 'producer') produce();
else if (work.role === 'publisher') publishForProducer();
else consume();
parentPort?.postMessage({ role: work.role, sleepCount });
