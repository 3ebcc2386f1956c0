/**
 * Walks the tables of one sorted level as if they were one. Tables are opened when the walk gets to them, and only one at a time:
 * a scan that ends early has touched no other. Both directions, as EntryIterator says. One thread; lends what its table lends.
 */
import { assert } from '../../base/assert.js';
import type { EntryIterator } from './entry.js';
import type { KeyBounds } from './key-bounds.js';

/** Something that gives an iterator over a table. */
interface IterableTable {
	iterator(): EntryIterator;
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
	#table: EntryIterator | undefined;
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
		this.#table?.close?.();
		this.#table = undefined;
		this.#index = -1;
	}

	/** Makes a table the current one; one that is already so keeps what it has read. */
	#enter(index: number): EntryIterator | undefined {
		if (index === this.#index) return this.#table;
		const isThere = index >= 0 && index < this.#tables.length;
		this.#index = index;
		this.#table?.close?.();
		this.#table = isThere ? this.#tables[index].iterator() : undefined;
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
