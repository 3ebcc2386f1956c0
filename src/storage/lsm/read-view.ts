/**
 * What a reader sees: memtables and tables, newest first, none of which changes under it (the active memtable grows, and
 * readers that need one moment skip newer sequences). A view is immutable; the tree makes a new one whenever the set changes,
 * and a scan keeps the one it began with pinned.
 */
import type { EntryIterator, EntryView } from './entry.js';
import type { Memtable } from './memtable/memtable.js';
import { MemtableIterator } from './memtable/memtable-iterator.js';
import type { Pinned } from './pinned.js';
import type { TableReader } from './table/table-reader.js';

export class ReadView {
	readonly memtables: readonly Pinned<Memtable>[];
	readonly tables: readonly Pinned<TableReader>[];
	#pins = 1;

	/** Pins all it is given; the creator holds the first pin of the view. */
	constructor(memtables: readonly Pinned<Memtable>[], tables: readonly Pinned<TableReader>[]) {
		this.memtables = memtables;
		this.tables = tables;
		for (const memtable of memtables) memtable.pin();
		for (const table of tables) table.pin();
	}

	pin(): void {
		this.#pins++;
	}

	unpin(): void {
		this.#pins--;
		if (this.#pins > 0) return;
		for (const memtable of this.memtables) memtable.unpin();
		for (const table of this.tables) table.unpin();
	}

	/**
	 * Newest version with sequence <= maxSequence, tombstones included.
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
		for (let i = 0; i < this.memtables.length; i++) {
			if (this.memtables[i].value.get(hash, key, keyOffset, keySize, maxSequence, view)) return true;
		}
		for (let i = 0; i < this.tables.length; i++) {
			if (this.tables[i].value.get(key, keyOffset, keySize, hash, maxSequence, view)) return true;
		}
		return false;
	}

	/** One iterator for each source. */
	iterators(): EntryIterator[] {
		return [
			...this.memtables.map((memtable) => new MemtableIterator(memtable.value)),
			...this.tables.map((table) => table.value.iterator()),
		];
	}
}
