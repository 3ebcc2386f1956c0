/**
 * What this partition had when it first knew of an epoch: its share of a snapshot over all partitions (database-memory.ts).
 *
 *   look(): a new epoch? ──> cut: the newest sequence now, kept ──(claim)──> a snapshot like any other
 *                                                               └─(nobody claims it for 30 s: its asker died)──> let go
 *
 * The loop looks once for each window of requests, after it took them and before it carries any of them out; that is as good as
 * a look before every write: a write that begins after an epoch has begun is in a window taken later, so its look sees that
 * epoch, and the write is not in the cut. Several epochs may have passed between two looks: then nothing was written in between,
 * and all have the same cut. Epochs are i32 that wrap: compared by difference.
 *
 * A cut is kept as a read under way is, so it is not counted among the snapshots, whose number is bounded, before it is claimed:
 * a write that sees a new epoch never fails of that. Partition's thread only; times are the partition's.
 *
 * At a cut no batch over several partitions is under way (the gate), unless it can come to no end here before the database is
 * opened again: a log failed. It may be stored elsewhere, so such a cut is of no use to anybody.
 */
import { MillraceError } from '../src/base/errors.js';
import { epochCutAgeMaxMs, snapshotCountMax } from '../src/base/limits.js';
import { loadEpoch } from '../src/command/database-memory.js';
import type { Partition } from '../src/storage/lsm/partition.js';

interface Cut {
	readonly sequence: number;
	/** What keeps it (SnapshotRegistry.beginRead). */
	readonly reads: Map<number, number>;
	readonly sinceMs: number;
	/** A batch is prepared and will not be decided. */
	readonly hasUndecided: boolean;
	/** Epochs with this cut that nobody has claimed. */
	unclaimedCount: number;
}

export class EpochCuts {
	readonly #words: Int32Array;
	readonly #partition: Partition;
	#seen: number;
	/** By epoch, oldest first. */
	readonly #cuts = new Map<number, Cut>();

	constructor(databaseMemory: SharedArrayBuffer, partition: Partition) {
		this.#words = new Int32Array(databaseMemory);
		this.#partition = partition;
		this.#seen = loadEpoch(this.#words);
	}

	/** Cuts that nobody has claimed. */
	get count(): number {
		return this.#cuts.size;
	}

	/** Notes what is stored now as the cut of every epoch that is new. */
	look(): void {
		const epoch = loadEpoch(this.#words);
		if (epoch !== this.#seen) this.#note(epoch);
	}

	/**
	 * Pins the cut of an epoch as a snapshot, once for each epoch. @returns its sequence
	 * @throws MILLRACE_SNAPSHOT when it is not kept (any more), MILLRACE_BUSY when too many snapshots are held; MILLRACE_POISONED
	 */
	claim(epoch: number): number {
		this.look();
		const { pins, maintenance } = this.#partition;
		const cut = this.#cuts.get(epoch);
		if (cut === undefined || !pins.isReadKept(cut.reads)) {
			if (cut !== undefined) this.#letGo(epoch, cut);
			const text = `what was stored at epoch ${epoch} is not kept: the partition was cleared, or it was not asked for in time`;
			throw new MillraceError('MILLRACE_SNAPSHOT', text);
		}
		try {
			if (cut.hasUndecided) {
				const text = 'a log failed while a batch over several partitions was under way, and half of it may be stored';
				throw new MillraceError('MILLRACE_POISONED', `${text}: open the database again`);
			}
			pins.acquire(cut.sequence, maintenance.nowMs);
		} finally {
			this.#letGo(epoch, cut);
		}
		return cut.sequence;
	}

	/** Milliseconds until `tick` has something to do; undefined: nothing. */
	tickDelayMs(nowMs: number): number | undefined {
		for (const { sinceMs } of this.#cuts.values()) return Math.max(1, sinceMs + epochCutAgeMaxMs - nowMs);
		return undefined;
	}

	/** Lets go of what nobody has claimed for too long. */
	tick(nowMs: number): void {
		for (const [epoch, cut] of this.#cuts) {
			if (nowMs - cut.sinceMs < epochCutAgeMaxMs) return;
			this.#letGo(epoch, cut);
		}
	}

	#note(epoch: number): void {
		const { pins, lastSequence, maintenance, transactions } = this.#partition;
		const count = Math.min((epoch - this.#seen) | 0, snapshotCountMax);
		this.#seen = epoch;
		if (count <= 0) return;
		const reads = pins.beginRead(lastSequence);
		const hasUndecided = transactions.count > 0;
		const sinceMs = maintenance.nowMs;
		const cut: Cut = { sequence: lastSequence, reads, sinceMs, hasUndecided, unclaimedCount: count };
		for (let age = count - 1; age >= 0; age--) this.#cuts.set((epoch - age) | 0, cut);
	}

	#letGo(epoch: number, cut: Cut): void {
		this.#cuts.delete(epoch);
		cut.unclaimedCount--;
		if (cut.unclaimedCount === 0) this.#partition.pins.endRead(cut.sequence, cut.reads);
	}
}
