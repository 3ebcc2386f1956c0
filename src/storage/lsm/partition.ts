/**
 * One LSM partition: the state machine that a worker thread drives. It applies commands, gathers them into WAL groups, and
 * decides when to rotate, flush, merge and recycle; others carry that out (log thread, background pool) through the host.
 *
 *   begin(now) ─ { read | prepareWrite, write }* ─ finishGroup     once per drain of the request ring
 *   maintenance.onJobDone, onEditsDone, tick                       when the host hears of it
 *
 * Single thread. Nothing here waits: where room is missing it says so, and the host waits and asks again.
 */
import { MillraceError, statusOf, statusOk } from '../../base/errors.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	flagSequence,
	opBatch,
	opClear,
	opDecide,
	opDeleteRange,
	opPrepare,
	readCommandKeySize,
	readCommandSequence,
	readCommandSize,
	sequenceCountOf,
} from '../../command/command-format.js';
import type { ScanRange } from '../../command/scan-options.js';
import { SnapshotHandle } from '../../command/snapshot-handle.js';
import type { FileSystem } from '../../env/ports.js';
import { applyRead } from './apply/apply-read.js';
import {
	CommandApplier,
	roomAfterRotation,
	roomNowhere,
	roomUnneeded,
	tooManyRanges,
} from './apply/command-applier.js';
import { CommandLog, logLacksSegment, logReady } from './apply/command-log.js';
import type { CommandResult } from './apply/command-result.js';
import { SlidingTouches } from './apply/sliding-touch.js';
import { TransactionWrites } from './apply/transaction-writes.js';
import type { Transactions } from './apply/transactions.js';
import { ExpiryWatch } from './expiry/expiry-watch.js';
import { estimateCount } from './inspect/estimate.js';
import { type Explanation, explainRead } from './inspect/explain.js';
import { partitionStatistics } from './inspect/statistics.js';
import { keyHash } from './key-hash.js';
import type { LogQueue } from './log-queue.js';
import type { LsmTree } from './lsm-tree.js';
import { type PartitionOptions, partitionOptions } from './partition-options.js';
import { type Existence, type RecoveredPartition, recoverPartition } from './recovery/recovery.js';
import type { OnRecovery } from './recovery/recovery-progress.js';
import { LiveCursor } from './scan/live-cursor.js';
import { ReadSession } from './scan/read-session.js';
import type { StorageMemory } from './shared/storage-memory.js';
import { SnapshotRegistry } from './snapshots.js';
import type { Job } from './upkeep/jobs.js';
import { Maintenance, statusWait } from './upkeep/maintenance.js';

function noSnapshot(sequence: number): string {
	return `there is no snapshot at ${sequence}: it was released, was held for too long, or the partition was cleared`;
}

/** What a partition needs from whoever runs it. */
export interface PartitionHost {
	readonly queue: LogQueue;
	/** Where the commit ring stands: replies up to here belong to what was applied so far. */
	commitPosition(): number;
	/** Gives a job away; `onJobDone` brings the outcome. */
	submitJob(job: Job): void;
	/** Blocks until the log queue may have more room. */
	waitForLog(): void;
	/** A line for a person. */
	note(text: string): void;
	/** Milliseconds since the epoch. */
	clockMs(): number;
	/** Hears how far the recovery is. */
	onRecovery?: OnRecovery;
}

export class Partition {
	readonly #options: PartitionOptions;
	readonly #recovered: RecoveredPartition;
	readonly #tree: LsmTree;
	readonly #applier: CommandApplier;
	readonly #log: CommandLog;
	readonly #snapshots: SnapshotRegistry;
	readonly #expiry: ExpiryWatch;
	readonly #touches: SlidingTouches;
	/** Batches over several partitions that are not settled. */
	readonly transactions: Transactions;
	readonly #batches: TransactionWrites;
	/** Writes of the drain under way are admitted: what decides about that changes slowly. */
	#isAdmitted = false;
	#nowMs: number;
	readonly maintenance: Maintenance;

