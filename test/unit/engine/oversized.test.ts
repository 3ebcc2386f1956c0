/** Values too large for a ring travel beside it: among small ones, at every place of a drain, and never without bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { ringOversizeBytesMax } from '../../../src/base/limits.js';
import { open } from '../../../src/open.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { createRing } from '../../../src/ring/ring-format.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import { TemporaryDirectory } from '../../support/server-process.js';

const oversized = Buffer.alloc(300 * 1024, 'o');

test('an oversized request at any place of a drain is carried out once, and nothing else is', {
	timeout: 60_000,
}, async () => {
	using directory = new TemporaryDirectory();
	await using database = await open(directory.path, { partitions: 1, durability: 'none' });
	await database.put('precious', 'kept');
	// A drain is 512 requests in windows of 32: the first large one breaks the windows' step, the second meets the drain's end.
	for (const before of [0, 1, 20, 31, 32]) {
		for (const between of [460, 478, 479, 480, 491, 500, 511, 512]) {
			const calls: Promise<unknown>[] = [];
			const small = (count: number): void => {
				for (let i = 0; i < count; i++) calls.push(database.put(`small-${i}`, 'v'));
			};
			small(before);
			calls.push(database.put('large-1', oversized));
			small(between);
			calls.push(database.put('large-2', oversized));
			small(40);
			await Promise.all(calls);
			const [first, second, precious] = await database.getMany(['large-1', 'large-2', 'precious']);
			assert.ok(first !== undefined && oversized.equals(first), `large-1 after ${before}, ${between}`);
			assert.ok(second !== undefined && oversized.equals(second), `large-2 after ${before}, ${between}`);
			assert.equal(Buffer.from(precious ?? []).toString(), 'kept');
			await Promise.all([database.delete('large-1'), database.delete('large-2')]);
		}
	}
});

test('records in buffers of their own have a budget: beyond it the ring is full until some are given back', () => {
	const channel = new MessageChannel();
	const ring = createRing(64 * 1024);
	const producer = new RingProducer(ring, { ring: () => {} }, channel.port1);
	const consumer = new RingConsumer(ring, undefined, channel.port2);
	const size = 16 * 1024 * 1024;
	let count = 0;
	while (producer.hasRoom(size)) {
		assert.ok(producer.reserve(size) >= 0);
		producer.commit();
		count++;
	}
	assert.equal(count, Math.floor(ringOversizeBytesMax / size));
	assert.equal(producer.reserve(size), -1);
	assert.ok(producer.hasRoom(100), 'small records still have room');
	producer.publish();
	assert.ok(consumer.next());
	consumer.release();
	assert.ok(producer.hasRoom(size), 'one given back is room for one');
	channel.port1.close();
});
