/**
 * The upkeep of a partition, seen from outside: flushes, compactions, spare segments, manifest edits, and files that may go. It
 * decides and installs; jobs in the background pool do the work. Runs on the partition's thread, between drains.
 *
 *   Flusher, Compactor, SegmentKeeper ─> EditLog ─> log thread          Upkeep: what they share, DiskGuard: whether there is room
 */
import type { MillraceError } from '../../../base/errors.js';
import { statusOf, statusOk } from '../../../base/errors.js';
import { reclaimIntervalMs } from '../../../base/limits.js';
import { opClear, opDelete, opDeleteRange } from '../../../command/command-format.js';
import type { FileSystem } from '../../../env/ports.js';
import { Compactor } from '../compaction/compactor.js';
import type { OnManualDone } from '../compaction/manual-compactions.js';
import type { CompactionJob, FlushJob, WrittenTables } from '../compaction/table-jobs.js';
import type { CheckpointResult } from '../inspect/checkpoint.js';
import type { VerifyReport } from '../inspect/verify-partition.js';
import { tableFileName } from '../manifest/manifest-format.js';
import type { PartitionHost } from '../partition.js';
import type { PartitionOptions } from '../partition-options.js';
import type { RecoveredPartition } from '../recovery/recovery.js';
import type { TableReader } from '../table/table-reader.js';
import { EditLog } from './edit-log.js';
import { Flusher } from './flusher.js';
import { Housekeeping, type Outcome } from './housekeeping.js';
import { type Job, type JobFailure, type JobResult, jobFailureOf } from './jobs.js';
import { LevelReport } from './level-report.js';
import { SegmentKeeper } from './segment-keeper.js';
import { Upkeep } from './upkeep.js';
import { judgeWrites, type WriteReason, type WriteVerdict } from './write-control.js';
import { statusWait, WriteGate } from './write-gate.js';

export { statusWait };

/** Pause before the log is asked again for the room that a flush waits for. */
const heldBackDelayMs = 20;

export class Maintenance {
	readonly #upkeep: Upkeep;
	/** Ends the open group, so that what follows comes after the commands before it. */
	readonly #finishGroup: () => void;
	readonly #edits: EditLog;
	readonly #flusher: Flusher;
	readonly #compactor: Compactor;
	readonly #segments: SegmentKeeper;
	readonly #house: Housekeeping;
	readonly #gate: WriteGate;
	readonly #report: LevelReport;
	/** When something was last done about a full disk. */
	#reclaimedMs = 0;
	/** Whether writes go on, as of the last drain or job. */
	#verdict: WriteVerdict;

	constructor(
		fileSystem: FileSystem,
		directory: string,
		options: PartitionOptions,
		host: PartitionHost,
		recovered: RecoveredPartition,
		finishGroup: () => void,
	) {
		this.#upkeep = new Upkeep(fileSystem, directory, options, host, recovered);
		this.#finishGroup = finishGroup;
		this.#edits = new EditLog(this.#upkeep, finishGroup);
		this.#flusher = new Flusher(this.#upkeep, this.#edits);
		this.#compactor = new Compactor(this.#upkeep, this.#edits, this.#flusher);
		this.#segments = new SegmentKeeper(this.#upkeep, this.#edits);
		this.#house = new Housekeeping(this.#upkeep, this.#edits, () => this.#flusher.isIdle && this.#compactor.isIdle);
		this.#gate = new WriteGate(options.stallTimeoutMs);
		this.#report = new LevelReport(this.#upkeep, this.#flusher, this.#compactor);
		this.#verdict = this.#judge();
		this.#upkeep.noteUsage();
		this.#goOn();
	}

	/** Time of the drain under way; the partition keeps it. */
	get nowMs(): number {
		return this.#upkeep.nowMs;
	}

	set nowMs(nowMs: number) {
		this.#upkeep.nowMs = nowMs;
	}

