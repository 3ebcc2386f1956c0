/**
 * The pinned snapshots of a partition: sequence numbers at which reads can still come. Flushes and compactions keep the version
 * that each of them sees; so a snapshot that nobody releases would keep every version for ever, and its age is bounded.
 *
 *   acquire ──> pinned ──(half of the age limit: a note)──> (the age limit: a note) released by force ──> MILLRACE_SNAPSHOT
 *                  └──(release, once for each acquire)──> gone
 *
 * Invariants: sequences ascend in the order they were pinned, since each pins what is newest then. Time is the partition's: it
 * never runs backwards. One per partition, its thread only; nothing of it outlives a restart.
 */
import { MillraceError } from '../../base/errors.js';
import { snapshotCountMax } from '../../base/limits.js';

interface Pin {
	count: number;
	sinceMs: number;
	isWarned: boolean;
}

export class SnapshotRegistry {
	readonly #ageMaxMs: number;
	readonly #note: (text: string) => void;
	/** By sequence, in ascending order. */
	readonly #pins = new Map<number, Pin>();
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
		return [...this.#pins.keys()];
	}

	/** Pins the newest sequence. @throws MILLRACE_BUSY when there are too many */
	acquire(sequence: number, nowMs: number): void {
		if (this.#count >= snapshotCountMax) {
			throw new MillraceError('MILLRACE_BUSY', `${snapshotCountMax} snapshots are held: release some`);
		}
		const pin = this.#pins.get(sequence);
		this.#count++;
		if (pin === undefined) {
			this.#pins.set(sequence, { count: 1, sinceMs: nowMs, isWarned: false });
		} else {
			// Nothing was written since: keeping it for longer costs nothing that the new snapshot would not.
			pin.count++;
			pin.sinceMs = nowMs;
			pin.isWarned = false;
		}
		this.#dueMs = Math.min(this.#dueMs, nowMs + this.#ageMaxMs / 2);
	}

	/** Lets go of one `acquire`. @returns false when there is none */
	release(sequence: number): boolean {
		const pin = this.#pins.get(sequence);
		if (pin === undefined) return false;
		this.#count--;
		pin.count--;
		if (pin.count === 0) this.#pins.delete(sequence);
		return true;
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

	/** Releases all: what they saw is gone. */
	releaseAll(): void {
		for (const [sequence, pin] of this.#pins) this.#drop(sequence, pin);
	}

	#drop(sequence: number, pin: Pin): void {
		this.#count -= pin.count;
		this.#expiredCount += pin.count;
		this.#pins.delete(sequence);
	}
}
