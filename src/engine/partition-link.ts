/**
 * The main thread's side of one partition: its rings, its two threads and their mail. Main thread only.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { MillraceError } from '../base/errors.js';
import { logRingSizeDefault, ringSizeDefault, youngGenerationSizeMb } from '../base/limits.js';
import type { TransactionReport } from '../command/transaction.js';
import {
	type ChannelMemory,
	type ChannelPorts,
	type Durability,
	type LogBoot,
	type LogControl,
	type MailToMain,
	type MailToPartition,
	type PartitionBoot,
	type PartitionMemory,
	sharedMailWord,
	sharedPoisonWord,
	sharedSize,
} from '../command/worker-boot.js';
import { ThreadBell } from '../ring/bell.js';
import { RingConsumer } from '../ring/ring-consumer.js';
import { createRing, isReleasedTo, tailOf } from '../ring/ring-format.js';
import { RingProducer } from '../ring/ring-producer.js';
import { errorOf } from './attach-messages.js';
import { partitionError } from './open-errors.js';
import type { DatabaseEvent } from './session.js';
import { threadArguments, whenAllLoaded, whenLoaded } from './thread-loading.js';

/** What the storage of a partition shares with whoever reads it without a message. */
export interface StorageMemory {
	readonly view: SharedArrayBuffer;
	readonly arenas: readonly SharedArrayBuffer[];
}

/** Between two looks how far the log's thread is. */
const logLookIntervalMs = 1;

export interface LinkOptions {
	readonly partition: number;
	readonly directory: string;
	/** The data directory is being created. */
	readonly isNew: boolean;
	readonly durability: Durability;
	readonly syncIntervalMs: number;
	readonly storageOptions: Readonly<Record<string, number | string>>;
	readonly partitionWorkerUrl: URL;
	readonly logWorkerUrl: URL;
	/** Epoch and gate of the database. */
	readonly databaseMemory: SharedArrayBuffer;
	readonly storageMemory: StorageMemory;
	/** The flag of the main thread's bell, shared by all partitions. */
	readonly mainBell: SharedArrayBuffer;
	/** A message that main is needed: there are replies. */
	readonly onBell: () => void;
	/** Does a job in the background pool; the promise never rejects. */
	readonly runJob: (task: { directory: string; job: unknown }) => Promise<unknown>;
	/** Hears all but 'closing'; 'died' when a thread ended that should not have. */
	readonly onEvent: (event: DatabaseEvent) => void;
	/** Hears how far the recovery is, some ten times a second. */
	readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
}

/** How far the opening of one partition is. */
export interface OpenProgress {
	readonly partition: number;
	/** First its tables are opened, then its log is replayed. */
	readonly step: 'tables' | 'log';
	/** Tables, or bytes of log. */
	readonly done: number;
	/** Of so many. */
	readonly total: number;
}

export interface PartitionReady {
	readonly replayedCount: number;
	readonly notes: readonly string[];
	readonly transactions: TransactionReport;
}

export class PartitionLink {
	/** The opener's own. */
	readonly channel = 0;
	readonly requests: RingProducer;
	readonly replies: RingConsumer;
	readonly heldReplies: RingConsumer;
	readonly ready: Promise<PartitionReady>;
	/** Settled when the partition's thread has ended, however it did. */
	readonly ended: Promise<void>;
	readonly #options: LinkOptions;
	readonly #memory: PartitionMemory;
	readonly #bell: ThreadBell;
	readonly #mail: MessagePort;
	readonly #logControl: MessagePort;
	readonly #bellPorts: MessagePort[] = [];
	readonly #workers: Worker[];
	readonly #loading: Promise<void>[] = [];
	#isEnding = false;
	/** The partition's thread has ended or is being ended: it takes no more mail. Until then a shutdown may wait for a job. */
	#isOver = false;
	/** Who waits for a channel to be forgotten. */
	readonly #detaching = new Map<number, () => void>();
	#settleReady: { resolve: (ready: PartitionReady) => void; reject: (error: Error) => void } | undefined;

