/**
 * A partition in this thread, and readers of it that know only the memory it shares: what the threads of a database have, but
 * with a say in who does what when.
 *
 *   PartitionHarness ─ view, arenas, durable word ─> PartitionReader ─ onStep ─> whatever a test does to it in the middle of a
 * read
 */
import { opClear, opDelete, opDeleteRange, opPut } from '../../src/command/command-format.js';
import type { SyncReaderMemory } from '../../src/command/sync-reader.js';
import { sharedDurableLowWord, sharedSize } from '../../src/command/worker-boot.js';
import type { FileSystem } from '../../src/env/ports.js';
import type { PartitionOptions } from '../../src/storage/lsm/partition-options.js';
import { PartitionReader, type ReadStep } from '../../src/storage/lsm/shared/partition-reader.js';
import { viewSizeFor } from '../../src/storage/lsm/shared/shared-view-format.js';
import { createStorageMemory, storageMemorySizes } from '../../src/storage/lsm/shared/storage-memory.js';
import { PartitionHarness, type Reply, smallOptions } from './partition-harness.js';
import { SimulatedDisk } from './simulated-disk.js';
import type { TestCommand } from './test-command.js';

export interface RigOptions {
	readonly fileSystem?: FileSystem;
	readonly directory?: string;
	readonly partition?: Partial<PartitionOptions>;
	/** Tables that fit the view. */
	readonly tableCount?: number;
	readonly nowMs?: number;
}

export class SharedReadRig {
	readonly fileSystem: FileSystem;
	readonly memory: SyncReaderMemory;
	readonly harness: PartitionHarness;
	readonly reader: PartitionReader;
	/** Called in the middle of reads. */
	onStep: (step: ReadStep) => void = () => undefined;
	readonly #words: Int32Array;

	constructor(options: RigOptions = {}) {
		this.fileSystem = options.fileSystem ?? new SimulatedDisk();
		const directory = options.directory ?? '/data';
		const partition = { ...smallOptions, ...options.partition };
		const viewSize = viewSizeFor(options.tableCount ?? 1000);
		const storage = createStorageMemory({ ...storageMemorySizes(partition), viewSize });
		const shared = new SharedArrayBuffer(sharedSize);
		this.#words = new Int32Array(shared);
		this.memory = { partition: 0, directory, shared, ...storage, blockCacheSize: 256 * 1024 };
		const nowMs = options.nowMs ?? 1_000_000;
		this.harness = new PartitionHarness(this.fileSystem, {
			directory,
			durability: 'none',
			partition,
			nowMs,
			memory: storage,
		});
		this.publishDurable();
		this.reader = new PartitionReader(this.fileSystem, this.memory, {
			nowMs: () => this.harness.nowMs,
			onStep: (step) => this.onStep(step),
		});
	}

	/** Tells readers how far the log has come: the log thread's part. */
	publishDurable(): void {
		Atomics.store(this.#words, sharedDurableLowWord, this.harness.reachedSequence | 0);
	}

	/** Carries out so many messages of the log; without a count, all of it. */
	runLog(count?: number): void {
		this.harness.endDrain();
		this.harness.runLog(count);
		this.publishDurable();
	}

	/** Does everything there is to do: log, flushes, compactions, removals. */
	settle(): void {
		this.harness.settle();
		this.publishDurable();
	}

	execute(command: TestCommand): Reply {
		return this.harness.execute(command);
	}

	put(key: string, value: string): number {
		return this.execute({ opcode: opPut, key, value }).number;
	}

	delete(key: string): void {
		this.execute({ opcode: opDelete, key });
	}

	deleteRange(start: string, end: string): void {
		this.execute({ opcode: opDeleteRange, key: start, value: end });
	}

	clear(): void {
		this.execute({ opcode: opClear });
	}

	/** Writes so much to other keys that every arena was reset since, and everything else is in tables. */
	churn(): void {
		for (let i = 0; i < 60; i++) this.put(`~${i % 7}`, String(i).repeat(500));
		this.settle();
	}

	get(key: string, snapshot?: number): string | undefined {
		const bytes = Buffer.from(key, 'latin1');
		const value = this.reader.get(bytes, 0, bytes.length, snapshot);
		return value === undefined ? undefined : Buffer.from(value).toString('latin1');
	}

	/** Does something once, when a read comes to a step. */
	once(step: ReadStep, work: () => void): void {
		this.onStep = (reached) => {
			if (reached !== step) return;
			this.onStep = () => undefined;
			work();
		};
	}
}
