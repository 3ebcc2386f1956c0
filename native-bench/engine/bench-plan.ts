/**
 * What the main thread and the worker of the engine benchmark tell each other: a plan by way of the environment, which a worker
 * thread inherits, and a report as a note, which the engine passes on.
 */
import type { LatencySummary } from './workload.js';

export const planVariable = 'MILLRACE_ENGINE_BENCH_PLAN';
export const reportPrefix = 'engine-bench-report:';

export interface BenchPlan {
	/** 'load': fill, overwrite, settle, read. 'reopen': say how long opening took, and read a little. */
	readonly phase: 'load' | 'reopen';
	readonly keyCount: number;
	readonly readCount: number;
	/** Puts after which a group is handed to the log. */
	readonly groupCount: number;
	readonly seed: number;
}

/** Cells named as db_bench names them. */
export const cellNames = ['fillrandom', 'overwrite', 'readrandom', 'seekrandom', 'readseq'] as const;
export type CellName = (typeof cellNames)[number];

export interface BenchReport {
	/** Milliseconds that `new Partition` took. */
	readonly openMs: number;
	readonly opsPerSecond: Partial<Record<CellName, number>>;
	/** Processor time of the partition's thread: says more than the rate on a machine that others use as well. */
	readonly cpuUsPerOp: Partial<Record<CellName, number>>;
	/** Single puts: while filling and overwriting (flushes and compactions under way all the time), and when all is quiet. */
	readonly putLatency: Record<'fillrandom' | 'overwrite' | 'idle', LatencySummary> | undefined;
	/** Milliseconds that puts waited because they were slowed or had no room: together, and at once. */
	readonly stallMs: number;
	readonly stallMsMax: number;
	/** Milliseconds from the last overwrite until nothing was left to compact. */
	readonly settleMs: number;
	readonly distinctKeys: number;
	readonly foundCount: number;
	readonly writes: WriteReport | undefined;
	readonly space: SpaceReport | undefined;
	readonly memory: MemoryReport;
	readonly statistics: unknown;
}

export interface WriteReport {
	/** Bytes of keys and values put until settled. */
	readonly userBytes: number;
	/** Bytes the whole process gave to write calls meanwhile (wchar of /proc/self/io): log, segments, tables, manifest. */
	readonly writtenBytes: number;
	readonly flushedBytes: number;
	readonly compactedBytes: number;
}

export interface SpaceReport {
	/** Bytes of tables when settled, and after everything was compacted into one level (0: it could not be). */
	readonly settledTableBytes: number;
	readonly compactedTableBytes: number;
}

export interface MemoryReport {
	readonly residentBytes: number;
	readonly peakBytes: number;
}
