/**
 * A partition's loop with real rings, on a simulated disk, in the test's own thread: the log, the jobs and the asker are the
 * test's to move, one step at a time.
 *
 *   send ─> request ring ─> turn() ─> reply ring, commit ring ─> takeReplies
 *                             │ └──> log ring ─runLog─> LogExecutor
 *                             └────> mail ─runJobs─> runJob ─> mail
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import {
	encodeCommand,
	replyHeaderSize,
	replyNumberOffset,
	replySequenceOffset,
	replyStatusOffset,
	requestHeaderSize,
	requestSequenceOffset,
} from '../../../src/command/command-format.js';
import { writePoison } from '../../../src/command/poison-note.js';
import {
	type MailToMain,
	sharedDurableLowWord,
	sharedEditsDoneWord,
	sharedLogStoppedWord,
	sharedMailWord,
	sharedSize,
} from '../../../src/command/worker-boot.js';
import type { ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { createRing } from '../../../src/ring/ring-format.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';
import { RingPublisher } from '../../../src/ring/ring-publisher.js';
import { Partition } from '../../../src/storage/lsm/partition.js';
import type { PartitionOptions } from '../../../src/storage/lsm/partition-options.js';
import { type Job, jobFailureOf, runJob } from '../../../src/storage/lsm/upkeep/jobs.js';
import { LogExecutor } from '../../../src/storage/lsm/wal/log-executor.js';
import { RingHost } from '../../../workers/partition-host.js';
import { PartitionLoop } from '../../../workers/partition-loop.js';
import { PartitionMail } from '../../../workers/partition-mail.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

export interface RigReply {
	readonly name: string;
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
}

const quietBell = { ring: (): void => {} };

export class LoopRig {
	readonly disk = new SimulatedDisk();
	readonly host: RingHost;
	readonly loop: PartitionLoop;
	readonly notes: string[] = [];
	nowMs = 1_000_000;
	readonly #shared: SharedArrayBuffer;
	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #requests: RingProducer;
	readonly #replies: RingConsumer;
	readonly #held: RingConsumer;
	readonly #log: RingConsumer;
	readonly #executor: LogExecutor;
	readonly #mailPort: MessagePort;
	readonly #jobs: { id: number; job: Job }[] = [];
	readonly #names: string[] = [];

	constructor(options: Partial<PartitionOptions> = {}, stallTimeoutMs = 60_000) {
		const shared = new SharedArrayBuffer(sharedSize);
		this.#shared = shared;
		this.#words = new Int32Array(shared);
		const [requestRing, replyRing, commitRing, logRing] = [0, 1, 2, 3].map(() => createRing(1 << 22));
		const mail = new MessageChannel();
		this.#mailPort = mail.port1;
		this.#requests = new RingProducer(requestRing, quietBell);
		this.#replies = new RingConsumer(replyRing, undefined);
		this.#held = new RingConsumer(commitRing, undefined);
		this.#log = new RingConsumer(logRing, undefined);
		const heldReplies = new RingProducer(commitRing, quietBell);
		this.host = new RingHost({
			heldReplies,
			log: new RingProducer(logRing, quietBell),
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
		const publisher = new RingPublisher(commitRing, quietBell);
		this.#executor = new LogExecutor(this.disk, '/data', 'always', {
			publish: (position) => publisher.publishTo(position),
			reached: (sequence) => Atomics.store(this.#words, sharedDurableLowWord, sequence | 0),
			edited: () => Atomics.add(this.#words, sharedEditsDoneWord, 1),
		});
		this.loop = new PartitionLoop(
			this.host,
			new RingConsumer(requestRing, undefined),
			new RingProducer(replyRing, quietBell),
			stallTimeoutMs,
		);
		this.settle();
	}

	/** Puts a request into the ring; its reply will carry the name. */
	send(name: string, request: RigRequest): void {
		const { opcode, flags = 0, argument = 0, sequence = 0, sink = 1 } = request;
		const key = Buffer.from(request.key ?? '', 'latin1');
		const value = typeof request.value === 'string' ? Buffer.from(request.value, 'latin1') : request.value;
		const valueSize = value?.length ?? 0;
		const offset = this.#requests.reserve(requestHeaderSize + 24 + key.length + valueSize);
		if (offset < 0) throw new Error('the request ring is full');
		const { target } = this.#requests;
		const view = Buffer.from(target.buffer, target.byteOffset, target.byteLength);
		view.fill(0, offset, offset + requestHeaderSize);
		view.writeUInt32LE(sink, offset);
		view.writeUInt32LE(this.#names.push(name) - 1, offset + requestSequenceOffset);
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
		this.#requests.commit(requestHeaderSize + size);
		this.#requests.publish();
	}

	/** Replies that have left, in their order: settled ones first. */
	takeReplies(): RigReply[] {
		const replies: RigReply[] = [];
		for (const ring of [this.#replies, this.#held]) {
			while (ring.next()) {
				const bytes = Buffer.from(ring.source.subarray(ring.offset, ring.offset + ring.size));
				replies.push({
					name: this.#names[bytes.readUInt32LE(replySequenceOffset)],
					status: bytes[replyStatusOffset],
					number: bytes.readDoubleLE(replyNumberOffset),
					text: bytes.toString('latin1', replyHeaderSize),
				});
			}
			ring.release();
		}
		return replies;
	}

	/** One request, everything that it takes, and its reply. */
	ask(request: RigRequest, held: readonly Job['kind'][] = []): RigReply {
		this.send('asked', request);
		for (let i = 0; i < 100; i++) {
			this.settle(held);
			const [reply] = this.takeReplies();
			if (reply !== undefined) return reply;
		}
		throw new Error(`no reply to opcode ${request.opcode}`);
	}

	/** The log thread ends with an error. */
	failLog(): void {
		writePoison(this.#shared, 'MILLRACE_POISONED', 'the log failed');
	}

	turn(): void {
		this.loop.turn();
	}

	/** Carries out what the log ring holds. */
	runLog(): void {
		while (this.#log.next()) this.#executor.accept(this.#log.source, this.#log.offset, this.#log.size);
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
			if (received.message.type === 'note') this.notes.push(received.message.text);
		}
		let count = 0;
		for (const entry of [...this.#jobs]) {
			if (kinds !== undefined && !kinds.includes(entry.job.kind)) continue;
			this.#jobs.splice(this.#jobs.indexOf(entry), 1);
			this.#mailPort.postMessage({ type: 'outcome', id: entry.id, outcome: this.#outcomeOf(entry.job) });
			Atomics.add(this.#words, sharedMailWord, 1);
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
