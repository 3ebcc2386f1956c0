/**
 * A running database without an API on top: directory, partitions, pool, dispatcher; how they start, stop and fail. The Session
 * of the thread that opens.
 *
 *   start: lock directory ─> spawn partitions (in parallel) ─> all ready ─> head file, if new ─> batches in doubt settled
 *   stop:  attached threads let go ─> opShutdown to every partition ─> all answered ─> threads end ─> pool ends ─> unlock
 *
 * One thread only, the opener's. A thread that dies takes nothing acknowledged with it, but the engine stops: 'died' comes once.
 * The process is kept running by what is waited for, and not by a database that is open.
 */
import { availableParallelism } from 'node:os';
import { readU32 } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import {
	inFlightSizeMaxDefault,
	partitionCountMax,
	syncCacheSizeDefault,
	syncIntervalMsDefault,
} from '../base/limits.js';
import { opShutdown, opTransactions } from '../command/command-format.js';
import type { CommandPort } from '../command/command-port.js';
import { createDatabaseMemory, GateSlot } from '../command/database-memory.js';
import type { MakeSyncReader, SyncReader } from '../command/sync-reader.js';
import type { TransactionReport } from '../command/transaction.js';
import type { Durability } from '../command/worker-boot.js';
import type { FileSystem } from '../env/ports.js';
import { PortBellOwner } from '../ring/bell.js';
import { Router } from '../routing/router.js';
import type { Attachment } from './attach-messages.js';
import { Attachments } from './attachments.js';
import { BackgroundPool } from './background-pool.js';
import { Calls } from './calls.js';
import {
	completeDataDirectory,
	type DataDirectory,
	openDataDirectory,
	partitionCountOf,
	partitionDirectoryName,
} from './data-directory.js';
import { Dispatcher } from './dispatcher.js';
import { withDoctor } from './open-errors.js';
import { type OpenProgress, PartitionLink, type PartitionReady, type StorageMemory } from './partition-link.js';
import type { DatabaseEvent, Session } from './session.js';
import { settleInDoubt } from './settle-in-doubt.js';
import { SyncReaders } from './sync-readers.js';

export interface EngineOptions {
	readonly directory: string;
	readonly fileSystem: FileSystem;
	/** Entry points of the threads: the engine does not know the files. */
	readonly partitionWorkerUrl: URL;
	readonly logWorkerUrl: URL;
	readonly backgroundWorkerUrl: URL;
	readonly partitions?: number | undefined;
	readonly durability?: Durability | undefined;
	readonly syncIntervalMs?: number | undefined;
	/** What each partition's storage is told, when there are so many. @throws MILLRACE_OPTION when it does not go together */
	readonly storageOptionsFor?: ((partitionCount: number) => Readonly<Record<string, number | string>>) | undefined;
	/** Sizes of the memory that the storage of a partition with these options shares. */
	readonly storageMemoryFor?:
		| ((storageOptions: Readonly<Record<string, number | string>>) => StorageMemorySizes)
		| undefined;
	/** Bytes of requests that each thread may have under way. */
	readonly inFlightSizeMax?: number | undefined;
	/** Reads without a message; without it there are none. */
	readonly makeSyncReader?: MakeSyncReader | undefined;
	/** Bytes of blocks that each thread may keep for them, over all partitions. */
	readonly syncCacheSize?: number | undefined;
	/** Things a person should read: recovery notes, trouble. */
	readonly onNote?: ((text: string) => void) | undefined;
	readonly onDeath?: ((error: MillraceError) => void) | undefined;
	readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
}

/** What the storage wants shared for each partition. */
export interface StorageMemorySizes {
	readonly viewSize: number;
	readonly arenaCount: number;
	readonly arenaSize: number;
}

/** The gate slot of the thread that opens. */
const openerSlot = 0;

/** One partition for each core beside the main thread's. */
export function defaultPartitionCount(): number {
	return Math.min(partitionCountMax, Math.max(1, availableParallelism() - 1));
}

export class Engine implements Session {
	readonly dispatcher: Dispatcher;
	readonly durability: Durability;
	readonly partitionCount: number;
	readonly inFlightSizeMax: number;
	readonly gate: GateSlot;
	onEvent: (event: DatabaseEvent) => void = () => undefined;
	/** Commands replayed from the logs at open. */
	replayedCount = 0;
	readonly #options: EngineOptions;
	readonly #directory: DataDirectory;
	readonly #pool: BackgroundPool;
	readonly #databaseMemory = createDatabaseMemory();
	readonly #links: PartitionLink[];
	readonly #syncReaders: SyncReaders;
	readonly #attachments: Attachments;
	/** The engine's own questions: at open, for threads that are gone, at the end. */
	readonly #calls: Calls;
	#closing: Promise<void> | undefined;
	#death: MillraceError | undefined;

