/**
 * The composition root of the embedded database: gives the engine its file system and its threads' entry points.
 */
import { MillraceError } from './base/errors.js';
import {
	inFlightSizeMaxDefault,
	partitionCountMax,
	syncCacheSizeDefault,
	syncIntervalMsDefault,
} from './base/limits.js';
import { checkOptions, type OptionTable } from './base/option-table.js';
import type { Durability } from './command/worker-boot.js';
import { Database } from './engine/database.js';
import { Engine, type EngineOptions } from './engine/engine.js';
import type { OpenProgress } from './engine/partition-link.js';
import { NodeFileSystem } from './env/node-file-system.js';
import {
	diskBudgetMin,
	type PartitionOptions,
	partitionOptions,
	partitionOptionTable,
} from './storage/lsm/partition-options.js';
import { syncReadersOver } from './storage/lsm/shared/partition-reader.js';
import { storageMemorySizes } from './storage/lsm/shared/storage-memory.js';

export interface OpenOptions {
	/** Partitions of a new directory; default: cores minus one, at least 1. For an existing one it must be what it has. */
	readonly partitions?: number;
	/** When a write is acknowledged: synced ('always', the default), written and synced every second, or only written. */
	readonly durability?: Durability;
	/** With 'interval': milliseconds between syncs, 10 to 60,000. Default 1000. */
	readonly syncIntervalMs?: number;
	/** Bytes of a memtable; each partition has up to three. 1 MiB to 1 GiB, default 64 MiB. */
	readonly memtableSize?: number;
	/** Bytes of the block cache of each partition. 0 to 2 GiB, default 32 MiB. */
	readonly blockCacheSize?: number;
	/** 'leveled' (the default): fastest reads and least space. 'tiered': least writing. May change from one opening to the next. */
	readonly compaction?: PartitionOptions['compaction'];
	/** Compactions of a partition at once, 1 to 16. Default 2. */
	readonly compactionConcurrency?: number;
	/** Bytes a second that all compactions together may write; 0 (the default): no limit. */
	readonly compactionBytesPerSecond?: number;
	/** Codec of the last level, where most data is: 'lz4' (the default) or 'zstd', which is smaller and slower. */
	readonly lastLevelCodec?: PartitionOptions['lastLevelCodec'];
	/** Milliseconds a write waits for compaction before it is refused with MILLRACE_OVERLOADED. Default 10,000. */
	readonly stallTimeoutMs?: number;
	/** Milliseconds a snapshot may be held. Default 10 minutes. */
	readonly snapshotAgeMaxMs?: number;
	/**
	 * Bytes that all files together may take; beyond, puts are refused with MILLRACE_DISK_FULL. 0 (default): no limit. The least
	 * depends on `partitions` and `memtableSize`: about 350 MB a partition by default.
	 */
	readonly diskBudget?: number;
	/** Bytes set aside on the disk by each partition, so that deletes work when it is full. 0: none. Default 64 MiB. */
	readonly reserveFileSize?: number;
	/** A log damaged before its end: 'refuse' to open (the default), or 'truncate' it there and give up what follows. */
	readonly damagedLog?: PartitionOptions['damagedLog'];
	/**
	 * Bytes of decompressed blocks that each thread may keep for its synchronous reads, over all partitions. 0 (none) to 2 GiB,
	 * default 32 MiB.
	 */
	readonly syncCacheSize?: number;
	/** Bytes of requests that each thread may have under way; more wait, without being refused. 64 KiB to 1 GiB, default 32 MiB. */
	readonly inFlightSizeMax?: number;
	/** Hears what a person should know: recovery notes, trouble in the background. */
	readonly onNote?: (text: string) => void;
	/** Hears how far a long opening is: of each partition by itself, some ten times a second. Partitions recover in parallel. */
	readonly onProgress?: (progress: OpenProgress) => void;
}

/** Options that go to every partition as they are. */
const sharedNames = [
	'memtableSize',
	'blockCacheSize',
	'compaction',
	'compactionConcurrency',
	'lastLevelCodec',
	'stallTimeoutMs',
	'snapshotAgeMaxMs',
	'reserveFileSize',
	'damagedLog',
] as const satisfies readonly (keyof OpenOptions & keyof PartitionOptions)[];

/** Options of the whole database, of which every partition gets its share. */
const dividedNames = ['diskBudget', 'compactionBytesPerSecond'] as const;

const listenerNames = ['onNote', 'onProgress'] as const satisfies readonly (keyof OpenOptions)[];

const rows = partitionOptionTable;
const memtableSizeMin = 1 << 20;

