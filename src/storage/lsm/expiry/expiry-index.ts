/**
 * When the entries of a partition expire, in order of time: so that events of expiry come within a tick of their time, and
 * compaction knows which tables are full of dead matter, without either waiting for a read or a walk to come by.
 *
 *   memtable   heap of its expiring entries      ┐
 *   memtable   heap                              ├─ heap of sources by their next row ─ advance ─> onDue(key, sequence, time)
 *   table      rows on the disk, one block here  │
 *   table      rows                              ┘
 *
 * A row says that one version of a key has expired, not that the key is gone: it may have been overwritten since. Whoever gets
 * the row looks at the newest version.
 *
 * Which rows are given out: each version's once, at or after its time, never before. Rows due when the partition opened are
 * passed over: they were given out before, or nobody was there to get them. When tables replace others, theirs begin where the
 * replaced ones had got to; of the moment that a slice ended in the middle of, some may then come twice, but none is missed.
 * Tables of format 1 have no rows: their entries are heard of once a compaction has rewritten them.
 *
 * The partition's thread. What a source reads of, arenas and open tables, belongs to the partition, which says when it goes.
 */
import { assert } from '../../../base/assert.js';
import {
	DueRow,
	type ExpiryMemtable,
	type ExpirySource,
	type ExpiryTable,
	MemtableExpiries,
	TableExpiries,
} from './expiry-sources.js';

/** Gets one due row; the key is lent until it returns. It must not change the index, nor throw: the row would come for ever. */
export type OnDue = (
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
	sequence: number,
	expiresAtMs: number,
) => void;

/** What a flush or a compaction replaces. */
export interface ExpiryChange {
	readonly removedMemtables?: readonly ExpiryMemtable[];
	readonly removedTableIds?: readonly number[];
	readonly addedTables?: readonly ExpiryTable[];
}

export class ExpiryIndex {
	/** Rows given out since the partition opened. */
	processedCount = 0;
	readonly #openedAtMs: number;
	/** The time of the last `advance`: no row after it was given out. */
	#nowMs: number;
	readonly #memtables = new Map<ExpiryMemtable, MemtableExpiries>();
	readonly #tables = new Map<number, TableExpiries>();
	/** A binary heap by `nextMs`. */
	readonly #heap: ExpirySource[] = [];
	readonly #due = new DueRow();

	/** @param openedAtMs rows due then or before are not given out */
	constructor(openedAtMs: number) {
		assert(Number.isSafeInteger(openedAtMs), `opened at ${openedAtMs}`);
		this.#openedAtMs = openedAtMs;
		this.#nowMs = openedAtMs;
	}

	/** Adds a table found when the partition opened. Reads nothing yet. */
	addTable(table: ExpiryTable): void {
		this.#addTable(table, this.#openedAtMs + 1);
	}

