/**
 * A ring in one thread against a model of it: queues of payloads and positions kept as ordinary numbers, which
 * never wrap. Every random action is done to both and everything visible is compared, bytes included, up to the
 * moment they are given back. Half of the runs start near 2^32, so that positions overflow in the middle.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Prng } from '../../../src/base/prng.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { createRing, inlineSizeMax, recordSizeOf, stubSize } from '../../../src/ring/ring-format.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import { RingPublisher } from '../../../src/ring/ring-publisher.js';
import { testSeed } from '../../support/seed.js';

interface Seen {
	payload: Uint8Array;
	source: Uint8Array;
	offset: number;
}

class Model {
	readonly channel = new MessageChannel();
	readonly producer: RingProducer;
	readonly consumer: RingConsumer;
	readonly publisher: RingPublisher | undefined;
	rungConsumer = 0;
	rungProducer = 0;
	unpublished: Uint8Array[] = [];
	visible: Uint8Array[] = [];
	seen: Seen[] = [];
	position: number;
	tail: number;
	head: number;
	/** End positions of records, oldest first, so that `next` knows where the head goes. */
	ends: number[] = [];
	seenEnd: number;

	constructor(
		readonly prng: Prng,
		readonly capacity: number,
		start: number,
		withPublisher: boolean,
	) {
		const ring = createRing(capacity, start);
		const consumerBell = { ring: () => void this.rungConsumer++ };
		const producerBell = { ring: () => void this.rungProducer++ };
		this.producer = new RingProducer(ring, consumerBell, this.channel.port1);
		this.consumer = new RingConsumer(ring, producerBell, this.channel.port2);
		this.publisher = withPublisher ? new RingPublisher(ring, consumerBell) : undefined;
		this.position = start;
		this.tail = start;
		this.head = start;
		this.seenEnd = start;
	}

	/** Position after a record of `size` bytes that is written now. */
	endOf(size: number): number {
		const recordSize = recordSizeOf(size <= inlineSizeMax(this.capacity) ? size : stubSize);
		const remaining = this.capacity - (this.position % this.capacity);
		return this.position + (recordSize > remaining ? remaining : 0) + recordSize;
	}

	write(): void {
		const { prng, producer } = this;
		const limit = inlineSizeMax(this.capacity);
		const size = prng.chance(0.1) ? limit + 1 + prng.below(300) : prng.below(limit + 1);
		const fits = this.endOf(size) - this.head <= this.capacity;
		assert.equal(producer.hasRoom(size), fits);
		const offset = producer.reserve(size);
		assert.equal(offset >= 0, fits, `size ${size}, position ${this.position}, head ${this.head}`);
		if (!fits) return;
		assert.equal(producer.target === producer.bytes, size <= limit);
		assert.ok(offset + size <= producer.target.length);
		const payload = new Uint8Array(prng.chance(0.2) ? prng.below(size + 1) : size);
		prng.fill(payload);
		producer.target.set(payload, offset);
		const end = this.endOf(size);
		if (payload.length === size) producer.commit();
		else producer.commit(payload.length);
		this.position = size > limit ? end : end - recordSizeOf(size) + recordSizeOf(payload.length);
		assert.equal(producer.position, this.position % 2 ** 32);
		this.unpublished.push(payload);
		this.ends.push(this.position);
	}

	publish(): void {
		const isNew = this.unpublished.length > 0;
		const rungBefore = this.rungConsumer;
		if (this.publisher === undefined) this.producer.publish();
		else this.publisher.publishTo(this.producer.position);
		assert.equal(this.rungConsumer - rungBefore, isNew ? 1 : 0);
		if (this.prng.chance(0.3)) this.publisher?.publishTo(this.tail % 2 ** 32);
		this.visible.push(...this.unpublished.splice(0));
		this.tail = this.position;
	}

	rewind(): void {
		const visited: Uint8Array[] = [];
		this.producer.forEachUnpublished((bytes, offset, size) => visited.push(bytes.slice(offset, offset + size)));
		assert.deepEqual(visited, this.unpublished);
		if (this.prng.chance(0.5)) return;
		this.producer.rewind();
		this.ends.length -= this.unpublished.length;
		this.unpublished.length = 0;
		this.position = this.tail;
		assert.equal(this.producer.position, this.position % 2 ** 32);
	}

	read(): void {
		const { consumer } = this;
		assert.equal(consumer.hasNext(), this.visible.length > 0);
		const moved = consumer.next();
		const payload = this.visible.shift();
		assert.equal(moved, payload !== undefined);
		if (payload === undefined) return;
		assert.deepEqual(consumer.source.slice(consumer.offset, consumer.offset + consumer.size), payload);
		this.seen.push({ payload, source: consumer.source, offset: consumer.offset });
		this.seenEnd = this.ends.shift() ?? Number.NaN;
	}

	release(waiting: boolean): void {
		for (const { payload, source, offset } of this.seen) {
			assert.deepEqual(source.slice(offset, offset + payload.length), payload, 'borrowed bytes stay');
		}
		const rungBefore = this.rungProducer;
		this.producer.waitingForRoom(waiting);
		this.consumer.next() && assert.fail('the caller has read everything it knew of');
		this.consumer.release();
		assert.equal(this.rungProducer - rungBefore, waiting && this.seen.length > 0 ? 1 : 0);
		this.seen.length = 0;
		this.head = this.seenEnd;
		assert.equal(this.producer.isEmpty, this.head === this.tail);
	}

	step(): void {
		const kind = this.prng.below(20);
		if (kind < 9) this.write();
		else if (kind < 12) this.publish();
		else if (kind < 17) this.read();
		else if (kind < 19) {
			while (this.visible.length > 0 && this.prng.chance(0.9)) this.read();
			if (this.visible.length === 0) this.release(this.prng.chance(0.5));
		} else this.rewind();
	}

	close(): void {
		this.channel.port1.close();
	}
}

void test('a ring does what its model does', () => {
	const prng = new Prng(testSeed('ring model'));
	for (let run = 0; run < 120; run++) {
		const capacity = 64 << prng.below(8);
		const start = run % 2 === 0 ? 2 ** 32 - 8 * (1 + prng.below(2 * capacity)) : 8 * prng.below(capacity);
		const model = new Model(prng, capacity, start, run % 3 === 0);
		for (let step = 0; step < 1500; step++) model.step();
		if (run % 2 === 0) assert.ok(model.position > 2 ** 32, 'positions overflowed');
		model.close();
	}
});
