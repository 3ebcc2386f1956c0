/**
 * The pinned snapshots of a partition: sequence numbers at which reads can still come. Flushes and compactions keep the version
 * that each of them sees; so a snapshot that nobody releases would keep every version for ever, and its age is bounded.
 *
 *   acquire ──> pinned ──(half of the age limit: a note)──> (the age limit: a note) released by force ──> MILLRACE_SNAPSHOT
 *                  └──(release, once for each acquire)──> gone
 *
 * A read that works in slices pins its sequence too, on its own account: it ends soon, and nobody has to be warned of it.
 *
 * A snapshot pins what is newest then, or what such a read keeps: the share of a snapshot over all partitions is kept as a read
 * first, and pinned when it is asked for (workers/epoch-cuts.ts). Time is the partition's: it never runs backwards. One per
 * partition, its thread only; nothing of it outlives a restart.
 */
import { assert } from '../../base/assert.js';
import { MillraceError } from '../../base/errors.js';
import { snapshotCountMax } from '../../base/limits.js';

interface Pin {
	count: number;
	/** Of those before, at the same sequence, that were released by force: their holders may release them yet. */
	droppedCount: number;
	sinceMs: number;
	isWarned: boolean;
}

export class SnapshotRegistry {
	readonly #ageMaxMs: number;
	readonly #note: (text: string) => void;
	/** Hears of each that is dropped by force, and of each that is pinned: what was dropped there may be kept again. */
	onDropped: (sequence: number, isDropped: boolean) => void = () => undefined;
	/** By sequence. */
	readonly #pins = new Map<number, Pin>();
	/**
	 * Snapshots dropped by force, by sequence, as long as another may be pinned there: since the newest was pinned, or while a
	 * read keeps the sequence.
	 */
	readonly #dropped = new Map<number, number>();
	/** Reads under way, by sequence. */
	#reads = new Map<number, number>();
	#count = 0;
	#expiredCount = 0;
	/** Nothing is to be done before this time. */
	#dueMs = Number.POSITIVE_INFINITY;

	/** @param note takes lines for a person */
	constructor(ageMaxMs: number, note: (text: string) => void) {
		this.#ageMaxMs = ageMaxMs;
		this.#note = note;
	}

	/** Snapshots held. */
	get count(): number {
		return this.#count;
	}

	/** Snapshots that were released by force. */
	get expiredCount(): number {
		return this.#expiredCount;
	}

	/** Pinned sequences, ascending: what a flush or compaction that begins now has to keep. */
	get sequences(): number[] {
		if (this.#reads.size === 0) return [...this.#pins.keys()].sort((a, b) => a - b);
		return [...new Set([...this.#pins.keys(), ...this.#reads.keys()])].sort((a, b) => a - b);
	}

	/** Pins the newest sequence, or one that a read keeps. @throws MILLRACE_BUSY when there are too many */
	acquire(sequence: number, nowMs: number): void {
		if (this.#count >= snapshotCountMax) {
			throw new MillraceError('MILLRACE_BUSY', `${snapshotCountMax} snapshots are held: release some`);
		}
		const pin = this.#pins.get(sequence);
		this.#count++;
		if (pin === undefined) {
			const droppedCount = this.#dropped.get(sequence) ?? 0;
			for (const dropped of this.#dropped.keys()) {
				if (dropped === sequence || !this.#reads.has(dropped)) this.#dropped.delete(dropped);
			}
			this.#pins.set(sequence, { count: 1, droppedCount, sinceMs: nowMs, isWarned: false });
			this.onDropped(sequence, false);
		} else {
			// Keeping it for longer costs nothing that the new snapshot would not.
			pin.count++;
			pin.sinceMs = nowMs;
			pin.isWarned = false;
		}
		this.#dueMs = Math.min(this.#dueMs, nowMs + this.#ageMaxMs / 2);
	}

	/** Lets go of one `acquire`. @returns false when there is none */
	release(sequence: number): boolean {
		const pin = this.#pins.get(sequence);
		if (pin === undefined) {
			const droppedCount = this.#dropped.get(sequence);
			if (droppedCount === 1) this.#dropped.delete(sequence);
			else if (droppedCount !== undefined) this.#dropped.set(sequence, droppedCount - 1);
			return false;
		}
		if (pin.droppedCount > 0) {
			// Whose release it is cannot be told. Letting go of one too few is harmless: its time is bounded.
			pin.droppedCount--;
			return false;
		}
		this.#count--;
		pin.count--;
		if (pin.count === 0) this.#pins.delete(sequence);
		return true;
	}

	/** Keeps what a read at this sequence sees until `endRead`. @returns what to hand to it */
	beginRead(sequence: number): Map<number, number> {
		this.#reads.set(sequence, (this.#reads.get(sequence) ?? 0) + 1);
		return this.#reads;
	}

	/** False once `releaseAll` was called: what the read sees is not kept any more, but for what it has pinned itself. */
	isReadKept(reads: Map<number, number>): boolean {
		return reads === this.#reads;
	}

	/** Once for each `beginRead`. */
	endRead(sequence: number, reads: Map<number, number>): void {
		const count = reads.get(sequence);
		assert(count !== undefined, `a read at ${sequence} was begun`);
		if (count === 1) reads.delete(sequence);
		else reads.set(sequence, count - 1);
	}

	has(sequence: number): boolean {
		return this.#pins.has(sequence);
	}

	/** Milliseconds the oldest has been held. */
	oldestAgeMs(nowMs: number): number {
		let oldestMs = nowMs;
		for (const pin of this.#pins.values()) oldestMs = Math.min(oldestMs, pin.sinceMs);
		return nowMs - oldestMs;
	}

	/** Milliseconds until `tick` has something to do; undefined: nothing. */
	tickDelayMs(nowMs: number): number | undefined {
		return this.#pins.size === 0 ? undefined : Math.max(1, this.#dueMs - nowMs);
	}

	/** Warns of old snapshots, and releases those that are too old. */
	tick(nowMs: number): void {
		if (nowMs < this.#dueMs) return;
		this.#dueMs = Number.POSITIVE_INFINITY;
		for (const [sequence, pin] of this.#pins) {
			const ageMs = nowMs - pin.sinceMs;
			if (ageMs >= this.#ageMaxMs) {
				this.#drop(sequence, pin);
				this.#note(`the snapshot at ${sequence} was held for ${ageMs} ms and is released: reads there are refused`);
				continue;
			}
			if (ageMs >= this.#ageMaxMs / 2 && !pin.isWarned) {
				pin.isWarned = true;
				const leftMs = this.#ageMaxMs - ageMs;
				this.#note(
					`a snapshot at ${sequence} is held for ${ageMs} ms: every version since is kept; in ${leftMs} ms it ends`,
				);
			}
			this.#dueMs = Math.min(this.#dueMs, pin.sinceMs + (pin.isWarned ? this.#ageMaxMs : this.#ageMaxMs / 2));
		}
	}

	/** Releases all, reads included: what they saw is gone. */
	releaseAll(): void {
		this.#reads = new Map();
		for (const [sequence, pin] of this.#pins) this.#drop(sequence, pin);
	}

	#drop(sequence: number, pin: Pin): void {
		this.#count -= pin.count;
		this.#expiredCount += pin.count;
		this.#dropped.set(sequence, pin.count + pin.droppedCount);
		this.#pins.delete(sequence);
		this.onDropped(sequence, true);
	}
}