	constructor(options: LinkOptions) {
		this.#options = options;
		this.#memory = {
			requestRing: createRing(ringSizeDefault),
			replyRing: createRing(ringSizeDefault),
			commitRing: createRing(ringSizeDefault),
			logRing: createRing(logRingSizeDefault),
			workerBell: ThreadBell.create(),
			logBell: ThreadBell.create(),
			mainBell: options.mainBell,
			shared: new SharedArrayBuffer(sharedSize),
		};
		this.#bell = new ThreadBell(this.#memory.workerBell);
		this.ready = new Promise((resolve, reject) => {
			this.#settleReady = { resolve, reject };
		});
		const mail = new MessageChannel();
		const requestOversize = new MessageChannel();
		const replyOversize = new MessageChannel();
		const commitOversize = new MessageChannel();
		const logOversize = new MessageChannel();
		const logControl = new MessageChannel();
		this.requests = new RingProducer(this.#memory.requestRing, this.#bell, requestOversize.port1);
		this.replies = new RingConsumer(this.#memory.replyRing, this.#bell, replyOversize.port1);
		this.heldReplies = new RingConsumer(this.#memory.commitRing, this.#bell, commitOversize.port1);
		this.#mail = mail.port1;
		this.#logControl = logControl.port1;
		this.#mail.on('message', (message: MailToMain) => this.#onMail(message));
		const partitionWorker = this.#spawnPartitionWorker({
			mailPort: mail.port2,
			requestOversizePort: requestOversize.port2,
			replyOversizePort: replyOversize.port2,
			commitOversizePort: commitOversize.port2,
			logOversizePort: logOversize.port1,
		});
		this.#workers = [this.#spawnLogWorker(logOversize.port2, logControl.port2), partitionWorker];
		this.ended = new Promise((resolve) => {
			partitionWorker.once('exit', () => {
				this.#isOver = true;
				for (const settle of this.#detaching.values()) settle();
				resolve();
			});
		});
	}

	get partition(): number {
		return this.#options.partition;
	}

	get directory(): string {
		return this.#options.directory;
	}

	get storageMemory(): StorageMemory {
		return this.#options.storageMemory;
	}

	/** What whoever else asks this partition needs of its memory. */
	get askerMemory(): Pick<PartitionMemory, 'workerBell' | 'shared'> {
		const { workerBell, shared } = this.#memory;
		return { workerBell, shared };
	}

	/** Gives the partition one more asking thread. @param logBellPort where the log's thread rings that one */
	attach(memory: ChannelMemory, ports: ChannelPorts, logBellPort: MessagePort): void {
		const control: LogControl = { memory, bellPort: logBellPort };
		// Before the partition knows of the channel: it is what may name it to the log.
		this.#logControl.postMessage(control, [logBellPort]);
		this.#post({ type: 'attach', memory, ports }, Object.values(ports) as MessagePort[]);
	}

	/** Resolves when the channel's rings are not touched any more, or the partition's thread has ended. */
	detach(channel: number): Promise<void> {
		if (this.#isOver) return Promise.resolve();
		return new Promise((resolve) => {
			this.#detaching.set(channel, () => {
				this.#detaching.delete(channel);
				this.#whenLogPassed(tailOf(this.#memory.logRing), resolve);
			});
			this.#post({ type: 'detach', channel });
		});
	}

