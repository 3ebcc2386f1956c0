/**
 * What a cursor goes over and works with: iterators, their merge, what must stay in place meanwhile, and two buffers for keys.
 * Much to make for a look at one entry, so a read view keeps a few that are over for the cursors to come.
 *
 *   WalkPool ─ take, or make anew ─> begin() pins ─ a cursor ─> end() closes, unpins ─> back to the pool
 *
 * A walk belongs to one cursor from `begin` to `end`. One that lies in a pool pins nothing: whoever has the pool does, and
 * empties it before letting go. One thread.
 */
import type { EntryIterator } from '../entry.js';
import type { Pinnable } from '../pinned.js';
import { MergeIterator } from './merge-iterator.js';

/** Cursors open at the same time, mostly slices of scans, of which more are not made often. */
const idleWalkCountMax = 8;
const keyBufferSize = 64;

export class Walk {
	readonly merged: MergeIterator;
	/** Of each iterator: no version in it is newer. Lets a cursor skip deleted ranges of sources that are wholly older. */
	readonly maxSequences: number[];
	readonly #sources: readonly Pinnable[];
	readonly #pool: WalkPool | undefined;
	/** Its cursor's to use and to replace. */
	keyBuffer: Uint8Array = new Uint8Array(keyBufferSize);
	otherKeyBuffer: Uint8Array = new Uint8Array(keyBufferSize);

	/**
	 * @param iterators newest first: of one key, everything in one is newer than everything in the next
	 * @param sources pinned from `begin` to `end`
	 * @param maxSequences undefined: not known
	 */
	constructor(
		iterators: readonly EntryIterator[],
		sources: readonly Pinnable[],
		maxSequences?: number[],
		pool?: WalkPool,
	) {
		this.merged = new MergeIterator(iterators);
		this.maxSequences = maxSequences ?? iterators.map(() => Number.POSITIVE_INFINITY);
		this.#sources = sources;
		this.#pool = pool;
	}

	begin(): this {
		for (const source of this.#sources) source.pin();
		return this;
	}

	/** Once for each `begin`. Nothing that the iterators lent may be used any more. */
	end(): void {
		this.merged.close();
		for (const source of this.#sources) source.unpin();
		this.#pool?.give(this);
	}
}

export class WalkPool {
	readonly #idle: Walk[] = [];
	#isClosed = false;

	/** @returns a walk that is over, if there is one */
	take(): Walk | undefined {
		return this.#idle.pop();
	}

	give(walk: Walk): void {
		if (!this.#isClosed && this.#idle.length < idleWalkCountMax) this.#idle.push(walk);
	}

	/** Walks that are still going on are not kept when they are over. */
	close(): void {
		this.#isClosed = true;
		this.#idle.length = 0;
	}
}
