/**
 * Snapshots for abstract-level, which wants them at once: what is written after `snapshot()` or `iterator()` has returned is not
 * in the cut, and neither may wait. Our cut is asked for by message. `Cuts` makes one of the other:
 *
 *   - While no batch over several partitions is under way (nearly always), the database begins a new epoch within the call: that
 *     is the cut, and every partition pins it before it applies anything that is asked of it afterwards.
 *   - Else the epoch begins when those batches have ended. Until then writes through this level instance stand in line (their
 *     promises are pending anyway), so none of them is in the cut. Writes of other threads, or past this instance, that are made
 *     in this moment may be; the cut is one cut over everything in either case.
 *
 * What had been answered before the call is in the cut in both. One `Cuts` for each open level instance, its thread only.
 */
import { AbstractSnapshot } from 'abstract-level';
import { MillraceError } from '../base/errors.js';
import type { Bytes } from '../command/checked-bytes.js';
import type { ReadOptions, Snapshot, Store } from '../command/store.js';

/** Any store of ours that is open; a `Database`, of this thread or attached, has what follows after `Store`. */
export interface LevelStore extends Store {
	readonly getSync?: (key: Bytes, options?: ReadOptions) => Uint8Array | undefined;
	/** A snapshot at once; `cut` is undefined when its cut is made, `ready` resolves when it can be read at. */
	readonly snapshotSoon?: () => Snapshot & { readonly cut: Promise<void> | undefined; readonly ready: Promise<void> };
}

export class Cuts {
	readonly #store: LevelStore;
	/** Settles when all cuts asked for so far are made; undefined: they are. */
	#made: Promise<unknown> | undefined;

	constructor(store: LevelStore) {
		this.#store = store;
	}

	/** @returns the snapshot, once it can be read at */
	take(): Promise<Snapshot> {
		const soon = this.#store.snapshotSoon?.();
		if (soon === undefined) {
			// A store that does not say when its cut is made has made it when it answers.
			const snapshot = this.#store.snapshot();
			this.#hold(snapshot);
			return snapshot;
		}
		if (soon.cut !== undefined) this.#hold(soon.cut);
		return soon.ready.then(
			() => soon,
			(error) => {
				soon.close();
				throw error;
			},
		);
	}

	#hold(cut: Promise<unknown>): void {
		const made = Promise.allSettled([this.#made, cut]).then(() => {
			if (this.#made === made) this.#made = undefined;
		});
		this.#made = made;
	}

	/** Carries out a write behind the cuts that were asked for before it. Writes keep their order. */
	async write<T>(write: () => Promise<T>): Promise<T> {
		if (this.#made !== undefined) await this.#made;
		return write();
	}
}

/** Its published types leave the constructor out. */
const SnapshotBase = AbstractSnapshot as unknown as new (options: object) => AbstractSnapshot;

/** An explicit snapshot: `db.get(key, { snapshot })`. */
export class MillraceSnapshot extends SnapshotBase {
	/** The cut, once it is there. */
	readonly taken: Promise<Snapshot>;
	#snapshot: Snapshot | undefined;

	/** @param options of abstract-level: the owner */
	constructor(options: object, taken: Promise<Snapshot>) {
		super(options);
		this.taken = taken;
		taken.then(
			(snapshot) => {
				this.#snapshot = snapshot;
			},
			// Whoever reads with it hears of it.
			() => undefined,
		);
	}

	/**
	 * The cut without waiting, for synchronous reads.
	 * @throws MILLRACE_BUSY in the first moment of a snapshot, before the partitions have answered
	 */
	mustBeTaken(): Snapshot {
		if (this.#snapshot !== undefined) return this.#snapshot;
		throw new MillraceError('MILLRACE_BUSY', 'this snapshot is still being taken: await any read with it first');
	}

	/** Called by abstract-level when no read uses it any more. */
	async _close(): Promise<void> {
		(await this.taken.catch(() => undefined))?.close();
	}
}

/** The cut of a snapshot given as an option; undefined stays undefined. @throws TypeError for a snapshot of another store */
export function mustBeOurs(snapshot: unknown): MillraceSnapshot {
	if (snapshot instanceof MillraceSnapshot) return snapshot;
	throw new TypeError('the snapshot was not made by a MillraceLevel');
}
