/**
 * A partition's loop with real rings, on a simulated disk, in the test's own thread: the log, the jobs and the asker are the
 * test's to move, one step at a time.
 *
 *   send ─> request ring ─> turn() ─> reply ring, commit ring ─> takeReplies        for each channel
 *                             │ └──> log ring ─runLog─> LogExecutor
 *                             └────> mail ─runJobs─> runJob ─> mail
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import {
	durabilityShift,
	encodeCommand,
	replyHeaderSize,
	replyNumberOffset,
	replySequenceOffset,
	replyStatusOffset,
	requestChannelOffset,
	requestHeaderSize,
	requestSequenceOffset,
} from '../../../src/command/command-format.js';
import { createDatabaseMemory } from '../../../src/command/database-memory.js';
import { writePoison } from '../../../src/command/poison-note.js';
import {
	type Durability,
	type LogControl,
	type MailToMain,
	type MailToPartition,
	sharedDurableLowWord,
	sharedEditsDoneWord,
	sharedLogStoppedWord,
	sharedMailWord,
	sharedSize,
} from '../../../src/command/worker-boot.js';
import type { Channel } from '../../../src/engine/dispatcher.js';
import { ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { createRing } from '../../../src/ring/ring-format.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import { RingPublisher } from '../../../src/ring/ring-publisher.js';
import { Partition } from '../../../src/storage/lsm/partition.js';
import type { PartitionOptions } from '../../../src/storage/lsm/partition-options.js';
import { type Job, jobFailureOf, runJob } from '../../../src/storage/lsm/upkeep/jobs.js';
import { LogExecutor } from '../../../src/storage/lsm/wal/log-executor.js';
import { AskerChannel } from '../../../workers/asker-channel.js';
import { LogChannels } from '../../../workers/log-channels.js';
import { RingHost } from '../../../workers/partition-host.js';
import { PartitionLoop } from '../../../workers/partition-loop.js';
import { PartitionMail } from '../../../workers/partition-mail.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

export interface RigReply {
	readonly name: string;
	readonly channel: number;
	readonly status: number;
	readonly number: number;
	readonly text: string;
}

export interface RigRequest {
	readonly opcode: number;
	readonly key?: string;
	readonly value?: string | Uint8Array;
	readonly flags?: number;
	readonly argument?: number;
	readonly sequence?: number;
	readonly sink?: number;
	readonly channel?: number;
	readonly wish?: number;
}

export interface RigOptions {
	readonly stallTimeoutMs?: number;
	readonly durability?: Durability;
	/** Shared by the rigs that are partitions of one database. */
	readonly databaseMemory?: SharedArrayBuffer;
	/** Bytes of each of the opener's rings. */
	readonly ringSize?: number;
}

/** An asking thread's side of its rings. */
interface Asker {
	readonly requests: RingProducer;
	readonly replies: RingConsumer;
	readonly held: RingConsumer;
}

const quietBell = { ring: (): void => {} };

export class LoopRig {
	readonly disk = new SimulatedDisk();
	readonly host: RingHost;
	readonly loop: PartitionLoop;
	readonly notes: string[] = [];
	/** What else the partition told main. */
	readonly mail: MailToMain[] = [];
	readonly logChannels: LogChannels;
	nowMs = 1_000_000;
	/** The log thread commits after every message: whatever may be published by then is. */
	isLogHasty = false;
	readonly #shared: SharedArrayBuffer;
	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #askers = new Map<number, Asker>();
	readonly #log: RingConsumer;
	readonly #executor: LogExecutor;
	readonly #mailPort: MessagePort;
	readonly #controlPort: MessagePort;
	readonly #jobs: { id: number; job: Job }[] = [];
	readonly #names: string[] = [];
	#isLogDead = false;