	private constructor(options: EngineOptions, directory: DataDirectory) {
		this.#options = options;
		this.#directory = directory;
		this.durability = options.durability ?? 'always';
		this.partitionCount = directory.partitionCount;
		this.inFlightSizeMax = options.inFlightSizeMax ?? inFlightSizeMaxDefault;
		this.gate = new GateSlot(this.#databaseMemory, openerSlot);
		this.#pool = new BackgroundPool(options.backgroundWorkerUrl);
		const mainBell = PortBellOwner.create();
		this.dispatcher = new Dispatcher(new Router(this.partitionCount), mainBell);
		this.#links = Array.from({ length: this.partitionCount }, (_, partition) => this.#spawn(partition, mainBell));
		this.dispatcher.connect(this.#links);
		this.#calls = new Calls(this.dispatcher, this.inFlightSizeMax);
		const blockCacheSize = Math.floor((options.syncCacheSize ?? syncCacheSizeDefault) / this.partitionCount);
		this.#syncReaders = new SyncReaders(options.makeSyncReader, (partition) => {
			const { directory, storageMemory, askerMemory } = this.#links[partition];
			return { partition, directory, shared: askerMemory.shared, ...storageMemory, blockCacheSize };
		});
		this.#attachments = new Attachments({
			links: this.#links,
			databaseMemory: this.#databaseMemory,
			durability: this.durability,
			inFlightSizeMax: this.inFlightSizeMax,
			blockCacheSize,
			settleBatchesOf: (slot) => this.#settleBatchesOf(slot),
		});
	}

	/** Opens or creates the directory and waits until every partition has recovered. @throws MillraceError */
	static async start(options: EngineOptions): Promise<Engine> {
		const { fileSystem, partitions, storageOptionsFor } = options;
		// Options that do not go together are refused before anything is made.
		storageOptionsFor?.(partitionCountOf(fileSystem, options.directory, partitions, defaultPartitionCount()));
		const directory = openDataDirectory(fileSystem, options.directory, partitions, defaultPartitionCount());
		const engine = new Engine(options, directory);
		try {
			await engine.#begin(await Promise.all(engine.#links.map((link) => link.ready)));
			for (const link of engine.#links) link.unref();
			engine.dispatcher.onSleep = (isWaiting) => engine.#keepAlive(isWaiting);
			return engine;
		} catch (error) {
			await engine.#release();
			throw withDoctor(error, options.directory);
		}
	}

	/** The partitions have recovered. */
	async #begin(ready: readonly PartitionReady[]): Promise<void> {
		for (const { replayedCount, notes } of ready) {
			this.replayedCount += replayedCount;
			for (const note of notes) this.#options.onNote?.(note);
		}
		if (this.#death !== undefined) throw this.#death;
		if (this.#directory.isNew) completeDataDirectory(this.fileSystem, this.#directory);
		const reports = ready.map(({ transactions }) => transactions);
		if (reports.some(isUnsettled)) await settleInDoubt(this.#calls, reports, () => true);
	}

	get port(): CommandPort {
		return this.dispatcher;
	}

	get fileSystem(): FileSystem {
		return this.#options.fileSystem;
	}

	/** The error of the thread that died, if one did. */
	get death(): MillraceError | undefined {
		return this.#death;
	}

	/** Attached threads, attachments that may still be used, channels made. For tests. */
	get attachmentStatistics(): ReturnType<Attachments['statistics']> {
		return this.#attachments.statistics();
	}

	syncReader(partition: number): SyncReader {
		return this.#syncReaders.of(partition);
	}

	makeAttachment(): Attachment {
		return this.#attachments.make();
	}

	/**
	 * Makes everything acknowledged durable and ends. Commands submitted before are carried out; none may be submitted after.
	 * Attached threads hear of it, and what they have under way is not waited for.
	 * @throws MILLRACE_POISONED or MILLRACE_DISK_FULL when the last commit could not be made durable
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		for (const link of this.#links) {
			link.keepAlive(true);
			link.expectEnd();
		}
		this.#emit({ type: 'closing' });
		// A thread that dies meanwhile answers nothing, but it ends.
		const allEnded = Promise.all(this.#links.map((link) => link.ended)).then(() => undefined);
		const failure = await Promise.race([this.#shutDown(), allEnded]);
		await this.#release();
		if (failure !== undefined) throw failure;
	}

	/** @returns why the last commit could not be made durable, if so */
	async #shutDown(): Promise<MillraceError | undefined> {
		const canAnswer = this.#death === undefined;
		// A thread that dies meanwhile answers no question about batches: the others are still to be shut down.
		const oneEnded = Promise.race(this.#links.map((link) => link.ended));
		await Promise.race([this.#attachments.close(canAnswer), oneEnded]);
		if (!canAnswer) return undefined;
		return this.#calls.askAll({ opcode: opShutdown }).then(
			() => undefined,
			(error: MillraceError) => error,
		);
	}

	/** While it closes, it waits to the end. All partitions' replies come in one turn of this thread: one of them is enough. */
	#keepAlive(isWaiting: boolean): void {
		if (this.#closing === undefined) this.#links[0].keepAlive(isWaiting);
	}

	async #release(): Promise<void> {
		this.#calls.end(() => new MillraceError('MILLRACE_CLOSED', 'the database is closed'));
		this.dispatcher.stop();
		this.#syncReaders.close();
		await Promise.all(this.#links.map((link) => link.terminate()));
		await this.#pool.close();
		this.#directory.lock.release();
	}

	/** What a thread that is gone had begun; its channels are forgotten, so there will be no more of it. */
	async #settleBatchesOf(slot: number): Promise<void> {
		try {
			const replies = await this.#calls.askAll({ opcode: opTransactions });
			const reports = replies.map(({ value }) => JSON.parse(Buffer.from(value ?? []).toString()) as TransactionReport);
			const isOurs = (id: string): boolean => readU32(Buffer.from(id, 'hex'), 0) === slot;
			if (reports.some(isUnsettled)) await settleInDoubt(this.#calls, reports, isOurs);
		} catch (error) {
			// They stay prepared: nobody sees half of one, and the next opening settles them.
			if (this.#death !== undefined) return;
			this.#emit({ type: 'note', text: `batches of a thread that ended could not be settled: ${String(error)}` });
		}
	}

	/** Pages that nobody touches take no memory. */
	#makeStorageMemory(storageOptions: Readonly<Record<string, number | string>>): StorageMemory {
		const sizes = this.#options.storageMemoryFor?.(storageOptions);
		const { viewSize, arenaCount, arenaSize } = sizes ?? { viewSize: 0, arenaCount: 0, arenaSize: 0 };
		const arenas = Array.from({ length: arenaCount }, () => new SharedArrayBuffer(arenaSize));
		return { view: new SharedArrayBuffer(viewSize), arenas };
	}

	#spawn(partition: number, mainBell: SharedArrayBuffer): PartitionLink {
		const { durability, syncIntervalMs, storageOptionsFor, partitionWorkerUrl, logWorkerUrl, onProgress } =
			this.#options;
		const storageOptions = storageOptionsFor?.(this.partitionCount) ?? {};
		return new PartitionLink({
			partition,
			directory: `${this.#options.directory}/${partitionDirectoryName(partition)}`,
			isNew: this.#directory.isNew,
			durability: durability ?? 'always',
			syncIntervalMs: syncIntervalMs ?? syncIntervalMsDefault,
			storageOptions,
			databaseMemory: this.#databaseMemory,
			storageMemory: this.#makeStorageMemory(storageOptions),
			partitionWorkerUrl,
			logWorkerUrl,
			mainBell,
			onBell: this.dispatcher.onBell,
			runJob: (task) => this.#pool.run(task),
			onEvent: (event) => this.#emit(event),
			onProgress,
		});
	}

	/** Tells everybody who wants to know: once, of a death. Notes are for this thread alone. */
	#emit(event: DatabaseEvent): void {
		if (event.type === 'died') {
			if (this.#death !== undefined) return;
			this.#death = event.error;
			this.#calls.end(() => event.error);
			this.#attachments.refuse(event.error);
			this.#options.onDeath?.(event.error);
		}
		if (event.type === 'note') this.#options.onNote?.(event.text);
		else if (event.type !== 'closing') this.#attachments.broadcast(event);
		this.onEvent(event);
	}
}

function isUnsettled({ inDoubt, decided }: TransactionReport): boolean {
	return inDoubt.length + decided.length > 0;
}