	/** Notes an entry that was put into a memtable. @param entry its word offset in the arena */
	addMemtableEntry(memtable: ExpiryMemtable, entry: number, expiresAtMs: number): void {
		if (expiresAtMs <= this.#openedAtMs) return;
		let source = this.#memtables.get(memtable);
		if (source === undefined) {
			source = new MemtableExpiries(memtable);
			this.#memtables.set(memtable, source);
		}
		const nextMs = source.nextMs;
		source.add(expiresAtMs, entry);
		if (nextMs === Number.POSITIVE_INFINITY) this.#insert(source);
		else if (expiresAtMs < nextMs) this.#siftUp(this.#heap.indexOf(source));
	}

	/** Tables take the place of memtables or tables that go away. Call it before an arena is reset and before a file is closed. */
	replace({ removedMemtables = [], removedTableIds = [], addedTables = [] }: ExpiryChange): void {
		let startMs = this.#nowMs + 1;
		for (const memtable of removedMemtables) {
			const source = this.#memtables.get(memtable);
			if (source !== undefined && source.nextMs < startMs) startMs = source.nextMs;
			this.#remove(source);
			this.#memtables.delete(memtable);
		}
		for (const id of removedTableIds) {
			const source = this.#tables.get(id);
			if (source !== undefined && source.nextMs < startMs) startMs = source.nextMs;
			this.#remove(source);
			this.#tables.delete(id);
		}
		for (const table of addedTables) this.#addTable(table, startMs);
	}

	/**
	 * Gives out rows due at `nowMs`, in order of time, at most `countMax` (reading a block to find a row counts as one, too).
	 * Call again at once while it returns true and time allows: there is more.
	 * @throws MillraceError MILLRACE_CORRUPT, or what `FileHandle.read` throws: that table's rows are given up, the others go on
	 */
	advance(nowMs: number, countMax: number, onDue: OnDue): boolean {
		assert(countMax >= 1, 'a slice is not empty');
		if (nowMs > this.#nowMs) this.#nowMs = nowMs;
		const heap = this.#heap;
		for (let count = 0; count < countMax; count++) {
			if (heap.length === 0 || heap[0].nextMs > nowMs) return false;
			const source = heap[0];
			this.#giveOut(source, onDue);
			if (source.nextMs === Number.POSITIVE_INFINITY) this.#remove(source);
			else this.#siftDown(0);
		}
		return heap.length > 0 && heap[0].nextMs <= nowMs;
	}

	/** How long the oldest row that is due and not given out has been due; 0: there is none. */
	lagMs(nowMs: number): number {
		return this.#heap.length === 0 ? 0 : Math.max(0, nowMs - this.#heap[0].nextMs);
	}

	/** All rows up to this time were given out. A compaction that drops entries expired later would drop their events. */
	get processedMs(): number {
		return this.#heap.length === 0 ? this.#nowMs : Math.min(this.#nowMs, this.#heap[0].nextMs - 1);
	}

	/** When the next row is due; infinite: none is waiting. May be early for tables not looked into yet. */
	get nextMs(): number {
		return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0].nextMs;
	}

	/**
	 * Entries of a table that expired by a time, which tells the picker what a compaction would clear away: exact but for some
	 * thousand rows. 0 for tables of format 1, which have no rows.
	 */
	expiredCount(tableId: number, timeMs: number): number {
		return this.#tables.get(tableId)?.expiredCount(timeMs) ?? 0;
	}

	#addTable(table: ExpiryTable, startMs: number): void {
		const { id } = table.meta;
		assert(!this.#tables.has(id), `table ${id} is new`);
		if (table.expiryDirectory === undefined) return;
		const source = new TableExpiries(table, table.expiryDirectory, startMs);
		this.#tables.set(id, source);
		if (source.nextMs !== Number.POSITIVE_INFINITY) this.#insert(source);
	}

	/** Gives out the next row of a source, or finds out which it is. A source that cannot be read is given up. */
	#giveOut(source: ExpirySource, onDue: OnDue): void {
		const due = this.#due;
		const isRow = source.isSettled;
		try {
			if (isRow) source.show(due);
			else source.settle();
		} catch (error) {
			this.#remove(source);
			throw error;
		}
		if (!isRow) return;
		onDue(due.key, due.keyOffset, due.keySize, due.sequence, due.expiresAtMs);
		this.processedCount++;
		try {
			source.pop();
		} catch (error) {
			this.#remove(source);
			throw error;
		}
	}

	#insert(source: ExpirySource): void {
		this.#heap.push(source);
		this.#siftUp(this.#heap.length - 1);
	}

	#remove(source: ExpirySource | undefined): void {
		const heap = this.#heap;
		const at = source === undefined ? -1 : heap.indexOf(source);
		if (at < 0) return;
		const last = heap[heap.length - 1];
		heap.pop();
		if (last === source) return;
		heap[at] = last;
		this.#siftUp(at);
		this.#siftDown(at);
	}

	#siftUp(at: number): void {
		const heap = this.#heap;
		const source = heap[at];
		while (at > 0) {
			const parent = (at - 1) >>> 1;
			if (heap[parent].nextMs <= source.nextMs) break;
			heap[at] = heap[parent];
			at = parent;
		}
		heap[at] = source;
	}

	#siftDown(at: number): void {
		const heap = this.#heap;
		const source = heap[at];
		for (let child = 2 * at + 1; child < heap.length; child = 2 * at + 1) {
			if (child + 1 < heap.length && heap[child + 1].nextMs < heap[child].nextMs) child++;
			if (heap[child].nextMs >= source.nextMs) break;
			heap[at] = heap[child];
			at = child;
		}
		heap[at] = source;
	}
}