/** What `open` takes, checked like everything else by base/option-table.ts. Listeners are checked by their type. */
export const openOptionTable = {
	partitions: {
		kind: 'number',
		words: 'partitions of a new directory',
		unit: 'partitions',
		default: 0,
		least: 1,
		most: partitionCountMax,
	},
	durability: {
		kind: 'choice',
		words: 'when a write is answered',
		default: 'always',
		choices: ['always', 'interval', 'none'],
	},
	syncIntervalMs: {
		kind: 'number',
		words: "between syncs, with durability 'interval'",
		unit: 'ms',
		default: syncIntervalMsDefault,
		least: 10,
		most: 60_000,
	},
	memtableSize: { ...rows.memtableSize, least: memtableSizeMin, multipleOf: 1 },
	blockCacheSize: rows.blockCacheSize,
	compaction: rows.compaction,
	compactionConcurrency: rows.compactionConcurrency,
	compactionBytesPerSecond: { ...rows.compactionBytesPerSecond, least: 1 << 20 },
	lastLevelCodec: rows.lastLevelCodec,
	stallTimeoutMs: rows.stallTimeoutMs,
	snapshotAgeMaxMs: { ...rows.snapshotAgeMaxMs, least: 1000 },
	// With one partition and the smallest memtables: `storageOptionsFor` asks for what the others need.
	diskBudget: { ...rows.diskBudget, least: diskBudgetMin(partitionOptions({ memtableSize: memtableSizeMin })) },
	reserveFileSize: { ...rows.reserveFileSize, least: 1 << 20 },
	damagedLog: rows.damagedLog,
	inFlightSizeMax: {
		kind: 'number',
		words: 'requests that each thread has under way',
		unit: 'bytes',
		default: inFlightSizeMaxDefault,
		least: 1 << 16,
		most: 2 ** 30,
	},
	syncCacheSize: {
		kind: 'number',
		words: 'blocks that each thread keeps for synchronous reads',
		unit: 'bytes',
		default: syncCacheSizeDefault,
		least: 0,
		most: rows.blockCacheSize.most,
	},
} as const satisfies OptionTable & Record<Exclude<keyof OpenOptions, (typeof listenerNames)[number]>, unknown>;

/** What the engine needs for a directory and options. @throws MILLRACE_OPTION */
export function engineOptions(directory: string, options: OpenOptions = {}): EngineOptions {
	if (typeof directory !== 'string' || directory === '') throw new TypeError('a directory is a path');
	if (typeof options !== 'object' || options === null) throw new TypeError('options of open are an object');
	checkOptions(openOptionTable, options, listenerNames);
	for (const name of listenerNames) {
		const listener: unknown = options[name];
		if (listener !== undefined && typeof listener !== 'function') throw new TypeError(`${name} is a function`);
	}
	const fileSystem = new NodeFileSystem();
	return {
		directory,
		fileSystem,
		partitionWorkerUrl: new URL('../workers/partition-worker.js', import.meta.url),
		logWorkerUrl: new URL('../workers/log-worker.js', import.meta.url),
		backgroundWorkerUrl: new URL('../workers/background-worker.js', import.meta.url),
		partitions: options.partitions,
		durability: options.durability,
		syncIntervalMs: options.syncIntervalMs,
		inFlightSizeMax: options.inFlightSizeMax,
		syncCacheSize: options.syncCacheSize,
		onNote: options.onNote,
		onProgress: options.onProgress,
		storageMemoryFor: storageMemorySizes,
		makeSyncReader: syncReadersOver(fileSystem),
		storageOptionsFor: (partitionCount) => storageOptionsFor(options, partitionCount),
	};
}

/** @throws MILLRACE_OPTION when they do not go together */
function storageOptionsFor(options: OpenOptions, partitionCount: number): Record<string, number | string> {
	const given: Record<string, number | string> = {};
	for (const name of sharedNames) {
		const value = options[name];
		if (value !== undefined) given[name] = name === 'memtableSize' ? Math.floor(Number(value) / 8) * 8 : value;
	}
	for (const name of dividedNames) {
		const value = options[name];
		if (value !== undefined) given[name] = Math.floor(value / partitionCount);
	}
	refuseSmallBudget(options, given, partitionCount);
	partitionOptions(given);
	return given;
}

/** In the words and figures of who gave it: a partition knows only its share. */
function refuseSmallBudget(options: OpenOptions, given: Record<string, number | string>, partitionCount: number): void {
	const { diskBudget } = options;
	if (diskBudget === undefined || diskBudget === 0) return;
	const { memtableSize, ...others } = partitionOptions({ ...given, diskBudget: 0 });
	const least = diskBudgetMin({ memtableSize, ...others }) * partitionCount;
	if (diskBudget >= least) return;
	throw new MillraceError(
		'MILLRACE_OPTION',
		`diskBudget is 0, or at least ${least} (bytes) with ${partitionCount} partitions and memtableSize ${memtableSize}, ` +
			`not ${diskBudget}: it must hold the log and a flushed memtable of each partition. Less will do with smaller memtables`,
	);
}

/**
 * Opens a database, or creates it where there is none.
 * @throws MillraceError: MILLRACE_OPTION, MILLRACE_LOCKED (another process has it; the message names its id),
 *   MILLRACE_DIRECTORY, MILLRACE_PARTITION_COUNT, MILLRACE_FORMAT_NEWER, MILLRACE_CORRUPT, MILLRACE_DISK_FULL
 */
export async function open(directory: string, options: OpenOptions = {}): Promise<Database> {
	const database = new Database(await Engine.start(engineOptions(directory, options)));
	closeAtEnd(database);
	return database;
}

const opened = new Set<Database>();

/**
 * A program that has nothing left to do ends, with its databases open or not. They are closed before that: with durability
 * 'none' or 'interval' the last writes are still on their way. What cannot be made durable then is an unhandled rejection.
 */
function closeAtEnd(database: Database): void {
	if (!process.listeners('beforeExit').includes(closeOpened)) process.on('beforeExit', closeOpened);
	opened.add(database);
	database.once('closing', () => opened.delete(database));
}

function closeOpened(): void {
	for (const database of opened) void database.close();
}
