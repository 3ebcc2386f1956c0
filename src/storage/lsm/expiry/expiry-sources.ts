/**
 * Where the expiry index gets its rows: memtables, which have them in a heap, and tables, which have them sorted on the disk.
 * A source shows its earliest row that was not given out yet. The partition's thread.
 */
import { assert } from '../../../base/assert.js';
import { MillraceError } from '../../../base/errors.js';
import { makeEntryView } from '../entry.js';
import { viewEntry } from '../memtable/memtable.js';
import { keyByteOffset, keySizeOf } from '../memtable/radix-tree.js';
import type { ExpiryCursor, ExpiryDirectory } from '../table/expiry-section.js';
import { LocatedEntry } from '../table/located-entry.js';
import type { TableMeta } from '../table/table-meta.js';
import { ExpiryHeap } from './expiry-heap.js';

/** What the index needs of a memtable. */
export interface ExpiryMemtable {
	readonly words: Int32Array;
	readonly bytes: Uint8Array;
}

/** What the index needs of an open table: a TableReader is one. */
export interface ExpiryTable {
	readonly meta: TableMeta;
	readonly expiryDirectory: ExpiryDirectory | undefined;
	expiryCursor(directory: ExpiryDirectory): ExpiryCursor;
	locate(blockNumber: number, entryNumber: number, entry: LocatedEntry): void;
}

export interface ExpirySource {
	/** Time of the next row, or before it while `isSettled` is false; infinite: there is none. */
	readonly nextMs: number;
	readonly isSettled: boolean;
	/** Finds out which row is next: reads a block of at most 16 KiB. */
	settle(): void;
	/** Fills `due` with the next row, which stays the next one. */
	show(due: DueRow): void;
	/** Goes on to the row after. */
	pop(): void;
}

/** A row that is due, the key lent by its source. Reused row after row. */
export class DueRow {
	key: Uint8Array = new Uint8Array(0);
	keyOffset = 0;
	keySize = 0;
	sequence = 0;
	expiresAtMs = 0;
}

const view = makeEntryView();

export class MemtableExpiries implements ExpirySource {
	readonly isSettled = true;
	readonly #memtable: ExpiryMemtable;
	readonly #heap = new ExpiryHeap();

	constructor(memtable: ExpiryMemtable) {
		this.#memtable = memtable;
	}

	get nextMs(): number {
		return this.#heap.firstMs;
	}

	/** @param entry word offset of the entry in the arena */
	add(expiresAtMs: number, entry: number): void {
		this.#heap.push(expiresAtMs, entry);
	}

	settle(): void {}

	show(due: DueRow): void {
		const { words, bytes } = this.#memtable;
		const entry = this.#heap.firstEntry;
		viewEntry(words, bytes, entry, view);
		assert(view.expiresAtMs === this.#heap.firstMs, 'a row of the heap is an entry of the arena');
		due.key = bytes;
		due.keyOffset = keyByteOffset(words, entry);
		due.keySize = keySizeOf(words, entry);
		due.sequence = view.sequence;
		due.expiresAtMs = view.expiresAtMs;
	}

	pop(): void {
		this.#heap.pop();
	}
}

const located = new LocatedEntry();

export class TableExpiries implements ExpirySource {
	nextMs: number;
	isSettled: boolean;
	readonly #table: ExpiryTable;
	readonly #directory: ExpiryDirectory;
	readonly #startMs: number;
	#cursor: ExpiryCursor | undefined;

	/** @param startMs rows before it are not given out */
	constructor(table: ExpiryTable, directory: ExpiryDirectory, startMs: number) {
		this.#table = table;
		this.#directory = directory;
		this.#startMs = startMs;
		const { minExpiresAtMs, maxExpiresAtMs } = table.meta;
		if (maxExpiresAtMs < startMs) this.nextMs = Number.POSITIVE_INFINITY;
		else this.nextMs = Math.max(startMs, minExpiresAtMs);
		this.isSettled = this.nextMs === minExpiresAtMs || maxExpiresAtMs < startMs;
	}

	settle(): void {
		if (this.isSettled) return;
		const cursor = this.#mustCursor();
		this.nextMs = cursor.valid ? cursor.expiresAtMs : Number.POSITIVE_INFINITY;
		this.isSettled = true;
	}

	show(due: DueRow): void {
		const { blockNumber, entryNumber, expiresAtMs } = this.#mustCursor();
		this.#table.locate(blockNumber, entryNumber, located);
		if (located.expiresAtMs !== expiresAtMs) {
			const where = `table ${this.#table.meta.id}, block ${blockNumber}, entry ${entryNumber}`;
			throw new MillraceError('MILLRACE_CORRUPT', `${where}: does not expire at ${expiresAtMs}`);
		}
		due.key = located.key;
		due.keyOffset = 0;
		due.keySize = located.keySize;
		due.sequence = located.sequence;
		due.expiresAtMs = expiresAtMs;
	}

	pop(): void {
		const cursor = this.#mustCursor();
		cursor.next();
		this.nextMs = cursor.valid ? cursor.expiresAtMs : Number.POSITIVE_INFINITY;
	}

	/** Entries that expired by a time: exact but for the rows of one block. */
	expiredCount(timeMs: number): number {
		return this.#directory.countBefore(timeMs, this.#table.meta.maxExpiresAtMs);
	}

	#mustCursor(): ExpiryCursor {
		if (this.#cursor === undefined) {
			this.#cursor = this.#table.expiryCursor(this.#directory);
			this.#cursor.seek(this.#startMs);
		}
		return this.#cursor;
	}
}
