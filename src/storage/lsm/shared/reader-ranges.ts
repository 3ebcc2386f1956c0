/**
 * The deleted ranges of a partition as one reading thread knows them: of the arenas in its view, by their chains, and of the
 * tables, by what opening them reads. A deletion is true for ever, so what is known of arenas and tables that are gone does no
 * harm; it is let go when the tables that have ranges change.
 *
 * Two sets answer: one for reads of now, in which a newer range hides older ones, and one for the snapshot that was asked last.
 */
import type { RangeTombstone } from '../entry.js';
import { RangeTombstoneSet } from '../scan/range-tombstone-set.js';
import { type ArenaReader, entryTorn } from './arena-reader.js';
import type { ReaderTables } from './reader-tables.js';
import type { SharedViewCopy } from './shared-view-copy.js';
import { viewArenaCountMax } from './shared-view-format.js';

/** More than so many at once are sorted in together. */
const addedCountMax = 8;

export class ReaderRanges {
	readonly #view: SharedViewCopy;
	readonly #arenas: readonly ArenaReader[];
	readonly #tables: ReaderTables;
	/** By index of the arena: its newest tombstone that is known, and in which generation. */
	readonly #known = new Int32Array(viewArenaCountMax);
	readonly #knownGenerations = new Int32Array(viewArenaCountMax);
	#rowsVersion = -1;
	/** Ids of the tables whose ranges are known. */
	#tableIds = '';
	#tombstones: RangeTombstone[] = [];
	#now = new RangeTombstoneSet();
	#atSnapshot = new RangeTombstoneSet();
	/** What `#atSnapshot` was made for; -1: nothing. */
	#snapshot = -1;

	constructor(view: SharedViewCopy, arenas: readonly ArenaReader[], tables: ReaderTables) {
		this.#view = view;
		this.#arenas = arenas;
		this.#tables = tables;
	}

	/**
	 * Learns of every tombstone with sequence <= maxSequence. That sequence was loaded after the view was seen to hold.
	 * @returns false when an arena was reset under it @throws TableGone; what opening a table throws
	 */
	refresh(maxSequence: number): boolean {
		const view = this.#view;
		if (view.rowsVersion !== this.#rowsVersion) this.#adoptRows();
		for (let i = 0; i < view.arenaCount; i++) {
			const index = view.arenaIndexes[i];
			const generation = view.arenaGenerations[i];
			if (this.#knownGenerations[index] !== generation) {
				this.#knownGenerations[index] = generation;
				this.#known[index] = 0;
			}
			const isNew = this.#arenas[index].hasOtherRange(this.#known[index]);
			if (isNew && !this.#learn(index, maxSequence)) return false;
		}
		return true;
	}

	/** Newest sequence of a deleted range that covers the key, or 0; of those before the snapshot, if one is given. */
	coverSequence(key: Uint8Array, keyOffset: number, keySize: number, snapshot: number | undefined): number {
		if (this.#now.isEmpty) return 0;
		if (snapshot === undefined) return this.#now.coverSequence(key, keyOffset, keySize, Number.MAX_SAFE_INTEGER);
		if (this.#snapshot !== snapshot) {
			const before = this.#tombstones.filter(({ sequence }) => sequence <= snapshot);
			this.#atSnapshot = RangeTombstoneSet.build(before, []);
			this.#snapshot = snapshot;
		}
		return this.#atSnapshot.coverSequence(key, keyOffset, keySize, snapshot);
	}

	/** Begins anew when the tables with ranges are others. */
	#adoptRows(): void {
		const view = this.#view;
		const rows: number[] = [];
		for (let row = 0; row < view.tableCount; row++) if (view.hasRanges(row)) rows.push(row);
		const tableIds = rows.map((row) => view.tableId(row)).join();
		if (tableIds !== this.#tableIds) {
			const tombstones: RangeTombstone[] = [];
			for (const row of rows)
				for (const tombstone of this.#tables.table(row).meta.rangeTombstones) tombstones.push(tombstone);
			this.#tableIds = tableIds;
			this.#tombstones = tombstones;
			this.#now = RangeTombstoneSet.build(tombstones, []);
			this.#snapshot = -1;
			this.#known.fill(0);
		}
		this.#rowsVersion = view.rowsVersion;
	}

	#learn(index: number, maxSequence: number): boolean {
		const arena = this.#arenas[index];
		const found: RangeTombstone[] = [];
		const known = arena.copyRanges(this.#known[index], maxSequence, found);
		this.#view.fence();
		if (!arena.isIntact(this.#knownGenerations[index]) || known === entryTorn) return false;
		this.#known[index] = known;
		if (found.length === 0) return true;
		for (const tombstone of found) this.#tombstones.push(tombstone);
		if (found.length > addedCountMax) this.#now = RangeTombstoneSet.build(this.#tombstones, []);
		else for (const tombstone of found.reverse()) this.#now.add(tombstone, []);
		this.#snapshot = -1;
		return true;
	}
}
