/**
 * What a partition can be told: one table that says of each option what it may be, its default (from base/limits.ts) and what it
 * means, and the relations between them. `open` and the server check what they expose against the same rows. Sizes in bytes.
 */
import { MillraceError } from '../../base/errors.js';
import {
	baseLevelSizeDefault,
	blockCacheSizeDefault,
	blockSizeDefault,
	codecTailSizeMax,
	compactionConcurrencyMax,
	compactionDebtSlow,
	compactionDebtStop,
	levelSizeRatioDefault,
	levelZeroCountTrigger,
	levelZeroSlowCount,
	levelZeroStopCount,
	manifestEditCountMax,
	memtableCountMax,
	memtableSizeDefault,
	reserveFileSizeDefault,
	segmentSizeDefault,
	segmentSpareCount,
	snapshotAgeMaxMsDefault,
	stallTimeoutMsDefault,
	tableFileSizeDefault,
} from '../../base/limits.js';
import { type ChoiceRow, checkOptions, type NumberRow } from '../../base/option-table.js';
import { blockSizeMax } from './table/table-format.js';

export interface PartitionOptions {
	/** Arena of one memtable. A value must fit an empty one. */
	readonly memtableSize: number;
	readonly memtableCountMax: number;
	readonly segmentSize: number;
	readonly segmentSpareCount: number;
	readonly blockSize: number;
	readonly blockCacheSize: number;
	/** 'leveled': least space and fastest reads. 'tiered': least writing. */
	readonly compaction: 'leveled' | 'tiered';
	readonly levelZeroCountTrigger: number;
	readonly levelZeroSlowCount: number;
	readonly levelZeroStopCount: number;
	readonly levelSizeRatio: number;
	readonly baseLevelSize: number;
	readonly tableFileSize: number;
	readonly compactionDebtSlow: number;
	readonly compactionDebtStop: number;
	readonly compactionConcurrency: number;
	/** Bytes a second that compactions of this partition may write; 0: no limit. */
	readonly compactionBytesPerSecond: number;
	/** Codec of the last level's blocks: 'zstd' is deflate where Node.js has no zstd. */
	readonly lastLevelCodec: 'lz4' | 'zstd';
	/** Milliseconds a stopped write waits before it is refused. */
	readonly stallTimeoutMs: number;
	readonly snapshotAgeMaxMs: number;
	/** Bytes the partition may take on the disk; 0: no limit. */
	readonly diskBudget: number;
	/** Bytes of the reserve file; 0: none. */
	readonly reserveFileSize: number;
	/** Edits before the manifest is begun anew. */
	readonly manifestEditCountMax: number;
	/** What to do when the log is damaged before its end: refuse to open, or give up what follows the damage. */
	readonly damagedLog: 'refuse' | 'truncate';
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const TiB = 1024 * GiB;
const dayMs = 24 * 60 * 60 * 1000;

function number(
	words: string,
	unit: string,
	defaultValue: number,
	least: number,
	most: number,
	more: Pick<NumberRow, 'mayBeZero' | 'multipleOf'> = {},
): NumberRow {
	return { kind: 'number', words, unit, default: defaultValue, least, most, ...more };
}

function choice(words: string, ...choices: string[]): ChoiceRow {
	return { kind: 'choice', words, default: choices[0], choices };
}

/** The lower ends are what still works, for tests; `open` asks for more where less makes no sense. */
export const partitionOptionTable = {
	memtableSize: number('arena of a memtable', 'bytes', memtableSizeDefault, 16 * KiB, GiB, { multipleOf: 8 }),
	memtableCountMax: number('memtables at most', 'memtables', memtableCountMax, 2, 16),
	segmentSize: number('log segment', 'bytes', segmentSizeDefault, 4 * KiB, GiB),
	segmentSpareCount: number('log segments kept ready', 'segments', segmentSpareCount, 1, 64),
	blockSize: number('data block of a table', 'bytes', blockSizeDefault, 256, blockSizeMax),
	blockCacheSize: number('cache of decompressed blocks', 'bytes', blockCacheSizeDefault, 0, codecTailSizeMax),
	compaction: choice('leveled reads fastest and takes the least space, tiered writes the least', 'leveled', 'tiered'),
	levelZeroCountTrigger: number('tables of level 0 that are compacted', 'tables', levelZeroCountTrigger, 2, 1000),
	levelZeroSlowCount: number('tables of level 0 that slow writes down', 'tables', levelZeroSlowCount, 3, 10_000),
	levelZeroStopCount: number('tables of level 0 that stop writes', 'tables', levelZeroStopCount, 4, 10_000),
	levelSizeRatio: number('a level holds so many times the one above it', 'times', levelSizeRatioDefault, 2, 100),
	baseLevelSize: number('level that level 0 goes into', 'bytes', baseLevelSizeDefault, 4 * KiB, TiB),
	tableFileSize: number('table file, at about which a new one is begun', 'bytes', tableFileSizeDefault, KiB, GiB),
	compactionDebtSlow: number(
		'bytes still to compact that slow writes down',
		'bytes',
		compactionDebtSlow,
		KiB,
		64 * TiB,
	),
	compactionDebtStop: number('bytes still to compact that stop writes', 'bytes', compactionDebtStop, KiB, 64 * TiB),
	compactionConcurrency: number('compactions at once', 'compactions', compactionConcurrencyMax, 1, 16),
	compactionBytesPerSecond: number('bytes a second that compactions write; 0: no limit', 'bytes/s', 0, 64 * KiB, TiB, {
		mayBeZero: true,
	}),
	lastLevelCodec: choice('codec of the last level', 'lz4', 'zstd'),
	stallTimeoutMs: number('how long a stopped write waits', 'ms', stallTimeoutMsDefault, 0, dayMs),
	snapshotAgeMaxMs: number('how long a snapshot may be held', 'ms', snapshotAgeMaxMsDefault, 10, 30 * dayMs),
	diskBudget: number('bytes the files may take; 0: no limit', 'bytes', 0, 64 * KiB, 1024 * TiB, { mayBeZero: true }),
	reserveFileSize: number(
		'file that is given up when the disk is full; 0: none',
		'bytes',
		reserveFileSizeDefault,
		KiB,
		GiB,
		{
			mayBeZero: true,
		},
	),
	manifestEditCountMax: number('edits before the manifest is begun anew', 'edits', manifestEditCountMax, 1, 1_000_000),
	damagedLog: choice('what to do with a log that is damaged before its end', 'refuse', 'truncate'),
} as const satisfies Record<keyof PartitionOptions, NumberRow | ChoiceRow>;

type Relation = readonly [holds: (options: PartitionOptions) => boolean, words: string];

const relations: readonly Relation[] = [
	[(o) => o.levelZeroCountTrigger < o.levelZeroSlowCount, 'levelZeroCountTrigger is below levelZeroSlowCount'],
	[(o) => o.levelZeroSlowCount < o.levelZeroStopCount, 'levelZeroSlowCount is below levelZeroStopCount'],
	[(o) => o.compactionDebtSlow < o.compactionDebtStop, 'compactionDebtSlow is below compactionDebtStop'],
	[(o) => o.blockSize <= o.tableFileSize, 'blockSize is not above tableFileSize'],
	[(o) => o.blockSize < o.segmentSize, 'blockSize is below segmentSize'],
	[
		(o) => o.diskBudget === 0 || o.diskBudget >= diskBudgetMin(o),
		'diskBudget is 0, or holds the log (segmentSize for each spare and for what the memtables hold) and a flushed memtable',
	],
];

/** Bytes the log takes when all memtables are full. */
function logSizeMax({
	memtableSize,
	memtableCountMax: count,
	segmentSize,
	segmentSpareCount: spares,
}: PartitionOptions): number {
	return (Math.ceil((count * memtableSize) / segmentSize) + 1 + spares) * segmentSize;
}

/** The least `diskBudget` of a partition with these options: the log when all memtables are full, and a flushed memtable. */
export function diskBudgetMin(options: PartitionOptions): number {
	return logSizeMax(options) + options.memtableSize;
}

/** Fills in defaults. @throws MILLRACE_OPTION with the name and the range, or with the relation that does not hold */
export function partitionOptions(given: Partial<PartitionOptions> = {}): PartitionOptions {
	checkOptions(partitionOptionTable, given);
	const values: Record<string, number | string> = {};
	for (const [name, row] of Object.entries(partitionOptionTable)) values[name] = row.default;
	for (const [name, value] of Object.entries(given)) if (value !== undefined) values[name] = value;
	const options = values as unknown as PartitionOptions;
	for (const [holds, words] of relations) {
		if (holds(options)) continue;
		const named = Object.keys(partitionOptionTable).filter((name) => words.includes(name));
		const actual = named.map((name) => `${name} ${values[name]}`).join(', ');
		throw new MillraceError('MILLRACE_OPTION', `${words}; given, or by default: ${actual}`);
	}
	return options;
}