	/** Recovers what is on disk. @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER, or the system's error */
	constructor(
		fileSystem: FileSystem,
		directory: string,
		host: PartitionHost,
		options: Partial<PartitionOptions> = {},
		existence?: Existence,
		memory?: StorageMemory,
	) {
		this.#options = partitionOptions(options);
		const openedAtMs = host.clockMs();
		const onRecovery: OnRecovery = (step, done, total) => host.onRecovery?.(step, done, total);
		this.#recovered = recoverPartition(fileSystem, directory, this.#options, openedAtMs, existence, memory, onRecovery);
		const { tree, segments, lastSequence, lastTimestampMs, transactions } = this.#recovered;
		this.#tree = tree;
		this.transactions = transactions;
		this.#nowMs = lastTimestampMs;
		this.#applier = new CommandApplier(tree, this.#options.memtableSize);
		this.#log = new CommandLog(host, segments, lastSequence, lastTimestampMs);
		this.#snapshots = new SnapshotRegistry(this.#options.snapshotAgeMaxMs, (text) => host.note(text));
		this.#expiry = new ExpiryWatch(tree, (text) => host.note(text));
		tree.pinnedSequences = () => this.#snapshots.sequences;
		tree.beginAfter(lastSequence);
		this.#snapshots.onDropped = (sequence, isDropped) => tree.shared?.dropSnapshot(sequence, isDropped);
		this.maintenance = new Maintenance(fileSystem, directory, this.#options, host, this.#recovered, () =>
			this.finishGroup(),
		);
		const { maintenance } = this;
		const parts = { transactions, tree, applier: this.#applier, log: this.#log, maintenance };
		this.#batches = new TransactionWrites(parts);
		this.#touches = new SlidingTouches(parts);
	}

	get lastSequence(): number {
		return this.#log.lastSequence;
	}

	/** Sequences up to this one are in tables. */
	get flushedSequence(): number {
		return this.#recovered.manifest.state.flushedSequence;
	}

	get recovery(): RecoveredPartition {
		return this.#recovered;
	}

	/** Starts a drain. Time never runs backwards here, whatever the clock does. */
	begin(nowMs: number): void {
		this.#nowMs = Math.max(this.#nowMs, nowMs);
		this.#isAdmitted = false;
		this.#log.nowMs = this.#nowMs;
		this.maintenance.nowMs = this.#nowMs;
		this.#snapshots.tick(this.#nowMs);
		this.#expiry.tick(this.#nowMs);
		this.#batches.tick();
		if (this.#touches.needsRotation) {
			this.#touches.needsRotation = false;
			if (this.maintenance.refusal === undefined && this.#tree.maybeFreeArena()) this.maintenance.rotate();
		}
	}

	/** Milliseconds until `begin` and `maintenance.tick` have something to do of themselves; undefined: they have not. */
	tickDelayMs(nowMs: number): number | undefined {
		const laterMs = Math.max(this.#nowMs, nowMs);
		const delayMs = Math.min(
			this.#snapshots.tickDelayMs(laterMs) ?? Number.POSITIVE_INFINITY,
			this.#expiry.tickDelayMs(laterMs) ?? Number.POSITIVE_INFINITY,
			this.maintenance.tickDelayMs(nowMs) ?? Number.POSITIVE_INFINITY,
		);
		return delayMs === Number.POSITIVE_INFINITY ? undefined : delayMs;
	}

	/** The hash of a command's key, for the calls below. */
	hashOf(bytes: Uint8Array, offset: number): number {
		return keyHash(
			bytes,
			offset + commandKeyOffset(bytes[offset + commandFlagsOffset]),
			readCommandKeySize(bytes, offset),
		);
	}

	/** Brings what a command on a key with this hash will need into the caches (Memtable.touch). */
	touch(hash: number, isSlotLoaded: boolean): number {
		return this.#tree.active.touch(hash, isSlotLoaded);
	}

	// --- reads ----------------------------------------------------------------------------------------

	/** Answers a read of one key, as of now or at a snapshot. */
	read(hash: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		if ((bytes[offset + commandFlagsOffset] & flagSequence) !== 0) {
			const sequence = readCommandSequence(bytes, offset);
			if (!this.#snapshots.has(sequence)) {
				result.reset();
				result.setError('MILLRACE_SNAPSHOT', noSnapshot(sequence));
				return;
			}
		}
		applyRead(this.#tree, this.#nowMs, hash, bytes, offset, result);
		if (result.wantedExpiryMs !== 0) this.#touches.maybeTouch(hash, bytes, offset, result.wantedExpiryMs);
	}

	/**
	 * A walk over the live entries, as stored now or at a snapshot. The caller closes it, and soon: it keeps memtables from
	 * being used again, for which writes wait. `beginRead` is for long ones.
	 * @throws MILLRACE_SNAPSHOT when nothing is pinned at `snapshot`
	 */
	cursor(snapshot?: number): LiveCursor {
		if (snapshot !== undefined) this.checkSnapshot(snapshot);
		return new LiveCursor(this.#tree.view, snapshot ?? this.lastSequence, this.#nowMs);
	}

	/**
	 * A read that is done in slices, as stored now or at a snapshot, also when that is released meanwhile. The caller ends it.
	 * @throws MILLRACE_SNAPSHOT when nothing is pinned at `snapshot`
	 */
	beginRead(snapshot?: number): ReadSession {
		if (snapshot !== undefined) this.checkSnapshot(snapshot);
		return new ReadSession(this.#tree, this.#snapshots, snapshot ?? this.lastSequence, () => this.#nowMs);
	}

	// --- snapshots ------------------------------------------------------------------------------------

	/** What is pinned. */
	get pins(): SnapshotRegistry {
		return this.#snapshots;
	}

	/** Pins what is stored now, to be read at. @returns its sequence @throws MILLRACE_BUSY when too many are held */
	acquireSnapshot(): number {
		this.#snapshots.acquire(this.lastSequence, this.#nowMs);
		return this.lastSequence;
	}

	/** Once for each `acquireSnapshot`. @returns false when it is not held (any more) */
	releaseSnapshot(sequence: number): boolean {
		return this.#snapshots.release(sequence);
	}

	/** @throws MILLRACE_SNAPSHOT when nothing is pinned at this sequence */
	checkSnapshot(sequence: number): void {
		if (!this.#snapshots.has(sequence)) throw new MillraceError('MILLRACE_SNAPSHOT', noSnapshot(sequence));
	}

	/** A snapshot for a program in this thread: `using snapshot = partition.snapshot()`. */
	snapshot(): SnapshotHandle {
		const sequence = this.acquireSnapshot();
		const snapshots = this.#snapshots;
		return new SnapshotHandle([sequence], () => snapshots.release(sequence));
	}

	// --- writes ---------------------------------------------------------------------------------------

	/**
	 * Makes room for a write; one whose key is locked by a batch over several partitions waits.
	 * @returns statusOk, statusWait, or the status of an error that refuses it
	 */
	prepareWrite(hash: number, bytes: Uint8Array, offset: number): number {
		const opcode = bytes[offset];
		if (opcode === opPrepare || opcode === opDecide) return this.#batches.prepare(this.#nowMs, bytes, offset);
		const status = this.#makeRoom(hash, bytes, offset);
		if (status !== statusOk && opcode === opBatch) this.#applier.drop();
		return status;
	}

	#makeRoom(hash: number, bytes: Uint8Array, offset: number): number {
		if (this.maintenance.refusal !== undefined) return statusOf(this.maintenance.refusal.code);
		if (this.transactions.count > 0 && this.#batches.mustWait(hash, bytes, offset)) return statusWait;
		if (!this.#isAdmitted || bytes[offset] === opClear) {
			const admitted = this.maintenance.admit(bytes[offset]);
			if (admitted !== statusOk) return admitted;
			this.#isAdmitted = !this.maintenance.isDiskFull;
		}
		if (bytes[offset] === opClear) {
			if (!this.#tree.maybeFreeArena()) return this.maintenance.waitForRoom();
		} else {
			const room = this.#applier.prepareNew(this.lastSequence + 1, this.#nowMs, hash, bytes, offset);
			if (room === roomUnneeded) return statusOk;
			if (room === roomNowhere) return statusOf('MILLRACE_VALUE_SIZE');
			if (room === roomAfterRotation) {
				if (!this.#tree.maybeFreeArena()) return this.maintenance.waitForRoom();
				this.maintenance.rotate();
			}
		}
		const extraSize = bytes[offset] === opClear ? this.#batches.decisionsSize : 0;
		const missing = this.#log.reserve(readCommandSize(bytes, offset) + extraSize);
		if (missing === logReady) return statusOk;
		if (missing !== logLacksSegment) return statusWait;
		this.maintenance.maybePrepareSegment();
		return this.maintenance.waitForRoom();
	}

	/** Applies a write that `prepareWrite` made room for, and logs it when it changed anything. */
	write(hash: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		const opcode = bytes[offset];
		const sequence = this.lastSequence + 1;
		if (opcode === opClear) {
			this.#clear(sequence, bytes, offset, result);
			return;
		}
		if (opcode === opPrepare || opcode === opDecide) {
			this.#batches.write(this.#nowMs, bytes, offset, result);
			return;
		}
		if (opcode === opDeleteRange && !this.#applier.mayDeleteRanges(1)) {
			result.reset();
			result.setError('MILLRACE_BUSY', tooManyRanges);
			return;
		}
		this.#applier.apply(sequence, this.#nowMs, hash, bytes, offset, result);
		if (!result.hasWritten) return;
		const sequenceCount = opcode === opBatch ? sequenceCountOf(bytes, offset) : 1;
		this.#log.append(bytes, offset, readCommandSize(bytes, offset), sequenceCount);
	}

	/** A reply names this sequence before it is durable: who reads it without a message waits until it is. */
	promise(sequence: number): void {
		this.#tree.shared?.promise(sequence);
	}

	/** Hands the open group to the log. */
	finishGroup(): void {
		if (this.#log.finishGroup()) this.maintenance.maybePrepareSegment();
	}

	/** Lets replies leave that wait for groups already handed over. */
	putMarker(): void {
		if (this.#log.putMarker()) this.maintenance.maybePrepareSegment();
	}

	/** Tells the log to seal, sync and end. Nothing may be written afterwards. */
	putStop(): void {
		this.#log.putStop();
		this.maintenance.refuseWrites(new MillraceError('MILLRACE_CLOSED', 'the partition is closing'));
	}

	/** Starts a flush of everything applied so far, if there is anything. @returns statusOk, statusWait, or why it cannot be */
	maybeRotate(): number {
		if (this.maintenance.refusal !== undefined) return statusOf(this.maintenance.refusal.code);
		if (this.#tree.active.maxSequence === 0) return statusOk;
		if (!this.#tree.maybeFreeArena()) return this.maintenance.waitForRoom();
		this.maintenance.rotate();
		return statusOk;
	}

	close(): void {
		this.#tree.close();
	}

	// --- for people -----------------------------------------------------------------------------------

	/** Every number there is, as plain data. */
	statistics(): Record<string, unknown> {
		return partitionStatistics({
			options: this.#options,
			recovered: this.#recovered,
			maintenance: this.maintenance,
			snapshots: this.#snapshots,
			expiry: this.#expiry,
			lastSequence: this.lastSequence,
			nowMs: this.#nowMs,
			touches: this.#touches,
		});
	}

	/** Which memtables, levels, filters and blocks a read of this key touches, and how long each takes. */
	explain(key: Uint8Array): Explanation {
		return explainRead(this.#tree, key, this.#nowMs);
	}

	/** About how many live entries a range has, from what is known without reading it. */
	estimate(range: ScanRange): number {
		return estimateCount(this.#tree.view, range, this.#nowMs);
	}

	// --- inside ---------------------------------------------------------------------------------------

	/** What snapshots saw is gone as well: they are released. */
	#clear(sequence: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		result.reset();
		this.#log.append(bytes, offset, readCommandSize(bytes, offset), 1);
		this.#batches.logDecisions();
		this.#snapshots.releaseAll();
		this.maintenance.clear(sequence);
		if (this.lastSequence > sequence) this.#tree.active.noteSequence(this.lastSequence);
		result.observedSequence = sequence;
		result.number = sequence;
	}
}
