/**
 * Makes a partition's thread out of its boot data: rings, bells and mail, the host on them, the partition opened with it, and the
 * loop that will serve it. Says ready, or why not. For the thread's entry point, and for benchmarks that want the real thing.
 */
import { MillraceError, systemCodeOf } from '../src/base/errors.js';
import { registerShared } from '../src/base/word-copy.js';
import type { MailToMain, PartitionBoot } from '../src/command/worker-boot.js';
import { nodeClock } from '../src/env/node-clock.js';
import { NodeFileSystem } from '../src/env/node-file-system.js';
import { PortBell, ThreadBell } from '../src/ring/bell.js';
import { RingProducer } from '../src/ring/ring-producer.js';
import { Partition } from '../src/storage/lsm/partition.js';
import { partitionOptions } from '../src/storage/lsm/partition-options.js';
import { AskerChannel } from './asker-channel.js';
import { RingHost } from './partition-host.js';
import { PartitionLoop } from './partition-loop.js';
import { PartitionMail } from './partition-mail.js';

export interface PartitionThread {
	readonly host: RingHost;
	readonly loop: PartitionLoop;
}

/** @returns undefined when the partition cannot be opened: main has been told why */
export function openPartitionThread(boot: PartitionBoot): PartitionThread | undefined {
	const { memory } = boot;
	const mainBell = new PortBell(memory.mainBell, boot.bellPort);
	const opener = AskerChannel.over(0, memory, mainBell, boot);
	const log = new RingProducer(memory.logRing, new ThreadBell(memory.logBell), boot.logOversizePort);
	for (const bytes of [...opener.sharedBytes, log.bytes]) registerShared(bytes);
	const host = new RingHost({
		heldReplies: opener.heldReplies,
		log,
		bell: new ThreadBell(memory.workerBell),
		mail: new PartitionMail(boot.mailPort, memory.shared, boot.directory),
		shared: memory.shared,
		clock: nodeClock,
	});
	const post = (message: MailToMain): void => boot.mailPort.postMessage(message);
	try {
		const existence = boot.isNew ? 'new' : 'existing';
		host.adopt(new Partition(new NodeFileSystem(), boot.directory, host, boot.storageOptions, existence, boot));
	} catch (error) {
		const isFull = systemCodeOf(error) === 'ENOSPC';
		const code = error instanceof MillraceError ? error.code : isFull ? 'MILLRACE_DISK_FULL' : undefined;
		post({ type: 'failed', error: { code, message: error instanceof Error ? error.message : String(error) } });
		return undefined;
	}
	const { stallTimeoutMs } = partitionOptions(boot.storageOptions);
	const { replayedCount, notes } = host.partition.recovery;
	post({ type: 'ready', replayedCount, notes, transactions: host.partition.transactions.report() });
	return { host, loop: new PartitionLoop(host, opener, boot.databaseMemory, stallTimeoutMs) };
}
