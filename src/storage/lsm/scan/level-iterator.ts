/**
 * Walks the tables of one sorted level as if they were one. Tables are opened when the walk gets to them, and only one at a time:
 * a scan that ends early has touched no other. One table iterator serves for all of them, and after `close` for the next walk.
 * Both directions, as EntryIterator says. One thread; lends what its table lends.
 */
import { assert } from '../../../base/assert.js';
import type { EntryIterator } from '../entry.js';
import type { KeyBounds } from '../key-bounds.js';
import type { TableIterator } from '../table/table-iterator.js';

/** What it needs of a TableReader. */
interface IterableTable {
	mayContain(keyHash: number): boolean;
	iterator(reused?: TableIterator): TableIterator;
}

const noBytes = new Uint8Array(0);

export class LevelIterator implements EntryIterator {
	valid = false;
	key: Uint8Array = noBytes;
	keyOffset = 0;
	keySize = 0;
	sequence = 0;
	kind = 0;
	expiresAtMs = 0;
	value: Uint8Array = noBytes;
	valueOffset = 0;
	valueSize = 0;

	readonly #tables: readonly IterableTable[];
	readonly #bounds: KeyBounds;
	/** The current table's; undefined: the walk is at an end. */
	#table: TableIterator | undefined;
	/** The one that `#table` is, or was. */
	#reused: TableIterator | undefined;
	/** Of `#table`. */
	#index = -1;
	#isBackward = false;

	/** @param bounds of these tables, which are sorted and share no key */
	constructor(tables: readonly IterableTable[], bounds: KeyBounds) {
		assert(tables.length === bounds.count, 'bounds for each table');
		this.#tables = tables;
		this.#bounds = bounds;
	}

	seekFirst(): void {
		this.#isBackward = false;
		this.#enter(0)?.seekFirst();
		this.#settle();
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		this.#isBackward = false;
		this.#enter(this.#bounds.find(key, keyOffset, keySize))?.seek(key, keyOffset, keySize);
		this.#settle();
	}

	seekExact(hash: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		this.valid = false;
		this.#isBackward = false;
		const bounds = this.#bounds;
		const index = bounds.find(key, keyOffset, keySize);
		if (index === bounds.count || bounds.compareFirst(index, key, keyOffset, keySize) > 0) return false;
		if (!this.#tables[index].mayContain(hash)) return false;
		const table = this.#enter(index);
		if (table === undefined || !table.seekExact(hash, key, keyOffset, keySize)) return false;
		this.valid = true;
		this.#show(table);
		return true;
	}

	seekLast(): void {
		this.#isBackward = true;
		this.#enter(this.#tables.length - 1)?.seekLast();
		this.#settle();
	}

	seekBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): void {
		this.#isBackward = true;
		const index = this.#bounds.findBackward(key, keyOffset, keySize, isInclusive);
		this.#enter(index)?.seekBackward(key, keyOffset, keySize, isInclusive);
		this.#settle();
	}

	next(): void {
		const table = this.#table;
		assert(table !== undefined && this.valid, 'next() on a valid iterator');
		table.next();
		if (table.valid) this.#show(table);
		else this.#settle();
	}

	close(): void {
		this.valid = false;
		this.#table?.close();
		this.#table = undefined;
		this.#index = -1;
	}

	/** Makes a table the current one; one that is already so keeps what it has read. */
	#enter(index: number): TableIterator | undefined {
		if (index === this.#index) return this.#table;
		const isThere = index >= 0 && index < this.#tables.length;
		this.#index = index;
		this.#table?.close();
		this.#table = isThere ? this.#tables[index].iterator(this.#reused) : undefined;
		this.#reused = this.#table ?? this.#reused;
		return this.#table;
	}

	/** Goes on to the next table in the walk's direction as long as the present one has nothing left. */
	#settle(): void {
		while (this.#table !== undefined && !this.#table.valid) {
			const table = this.#enter(this.#index + (this.#isBackward ? -1 : 1));
			if (this.#isBackward) table?.seekLast();
			else table?.seekFirst();
		}
		this.valid = this.#table !== undefined;
		if (this.#table !== undefined) this.#show(this.#table);
	}

	#show(table: EntryIterator): void {
		this.key = table.key;
		this.keyOffset = table.keyOffset;
		this.keySize = table.keySize;
		this.sequence = table.sequence;
		this.kind = table.kind;
		this.expiresAtMs = table.expiresAtMs;
		this.value = table.value;
		this.valueOffset = table.valueOffset;
		this.valueSize = table.valueSize;
	}
}
