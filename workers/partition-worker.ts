/**
 * The entry point of a partition's thread: opens the partition, says ready (or why not), and runs its loop to the end.
 * Spawned by the engine with a PartitionBoot.
 */
import { workerData } from 'node:worker_threads';
import { MillraceError, systemCodeOf } from '../src/base/errors.js';
import { registerShared } from '../src/base/word-copy.js';
import { type MailToMain, type PartitionBoot, sharedDurableLowWord } from '../src/command/worker-boot.js';
import { nodeClock } from '../src/env/node-clock.js';
import { NodeFileSystem } from '../src/env/node-file-system.js';
import { PortBell, ThreadBell } from '../src/ring/bell.js';
import { RingConsumer } from '../src/ring/ring-consumer.js';
import { RingProducer } from '../src/ring/ring-producer.js';
import { Partition } from '../src/storage/lsm/partition.js';
import { PartitionLoop } from './partition-loop.js';
import { PartitionMail } from './partition-mail.js';

const boot = workerData as PartitionBoot;
const { memory } = boot;
const mainBell = new PortBell(memory.mainBell, boot.bellPort);

function post(message: MailToMain): void {
	boot.mailPort.postMessage(message);
}

const requests = new RingConsumer(memory.requestRing, mainBell, boot.requestOversizePort);
const replies = new RingProducer(memory.replyRing, mainBell, boot.replyOversizePort);
const heldReplies = new RingProducer(memory.commitRing, mainBell, boot.commitOversizePort);
const log = new RingProducer(memory.logRing, new ThreadBell(memory.logBell), boot.logOversizePort);
for (const bytes of [requests.source, replies.bytes, heldReplies.bytes, log.bytes]) registerShared(bytes);

const loop = new PartitionLoop({
	requests,
	replies,
	heldReplies,
	log,
	bell: new ThreadBell(memory.workerBell),
	mail: new PartitionMail(boot.mailPort, memory.shared, boot.directory),
	shared: memory.shared,
	clock: nodeClock,
});

/** Opens the partition; a failure is for main to report. */
function maybeOpen(): Partition | undefined {
	try {
		return new Partition(new NodeFileSystem(), boot.directory, loop, boot.storageOptions);
	} catch (error) {
		const isFull = systemCodeOf(error) === 'ENOSPC';
		const code = error instanceof MillraceError ? error.code : isFull ? 'MILLRACE_DISK_FULL' : undefined;
		post({
			type: 'failed',
			error: { code, message: error instanceof Error ? error.message : String(error) },
		});
		return undefined;
	}
}

const partition = maybeOpen();
if (partition !== undefined) {
	// What was recovered was synced: it is durable.
	Atomics.store(new Int32Array(memory.shared), sharedDurableLowWord, partition.lastSequence | 0);
	const { replayedCount, notes } = partition.recovery;
	post({ type: 'ready', replayedCount, notes });
	loop.run(partition);
}
