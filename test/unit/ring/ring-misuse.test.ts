/** What a ring refuses: each of these is a programmer error and must stop the thread, not corrupt the ring. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { createRing, ringSizeMin } from '../../../src/ring/ring-format.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import { RingPublisher } from '../../../src/ring/ring-publisher.js';

const bell = { ring: () => {} };
const assertion = { name: 'AssertionError' };

void test('rings have sizes that are powers of two', () => {
	for (const size of [0, 1, ringSizeMin / 2, 100, 2 ** 31, 128.5, Number.NaN]) {
		assert.throws(() => createRing(size), assertion);
	}
	assert.throws(() => createRing(64, 4), assertion);
	assert.throws(() => createRing(64, -8), assertion);
	assert.throws(() => new RingProducer(new SharedArrayBuffer(512 + 100), bell), assertion);
	assert.throws(() => new ThreadBell(new SharedArrayBuffer(4)), assertion);
});

void test('reserve and commit alternate, and a record never grows', () => {
	const producer = new RingProducer(createRing(1024), bell);
	assert.throws(() => producer.commit(), assertion);
	assert.equal(producer.reserve(10), 8);
	assert.throws(() => producer.reserve(10), assertion);
	assert.throws(() => producer.commit(11), assertion);
	assert.throws(() => producer.commit(-1), assertion);
	assert.throws(() => producer.rewind(), assertion);
	producer.commit();
	assert.equal(producer.position, 24);
});

void test('sizes are u32, and oversized records need a port', () => {
	const { port1 } = new MessageChannel();
	const producer = new RingProducer(createRing(1024), bell, port1);
	for (const size of [-1, 2 ** 32, 1.5, Number.NaN]) assert.throws(() => producer.reserve(size), assertion);
	port1.close();
	assert.throws(() => new RingProducer(createRing(1024), bell).reserve(257), assertion);
});

void test('release follows next', () => {
	const ring = createRing(1024);
	const consumer = new RingConsumer(ring, undefined);
	assert.throws(() => consumer.release(), assertion);
	assert.equal(consumer.next(), false);
	consumer.release();
	assert.throws(() => consumer.release(), assertion);
});

void test('a publisher refuses positions more than a ring ahead and ignores older ones', () => {
	const ring = createRing(1024, 2 ** 32 - 16);
	const producer = new RingProducer(ring, bell);
	const publisher = new RingPublisher(ring, bell);
	const consumer = new RingConsumer(ring, undefined);
	producer.reserve(8);
	producer.commit();
	const first = producer.position;
	producer.reserve(8);
	producer.commit();
	publisher.publishTo(producer.position);
	publisher.publishTo(first);
	publisher.publishTo(2 ** 32 - 16);
	assert.ok(consumer.next() && consumer.next() && !consumer.next());
	assert.throws(() => publisher.publishTo(producer.position + 1032), assertion);
});

void test('a consumer without its oversize port says so', () => {
	const { port1, port2 } = new MessageChannel();
	const ring = createRing(64);
	const producer = new RingProducer(ring, bell, port1);
	const consumer = new RingConsumer(ring, undefined);
	producer.reserve(100);
	producer.commit();
	producer.publish();
	assert.throws(() => consumer.next(), assertion);
	port1.close();
	port2.close();
});
