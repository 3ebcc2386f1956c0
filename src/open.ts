/**
 * The composition root of the embedded database: gives the engine its file system and its threads' entry points.
 */
import { MillraceError } from './base/errors.js';
import { partitionCountMax } from './base/limits.js';
import type { Durability } from './command/worker-boot.js';
import { Database } from './engine/database.js';
import type { EngineOptions } from './engine/engine.js';
import { NodeFileSystem } from './env/node-file-system.js';

export interface OpenOptions {
	/** Partitions of a new directory; default: cores minus one, at least 1. For an existing one it must be what it has. */
	readonly partitions?: number;
	/** When a write is acknowledged: synced ('always', the default), written and synced every second, or only written. */
	readonly durability?: Durability;
	/** With 'interval': milliseconds between syncs, 10 to 60,000. Default 1000. */
	readonly syncIntervalMs?: number;
	/** Bytes of a memtable; each partition has up to three. 1 MiB to 1 GiB, default 64 MiB. */
	readonly memtableSize?: number;
	/** Bytes of the block cache of each partition. 0 to 64 GiB, default 32 MiB. */
	readonly blockCacheSize?: number;
	/** A log damaged before its end: 'refuse' to open (the default), or 'truncate' it there and give up what follows. */
	readonly damagedLog?: 'refuse' | 'truncate';
	/** Hears what a person should know: recovery notes, trouble in the background. */
	readonly onNote?: (text: string) => void;
}

type NumberOption = 'partitions' | 'syncIntervalMs' | 'memtableSize' | 'blockCacheSize';

const ranges: Record<NumberOption, readonly [number, number]> = {
	partitions: [1, partitionCountMax],
	syncIntervalMs: [10, 60_000],
	memtableSize: [1 << 20, 2 ** 30],
	blockCacheSize: [0, 2 ** 36],
};
const choices: Record<'durability' | 'damagedLog', readonly string[]> = {
	durability: ['always', 'interval', 'none'],
	damagedLog: ['refuse', 'truncate'],
};

/** What the engine needs for a directory and options. @throws MILLRACE_OPTION */
export function engineOptions(directory: string, options: OpenOptions = {}): EngineOptions {
	checkOptions(directory, options);
	const { memtableSize, blockCacheSize, damagedLog } = options;
	return {
		directory,
		fileSystem: new NodeFileSystem(),
		partitionWorkerUrl: new URL('../workers/partition-worker.js', import.meta.url),
		logWorkerUrl: new URL('../workers/log-worker.js', import.meta.url),
		backgroundWorkerUrl: new URL('../workers/background-worker.js', import.meta.url),
		partitions: options.partitions,
		durability: options.durability,
		syncIntervalMs: options.syncIntervalMs,
		onNote: options.onNote,
		storageOptions: {
			...(memtableSize === undefined ? {} : { memtableSize: memtableSize & ~7 }),
			...(blockCacheSize === undefined ? {} : { blockCacheSize }),
			...(damagedLog === undefined ? {} : { damagedLog }),
		},
	};
}

/**
 * Opens a database, or creates it where there is none.
 * @throws MillraceError: MILLRACE_OPTION, MILLRACE_LOCKED (another process has it; the message names its id),
 *   MILLRACE_DIRECTORY, MILLRACE_PARTITION_COUNT, MILLRACE_FORMAT_NEWER, MILLRACE_CORRUPT, MILLRACE_DISK_FULL
 */
export function open(directory: string, options: OpenOptions = {}): Promise<Database> {
	return Database.open(engineOptions(directory, options));
}

function checkOptions(directory: string, options: OpenOptions): void {
	if (typeof directory !== 'string' || directory === '') throw new TypeError('a directory is a path');
	for (const [name, value] of Object.entries(options)) {
		if (value === undefined) continue;
		if (name in ranges) {
			const [least, most] = ranges[name as NumberOption];
			if (!Number.isInteger(value) || value < least || value > most) {
				throw new MillraceError(
					'MILLRACE_OPTION',
					`${name} is a whole number from ${least} to ${most}, not ${String(value)}`,
				);
			}
		} else if (name in choices) {
			const allowed = choices[name as keyof typeof choices];
			if (!allowed.includes(value as string)) {
				throw new MillraceError('MILLRACE_OPTION', `${name} is one of ${allowed.join(', ')}, not ${String(value)}`);
			}
		} else if (name !== 'onNote') {
			throw new MillraceError('MILLRACE_OPTION', `there is no option '${name}'`);
		}
	}
}
