/**
 * What a reader sees: memtables and levels of tables, newest first, and the range tombstones over all of them. None of it changes
 * under the reader (the active memtable and the range tombstones grow, and readers that need one moment skip newer sequences).
 * The tree makes a new view whenever the set changes; a walk keeps pinned what it walks over.
 */
import type { EntryIterator, EntryView } from './entry.js';
import type { Levels } from './levels.js';
import type { Memtable } from './memtable/memtable.js';
import { MemtableIterator } from './memtable/memtable-iterator.js';
import type { Pinned } from './pinned.js';
import { LevelIterator } from './scan/level-iterator.js';
import type { RangeTombstoneSet } from './scan/range-tombstone-set.js';
import { Walk, WalkPool } from './scan/walk.js';

export class ReadView {
	readonly memtables: readonly Pinned<Memtable>[];
	readonly levels: Levels;
	readonly rangeTombstones: RangeTombstoneSet;
	/** Where points are looked for: also in memtables that a table has replaced. */
	readonly #readable: readonly Pinned<Memtable>[];
	/** Tables asked so far, for each level; all views of a tree share it. */
	readonly #readCounts: Float64Array;
	readonly #walks = new WalkPool();

	/** Pins all it is given until `release`. */
	constructor(
		memtables: readonly Pinned<Memtable>[],
		flushed: readonly Pinned<Memtable>[],
		levels: Levels,
		rangeTombstones: RangeTombstoneSet,
		readCounts: Float64Array,
	) {
		this.memtables = memtables;
		this.#readable = [...memtables, ...flushed];
		this.levels = levels;
		this.rangeTombstones = rangeTombstones;
		this.#readCounts = readCounts;
		for (const memtable of this.#readable) memtable.pin();
		levels.pin();
	}

	/** Lets go of everything. The tree calls it when it has made another view. */
	release(): void {
		this.#walks.close();
		for (const memtable of this.#readable) memtable.unpin();
		this.levels.unpin();
	}

	/** The memtables that points are looked for in, newest first: for who explains a read. */
	get readableMemtables(): readonly Memtable[] {
		return this.#readable.map((memtable) => memtable.value);
	}

	/**
	 * Newest version with sequence <= maxSequence, tombstones included. Deleted ranges are not looked at: `rangeTombstones` knows.
	 * @param hash `keyHash` of the key
	 * @returns false when no source has one
	 */
	get(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		maxSequence: number,
		view: EntryView,
	): boolean {
		for (let i = 0; i < this.#readable.length; i++) {
			if (this.#readable[i].value.get(hash, key, keyOffset, keySize, maxSequence, view)) return true;
		}
		return this.#findInTables(hash, key, keyOffset, keySize, maxSequence, view);
	}

	#findInTables(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		maxSequence: number,
		view: EntryView,
	): boolean {
		const { all, depth } = this.levels;
		if (depth === 0) return false;
		const readCounts = this.#readCounts;
		const { bounds, tables } = all[0];
		for (let i = 0; i < tables.length; i++) {
			if (!bounds.holds(i, key, keyOffset, keySize)) continue;
			readCounts[0]++;
			if (tables[i].value.get(key, keyOffset, keySize, hash, maxSequence, view)) return true;
		}
		for (let number = 1; number < depth; number++) {
			const level = all[number];
			const i = level.bounds.find(key, keyOffset, keySize);
			if (i === level.tables.length || level.bounds.compareFirst(i, key, keyOffset, keySize) > 0) continue;
			readCounts[number]++;
			if (level.tables[i].value.get(key, keyOffset, keySize, hash, maxSequence, view)) return true;
		}
		return false;
	}

	/**
	 * Over one iterator for each memtable, table of level 0 and deeper level, newest first. The walk keeps them pinned until
	 * it ends.
	 */
	startWalk(): Walk {
		const walk = this.#walks.take() ?? this.#makeWalk();
		// What is written to the active memtable from here on is too new for the walk anyway.
		for (let i = 0; i < this.memtables.length; i++) walk.maxSequences[i] = this.memtables[i].value.maxSequence;
		return walk.begin();
	}

	#makeWalk(): Walk {
		const [levelZero, ...deeper] = this.levels.all;
		const iterators: EntryIterator[] = [
			...this.memtables.map((memtable) => new MemtableIterator(memtable.value)),
			...levelZero.tables.map((table) => table.value.iterator()),
		];
		const maxSequences = this.memtables.map((memtable) => memtable.value.maxSequence);
		for (const { maxSequence } of levelZero.metas) maxSequences.push(maxSequence);
		for (const level of deeper) {
			if (level.tables.length === 0) continue;
			const tables = level.tables.map((table) => table.value);
			iterators.push(new LevelIterator(tables, level.bounds));
			maxSequences.push(tables.reduce((newest, { meta }) => Math.max(newest, meta.maxSequence), 0));
		}
		return new Walk(iterators, [...this.memtables, this.levels], maxSequences, this.#walks);
	}
}
