/**
 * What a reader sees: memtables and tables, newest first, none of which changes under it (the active memtable grows, and
 * readers that need one moment skip newer sequences). A view is immutable; the tree makes a new one whenever the set changes,
 * and a walk keeps pinned what it walks over.
 */
import type { EntryIterator, EntryView } from './entry.js';
import type { Memtable } from './memtable/memtable.js';
import { MemtableIterator } from './memtable/memtable-iterator.js';
import type { Pinnable, Pinned } from './pinned.js';
import type { TableReader } from './table/table-reader.js';

export class ReadView {
	readonly memtables: readonly Pinned<Memtable>[];
	readonly tables: readonly Pinned<TableReader>[];
	/** Where points are looked for: also in memtables that a table has replaced. */
	readonly #readable: readonly Pinned<Memtable>[];

	/** Pins all it is given until `release`. */
	constructor(
		memtables: readonly Pinned<Memtable>[],
		flushed: readonly Pinned<Memtable>[],
		tables: readonly Pinned<TableReader>[],
	) {
		this.memtables = memtables;
		this.#readable = [...memtables, ...flushed];
		this.tables = tables;
		for (const memtable of this.#readable) memtable.pin();
		for (const table of tables) table.pin();
	}

	/** Lets go of everything. The tree calls it when it has made another view. */
	release(): void {
		for (const memtable of this.#readable) memtable.unpin();
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
		for (let i = 0; i < this.#readable.length; i++) {
			if (this.#readable[i].value.get(hash, key, keyOffset, keySize, maxSequence, view)) return true;
		}
		for (let i = 0; i < this.tables.length; i++) {
			if (this.tables[i].value.get(key, keyOffset, keySize, hash, maxSequence, view)) return true;
		}
		return false;
	}

	/** One iterator for each source, and a pin on each: the walk unpins them when it is over. */
	startWalk(): { iterators: EntryIterator[]; sources: Pinnable[] } {
		const sources: Pinnable[] = [...this.memtables, ...this.tables];
		for (const source of sources) source.pin();
		const iterators = [
			...this.memtables.map((memtable) => new MemtableIterator(memtable.value)),
			...this.tables.map((table) => table.value.iterator()),
		];
		return { iterators, sources };
	}
}