	constructor(options: Partial<PartitionOptions> = {}, rigOptions: RigOptions = {}) {
		const { stallTimeoutMs = 60_000, durability = 'always', ringSize = 1 << 22 } = rigOptions;
		const shared = new SharedArrayBuffer(sharedSize);
		this.#shared = shared;
		this.#words = new Int32Array(shared);
		const [requestRing, replyRing, commitRing] = [0, 1, 2].map(() => createRing(ringSize));
		const logRing = createRing(1 << 22);
		const mail = new MessageChannel();
		const control = new MessageChannel();
		const oversize = [0, 1, 2, 3].map(() => new MessageChannel());
		const [requestOversize, replyOversize, commitOversize, logOversize] = oversize;
		this.#mailPort = mail.port1;
		this.#controlPort = control.port1;
		this.#askers.set(0, {
			requests: new RingProducer(requestRing, quietBell, requestOversize.port1),
			replies: new RingConsumer(replyRing, undefined, replyOversize.port2),
			held: new RingConsumer(commitRing, undefined, commitOversize.port2),
		});
		this.#log = new RingConsumer(logRing, undefined, logOversize.port2);
		const opener = AskerChannel.over(0, { requestRing, replyRing, commitRing }, quietBell, {
			requestOversizePort: requestOversize.port2,
			replyOversizePort: replyOversize.port1,
			commitOversizePort: commitOversize.port1,
		});
		this.host = new RingHost({
			heldReplies: opener.heldReplies,
			log: new RingProducer(logRing, quietBell, logOversize.port1),
			bell: {
				ring: () => {},
				sleep: (hasWork: () => boolean) => this.#insteadOfSleep(hasWork),
			} as unknown as ThreadBell,
			mail: new PartitionMail(mail.port2, shared, '/data'),
			shared,
			clock: { nowMs: () => this.nowMs },
		});
		this.disk.makeDirectory('/data');
		const small = { memtableSize: 64 * 1024, memtableCountMax: 2, segmentSize: 64 * 1024, reserveFileSize: 0 };
		this.host.adopt(new Partition(this.disk, '/data', this.host, { ...small, ...options }));
		this.logChannels = new LogChannels(new RingPublisher(commitRing, quietBell), control.port2);
		this.#executor = new LogExecutor(this.disk, '/data', durability, {
			publish: (position, channel) => this.logChannels.publish(position, channel),
			reached: (sequence) => Atomics.store(this.#words, sharedDurableLowWord, sequence | 0),
			edited: () => Atomics.add(this.#words, sharedEditsDoneWord, 1),
			forget: (channel) => this.logChannels.forget(channel),
		});
		const databaseMemory = rigOptions.databaseMemory ?? createDatabaseMemory();
		this.loop = new PartitionLoop(this.host, opener, databaseMemory, stallTimeoutMs);
		this.settle();
	}

	/** The opener's side of its channel, for a dispatcher; `send` and `takeReplies` are not for it then. */
	get opener(): Channel {
		const { requests, replies, held } = this.#askerOf(0);
		return { channel: 0, requests, replies, heldReplies: held };
	}

	/** Another thread attaches; the partition hears of it in its next turn. */
	attach(channel: number, ringSize = 1 << 20): void {
		const [requestRing, replyRing, commitRing] = [0, 1, 2].map(() => createRing(ringSize));
		const [bell, logBell, requestOversize, replyOversize, commitOversize] = [0, 1, 2, 3, 4].map(
			() => new MessageChannel(),
		);
		const memory = { channel, requestRing, replyRing, commitRing, askerBell: ThreadBell.create() };
		this.#askers.set(channel, {
			requests: new RingProducer(requestRing, quietBell, requestOversize.port1),
			replies: new RingConsumer(replyRing, undefined, replyOversize.port2),
			held: new RingConsumer(commitRing, undefined, commitOversize.port2),
		});
		const control: LogControl = { memory, bellPort: logBell.port1 };
		this.#controlPort.postMessage(control, [logBell.port1]);
		const ports = {
			bellPort: bell.port1,
			requestOversizePort: requestOversize.port2,
			replyOversizePort: replyOversize.port1,
			commitOversizePort: commitOversize.port1,
		};
		this.#sendMail({ type: 'attach', memory, ports }, Object.values(ports));
	}

	/** A thread has gone; the partition hears of it in its next turn. */
	detach(channel: number): void {
		this.#askers.delete(channel);
		this.#sendMail({ type: 'detach', channel });
	}

	/** Puts a request into the ring; its reply will carry the name. */
	send(name: string, request: RigRequest): void {
		const { opcode, flags = 0, argument = 0, sequence = 0, sink = 1, channel = 0, wish = 0 } = request;
		const { requests } = this.#askerOf(channel);
		const key = Buffer.from(request.key ?? '', 'latin1');
		const value = typeof request.value === 'string' ? Buffer.from(request.value, 'latin1') : request.value;
		const valueSize = value?.length ?? 0;
		const offset = requests.reserve(requestHeaderSize + 24 + key.length + valueSize);
		if (offset < 0) throw new Error('the request ring is full');
		const { target } = requests;
		const view = Buffer.from(target.buffer, target.byteOffset, target.byteLength);
		view.fill(0, offset, offset + requestHeaderSize);
		view.writeUInt32LE(sink, offset);
		view.writeUInt32LE(this.#names.push(name) - 1, offset + requestSequenceOffset);
		view.writeUInt32LE(channel + wish * 2 ** durabilityShift, offset + requestChannelOffset);
		const at = offset + requestHeaderSize;
		const none = new Uint8Array(0);
		const size = encodeCommand(
			target,
			at,
			opcode,
			flags,
			argument,
			key,
			0,
			key.length,
			value ?? none,
			0,
			valueSize,
			sequence,
		);
		requests.commit(requestHeaderSize + size);
		requests.publish();
	}

	/** True when a request of this many bytes would find room. */
	hasRoom(channel: number, size: number): boolean {
		return this.#askerOf(channel).requests.hasRoom(size);
	}

	/** Replies that have left, in their order: by channel, settled ones first. @param countMax of each ring */
	takeReplies(channels: readonly number[] = [...this.#askers.keys()], countMax = Number.POSITIVE_INFINITY): RigReply[] {
		const replies: RigReply[] = [];
		for (const channel of channels) {
			const { replies: settled, held } = this.#askerOf(channel);
			for (const ring of [settled, held]) {
				let count = 0;
				while (count < countMax && ring.next()) {
					count++;
					const bytes = Buffer.from(ring.source.subarray(ring.offset, ring.offset + ring.size));
					replies.push({
						name: this.#names[bytes.readUInt32LE(replySequenceOffset)],
						channel,
						status: bytes[replyStatusOffset],
						number: bytes.readDoubleLE(replyNumberOffset),
						text: bytes.toString('latin1', replyHeaderSize),
					});
				}
				if (count > 0) ring.release();
			}
		}
		return replies;
	}

	/** One request, everything that it takes, and its reply. */
	ask(request: RigRequest, held: readonly Job['kind'][] = []): RigReply {
		this.send('asked', request);
		for (let i = 0; i < 100; i++) {
			this.settle(held);
			const [reply] = this.takeReplies([request.channel ?? 0]);
			if (reply !== undefined) return reply;
		}
		throw new Error(`no reply to opcode ${request.opcode}`);
	}

	/** The log thread ends with an error. */
	failLog(): void {
		writePoison(this.#shared, 'MILLRACE_POISONED', 'the log failed');
		this.#isLogDead = true;
	}

	turn(): void {
		this.loop.turn();
	}

	/** Carries out what the log ring holds. */
	runLog(): void {
		if (this.#isLogDead) return;
		while (this.#log.next()) {
			this.#executor.accept(this.#log.source, this.#log.offset, this.#log.size);
			if (this.isLogHasty) this.#executor.commit();
		}
		this.#executor.commit();
		this.#log.release();
		if (this.#executor.isStopped) Atomics.store(this.#words, sharedLogStoppedWord, 1);
	}

	/** Does the waiting jobs, or those of one kind. @returns how many */
	runJobs(kinds?: readonly Job['kind'][]): number {
		for (;;) {
			const received = receiveMessageOnPort(this.#mailPort) as { message: MailToMain } | undefined;
			if (received === undefined) break;
			if (received.message.type === 'job') this.#jobs.push(received.message as unknown as { id: number; job: Job });
			else if (received.message.type === 'note') this.notes.push(received.message.text);
			else this.mail.push(received.message);
		}
		let count = 0;
		for (const entry of [...this.#jobs]) {
			if (kinds !== undefined && !kinds.includes(entry.job.kind)) continue;
			this.#jobs.splice(this.#jobs.indexOf(entry), 1);
			this.#sendMail({ type: 'outcome', id: entry.id, outcome: this.#outcomeOf(entry.job) });
			count++;
		}
		return count;
	}

	/** Turns, log and jobs, all but those of `held` kinds, until nothing more comes of it. */
	settle(held: readonly Job['kind'][] = []): void {
		const kinds = allKinds.filter((kind) => !held.includes(kind));
		for (let idle = 0; idle < 3; ) {
			this.nowMs++;
			if (!this.loop.isOver) this.loop.turn();
			this.runLog();
			idle = this.runJobs(kinds) > 0 ? 0 : idle + 1;
		}
	}

	#askerOf(channel: number): Asker {
		const asker = this.#askers.get(channel);
		if (asker === undefined) throw new Error(`no thread has channel ${channel}`);
		return asker;
	}

	#sendMail(mail: MailToPartition, ports: MessagePort[] = []): void {
		this.#mailPort.postMessage(mail, ports);
		Atomics.add(this.#words, sharedMailWord, 1);
	}

	/** Nobody would ring: the log, which is all that a wait within a turn can wait for, goes on at once. */
	#insteadOfSleep(hasWork: () => boolean): void {
		if (!hasWork()) this.runLog();
	}

	#outcomeOf(job: Job): unknown {
		try {
			return { result: runJob(this.disk, '/data', job) };
		} catch (error) {
			return { failure: jobFailureOf(error) };
		}
	}
}

const allKinds: readonly Job['kind'][] = [
	'flush',
	'compact',
	'prepareSegment',
	'removeFiles',
	'prepareManifest',
	'prepareReserve',
	'checkpoint',
	'verify',
];
