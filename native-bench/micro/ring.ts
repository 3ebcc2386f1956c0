/** A ring within one thread: what reserve, commit, publish, next and release themselves cost, without cache traffic. */
import { readU32 } from '../../src/base/bytes.js';
import { ringSizeDefault } from '../../src/base/limits.js';
import { ThreadBell } from '../../src/ring/bell.js';
import { RingConsumer } from '../../src/ring/ring-consumer.js';
import { createRing } from '../../src/ring/ring-format.js';
import { RingProducer } from '../../src/ring/ring-producer.js';
import { type BenchCase, runCases } from './harness.js';

let sink = 0;

function batches(payloadSize: number, batchCount: number): BenchCase {
	const ring = createRing(ringSizeDefault);
	const producer = new RingProducer(ring, new ThreadBell(ThreadBell.create()));
	const consumer = new RingConsumer(ring, new ThreadBell(ThreadBell.create()));
	const payload = new Uint8Array(payloadSize).fill(7);
	return {
		name: `${payloadSize} B, batches of ${batchCount}`,
		operationCount: batchCount,
		run: () => {
			for (let index = 0; index < batchCount; index++) {
				producer.bytes.set(payload, producer.reserve(payloadSize));
				producer.commit();
			}
			producer.publish();
			while (consumer.next()) sink += readU32(consumer.source, consumer.offset);
			consumer.release();
		},
	};
}

runCases('ring, one thread', `ring ${ringSizeDefault} B; write the payload, read its first word`, [
	batches(16, 64),
	batches(128, 1),
	batches(128, 64),
	batches(128, 512),
	batches(1024, 64),
]);
console.log(`# sink ${sink}`);