	get flushCount(): number {
		return this.#flusher.flushCount;
	}

	get compactionCount(): number {
		return this.#compactor.counters.count;
	}

	/** Why writes are refused for good, if they are. */
	get refusal(): MillraceError | undefined {
		return this.#upkeep.refusal;
	}

	/** Words for the status that refuses a write. */
	explain(status: number): string {
		if (this.refusal !== undefined) return this.refusal.message;
		if (status === statusOf('MILLRACE_VALUE_SIZE')) {
			return 'the value is larger than a memtable of this database holds: open it with a larger memtableSize';
		}
		if (status === statusOf('MILLRACE_OVERLOADED')) return this.#explainStall();
		return this.#upkeep.disk.reason || 'there is no room in the manifest until the disk has space';
	}

	get isDiskFull(): boolean {
		return this.#upkeep.disk.isFull;
	}

	/** True while not even deletes and flushes find room. */
	get isDiskPaused(): boolean {
		return this.#upkeep.disk.isPaused;
	}

	/** Refuses writes from now on; what is certain goes on being served. The first reason stays. */
	refuseWrites(error: MillraceError): void {
		this.#upkeep.refuseWrites(error);
		this.#house.onEditsDone();
	}

	/**
	 * A write finds no room, which begins a stall: it waits for a job, or is told that the disk is full, or that it takes too long.
	 * @returns statusWait, or the status that refuses it
	 */
	waitForRoom(): number {
		const { disk, tree, clockMs } = this.#upkeep;
		if (disk.isPaused) return statusOf('MILLRACE_DISK_FULL');
		return this.#gate.wait(tree.canRotate ? 'log' : 'memtables', clockMs);
	}

	/** On a full disk only deletes are taken. @returns statusOk, statusWait, or the status that refuses this write */
	admit(opcode: number): number {
		const { disk, recovered, clockMs } = this.#upkeep;
		const isDelete = opcode === opDelete || opcode === opDeleteRange || opcode === opClear;
		if (!disk.mayWrite(isDelete)) return statusOf('MILLRACE_DISK_FULL');
		// A clear ends in an edit at once, and in an empty tree.
		if (opcode === opClear) return recovered.manifest.isStuck ? this.waitForRoom() : statusOk;
		// It is a delete on a full disk: what piled up for compaction must not hold what lets compaction free space.
		if (disk.isFull) return statusOk;
		return this.#verdict.state === 'stopped' ? this.#gate.admit(this.#verdict, clockMs) : statusOk;
	}

	/**
	 * After a drain, and before the next writes as long as it says so: milliseconds that they should wait, so that what piles up
	 * stays bounded. Reads need not wait. Ask again, with 0 bytes, after a few of them.
	 * @param bytes of the commands just written
	 * @param nowMs what the clock shows, unless `tick` was just told
	 */
	writeDelayMs(bytes: number, nowMs = this.#upkeep.clockMs): number {
		this.#upkeep.clockMs = nowMs;
		if (bytes > 0) {
			this.#flusher.onWritten(bytes);
			this.#compactor.onWritten();
		}
		return this.#gate.delayMs(bytes, this.#judge(), nowMs);
	}

	/** Compacts a range of keys down to the last level. What must be in it was flushed. @param upper empty: to the end */
	compactRange(lower: Uint8Array, upper: Uint8Array, onDone: OnManualDone): void {
		this.#compactor.manual.ask(lower, upper.length === 0 ? undefined : upper, onDone);
		this.#goOn();
	}

