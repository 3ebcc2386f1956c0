/**
 * The upkeep of a partition: flushes, merges, spare segments, manifest edits, and files that may go. It decides and installs;
 * jobs in the background pool do the work. Runs on the partition's thread, between drains.
 *
 * Order that keeps a crash harmless: a file is complete and durable before an edit names it; an edit is durable before the
 * files it forgot are removed or recycled.
 */
import { assert } from '../../base/assert.js';
import { type ErrorCode, MillraceError, statusOf } from '../../base/errors.js';
import { levelZeroCountTrigger } from '../../base/limits.js';
import type { FileSystem } from '../../env/ports.js';
import { type Job, type JobFailure, type JobResult, jobFailureOf } from './jobs.js';
import type { LsmTree } from './lsm-tree.js';
import type { ManifestEdit } from './manifest/manifest-edit.js';
import { tableFileName } from './manifest/manifest-format.js';
import type { Memtable } from './memtable/memtable.js';
import { pickMerge } from './merge-picker.js';
import type { PartitionHost } from './partition.js';
import type { PartitionOptions } from './partition-options.js';
import type { Pinned } from './pinned.js';
import type { RecoveredPartition } from './recovery.js';
import { TableReader } from './table/table-reader.js';
import { maybePutEdit } from './wal/group-builder.js';
import { segmentFileName } from './wal/wal-format.js';

/** `prepareWrite` found no room yet: wait for a job or the log, then ask again. Not a status of the table. */
export const statusWait = 255;

/** Pause before a job that found the disk full is tried again. */
const retryDelayMs = 1000;

interface DoomedFiles {
	/** Removable once this many edits are durable. */
	readonly editCount: number;
	readonly names: readonly string[];
}

export class Maintenance {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #options: PartitionOptions;
	readonly #host: PartitionHost;
	readonly #recovered: RecoveredPartition;
	readonly #tree: LsmTree;
	/** Ends the open group, so that an edit never overtakes the commands before it. */
	readonly #finishGroup: () => void;
	#flushing: Pinned<Memtable> | undefined;
	#mergingIds: readonly number[] = [];
	#isPreparingSegment = false;
	#recyclable: number[] = [];
	#doomed: DoomedFiles[] = [];
	/** Released segments that an edit in flight is about to forget. */
	#leaving: { editCount: number; ids: number[] }[] = [];
	#editsPut = 0;
	/** Time of the newest command that is in tables: what expired before it is gone for every replay. */
	#flushedTimestampMs = 0;
	#rotationTimesMs: number[] = [];
	#diskFullUntilMs = 0;
	/** What the clock showed at the last tick. */
	#clockMs = 0;
	#refusal: MillraceError | undefined;
	flushCount = 0;
	mergeCount = 0;
	/** Time of the drain under way; the partition keeps it. */
	nowMs: number;

