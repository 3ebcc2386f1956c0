/**
 * Carries out compactions: asks the picker what is worth one, has the pool do it, and installs the outputs in place of the
 * inputs.
 * Inputs that were cleared meanwhile take their outputs with them. Partition's thread only.
 *
 *   pick ─> move: the same tables at another level, one edit
 *      └──> job ─> outputs opened ─> tree and one edit: outputs in, inputs out ─> edit durable ─> files of the inputs removed
 *
 * A crash leaves the inputs or the outputs, never both and never neither. At most `compactionConcurrency` are under way; when
 * nobody has written for `idleDelayMs`, levels are settled further than the scores ask for.
 */
import { bloomBitsPerKey, grandparentOverlapFactor, levelCountMax } from '../../../base/limits.js';
import { tableFileName } from '../manifest/manifest-format.js';
import type { TableMeta } from '../table/table-meta.js';
import type { TableReader } from '../table/table-reader.js';
import type { EditLog } from '../upkeep/edit-log.js';
import type { Flusher } from '../upkeep/flusher.js';
import type { JobFailure } from '../upkeep/jobs.js';
import { SpaceRetry } from '../upkeep/space-retry.js';
import type { Upkeep } from '../upkeep/upkeep.js';
import type { Compaction } from './compaction.js';
import { outputSizeEstimate, sizeOf } from './compaction.js';
import { CompactionCounters } from './compaction-counters.js';
import { isGarbage, type PickerState, pickCompaction } from './compaction-picker.js';
import { idleSpaceAmplification, lastLevel, spaceAmplification } from './level-targets.js';
import { ManualCompactions } from './manual-compactions.js';
import type { CompactionJob, WrittenTables } from './table-jobs.js';

/** Without a write for this long, nobody minds the disk and the processor being used. */
const idleDelayMs = 2000;
/** Entries expire while nothing else happens: tables are looked through this often. */
const lookIntervalMs = 10_000;
/** Bytes a table may come out larger than its inputs, by another codec or smaller blocks: ids are reserved for this factor. */
const growthFactorMax = 2;
/** Ids reserved for one compaction at most; the last table takes the rest. */
const outputCountLimit = 4096;

export class Compactor {
	readonly #upkeep: Upkeep;
	readonly #edits: EditLog;
	readonly #flusher: Flusher;
	/** By the first id of their outputs. */
	readonly #running = new Map<number, { compaction: Compaction; startedMs: number }>();
	/** Tables whose garbage a compaction left in them. */
	readonly #exemptIds = new Set<number>();
	readonly #retry = new SpaceRetry();
	/** When the clock was first seen, or a write. */
	#lastWriteMs: number | undefined;
	/** Time of the last look for something to do that only the passing of time brings. */
	#lookedMs = 0;
	/** A compaction is put off until the disk can take it. */
	isPutOff = false;
	readonly manual: ManualCompactions;
	readonly counters = new CompactionCounters();

	constructor(upkeep: Upkeep, edits: EditLog, flusher: Flusher) {
		this.#upkeep = upkeep;
		this.#edits = edits;
		this.#flusher = flusher;
		this.manual = new ManualCompactions(() => upkeep.takeFileId(0));
	}

	/** Nothing is being compacted. */
	get isIdle(): boolean {
		return this.#running.size === 0;
	}

