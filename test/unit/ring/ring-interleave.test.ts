/**
 * Wake-ups under chosen schedules, not lucky ones. Global `Atomics` is wrapped so that after or before the n-th atomic
 * operation of one side, the whole of the other side runs; every n is tried, in both directions. That covers every
 * order of Dekker's four steps in which one side overtakes the other, which is where each wrong order loses a wake-up.
 * A sleep is a fake: it records that the thread blocks and ends that side; a notify records that it is woken.
 */
import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import type { MessagePort } from 'node:worker_threads';
import { PortBell, PortBellOwner, ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { createRing } from '../../../src/ring/ring-format.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import { RingPublisher } from '../../../src/ring/ring-publisher.js';

const real = { ...pick() };
let operationCount = 0;
let runAt = -1;
let intruder: (() => void) | undefined;
let isBlocked = false;
/** Thrown where a thread would block, so that nothing of it runs after that. */
const blocked = new Error('blocked');

function untilBlocked(side: () => void): void {
	try {
		side();
	} catch (error) {
		if (error !== blocked) throw error;
	}
}

function pick() {
	const { load, store, compareExchange, wait, notify } = Atomics;
	return { load, store, compareExchange, wait, notify };
}

/** Lets the other side run, once, before the atomic operation chosen by `runAt`. */
function step(): void {
	if (operationCount++ !== runAt) return;
	const other = intruder;
	intruder = undefined;
	other?.();
}

function wrap(): void {
	const counted = <A extends unknown[], R>(operation: (...rest: A) => R): ((...rest: A) => R) => {
		return (...rest) => {
			step();
			return operation(...rest);
		};
	};
	Object.assign(Atomics, {
		load: counted(real.load as (words: Int32Array, index: number) => number),
		store: counted(real.store as (words: Int32Array, index: number, value: number) => number),
		compareExchange: counted(
			real.compareExchange as (words: Int32Array, index: number, expected: number, value: number) => number,
		),
		wait: (words: Int32Array, index: number, value: number) => {
			step();
			if (real.load(words, index) !== value) return 'not-equal';
			isBlocked = true;
			throw blocked;
		},
		notify: () => {
			isBlocked = false;
			return 1;
		},
	});
}

afterEach(() => void Object.assign(Atomics, real));

interface Sides {
	readonly work: () => void;
	readonly sleep: () => void;
	/** True when the sleeper is asleep although there is work for it. */
	readonly isLost: () => boolean;
}

/** Runs `work` inside `sleep` and `sleep` inside `work`, at every operation. */
function interleave(make: () => Sides): void {
	let scheduleCount = 0;
	for (const outer of ['work', 'sleep'] as const) {
		const inner = outer === 'work' ? 'sleep' : 'work';
		for (let at = 0; ; at++) {
			const sides = make();
			isBlocked = false;
			operationCount = 0;
			runAt = at;
			intruder = () => untilBlocked(sides[inner]);
			wrap();
			untilBlocked(sides[outer]);
			const isPastEnd = intruder !== undefined;
			intruder = undefined;
			if (isPastEnd) untilBlocked(sides[inner]);
			Object.assign(Atomics, real);
			assert.ok(!sides.isLost(), `lost wake-up: ${inner} before operation ${at} of ${outer}`);
			scheduleCount++;
			if (isPastEnd) break;
		}
	}
	assert.ok(scheduleCount >= 6, 'both sides have several atomic operations');
}

const silent = { ring: () => {} };

function write(producer: RingProducer): void {
	assert.ok(producer.reserve(8) >= 0);
	producer.commit();
}

void test('publish against a consumer that falls asleep', () => {
	for (const withPublisher of [false, true]) {
		interleave(() => {
			const ring = createRing(64);
			const shared = ThreadBell.create();
			const producer = new RingProducer(ring, new ThreadBell(shared));
			const publisher = new RingPublisher(ring, new ThreadBell(shared));
			const consumer = new RingConsumer(ring, undefined);
			const bell = new ThreadBell(shared);
			write(producer);
			return {
				work: () => (withPublisher ? publisher.publishTo(producer.position) : producer.publish()),
				sleep: () => bell.sleep(() => consumer.hasNext()),
				isLost: () => isBlocked && consumer.hasNext(),
			};
		});
	}
});

void test('release against a producer that waits for room', () => {
	interleave(() => {
		const ring = createRing(64);
		const shared = ThreadBell.create();
		const producer = new RingProducer(ring, silent);
		const consumer = new RingConsumer(ring, new ThreadBell(shared));
		const bell = new ThreadBell(shared);
		for (let i = 0; i < 4; i++) write(producer);
		producer.publish();
		while (consumer.hasNext()) consumer.next();
		return {
			work: () => consumer.release(),
			sleep: () => {
				producer.waitingForRoom(true);
				bell.sleep(() => producer.hasRoom(8));
			},
			isLost: () => isBlocked && producer.hasRoom(8),
		};
	});
});

void test('publish against an event loop that goes idle', () => {
	interleave(() => {
		const ring = createRing(64);
		const shared = PortBellOwner.create();
		const port = { postMessage: () => void messageCount++ } as unknown as MessagePort;
		let messageCount = 0;
		let isIdle = false;
		const producer = new RingProducer(ring, new PortBell(shared, port));
		const consumer = new RingConsumer(ring, undefined);
		const owner = new PortBellOwner(shared);
		write(producer);
		return {
			work: () => producer.publish(),
			sleep: () => {
				isIdle = owner.arm(() => consumer.hasNext());
			},
			isLost: () => isIdle && messageCount === 0 && consumer.hasNext(),
		};
	});
});

void test('a bell rung between the re-check and the wait prevents the sleep', () => {
	const shared = ThreadBell.create();
	const sleep = (hasWork: () => boolean): boolean => {
		isBlocked = false;
		wrap();
		untilBlocked(() => new ThreadBell(shared).sleep(hasWork));
		Object.assign(Atomics, real);
		return isBlocked;
	};
	const rung = sleep(() => {
		new ThreadBell(shared).ring();
		return false;
	});
	assert.equal(rung, false);
	assert.equal(
		sleep(() => true),
		false,
	);
	assert.equal(
		sleep(() => false),
		true,
	);
	new ThreadBell(shared).sleep(() => false, 1);
	assert.equal(new Int32Array(shared)[0], 0, 'awake after a timeout');
});
