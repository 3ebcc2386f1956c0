/**
 * The numbers of a partition, as one plain object for JSON: first what is asked for most, as single numbers; then by part, in
 * the order of a command's way down: memtables, log, levels, cache, filters; then what bounds it: writes, snapshots, expiry,
 * disk, memory. Partition's thread; made when asked.
 */
import {
	logRingSizeDefault,
	logStagingSize,
	ringSizeDefault,
	tableJobMemorySize,
	threadMemorySize,
	waitingRequestsSizeMax,
} from '../../../base/limits.js';
import type { ExpiryWatch } from '../expiry/expiry-watch.js';
import type { PartitionOptions } from '../partition-options.js';
import type { RecoveredPartition } from '../recovery/recovery.js';
import type { SnapshotRegistry } from '../snapshots.js';
import type { Maintenance } from '../upkeep/maintenance.js';

export interface StatisticsParts {
	readonly options: PartitionOptions;
	readonly recovered: RecoveredPartition;
	readonly maintenance: Maintenance;
	readonly snapshots: SnapshotRegistry;
	readonly expiry: ExpiryWatch;
	readonly lastSequence: number;
	readonly nowMs: number;
	/** Expiries moved on by reads, and those that found no room. */
	readonly touches: { readonly count: number; readonly missedCount: number };
}

export function partitionStatistics(parts: StatisticsParts): Record<string, unknown> {
	const { recovered, maintenance, lastSequence } = parts;
	const { tree, segments, cache, manifest, replayedCount } = recovered;
	const { tables } = tree;
	const cacheStats = cache.stats;
	const sum = (of: (table: (typeof tables)[number]) => number): number =>
		tables.reduce((all, table) => all + of(table), 0);
	return {
		lastSequence,
		flushedSequence: manifest.state.flushedSequence,
		replayedCount,
		refusal: maintenance.refusal?.code ?? (maintenance.isDiskFull ? 'MILLRACE_DISK_FULL' : null),
		memtableBytes: tree.active.usedBytes,
		memtableEntries: tree.active.entryCount,
		immutableMemtables: tree.immutableCount,
		arenaBytes: tree.arenaBytes,
		tables: tree.tableCount,
		tableBytes: sum((table) => table.meta.size),
		tableEntries: sum((table) => table.meta.entryCount),
		cacheBytes: cacheStats.usedBytes,
		cacheHits: cacheStats.hitCount,
		cacheMisses: cacheStats.missCount,
		logBytes: segments.liveBytes,
		logSpares: segments.spareCount,
		flushCount: maintenance.flushCount,
		compactionCount: maintenance.compactionCount,
		...maintenance.statistics(),
		cache: cacheStats,
		filters: filterStatistics(parts),
		batches: {
			prepared: recovered.transactions.count,
			decided: recovered.transactions.decidedCount,
			bytes: recovered.transactions.size,
		},
		snapshots: {
			held: parts.snapshots.count,
			sequences: parts.snapshots.sequences.length,
			oldestAgeMs: parts.snapshots.oldestAgeMs(parts.nowMs),
			releasedByForce: parts.snapshots.expiredCount,
		},
		expiry: {
			...parts.expiry.statistics(parts.nowMs),
			entries: sum((table) => table.meta.expiryCount),
			touches: parts.touches.count,
			touchesMissed: parts.touches.missedCount,
		},
		disk: maintenance.diskStatistics,
		memory: memoryBudget(parts),
	};
}

/** What filters were worth to the reads of the tables that are live now, by level. */
function filterStatistics({ recovered }: StatisticsParts): Record<string, unknown>[] {
	return recovered.tree.levels.all.map(({ tables }, level) => {
		const counts = tables.map((table) => table.value.counts);
		const sum = (of: (count: (typeof counts)[number]) => number): number =>
			counts.reduce((all, count) => all + of(count), 0);
		return {
			level,
			asked: sum((count) => count.getCount),
			negatives: sum((count) => count.filterNegativeCount),
			falsePositives: sum((count) => count.filterFalsePositiveCount),
			blockReads: sum((count) => count.blockReadCount),
			cacheHits: sum((count) => count.cacheHitCount),
		};
	});
}

/**
 * Bytes the partition takes, by part, and the budget it keeps to: itself and its two threads, one flush and its compactions
 * under way.
 * Beside it a process takes `processMemorySize`, and `threadMemorySize` for each thread of the pool.
 */
function memoryBudget({ options, recovered }: StatisticsParts): Record<string, unknown> {
	const { tree, cache } = recovered;
	const arenaBytesMax = options.memtableSize * options.memtableCountMax;
	const tableBytes = tree.tables.reduce((sum, table) => sum + table.memoryBytes, 0);
	const ringBytes = 3 * ringSizeDefault + logRingSizeDefault + logStagingSize + waitingRequestsSizeMax;
	const workBytes = 2 * threadMemorySize + (1 + options.compactionConcurrency) * tableJobMemorySize;
	return {
		arenaBytes: tree.arenaBytes,
		arenaBytesMax,
		cacheBytes: cache.stats.usedBytes,
		cacheBytesMax: options.blockCacheSize,
		tableBytes,
		ringBytes,
		workBytes,
		budgetBytes: arenaBytesMax + options.blockCacheSize + tableBytes + ringBytes + workBytes,
	};
}
