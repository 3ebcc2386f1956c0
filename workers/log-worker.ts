/**
 * The log thread of a partition: takes groups and manifest edits from the log ring, makes them durable, and lets the replies
 * in the commit rings go. It may block in the disk for as long as the disk likes: reads are answered by the partition's
 * thread meanwhile, and the writes of that time gather into the next group.
 *
 * A failure is final: it is noted in the shared words, the partition's thread is woken to tell those who wait, and this
 * thread ends without touching the disk again.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { MillraceError, systemCodeOf } from '../src/base/errors.js';
import { writePoison } from '../src/command/poison-note.js';
import {
	type LogBoot,
	sharedDurableLowWord,
	sharedEditsDoneWord,
	sharedLogStoppedWord,
} from '../src/command/worker-boot.js';
import { NodeFileSystem } from '../src/env/node-file-system.js';
import { PortBell, ThreadBell } from '../src/ring/bell.js';
import { RingConsumer } from '../src/ring/ring-consumer.js';
import { RingPublisher } from '../src/ring/ring-publisher.js';
import { LogExecutor } from '../src/storage/lsm/wal/log-executor.js';
import { runWithRounds } from './event-loop-round.js';
import { LogChannels } from './log-channels.js';

// All modules are loaded: from now on the thread may be ended.
parentPort?.postMessage('loaded');
const boot = workerData as LogBoot;
const { memory } = boot;
const words = new Int32Array(memory.shared);
const ownBell = new ThreadBell(memory.logBell);
const workerBell = new ThreadBell(memory.workerBell);
const mainBell = new PortBell(memory.mainBell, boot.bellPort);
const messages = new RingConsumer(memory.logRing, workerBell, boot.logOversizePort);
const channels = new LogChannels(new RingPublisher(memory.commitRing, mainBell), boot.controlPort);

const executor = new LogExecutor(new NodeFileSystem(), boot.directory, boot.durability, {
	publish: (position, channel) => channels.publish(position, channel),
	forget: (channel) => channels.forget(channel),
	reached: (sequence) => Atomics.store(words, sharedDurableLowWord, sequence | 0),
	edited: () => {
		Atomics.add(words, sharedEditsDoneWord, 1);
		workerBell.ring();
	},
});

let nextSyncMs = 0;

/** Carries out everything the ring holds, then commits once: one write, one sync, however many groups came. */
function drain(): void {
	while (messages.next()) executor.accept(messages.source, messages.offset, messages.size);
	executor.commit();
	messages.release();
}

/** With durability 'interval': syncs by the clock. @returns milliseconds until the next sync is due */
function maybeSync(): number | undefined {
	if (boot.durability !== 'interval' || !executor.isDirty) return undefined;
	// Not the wall clock: it may be put back, and the next sync with it.
	const nowMs = performance.now();
	if (nextSyncMs === 0) nextSyncMs = nowMs + boot.syncIntervalMs;
	if (nowMs < nextSyncMs) return nextSyncMs - nowMs;
	executor.sync();
	nextSyncMs = 0;
	return undefined;
}

/** Leaves the error where the partition's thread finds it. */
function poison(error: unknown): void {
	const isFull = systemCodeOf(error) === 'ENOSPC';
	const code = error instanceof MillraceError ? error.code : isFull ? 'MILLRACE_DISK_FULL' : 'MILLRACE_POISONED';
	writePoison(memory.shared, code, `the log of partition ${boot.partition} failed: ${String(error)}`);
	workerBell.ring();
}

/** @returns false when it is over; true when ports were closed, which it takes an event loop to free */
function run(): boolean {
	try {
		while (!executor.isStopped) {
			if (messages.hasNext()) drain();
			const delayMs = maybeSync();
			if (channels.takeClosed() && !executor.isStopped) return true;
			if (!executor.isStopped && !messages.hasNext()) ownBell.sleep(() => messages.hasNext(), delayMs);
		}
		Atomics.store(words, sharedLogStoppedWord, 1);
		workerBell.ring();
	} catch (error) {
		poison(error);
	}
	return false;
}

runWithRounds(run);
