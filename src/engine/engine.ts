/**
 * A running database without an API on top: directory, partitions, pool, dispatcher; how they start, stop and fail.
 *
 *   start: lock directory ─> spawn partitions (in parallel) ─> all ready ─> head file, if new
 *   stop:  opShutdown to every partition ─> all answered ─> threads end ─> pool ends ─> unlock
 *
 * Main thread only. A thread that dies takes nothing acknowledged with it, but the engine stops: `onDeath` is called once.
 */
import { availableParallelism } from 'node:os';
import { codeOf, MillraceError, statusOk } from '../base/errors.js';
import { partitionCountMax, syncIntervalMsDefault } from '../base/limits.js';
import { opShutdown, replyMessage } from '../command/command-format.js';
import type { ReplySink } from '../command/command-port.js';
import { createDatabaseMemory } from '../command/database-memory.js';
import type { Durability } from '../command/worker-boot.js';
import type { FileSystem } from '../env/ports.js';
import { PortBellOwner } from '../ring/bell.js';
import { Router } from '../routing/router.js';
import { BackgroundPool } from './background-pool.js';
import {
	completeDataDirectory,
	type DataDirectory,
	openDataDirectory,
	partitionCountOf,
	partitionDirectoryName,
} from './data-directory.js';
import { Dispatcher } from './dispatcher.js';
import { PartitionLink, type StorageMemory } from './partition-link.js';

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
	/** Sizes of the memory that the storage of each partition shares. */
	readonly storageMemoryFor?: ((partitionCount: number) => StorageMemorySizes) | undefined;
	/** Things a person should read: recovery notes, trouble. */
	readonly onNote?: ((text: string) => void) | undefined;
	readonly onDeath?: ((error: MillraceError) => void) | undefined;
}

/** What the storage wants shared for each partition. */
export interface StorageMemorySizes {
	readonly viewSize: number;
	readonly arenaCount: number;
	readonly arenaSize: number;
}

/** One partition for each core beside the main thread's. */
export function defaultPartitionCount(): number {
	return Math.min(partitionCountMax, Math.max(1, availableParallelism() - 1));
}

export class Engine {
	readonly dispatcher: Dispatcher;
	readonly durability: Durability;
	readonly partitionCount: number;
	/** Commands replayed from the logs at open. */
	replayedCount = 0;
	readonly #options: EngineOptions;
	readonly #directory: DataDirectory;
	readonly #pool: BackgroundPool;
	readonly #databaseMemory = createDatabaseMemory();
	readonly #links: PartitionLink[];
	#closing: Promise<void> | undefined;
	#death: MillraceError | undefined;

