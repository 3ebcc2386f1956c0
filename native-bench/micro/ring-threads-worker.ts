/** Thread entry: the producer of ring-threads.ts. */
import { workerData } from 'node:worker_threads';
import { writeU32 } from '../../src/base/bytes.js';
import { ThreadBell } from '../../src/ring/bell.js';
import { RingProducer } from '../../src/ring/ring-producer.js';

export interface ProducerWork {
	readonly ring: SharedArrayBuffer;
	readonly producerBell: SharedArrayBuffer;
	readonly consumerBell: SharedArrayBuffer;
	readonly payloadSize: number;
	readonly recordCount: number;
	readonly roundCount: number;
	readonly batchCount: number;
}

const { ring, producerBell, consumerBell, payloadSize, recordCount, roundCount, batchCount } =
	workerData as ProducerWork;
const bell = new ThreadBell(producerBell);
const producer = new RingProducer(ring, new ThreadBell(consumerBell));
const payload = new Uint8Array(payloadSize).fill(7);

function waitForRoom(): void {
	producer.publish();
	producer.waitingForRoom(true);
	while (!producer.hasRoom(payloadSize)) bell.sleep(() => producer.hasRoom(payloadSize));
	producer.waitingForRoom(false);
}

function writeRound(): void {
	let untilPublish = batchCount;
	for (let index = 0; index < recordCount; index++) {
		let offset = producer.reserve(payloadSize);
		if (offset < 0) {
			waitForRoom();
			offset = producer.reserve(payloadSize);
		}
		producer.bytes.set(payload, offset);
		writeU32(producer.bytes, offset, index);
		writeU32(producer.bytes, offset + payloadSize - 4, index);
		producer.commit();
		if (--untilPublish > 0) continue;
		producer.publish();
		untilPublish = batchCount;
	}
	producer.publish();
}

for (let round = 0; round < roundCount; round++) writeRound();
