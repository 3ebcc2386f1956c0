/** A main thread that sleeps in its event loop, woken through a port, over a ring that another thread fills. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { readU32, writeU32 } from '../../../src/base/bytes.js';
import { PortBell, PortBellOwner, ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { createRing } from '../../../src/ring/ring-format.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import type { EchoWork } from './ring-echo-worker.js';

void test('a rung bell is rung once for each sleep', () => {
	const shared = PortBellOwner.create();
	const owner = new PortBellOwner(shared);
	let posted = 0;
	const counting = { postMessage: () => void posted++ } as unknown as MessagePort;
	const bells = [new PortBell(shared, counting), new PortBell(shared, counting)];
	const ringAll = (): void => {
		for (const bell of bells) bell.ring();
	};
	ringAll();
	assert.equal(posted, 0, 'awake owners get no message');
	assert.equal(
		owner.arm(() => true),
		false,
	);
	ringAll();
	assert.equal(posted, 0, 'an owner with work stays awake');
	assert.ok(owner.arm(() => false));
	ringAll();
	assert.equal(posted, 1, 'one message wakes');
	assert.ok(owner.arm(() => false));
	owner.disarm();
	ringAll();
	assert.equal(posted, 1);
});

/** Sends `total` records in bursts and resolves when all came back in order. Rejects when none comes for 20 s. */
function echo(worker: Worker, work: EchoWork, port: MessagePort, total: number): Promise<number> {
	const request = new RingProducer(work.requestRing, new ThreadBell(work.workerBell));
	const reply = new RingConsumer(work.replyRing, undefined);
	const owner = new PortBellOwner(work.mainBell);
	let sent = 0;
	let received = 0;
	let wakeCount = 0;
	return new Promise((resolve, reject) => {
		const watchdog = setTimeout(() => {
			reject(new Error(`stuck at ${received} of ${total}: a wake-up was lost`));
		}, 20_000);
		const turn = (): void => {
			try {
				exchange();
			} catch (error) {
				clearTimeout(watchdog);
				reject(error);
			}
		};
		const exchange = (): void => {
			while (reply.next()) {
				assert.equal(readU32(reply.source, reply.offset), received++);
			}
			reply.release();
			watchdog.refresh();
			if (received === total) {
				clearTimeout(watchdog);
				resolve(wakeCount);
				return;
			}
			if (received === sent) {
				for (let burst = 1 + (sent % 7); burst > 0 && sent < total; burst--) {
					writeU32(request.bytes, request.reserve(4), sent++);
					request.commit();
				}
				request.publish();
			}
			if (!owner.arm(() => reply.hasNext())) setImmediate(turn);
		};
		worker.on('error', reject);
		port.on('message', () => {
			wakeCount++;
			owner.disarm();
			turn();
		});
		turn();
	});
}

void test('an event loop is woken for every burst of replies', async (context) => {
	const channel = new MessageChannel();
	const work: EchoWork = {
		requestRing: createRing(1024),
		replyRing: createRing(1024),
		workerBell: ThreadBell.create(),
		mainBell: PortBellOwner.create(),
		port: channel.port2,
		recordCount: 20_000,
	};
	const worker = new Worker(new URL('./ring-echo-worker.js', import.meta.url), {
		workerData: work,
		transferList: [channel.port2],
	});
	try {
		const wakeCount = await echo(worker, work, channel.port1, work.recordCount);
		context.diagnostic(`woken ${wakeCount} times`);
		assert.ok(wakeCount > 0);
	} finally {
		channel.port1.close();
		await worker.terminate();
	}
});