	private constructor(options: EngineOptions, directory: DataDirectory) {
		this.#options = options;
		this.#directory = directory;
		this.durability = options.durability ?? 'always';
		this.partitionCount = directory.partitionCount;
		this.#pool = new BackgroundPool(options.backgroundWorkerUrl);
		const mainBell = PortBellOwner.create();
		this.dispatcher = new Dispatcher(new Router(this.partitionCount), mainBell);
		this.#links = Array.from({ length: this.partitionCount }, (_, partition) => this.#spawn(partition, mainBell));
		this.dispatcher.connect(this.#links);
	}

	/** Opens or creates the directory and waits until every partition has recovered. @throws MillraceError */
	static async start(options: EngineOptions): Promise<Engine> {
		const { fileSystem, partitions, storageOptionsFor } = options;
		// Options that do not go together are refused before anything is made.
		storageOptionsFor?.(partitionCountOf(fileSystem, options.directory, partitions, defaultPartitionCount()));
		const directory = openDataDirectory(fileSystem, options.directory, partitions, defaultPartitionCount());
		const engine = new Engine(options, directory);
		try {
			for (const ready of await Promise.all(engine.#links.map((link) => link.ready))) {
				engine.replayedCount += ready.replayedCount;
				for (const note of ready.notes) options.onNote?.(note);
			}
			if (engine.#death !== undefined) throw engine.#death;
			if (directory.isNew) completeDataDirectory(fileSystem, directory);
			return engine;
		} catch (error) {
			await engine.#release();
			throw error;
		}
	}

	get fileSystem(): FileSystem {
		return this.#options.fileSystem;
	}

	/** The error of the thread that died, if one did. */
	get death(): MillraceError | undefined {
		return this.#death;
	}

	/**
	 * Makes everything acknowledged durable and ends. Commands submitted before are carried out; none may be submitted after.
	 * @throws MILLRACE_POISONED or MILLRACE_DISK_FULL when the last commit could not be made durable
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		for (const link of this.#links) link.expectEnd();
		let failure: MillraceError | undefined;
		if (this.#death === undefined) {
			// A thread that dies meanwhile answers nothing, but it ends.
			const allEnded = Promise.all(this.#links.map((link) => link.ended)).then(() => undefined);
			failure = await Promise.race([shutDownPartitions(this.dispatcher), allEnded]);
		}
		await this.#release();
		if (failure !== undefined) throw failure;
	}

	async #release(): Promise<void> {
		await Promise.all(this.#links.map((link) => link.terminate()));
		await this.#pool.close();
		this.#directory.lock.release();
	}

	/** Pages that nobody touches take no memory. */
	#makeStorageMemory(): StorageMemory {
		const sizes = this.#options.storageMemoryFor?.(this.partitionCount);
		const { viewSize, arenaCount, arenaSize } = sizes ?? { viewSize: 0, arenaCount: 0, arenaSize: 0 };
		const arenas = Array.from({ length: arenaCount }, () => new SharedArrayBuffer(arenaSize));
		return { view: new SharedArrayBuffer(viewSize), arenas };
	}

	#spawn(partition: number, mainBell: SharedArrayBuffer): PartitionLink {
		const { durability, syncIntervalMs, storageOptionsFor, partitionWorkerUrl, logWorkerUrl, onNote } = this.#options;
		return new PartitionLink({
			partition,
			directory: `${this.#options.directory}/${partitionDirectoryName(partition)}`,
			isNew: this.#directory.isNew,
			durability: durability ?? 'always',
			syncIntervalMs: syncIntervalMs ?? syncIntervalMsDefault,
			storageOptions: storageOptionsFor?.(this.partitionCount) ?? {},
			databaseMemory: this.#databaseMemory,
			storageMemory: this.#makeStorageMemory(),
			partitionWorkerUrl,
			logWorkerUrl,
			mainBell,
			onBell: this.dispatcher.onBell,
			runJob: (task) => this.#pool.run(task),
			onNote: (text) => onNote?.(text),
			onDeath: (error) => this.#onDeath(error),
		});
	}

	#onDeath(error: MillraceError): void {
		if (this.#death !== undefined) return;
		this.#death = error;
		this.#options.onDeath?.(error);
	}
}

/** Sends opShutdown to all partitions and waits for the answers. @returns the first failure, if any */
function shutDownPartitions(dispatcher: Dispatcher): Promise<MillraceError | undefined> {
	return new Promise((resolve) => {
		let waitingFor = dispatcher.partitionCount;
		let failure: MillraceError | undefined;
		const none = new Uint8Array(0);
		const send = (partition: number): void => {
			if (!dispatcher.submit(partition, number, 0, partition, opShutdown, 0, 0, none, 0, 0, none, 0, 0))
				unsent.push(partition);
		};
		const unsent: number[] = [];
		const sink: ReplySink = {
			onReply(_sequence, _part, status, kind, _number, bytes, offset, size) {
				waitingFor--;
				if (status !== statusOk) {
					const text = kind === replyMessage ? Buffer.from(bytes.subarray(offset, offset + size)).toString('utf8') : '';
					failure ??= new MillraceError(codeOf(status), text);
				}
			},
			onRepliesEnd() {
				if (waitingFor === 0) resolve(failure);
			},
			onRoom() {
				for (const partition of unsent.splice(0)) send(partition);
			},
		};
		const number = dispatcher.register(sink);
		for (let partition = 0; partition < dispatcher.partitionCount; partition++) send(partition);
	});
}
