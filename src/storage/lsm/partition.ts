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
	commandSize,
	opClear,
	readCommandKeySize,
	readCommandValueSize,
} from '../../command/command-format.js';
import type { FileSystem } from '../../env/ports.js';
import { applyRead, applyWrite, storedValueSize } from './apply-command.js';
import type { CommandResult } from './command-result.js';
import type { Job } from './jobs.js';
import { keyHash } from './key-hash.js';
import { LiveCursor } from './live-cursor.js';
import type { LogQueue } from './log-queue.js';
import type { LsmTree } from './lsm-tree.js';
import { Maintenance, statusWait } from './maintenance.js';
import { Memtable } from './memtable/memtable.js';
import { type PartitionOptions, partitionOptions } from './partition-options.js';
import { type RecoveredPartition, recoverPartition } from './recovery.js';
import { GroupBuilder, maybePutSignal } from './wal/group-builder.js';
import { logMarker, logStop } from './wal/log-message-format.js';
import { groupSize } from './wal/wal-format.js';

/** What a partition needs from whoever runs it. */
export interface PartitionHost {
	readonly queue: LogQueue;
	/** Where the commit ring stands: replies up to here belong to what was applied so far. */
	commitPosition(): number;
	/** Gives a job away; `onJobDone` brings the outcome. */
	submitJob(job: Job): void;
	/** Blocks until the log queue may have more room. */
	waitForLog(): void;
}

export class Partition {
	readonly #options: PartitionOptions;
	readonly #host: PartitionHost;
	readonly #recovered: RecoveredPartition;
	readonly #tree: LsmTree;
	readonly #group: GroupBuilder;
	#lastSequence: number;
	#nowMs: number;
	readonly maintenance: Maintenance;

	/** Recovers what is on disk. @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER, or the system's error */
	constructor(fileSystem: FileSystem, directory: string, host: PartitionHost, options: Partial<PartitionOptions> = {}) {
		this.#options = partitionOptions(options);
		this.#host = host;
		this.#recovered = recoverPartition(fileSystem, directory, this.#options);
		this.#tree = this.#recovered.tree;
		this.#lastSequence = this.#recovered.lastSequence;
		this.#nowMs = this.#recovered.lastTimestampMs;
		this.#group = new GroupBuilder(host.queue);
		this.maintenance = new Maintenance(fileSystem, directory, this.#options, host, this.#recovered, () =>
			this.finishGroup(),
		);
	}

