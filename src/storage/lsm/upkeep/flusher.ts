/**
 * Flushes immutable memtables, oldest first, one at a time: asks the pool for a table and installs it. A memtable that was
 * cleared meanwhile takes its table with it. Measures what flushes take. Partition's thread only.
 *
 * A flush lets the log forget what is in the memtable. So none begins while a batch over several partitions needs a record at or
 * below the memtable's last sequence; the partition logs that record again, and the flush begins (apply/transaction-writes.ts).
 */
import { assert } from '../../../base/assert.js';
import { bloomBitsPerKeyYoung } from '../../../base/limits.js';
import { tableFileName } from '../manifest/manifest-format.js';
import type { Memtable } from '../memtable/memtable.js';
import type { Pinned } from '../pinned.js';
import type { TableReader } from '../table/table-reader.js';
import type { EditLog } from './edit-log.js';
import type { JobFailure } from './jobs.js';
import { RateMeter } from './rate-meter.js';
import { SpaceRetry } from './space-retry.js';
import type { Upkeep } from './upkeep.js';

/** What is to be known of a memtable when it has been flushed. */
interface Rotation {
	/** Of the newest command in it. */
	readonly timestampMs: number;
	/** Bytes of the commands in it. */
	readonly userBytes: number;
	/** The oldest time that something in it was carried out as of; infinite: nothing was carried out but as of its own time. */
	readonly evaluatedMs: number;
}

export class Flusher {
	readonly #upkeep: Upkeep;
	readonly #edits: EditLog;
	#flushing: Pinned<Memtable> | undefined;
	#startedMs = 0;
	readonly #retry = new SpaceRetry();
	/** A flush is put off until the disk can take it. */
	isPutOff = false;
	/** A flush is not begun until the log no longer needs what is in the memtable. */
	isHeldBack = false;
	/** Newest sequence that is in tables or in immutable memtables. */
	rotatedSequence: number;
	/** Of the immutable memtables, oldest first. */
	#rotations: Rotation[] = [];
	/** Of the active memtable: see Rotation. */
	#evaluatedMs: number;
	/** Time of the newest command that is in tables: what expired before it is gone for every replay. */
	flushedTimestampMs = 0;
	/** Bytes of commands written since the last rotation, and in all. */
	#activeUserBytes = 0;
	userBytes = 0;
	flushCount = 0;
	flushedBytes = 0;
	flushMs = 0;
	/** In bytes of commands. */
	readonly rate = new RateMeter();

	constructor(upkeep: Upkeep, edits: EditLog) {
		this.#upkeep = upkeep;
		this.#edits = edits;
		this.rotatedSequence = upkeep.recovered.manifest.state.flushedSequence;
		this.#evaluatedMs = upkeep.recovered.evaluatedMs;
	}

	/** What expired by then is gone for whatever a replay may carry out, now or later, but for what `flushedTimestampMs` says. */
	get replayFloorMs(): number {
		let floorMs = Math.min(this.#evaluatedMs, this.#upkeep.recovered.transactions.oldestTimeMs);
		for (const { evaluatedMs } of this.#rotations) floorMs = Math.min(floorMs, evaluatedMs);
		return floorMs;
	}

	/** Something was stored in the active memtable as of an earlier time. */
	noteEvaluatedAt(timeMs: number): void {
		this.#evaluatedMs = Math.min(this.#evaluatedMs, timeMs);
	}

	/** Nothing is being flushed, nor waits for it. */
	get isIdle(): boolean {
		return this.#flushing === undefined && this.#upkeep.tree.immutableCount === 0;
	}

	get isRunning(): boolean {
		return this.#flushing !== undefined;
	}

	/** Commands of so many bytes went into the active memtable. */
	onWritten(bytes: number): void {
		this.#activeUserBytes += bytes;
		this.userBytes += bytes;
	}

	/** The active memtable becomes immutable and will be flushed. The caller checked that an arena is free. */
	rotate(): void {
		const { tree, nowMs } = this.#upkeep;
		this.rotatedSequence = Math.max(this.rotatedSequence, tree.active.maxSequence);
		tree.rotate();
		const evaluatedMs = this.#evaluatedMs;
		this.#rotations.push({ timestampMs: nowMs, userBytes: this.#activeUserBytes, evaluatedMs });
		this.#activeUserBytes = 0;
		this.#evaluatedMs = Number.POSITIVE_INFINITY;
		this.maybeFlush();
	}

	/** Everything was dropped, up to this sequence. */
	clear(sequence: number): void {
		this.#rotations = [];
		this.rotatedSequence = sequence;
		this.#activeUserBytes = 0;
		this.#evaluatedMs = Number.POSITIVE_INFINITY;
		this.flushedTimestampMs = this.#upkeep.nowMs;
	}

	maybeFlush(): void {
		const { tree, options, host, freeBytes, clockMs } = this.#upkeep;
		this.isPutOff = false;
		this.isHeldBack = false;
		if (this.#flushing !== undefined || this.#upkeep.isStopped || tree.immutableCount === 0) return;
		const memtable = tree.pinOldestImmutable();
		assert(memtable !== undefined, 'there is an immutable memtable');
		if (this.#upkeep.recovered.transactions.oldestSequence <= memtable.value.maxSequence) {
			this.isHeldBack = true;
			memtable.unpin();
			return;
		}
		if (!this.#retry.mayBegin(memtable.value.usedBytes, freeBytes, clockMs)) {
			this.isPutOff = true;
			memtable.unpin();
			return;
		}
		this.#flushing = memtable;
		this.#startedMs = this.#upkeep.clockMs;
		host.submitJob({
			kind: 'flush',
			arena: this.#flushing.value.arena,
			tableId: this.#upkeep.takeFileId(),
			blockSize: options.blockSize,
			keepSequences: tree.pinnedSequences(),
			bitsPerKey: bloomBitsPerKeyYoung,
		});
	}

	/** @param table what the job made of the memtable, undefined when there was nothing in it */
	onFlushed(table: TableReader | undefined, failure: JobFailure | undefined): void {
		const memtable = this.#flushing;
		assert(memtable !== undefined, 'a flush was under way');
		this.#flushing = undefined;
		if (failure !== undefined) {
			this.#onFailed(memtable.value, failure);
		} else if (this.#upkeep.tree.installFlush(memtable, table)) {
			this.#countFlush(table);
			this.#retry.onDone();
			const addTables = table === undefined ? [] : [{ id: table.meta.id, level: 0, size: table.meta.size }];
			this.#edits.put({ addTables, flushedSequence: memtable.value.maxSequence });
		} else if (table !== undefined) {
			table.close();
			this.#edits.doom([tableFileName(table.meta.id)]);
		}
		memtable.unpin();
	}

	#onFailed({ usedBytes }: Memtable, failure: JobFailure): void {
		const { clockMs, freeBytes } = this.#upkeep;
		if (failure.systemCode === 'ENOSPC') this.#retry.onNoSpace(usedBytes, freeBytes(), clockMs);
		this.#upkeep.onJobFailed('a memtable could not be flushed', failure);
	}

	#countFlush(table: TableReader | undefined): void {
		const rotation = this.#rotations.shift();
		assert(rotation !== undefined, 'what was flushed was rotated');
		this.flushedTimestampMs = rotation.timestampMs;
		this.flushCount++;
		this.flushedBytes += table?.meta.size ?? 0;
		const tookMs = Math.max(0, this.#upkeep.clockMs - this.#startedMs);
		this.flushMs += tookMs;
		if (rotation.userBytes > 0) this.rate.add(rotation.userBytes, tookMs);
	}
}