	get running(): readonly Compaction[] {
		return [...this.#running.values()].map(({ compaction }) => compaction);
	}

	onWritten(): void {
		this.#lastWriteMs = this.#upkeep.clockMs;
	}

	/** Milliseconds until `tick` has something to do; undefined: nothing. */
	tickDelayMs(nowMs: number): number | undefined {
		const dueMs = this.#dueMs;
		return dueMs === undefined ? undefined : Math.min(Math.max(1, dueMs - nowMs), lookIntervalMs);
	}

	/** @returns true when time alone may have brought something to do */
	tick(nowMs: number): boolean {
		this.#lastWriteMs = Math.min(this.#lastWriteMs ?? nowMs, nowMs);
		const dueMs = this.#dueMs;
		if (dueMs === undefined || nowMs < dueMs) return false;
		this.#lookedMs = nowMs;
		return true;
	}

	/** When nobody will have written for so long that levels should be settled, or when more entries may have expired. */
	get #dueMs(): number | undefined {
		const { isStopped, options, tree } = this.#upkeep;
		if (this.#running.size > 0 || isStopped) return undefined;
		const idleMs = (this.#lastWriteMs ?? this.#upkeep.clockMs) + idleDelayMs;
		const isIdleDue = options.compaction === 'leveled' && this.#lookedMs < idleMs && this.#hasUnsettled;
		if (isIdleDue) return idleMs;
		return tree.levels.hasExpiries && this.#isAllFlushed ? this.#lookedMs + lookIntervalMs : undefined;
	}

	get #hasUnsettled(): boolean {
		const { levels } = this.#upkeep.tree;
		const sizes = levels.all.map((level) => level.size);
		return levels.all[0].tables.length >= 2 || spaceAmplification(sizes) > idleSpaceAmplification;
	}

	/** With nothing in memory, no replay sees an earlier time than now. */
	get #isAllFlushed(): boolean {
		const { tree } = this.#upkeep;
		return tree.active.maxSequence === 0 && tree.immutableCount === 0;
	}

	/** Everything was dropped. */
	clear(): void {
		this.#exemptIds.clear();
	}

	/** Begins what is worth it and may begin. */
	maybeCompact(): void {
		const { refusal, options, clockMs, freeBytes } = this.#upkeep;
		this.isPutOff = false;
		if (refusal !== undefined) this.manual.fail(refusal);
		while (!this.#upkeep.isStopped && this.#running.size < options.compactionConcurrency) {
			const state = this.#state();
			const next = this.manual.pick(state, options) ?? pickCompaction(state, options);
			if (next === undefined) return;
			this.isPutOff = !next.isMove && !this.#retry.mayBegin(outputSizeEstimate(next), freeBytes, clockMs);
			if (this.isPutOff) return;
			if (next.reason === 'manual') this.manual.onBegun();
			if (next.isMove) this.#move(next);
			else this.#start(next);
		}
	}

	/** @param tables the outputs, open */
	onCompacted(
		job: CompactionJob,
		result: WrittenTables | undefined,
		tables: readonly TableReader[],
		failure: JobFailure | undefined,
	): void {
		const run = this.#running.get(job.firstTableId);
		if (run === undefined) return;
		this.#running.delete(job.firstTableId);
		const { compaction } = run;
		const { tree } = this.#upkeep;
		const inputIds = job.inputs.map(({ id }) => id);
		this.counters.onBusy(this.#running.size > 0, this.#upkeep.clockMs);
		if (failure !== undefined) {
			for (const table of tables) table.close();
			// Tables that were cleared meanwhile may be gone from the disk as well: nobody misses their compaction.
			if (tree.hasTables(inputIds)) this.#onFailed(compaction, failure);
			else this.#edits.doom(tables.map((table) => tableFileName(table.meta.id)));
		} else if (tree.installCompaction(inputIds, job.outputLevel, tables, job.isBottom)) {
			const addTables = tables.map(({ meta }) => ({ id: meta.id, level: job.outputLevel, size: meta.size }));
			this.#edits.put({ addTables, removeTables: inputIds });
			this.#edits.doom(inputIds.map(tableFileName));
			this.counters.onDone(compaction, addTables, result?.counts);
			this.#retry.onDone();
			this.#exempt(job, tables);
		} else {
			for (const table of tables) table.close();
			this.#edits.doom(tables.map((table) => tableFileName(table.meta.id)));
		}
	}

	#onFailed(compaction: Compaction, failure: JobFailure): void {
		const { clockMs, freeBytes } = this.#upkeep;
		if (failure.systemCode === 'ENOSPC') this.#retry.onNoSpace(outputSizeEstimate(compaction), freeBytes(), clockMs);
		this.#upkeep.onJobFailed('tables could not be compacted', failure);
	}

