/** Thread entry: the sender of wake-latency.ts. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { writeU53 } from '../../src/base/bytes.js';
import { PortBell, ThreadBell } from '../../src/ring/bell.js';
import { RingProducer } from '../../src/ring/ring-producer.js';
import { sharedClockNs } from './harness.js';

export interface SenderWork {
	readonly ring: SharedArrayBuffer;
	readonly bell: SharedArrayBuffer;
	/** The owner's port when it sleeps in its event loop. */
	readonly port: MessagePort | undefined;
	readonly recordCount: number;
	readonly pauseMs: number;
}

const { ring, bell, port, recordCount, pauseMs } = workerData as SenderWork;
const producer = new RingProducer(ring, port === undefined ? new ThreadBell(bell) : new PortBell(bell, port));
const never = new Int32Array(new SharedArrayBuffer(4));
for (let index = 0; index < recordCount; index++) {
	Atomics.wait(never, 0, 0, pauseMs);
	const sentNs = sharedClockNs();
	writeU53(producer.bytes, producer.reserve(8), sentNs);
	producer.commit();
	producer.publish();
}
