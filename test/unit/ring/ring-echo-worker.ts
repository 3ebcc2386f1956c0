/** Thread entry: sends every record of one ring back through another and wakes the main thread by its port. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { assert } from '../../../src/base/assert.js';
import { copyBytes } from '../../../src/base/bytes.js';
import { PortBell, ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';

export interface EchoWork {
	readonly requestRing: SharedArrayBuffer;
	readonly replyRing: SharedArrayBuffer;
	readonly workerBell: SharedArrayBuffer;
	readonly mainBell: SharedArrayBuffer;
	readonly port: MessagePort;
	readonly recordCount: number;
}

const work = workerData as EchoWork;
const bell = new ThreadBell(work.workerBell);
const request = new RingConsumer(work.requestRing, undefined);
const reply = new RingProducer(work.replyRing, new PortBell(work.mainBell, work.port));
let count = 0;
while (count < work.recordCount) {
	while (!request.hasNext()) bell.sleep(() => request.hasNext());
	while (request.next()) {
		const offset = reply.reserve(request.size);
		assert(offset >= 0, 'replies fit: the bursts are small');
		copyBytes(request.source, request.offset, reply.bytes, offset, request.size);
		reply.commit();
		// Before the reply is visible: the asker sends the next burst at once and counts on its room.
		request.release();
		reply.publish();
		count++;
	}
}