	/** What a compaction at the bottom could not clean by what it knew, another could not either. */
	#exempt(job: CompactionJob, tables: readonly TableReader[]): void {
		for (const { id } of job.inputs) this.#exemptIds.delete(id);
		if (job.outputLevel !== lastLevel) return;
		const oldestSnapshot = job.keepSequences[0] ?? Number.POSITIVE_INFINITY;
		const { expiries } = this.#upkeep.tree;
		const expiredCountOf = ({ id }: TableMeta): number => expiries.expiredCount(id, job.expiredBeforeMs);
		for (const { meta } of tables) {
			if (isGarbage(meta, { oldestSnapshot, expiredCountOf })) this.#exemptIds.add(meta.id);
		}
	}

	/** What expired by then is gone for every replay, and the expiry index has heard of it. */
	get #expiredBeforeMs(): number {
		const { tree, nowMs } = this.#upkeep;
		const { flushedTimestampMs, replayFloorMs } = this.#flusher;
		return Math.min(this.#isAllFlushed ? nowMs : flushedTimestampMs, replayFloorMs, tree.expiries.processedMs);
	}

	#state(): PickerState {
		const { tree, clockMs } = this.#upkeep;
		const expiredBeforeMs = this.#expiredBeforeMs;
		const sinceWriteMs = clockMs - (this.#lastWriteMs ?? clockMs);
		return {
			levels: tree.levels.all.map((level) => level.metas),
			running: this.running,
			isIdle: sinceWriteMs >= idleDelayMs,
			isSpaceShort: this.#upkeep.disk.isFull,
			oldestSnapshot: tree.pinnedSequences()[0] ?? Number.POSITIVE_INFINITY,
			expiredCountOf: (meta) => tree.expiries.expiredCount(meta.id, expiredBeforeMs),
			exemptIds: this.#exemptIds,
		};
	}

	#move(compaction: Compaction): void {
		const { outputLevel, inputs } = compaction;
		const ids = inputs.map(({ meta }) => meta.id);
		this.#upkeep.tree.moveTables(ids, outputLevel);
		const addTables = inputs.map(({ meta }) => ({ id: meta.id, level: outputLevel, size: meta.size }));
		this.#edits.put({ addTables, removeTables: ids });
		this.counters.onMoved(compaction);
	}

	#start(compaction: Compaction): void {
		const { options, tree, host } = this.#upkeep;
		const { inputs, outputLevel, isBottom, reason } = compaction;
		const isTiered = outputLevel === 0;
		const tableCountMax = isTiered ? 1 : outputCountMax(compaction, options.tableFileSize);
		const firstTableId = this.#upkeep.takeFileId(tableCountMax);
		const { clockMs } = this.#upkeep;
		this.#running.set(firstTableId, { compaction, startedMs: clockMs });
		this.counters.onBusy(true, clockMs);
		const job: CompactionJob = {
			kind: 'compact',
			inputs: inputs.map(({ meta, level }) => ({ id: meta.id, level })),
			outputLevel,
			firstTableId,
			tableCountMax,
			blockSize: options.blockSize,
			tableFileSize: isTiered ? Number.POSITIVE_INFINITY : options.tableFileSize,
			grandparents: compaction.grandparents.map(({ upperBound, size }) => ({ upper: upperBound?.slice(), size })),
			keepSequences: tree.pinnedSequences(),
			isBottom,
			expiredBeforeMs: this.#expiredBeforeMs,
			codec: outputLevel === levelCountMax - 1 ? options.lastLevelCodec : 'lz4',
			bitsPerKey: bloomBitsPerKey,
			bytesPerSecond: reason === 'manual' ? 0 : options.compactionBytesPerSecond,
		};
		host.submitJob(job);
	}
}

/** Tables that a compaction may come to: by size, and by where the level below makes it begin a new one. */
function outputCountMax({ inputs, grandparents }: Compaction, tableFileSize: number): number {
	const bySize = Math.ceil((sizeOf(inputs.map(({ meta }) => meta)) * growthFactorMax) / tableFileSize);
	const byOverlap = Math.ceil(sizeOf(grandparents) / (tableFileSize * grandparentOverlapFactor));
	return Math.min(bySize + byOverlap + 1, outputCountLimit);
}