	constructor(
		fileSystem: FileSystem,
		directory: string,
		options: PartitionOptions,
		host: PartitionHost,
		recovered: RecoveredPartition,
		finishGroup: () => void,
	) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
		this.#options = options;
		this.#host = host;
		this.#recovered = recovered;
		this.#tree = recovered.tree;
		this.#finishGroup = finishGroup;
		this.nowMs = recovered.lastTimestampMs;
		this.maybePrepareSegment();
		this.#maybeMerge();
	}

	/** Why writes are refused for good, if they are. */
	get refusal(): MillraceError | undefined {
		return this.#refusal;
	}

	/** Words for the status that refuses a write. */
	explain(status: number): string {
		if (this.#refusal !== undefined) return this.#refusal.message;
		if (status === statusOf('MILLRACE_VALUE_SIZE')) return 'the value is larger than a memtable of this database holds';
		return 'the disk is full; writes are taken again once there is space';
	}

	get isDiskFull(): boolean {
		return this.#diskFullUntilMs > 0;
	}

	/** Refuses writes from now on; what is certain goes on being served. The first reason stays. */
	refuseWrites(error: MillraceError): void {
		this.#refusal ??= error;
	}

	/** Room is missing: wait for a job, or say that the disk is full. */
	get waitStatus(): number {
		return this.isDiskFull ? statusOf('MILLRACE_DISK_FULL') : statusWait;
	}

	/** The active memtable becomes immutable and will be flushed. The caller checked that an arena is free. */
	rotate(): void {
		this.#tree.rotate();
		this.#rotationTimesMs.push(this.nowMs);
		this.#maybeFlush();
	}

	/** Drops everything stored up to `sequence`, which is in the log already. */
	clear(sequence: number): void {
		this.#finishGroup();
		const removeTables = this.#tree.clear(sequence);
		this.#rotationTimesMs = [];
		this.#flushedTimestampMs = this.nowMs;
		this.#putEdit({ removeTables, flushedSequence: sequence });
		if (removeTables.length > 0) this.#doom(removeTables.map(tableFileName));
	}

	/** The outcome of a job. */
	onJobDone(job: Job, result: JobResult, failure: JobFailure | undefined): void {
		if (job.kind === 'prepareSegment') this.#onSegmentPrepared(job.segmentId, failure);
		if (job.kind !== 'flush' && job.kind !== 'merge') return;
		let table: TableReader | undefined;
		try {
			if (result !== undefined) table = this.#openTable(job.tableId);
		} catch (error) {
			failure ??= jobFailureOf(error);
		}
		if (job.kind === 'flush') this.#onFlushed(job.tableId, table, failure);
		else this.#onMerged(job.inputIds, job.tableId, table, failure);
		this.#maybeFlush();
		this.#maybeMerge();
	}

	/** The log says how many edits are durable: files that they forgot can go. */
	onEditsDone(count: number): void {
		while (this.#leaving.length > 0 && this.#leaving[0].editCount <= count) {
			this.#recyclable.push(...(this.#leaving.shift()?.ids ?? []));
		}
		this.maybePrepareSegment();
		const target = this.#options.segmentSpareCount;
		if (this.#recyclable.length > target) {
			const names = this.#recyclable.splice(0, this.#recyclable.length - target).map(segmentFileName);
			this.#host.submitJob({ kind: 'removeFiles', names });
		}
		const ready = this.#doomed.filter((files) => files.editCount <= count);
		if (ready.length === 0) return;
		this.#doomed = this.#doomed.filter((files) => files.editCount > count);
		this.#host.submitJob({ kind: 'removeFiles', names: ready.flatMap((files) => files.names) });
	}

	/** Milliseconds until `tick` has something to do; undefined: nothing. */
	tickDelayMs(nowMs: number): number | undefined {
		if (this.#diskFullUntilMs === 0) return undefined;
		const delayMs = this.#diskFullUntilMs - nowMs;
		return delayMs > retryDelayMs ? 1 : Math.max(1, delayMs);
	}

	/** Tries again what a full disk stopped. @param nowMs what the clock shows: it may have been put back */
	tick(nowMs: number): void {
		this.#clockMs = nowMs;
		if (this.#diskFullUntilMs === 0) return;
		const delayMs = this.#diskFullUntilMs - nowMs;
		if (delayMs > 0 && delayMs <= retryDelayMs) return;
		this.#diskFullUntilMs = 0;
		this.maybePrepareSegment();
		this.#maybeFlush();
		this.#maybeMerge();
	}

	#putEdit(edit: ManifestEdit): void {
		const { manifest, segments } = this.#recovered;
		this.#finishGroup();
		const released = segments.release(edit.flushedSequence ?? 0);
		const { record, offset } = manifest.append({
			...edit,
			removeSegments: released,
			nextFileId: manifest.state.nextFileId,
		});
		const position = this.#host.commitPosition();
		while (!maybePutEdit(this.#host.queue, record, manifest.number, offset, position)) this.#host.waitForLog();
		this.#editsPut++;
		if (released.length > 0) this.#leaving.push({ editCount: this.#editsPut, ids: released });
	}

	/** These files may go once the last edit put is durable. */
	#doom(names: readonly string[]): void {
		this.#doomed.push({ editCount: this.#editsPut, names });
	}

	#takeFileId(): number {
		const { state } = this.#recovered.manifest;
		const id = state.nextFileId;
		state.nextFileId = id + 1;
		return id;
	}

	/** Keeps spare segments ready. */
	maybePrepareSegment(): void {
		const { segments } = this.#recovered;
		const isEnough = segments.spareCount >= this.#options.segmentSpareCount;
		if (isEnough || this.#isPreparingSegment || this.#isStopped) return;
		this.#isPreparingSegment = true;
		this.#host.submitJob({
			kind: 'prepareSegment',
			segmentId: this.#takeFileId(),
			size: this.#options.segmentSize,
			recycledId: this.#recyclable.shift(),
		});
	}

	#onSegmentPrepared(id: number, error: JobFailure | undefined): void {
		this.#isPreparingSegment = false;
		if (error !== undefined) {
			this.#onJobFailed('a log segment could not be prepared', error);
			return;
		}
		this.#putEdit({ addSegments: [id] });
		this.#recovered.segments.addSpare(id);
		this.maybePrepareSegment();
	}

	/** Nothing is begun while the disk is full, or after a failure that needs a person. */
	get #isStopped(): boolean {
		return this.#diskFullUntilMs > 0 || this.#refusal !== undefined;
	}

	#maybeFlush(): void {
		const isHeld = this.#flushing !== undefined || this.#isStopped;
		if (isHeld || this.#tree.immutableCount === 0 || this.#tree.tableCount >= this.#options.tableCountMax) return;
		this.#flushing = this.#tree.pinOldestImmutable();
		assert(this.#flushing !== undefined, 'there is an immutable memtable');
		const { blockSize } = this.#options;
		const { arena } = this.#flushing.value;
		this.#host.submitJob({ kind: 'flush', arena, tableId: this.#takeFileId(), blockSize });
	}

	#onFlushed(tableId: number, table: TableReader | undefined, failure: JobFailure | undefined): void {
		const memtable = this.#flushing;
		assert(memtable !== undefined, 'a flush was under way');
		this.#flushing = undefined;
		if (failure !== undefined) {
			this.#onJobFailed('a memtable could not be flushed', failure);
		} else if (this.#tree.installFlush(memtable, table)) {
			this.#flushedTimestampMs = this.#rotationTimesMs.shift() ?? this.#flushedTimestampMs;
			const addTables = table === undefined ? [] : [{ id: tableId, level: 0, size: table.meta.size }];
			this.#putEdit({ addTables, flushedSequence: memtable.value.maxSequence });
			this.flushCount++;
		} else if (table !== undefined) {
			table.close();
			this.#doom([tableFileName(tableId)]);
		}
		memtable.unpin();
	}

	#maybeMerge(): void {
		if (this.#mergingIds.length > 0 || this.#isStopped) return;
		const { tables } = this.#tree;
		const count = pickMerge(
			tables.map((table) => table.meta.size),
			levelZeroCountTrigger,
		);
		if (count === 0) return;
		this.#mergingIds = tables.slice(0, count).map((table) => table.meta.id);
		this.#host.submitJob({
			kind: 'merge',
			inputIds: this.#mergingIds,
			tableId: this.#takeFileId(),
			blockSize: this.#options.blockSize,
			isBottom: count === tables.length,
			nowMs: this.#flushedTimestampMs,
		});
	}

	#onMerged(
		inputIds: readonly number[],
		tableId: number,
		table: TableReader | undefined,
		failure: JobFailure | undefined,
	): void {
		this.#mergingIds = [];
		if (failure !== undefined) {
			// Tables that were cleared meanwhile may be gone from the disk as well: nobody misses their merge.
			if (this.#tree.hasTables(inputIds)) this.#onJobFailed('tables could not be merged', failure);
		} else if (this.#tree.installMerge(inputIds, table)) {
			const addTables = table === undefined ? [] : [{ id: tableId, level: 0, size: table.meta.size }];
			this.#putEdit({ addTables, removeTables: inputIds });
			this.#doom(inputIds.map(tableFileName));
			this.mergeCount++;
		} else if (table !== undefined) {
			table.close();
			this.#doom([tableFileName(tableId)]);
		}
	}

	/** A full disk passes; anything else is for a person: writes are refused, reads go on. */
	#onJobFailed(what: string, error: JobFailure): void {
		if (error.systemCode === 'ENOSPC') {
			this.#diskFullUntilMs = this.#clockMs + retryDelayMs;
			return;
		}
		const code: ErrorCode = error.code ?? 'MILLRACE_POISONED';
		this.refuseWrites(new MillraceError(code, `${what}: ${error.message}`));
	}

	#openTable(id: number): TableReader {
		return TableReader.open(this.#fileSystem, `${this.#directory}/${tableFileName(id)}`, id, this.#recovered.cache);
	}
}