	get lastSequence(): number {
		return this.#lastSequence;
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
		this.maintenance.nowMs = this.#nowMs;
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

	/** Answers a read of one key. */
	read(hash: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		applyRead(this.#tree, this.#nowMs, hash, bytes, offset, result);
	}

	/** A walk over the live entries as of now. The caller closes it. */
	cursor(): LiveCursor {
		return new LiveCursor(this.#tree.view, this.#lastSequence, this.#nowMs);
	}

	/** Makes room for a write. @returns statusOk, statusWait, or the status of an error that refuses it */
	prepareWrite(hash: number, bytes: Uint8Array, offset: number): number {
		if (this.maintenance.refusal !== undefined) return statusOf(this.maintenance.refusal.code);
		const keySize = readCommandKeySize(bytes, offset);
		if (bytes[offset] === opClear) {
			if (!this.#tree.maybeFreeArena()) return this.maintenance.waitStatus;
		} else {
			const status = this.#prepareMemory(keySize, storedValueSize(this.#tree, hash, bytes, offset));
			if (status !== statusOk) return status;
		}
		const size = commandSize(bytes[offset + commandFlagsOffset], keySize, readCommandValueSize(bytes, offset));
		if (this.#group.isOpen && !this.#group.fits(size)) this.finishGroup();
		const sizeInLog = this.#group.isOpen ? this.#group.size + size + 8 : groupSize(size);
		if (!this.#recovered.segments.hasRoom(sizeInLog)) {
			this.maintenance.maybePrepareSegment();
			return this.maintenance.waitStatus;
		}
		if (!this.#group.isOpen && !this.#group.maybeOpen(size, this.#lastSequence + 1)) return statusWait;
		return statusOk;
	}

	/** Applies a write that `prepareWrite` made room for, and logs it when it changed anything. */
	write(hash: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		const sequence = this.#lastSequence + 1;
		applyWrite(this.#tree, sequence, this.#nowMs, hash, bytes, offset, result);
		const isClear = bytes[offset] === opClear;
		if (!result.hasWritten && !isClear) return;
		const keySize = readCommandKeySize(bytes, offset);
		const size = commandSize(bytes[offset + commandFlagsOffset], keySize, readCommandValueSize(bytes, offset));
		this.#group.append(bytes, offset, size, sequence);
		this.#lastSequence = sequence;
		if (isClear) {
			result.observedSequence = sequence;
			result.number = sequence;
			this.maintenance.clear(sequence);
		}
	}

	/** Hands the open group to the log. */
	finishGroup(): void {
		if (!this.#group.isOpen) return;
		if (this.#group.isEmpty) {
			this.#group.finishEmpty(this.#host.commitPosition());
			return;
		}
		const { segments } = this.#recovered;
		const offset = segments.allocate(this.#group.size, this.#lastSequence);
		this.#group.finish(segments.activeId, offset, this.#nowMs, this.#host.commitPosition());
		this.maintenance.maybePrepareSegment();
	}

	/** Lets replies leave that wait for groups already handed over. */
	putMarker(): void {
		if (this.#group.isOpen) this.finishGroup();
		else while (!maybePutSignal(this.#host.queue, logMarker, this.#host.commitPosition())) this.#host.waitForLog();
	}

	/** Tells the log to seal, sync and end. Nothing may be written afterwards. */
	putStop(): void {
		this.finishGroup();
		while (!maybePutSignal(this.#host.queue, logStop, this.#host.commitPosition())) this.#host.waitForLog();
		this.maintenance.refuseWrites(new MillraceError('MILLRACE_CLOSED', 'the partition is closing'));
	}

	/** Starts a flush of everything applied so far, if there is anything. @returns statusOk, statusWait, or why it cannot be */
	maybeRotate(): number {
		if (this.maintenance.refusal !== undefined) return statusOf(this.maintenance.refusal.code);
		if (this.#tree.active.entryCount === 0) return statusOk;
		if (!this.#tree.maybeFreeArena()) return this.maintenance.waitStatus;
		this.maintenance.rotate();
		return statusOk;
	}

	close(): void {
		this.#tree.close();
	}

	statistics(): Record<string, number | string | null> {
		const { segments, cache, replayedCount } = this.#recovered;
		return {
			lastSequence: this.#lastSequence,
			flushedSequence: this.flushedSequence,
			replayedCount,
			memtableBytes: this.#tree.active.usedBytes,
			memtableEntries: this.#tree.active.entryCount,
			immutableMemtables: this.#tree.immutableCount,
			arenaBytes: this.#tree.arenaBytes,
			tables: this.#tree.tableCount,
			tableBytes: this.#tree.tables.reduce((sum, table) => sum + table.meta.size, 0),
			tableEntries: this.#tree.tables.reduce((sum, table) => sum + table.meta.entryCount, 0),
			cacheBytes: cache.stats.usedBytes,
			cacheHits: cache.stats.hitCount,
			cacheMisses: cache.stats.missCount,
			logBytes: segments.liveBytes,
			logSpares: segments.spareCount,
			flushes: this.maintenance.flushCount,
			merges: this.maintenance.mergeCount,
			refusal: this.maintenance.refusal?.code ?? (this.maintenance.isDiskFull ? 'MILLRACE_DISK_FULL' : null),
		};
	}

	#prepareMemory(keySize: number, valueSize: number): number {
		if (this.#tree.active.hasRoom(keySize, valueSize)) return statusOk;
		if (!Memtable.couldHold(this.#options.memtableSize, keySize, valueSize)) {
			return statusOf('MILLRACE_VALUE_SIZE');
		}
		if (!this.#tree.maybeFreeArena()) return this.maintenance.waitStatus;
		this.maintenance.rotate();
		return statusOk;
	}
}