	/** Levels, amplification, stalls and work under way, as plain data for JSON. */
	statistics(): Record<string, unknown> {
		return { ...this.#report.statistics(), writes: { ...this.#verdictText(), ...this.#gate.statistics() } };
	}

	/** Copies the partition into a new directory by hard links; what must be in it was flushed. See Housekeeping. */
	checkpoint(target: string, onDone: Outcome<CheckpointResult>): void {
		this.#house.checkpoint(target, onDone);
	}

	/** Reads and checks every byte on the disk. @param durableSequence what the log must hold */
	verify(durableSequence: number, onDone: Outcome<VerifyReport>): void {
		this.#house.verify(durableSequence, onDone);
	}

	get diskStatistics(): Record<string, number | string> {
		const { manifest } = this.#upkeep.recovered;
		return {
			...this.#upkeep.disk.statistics,
			manifestEdits: manifest.editCount,
			manifestRolls: this.#edits.roller.rollCount,
		};
	}

	/** The active memtable becomes immutable and will be flushed. The caller checked that an arena is free. */
	rotate(): void {
		this.#compactor.onWritten();
		this.#flusher.rotate();
	}

	/** Newest sequence that is in tables or in memtables on their way there. */
	get rotatedSequence(): number {
		return this.#flusher.rotatedSequence;
	}

	/** Something was stored as of an earlier time: what expired since then must be there when the log is replayed. */
	noteEvaluatedAt(timeMs: number): void {
		this.#flusher.noteEvaluatedAt(timeMs);
	}

	/** A flush waits until the log no longer needs what is in the memtable. */
	get isFlushHeldBack(): boolean {
		return this.#flusher.isHeldBack;
	}

	/** Begins a flush that was held back, if nothing holds it any more. */
	maybeFlush(): void {
		this.#flusher.maybeFlush();
	}

	/** Drops everything stored up to `sequence`, which is in the log already. */
	clear(sequence: number): void {
		this.#finishGroup();
		const removeTables = this.#upkeep.tree.clear(sequence);
		this.#flusher.clear(sequence);
		this.#compactor.clear();
		this.#edits.put({ removeTables, flushedSequence: sequence });
		this.#edits.doom(removeTables.map(tableFileName));
	}

	/** The outcome of a job. */
	onJobDone(job: Job, result: JobResult, failure: JobFailure | undefined): void {
		if (this.#house.onJobDone(job, result, failure)) this.#goOn();
		if (job.kind === 'prepareSegment') this.#segments.onPrepared(job.segmentId, failure);
		if (job.kind === 'flush' || job.kind === 'compact') this.#onTablesWritten(job, result as WrittenTables, failure);
	}

	#onTablesWritten(
		job: FlushJob | CompactionJob,
		result: WrittenTables | undefined,
		failure: JobFailure | undefined,
	): void {
		const tables: TableReader[] = [];
		try {
			if (failure === undefined) for (const { id } of result?.tables ?? []) tables.push(this.#upkeep.openTable(id));
		} catch (error) {
			failure = jobFailureOf(error);
		}
		if (job.kind === 'flush') this.#flusher.onFlushed(tables.at(0), failure);
		else this.#compactor.onCompacted(job, result, tables, failure);
		this.#goOn();
	}

	/** The log says how many edits are durable: files that they forgot can go. */
	onEditsDone(count: number): void {
		this.#segments.recycle(this.#edits.takeReleased(count));
		this.#edits.removeDoomed(count);
		this.#edits.roller.onEditsDone(count);
		this.#house.onEditsDone();
	}

	/** Milliseconds until `tick` has something to do; undefined: nothing. */
	tickDelayMs(nowMs: number): number | undefined {
		const delayMs = Math.min(
			this.#upkeep.disk.tickDelayMs(nowMs) ?? Number.POSITIVE_INFINITY,
			this.#compactor.tickDelayMs(nowMs) ?? Number.POSITIVE_INFINITY,
			this.#flusher.isHeldBack ? heldBackDelayMs : Number.POSITIVE_INFINITY,
			this.#wantsSpace(this.isDiskFull) ? Math.max(1, this.#reclaimDelayMs(nowMs)) : Number.POSITIVE_INFINITY,
		);
		return delayMs === Number.POSITIVE_INFINITY ? undefined : delayMs;
	}

	/**
	 * Tries again what a full disk stopped, and begins what time brings. @param nowMs what the clock shows: it may have been
	 * put back
	 */
	tick(nowMs: number): void {
		this.#upkeep.clockMs = nowMs;
		const wasFull = this.#upkeep.disk.isFull;
		const isRoomBack = this.#upkeep.disk.tick(nowMs);
		const isReclaiming = this.#wantsSpace(wasFull) && this.#reclaimDelayMs(nowMs) === 0;
		if (isReclaiming) this.#reclaim(nowMs, wasFull);
		if (this.#compactor.tick(nowMs) || isRoomBack || isReclaiming) this.#goOn();
		if (this.#gate.stallReason !== '') this.#gate.tick((reason) => this.#isOver(reason), this.#judge(), nowMs);
	}

	/** Deletes that were taken on a full disk are still in memory, where no compaction sees what they free. */
	get #mayReclaim(): boolean {
		const { tree, options, isStopped } = this.#upkeep;
		if (isStopped || tree.active.isEmpty || !this.#flusher.isIdle || !tree.canRotate) return false;
		// Where compaction finds no room, small tables must not pile up without end.
		return tree.levels.all[0].tables.length < options.levelZeroStopCount;
	}

	/** Something is to be done about a full disk that no job and nobody else will begin. */
	#wantsSpace(isFull: boolean): boolean {
		return (isFull && this.#mayReclaim) || this.#flusher.isPutOff || this.#compactor.isPutOff;
	}

	/** Milliseconds until it should be done again. The clock may have been put back. */
	#reclaimDelayMs(nowMs: number): number {
		const delayMs = this.#reclaimedMs + reclaimIntervalMs - nowMs;
		return delayMs > reclaimIntervalMs ? 0 : Math.max(0, delayMs);
	}

	#reclaim(nowMs: number, isFull: boolean): void {
		this.#reclaimedMs = nowMs;
		if (isFull && this.#mayReclaim && this.#upkeep.tree.maybeFreeArena()) this.#flusher.rotate();
	}

	/** Begins whatever is due and may begin. The reserve comes last: it must not take room from what frees some. */
	#goOn(): void {
		// Jobs that fail again and again use up ids without an edit that promises more.
		if (this.#upkeep.recovered.manifest.isShortOfIds && !this.#upkeep.isStopped) this.#edits.put({});
		this.#segments.maybePrepare();
		this.#flusher.maybeFlush();
		this.#compactor.maybeCompact();
		this.#house.maybePrepare();
		this.#judge();
	}

	/** Keeps spare segments ready. */
	maybePrepareSegment(): void {
		this.#segments.maybePrepare();
	}

	/** Whether writes go on: every state has its reason. */
	#judge(): WriteVerdict {
		this.#verdict = judgeWrites(this.#report.pressure(), this.#upkeep.options);
		return this.#verdict;
	}

	#isOver(reason: WriteReason): boolean {
		const { tree, recovered } = this.#upkeep;
		if (reason === 'memtables') return tree.canRotate;
		if (reason === 'log') return recovered.segments.spareCount > 0;
		const { state, reason: present } = this.#judge();
		// On a full disk a delete no longer waits for compaction.
		return state !== 'stopped' || present === 'disk';
	}

	#verdictText(): Record<string, unknown> {
		const { state, reason, bytesPerSecond } = this.#judge();
		return { state, reason, bytesPerSecond: Number.isFinite(bytesPerSecond) ? Math.round(bytesPerSecond) : null };
	}

	#explainStall(): string {
		const { options, tree } = this.#upkeep;
		const levelZeroCount = tree.levels.all[0].tables.length;
		return (
			`writes outran compaction for ${options.stallTimeoutMs} ms (${this.#gate.stallReason || this.#verdict.reason}; ` +
			`${tree.immutableCount} memtables wait, ${levelZeroCount} tables in level 0): nothing was written, try again later`
		);
	}
}
