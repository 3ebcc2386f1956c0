/**
 * The way of applied commands into the log: one group at a time, gathered in the log queue's own memory, with a place in a
 * segment found before anything is applied. Knows no command but by its size and sequence numbers.
 *
 *   reserve ─ apply ─ append … finish ─> log thread        reserve never waits: it says what is missing
 *
 * Partition's thread only.
 */
import type { LogQueue } from '../log-queue.js';
import { GroupBuilder, maybePutSignal } from '../wal/group-builder.js';
import { logMarker, logStop, logSync } from '../wal/log-message-format.js';
import type { SegmentAllocator } from '../wal/segment-allocator.js';
import { groupSize } from '../wal/wal-format.js';

export const logReady = 0;
/** No segment has room, and no spare is prepared. */
export const logLacksSegment = 1;
/** The log queue is full. */
export const logLacksQueue = 2;

/** What the log of a partition stands on. */
export interface CommandLogHost {
	readonly queue: LogQueue;
	commitPosition(): number;
	waitForLog(): void;
}

export class CommandLog {
	readonly #host: CommandLogHost;
	readonly #segments: SegmentAllocator;
	readonly #group: GroupBuilder;
	/** The newest command appended. */
	#lastSequence: number;
	/** Time of the drain under way. */
	nowMs: number;

	constructor(host: CommandLogHost, segments: SegmentAllocator, lastSequence: number, nowMs: number) {
		this.#host = host;
		this.#segments = segments;
		this.#group = new GroupBuilder(host.queue);
		this.#lastSequence = lastSequence;
		this.nowMs = nowMs;
	}

	/** Sequence of the newest command. */
	get lastSequence(): number {
		return this.#lastSequence;
	}

	/** Makes room for one command of this size. @returns logReady, or what is missing */
	reserve(size: number): number {
		const group = this.#group;
		if (group.isOpen && !group.fits(size)) this.finishGroup();
		const sizeInLog = group.isOpen ? group.size + size + 8 : groupSize(size);
		if (!this.#segments.hasRoom(sizeInLog)) return logLacksSegment;
		if (!group.isOpen && !group.maybeOpen(size, this.#lastSequence + 1)) return logLacksQueue;
		return logReady;
	}

	/** Appends the command that room was reserved for, which has been applied. */
	append(bytes: Uint8Array, offset: number, size: number, sequenceCount: number): void {
		this.#group.append(bytes, offset, size, this.#lastSequence + 1, sequenceCount);
		this.#lastSequence += sequenceCount;
	}

	/** Hands the open group to the log. @returns true when commands were in it */
	finishGroup(): boolean {
		const group = this.#group;
		if (!group.isOpen) return false;
		const position = this.#host.commitPosition();
		if (group.isEmpty) {
			group.finishEmpty(position);
			return false;
		}
		const offset = this.#segments.allocate(group.size, this.#lastSequence);
		group.finish(this.#segments.activeId, offset, this.nowMs, position);
		return true;
	}

	/** Lets replies leave that wait for groups already handed over. @returns true when commands were handed over */
	putMarker(): boolean {
		if (this.#group.isOpen) return this.finishGroup();
		this.#putSignal(logMarker);
		return false;
	}

	/** Has everything so far synced, whatever the durability, before anything that comes. @returns as `finishGroup` */
	putSync(): boolean {
		const hasCommands = this.finishGroup();
		this.#putSignal(logSync);
		return hasCommands;
	}

	/** Tells the log to seal, sync and end. Nothing may be written afterwards. */
	putStop(): void {
		this.finishGroup();
		this.#putSignal(logStop);
	}

	#putSignal(kind: typeof logMarker | typeof logStop | typeof logSync): void {
		while (!maybePutSignal(this.#host.queue, kind, this.#host.commitPosition())) this.#host.waitForLog();
	}
}