	/**
	 * Messages before this position of the log ring may still name the channel; its thread is behind by a sync or two. It has no
	 * way to ring here, so it is looked at until it is past them.
	 */
	#whenLogPassed(position: number, resolve: () => void): void {
		if (this.#isOver || this.#isPoisoned || isReleasedTo(this.#memory.logRing, position)) resolve();
		else setTimeout(() => this.#whenLogPassed(position, resolve), logLookIntervalMs);
	}

	/** From now on the process does not go on for the sake of the threads, but of what `keepAlive` says. */
	unref(): void {
		for (const worker of this.#workers) worker.unref();
		for (const port of this.#bellPorts) port.unref();
		this.#mail.unref();
	}

	/** Whether the process goes on until the partition's thread has ended and that is heard of. */
	keepAlive(isWaiting: boolean): void {
		const [, partitionWorker] = this.#workers;
		if (isWaiting) partitionWorker.ref();
		else partitionWorker.unref();
	}

	/** From now on the end of the threads is no surprise. */
	expectEnd(): void {
		this.#isEnding = true;
	}

	/** Ends both threads, if they are not over, as soon as they have loaded, and closes the ports. */
	async terminate(): Promise<void> {
		this.#isEnding = true;
		this.#isOver = true;
		await whenAllLoaded(this.#loading);
		await Promise.all(this.#workers.map((worker) => worker.terminate()));
		this.#mail.close();
		this.#logControl.close();
		for (const port of this.#bellPorts) port.close();
	}

	#spawnLogWorker(logOversizePort: MessagePort, controlPort: MessagePort): Worker {
		const { partition, directory, durability, syncIntervalMs, logWorkerUrl } = this.#options;
		const bellPort = this.#makeBellPort();
		const boot: LogBoot = {
			partition,
			directory,
			memory: this.#memory,
			durability,
			syncIntervalMs,
			bellPort,
			logOversizePort,
			controlPort,
		};
		return this.#spawn(logWorkerUrl, 'log worker', boot, [bellPort, logOversizePort, controlPort]);
	}

	#spawnPartitionWorker(
		ports: Pick<
			PartitionBoot,
			'mailPort' | 'requestOversizePort' | 'replyOversizePort' | 'commitOversizePort' | 'logOversizePort'
		>,
	): Worker {
		const { partition, directory, isNew, storageOptions, partitionWorkerUrl, databaseMemory } = this.#options;
		const bellPort = this.#makeBellPort();
		const boot: PartitionBoot = {
			partition,
			directory,
			isNew,
			memory: this.#memory,
			databaseMemory,
			...this.#options.storageMemory,
			storageOptions,
			bellPort,
			...ports,
		};
		return this.#spawn(partitionWorkerUrl, 'worker', boot, [bellPort, ...Object.values(ports)]);
	}

	#makeBellPort(): MessagePort {
		const channel = new MessageChannel();
		channel.port1.on('message', this.#options.onBell);
		this.#bellPorts.push(channel.port1);
		return channel.port2;
	}

	#spawn(url: URL, what: string, boot: PartitionBoot | LogBoot, transferList: MessagePort[]): Worker {
		const worker = new Worker(url, {
			workerData: boot,
			transferList,
			...threadArguments,
			resourceLimits: { maxYoungGenerationSizeMb: youngGenerationSizeMb },
		});
		this.#loading.push(whenLoaded(worker));
		let reason = 'it ended by itself';
		worker.on('error', (error) => {
			reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
		});
		worker.on('exit', (exitCode) => {
			// It may have said why just before, by another port: nobody orders the two.
			this.#takeMail();
			if (this.#isEnding || (what === 'log worker' && this.#isPoisoned)) return;
			const text = `the ${what} of partition ${this.#options.partition} died (exit ${exitCode}): ${reason}`;
			const error = new MillraceError('MILLRACE_WORKER_DIED', text);
			this.#settleReady?.reject(error);
			this.#options.onEvent({ type: 'died', error });
		});
		return worker;
	}

	/** The log thread stopped by itself and said why: the partition refuses writes and goes on serving reads. */
	get #isPoisoned(): boolean {
		return Atomics.load(new Int32Array(this.#memory.shared), sharedPoisonWord) !== 0;
	}

	/** What has come and was not heard yet. */
	#takeMail(): void {
		for (;;) {
			const received = receiveMessageOnPort(this.#mail) as { message: MailToMain } | undefined;
			if (received === undefined) return;
			this.#onMail(received.message);
		}
	}

	#onMail(message: MailToMain): void {
		const { partition, onEvent, onProgress } = this.#options;
		switch (message.type) {
			case 'ready':
				this.#settleReady?.resolve(message);
				this.#settleReady = undefined;
				break;
			case 'failed':
				this.#isEnding = true;
				this.#settleReady?.reject(partitionError(this.#options.directory, message.error));
				this.#settleReady = undefined;
				break;
			case 'progress':
				onProgress?.({ partition, step: message.step, done: message.done, total: message.total });
				break;
			case 'note':
				onEvent({ type: 'note', text: message.text });
				break;
			case 'poisoned':
				onEvent({ type: 'poisoned', partition, error: errorOf(message.error, 'MILLRACE_POISONED') });
				break;
			case 'diskFull':
				onEvent({ type: 'diskFull', partition, isFull: message.isFull });
				break;
			case 'detached':
				this.#detaching.get(message.channel)?.();
				break;
			case 'job':
				void this.#runJob(message.id, message.directory, message.job);
				break;
		}
	}

	async #runJob(id: number, directory: string, job: unknown): Promise<void> {
		const outcome = await this.#options.runJob({ directory, job });
		if (!this.#isOver) this.#post({ type: 'outcome', id, outcome });
	}

	#post(mail: MailToPartition, transferList: MessagePort[] = []): void {
		this.#mail.postMessage(mail, transferList);
		Atomics.add(new Int32Array(this.#memory.shared), sharedMailWord, 1);
		this.#bell.ring();
	}
}
