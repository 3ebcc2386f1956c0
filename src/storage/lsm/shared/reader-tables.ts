/**
 * The tables of a partition as one reading thread has them: opened when a read first needs them, each with its own file, index
 * and filter, and two caches for all: of rows, asked before any table, and of blocks. A file that is open can be removed by
 * whoever likes: it stays readable.
 *
 * Invariants: what is open is in the view that was taken last; at most `readerTableCountMax` are open, those opened first go
 * first.
 */
import { MillraceError, systemCodeOf } from '../../../base/errors.js';
import { readerTableCountMax } from '../../../base/limits.js';
import type { SyncReaderMemory } from '../../../command/sync-reader.js';
import type { FileSystem } from '../../../env/ports.js';
import type { EntryView } from '../entry.js';
import { tableFileName } from '../manifest/manifest-format.js';
import { BlockCache } from '../table/block-cache.js';
import { TableReader } from '../table/table-reader.js';
import { RowCache, rowAbsent, rowFound } from './row-cache.js';
import type { SharedViewCopy } from './shared-view-copy.js';

/** The view is old: a table of it is no longer there. */
export class TableGone extends Error {}

export class ReaderTables {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #view: SharedViewCopy;
	readonly #rowCacheSize: number;
	readonly #blockCacheSize: number;
	#cache: BlockCache | undefined;
	/** Of the rows that `#rowsVersion` names, and of no others. */
	#rows: RowCache | undefined;
	/** In the order they were opened. */
	readonly #open = new Map<number, TableReader>();
	/** By row of the view. */
	#byRow: (TableReader | undefined)[] = [];
	#rowsVersion = -1;
	/** Of tables that were closed since. */
	#blockReadCount = 0;
	#cacheHitCount = 0;
	#openedCount = 0;
	/** Keys looked for in tables. */
	#findCount = 0;

	/** @param rowShare of the memory's cache */
	constructor(fileSystem: FileSystem, memory: SyncReaderMemory, view: SharedViewCopy, rowShare: number) {
		this.#fileSystem = fileSystem;
		this.#directory = memory.directory;
		this.#view = view;
		this.#rowCacheSize = Math.floor(memory.blockCacheSize * rowShare);
		this.#blockCacheSize = memory.blockCacheSize - this.#rowCacheSize;
	}

	/** The view was taken: what is no longer in it is closed, and rows of other tables are forgotten. */
	adopt(): void {
		const view = this.#view;
		if (view.rowsVersion === this.#rowsVersion) return;
		this.#rowsVersion = view.rowsVersion;
		this.#rows?.forgetRows();
		const byRow = new Array<TableReader | undefined>(view.tableCount).fill(undefined);
		const present = new Set<number>();
		for (let row = 0; row < view.tableCount; row++) {
			const id = view.tableId(row);
			present.add(id);
			byRow[row] = this.#open.get(id);
		}
		this.#byRow = byRow;
		for (const [id, table] of this.#open) if (!present.has(id)) this.#close(id, table);
	}

	/**
	 * Newest version of a key, in any table or with a sequence <= that of the snapshot. Lent until the next call.
	 * @param hash `keyHash` of the key
	 * @returns false when no table has one @throws TableGone; what `TableReader.open` and `get` throw
	 */
	find(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		snapshot: number | undefined,
		found: EntryView,
	): boolean {
		this.#rows ??= new RowCache(this.#rowCacheSize);
		const rows = this.#rows;
		const row = rows.find(hash, key, keyOffset, keySize, found);
		// The newest of all is the newest at the snapshot, unless it came later.
		if (row === rowFound && (snapshot === undefined || found.sequence <= snapshot)) return true;
		if (row === rowAbsent) return false;
		const isStored = this.#findStored(hash, key, keyOffset, keySize, snapshot ?? Number.MAX_SAFE_INTEGER, found);
		if (snapshot === undefined) rows.admit(key, keyOffset, keySize, isStored, found);
		return isStored;
	}

	#findStored(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		maxSequence: number,
		found: EntryView,
	): boolean {
		this.#findCount++;
		const view = this.#view;
		const { levelStarts } = view;
		for (let row = 0; row < levelStarts[1]; row++) {
			if (!view.isFromFirst(row, key, keyOffset, keySize) || !view.isUpToLast(row, key, keyOffset, keySize)) continue;
			if (this.table(row).get(key, keyOffset, keySize, hash, maxSequence, found)) return true;
		}
		for (let level = 1; level < levelStarts.length - 1; level++) {
			const end = levelStarts[level + 1];
			// One table, or several whose first and last keys begin alike.
			for (let row = view.findRow(level, key, keyOffset, keySize); row < end; row++) {
				if (!view.isFromFirst(row, key, keyOffset, keySize)) break;
				if (this.table(row).get(key, keyOffset, keySize, hash, maxSequence, found)) return true;
			}
		}
		return false;
	}

	/** The table of a row, opened. @throws TableGone; what `TableReader.open` throws */
	table(row: number): TableReader {
		return this.#byRow[row] ?? this.#openRow(row);
	}

	statistics(): Record<string, number> {
		let blockReadCount = this.#blockReadCount;
		let cacheHitCount = this.#cacheHitCount;
		for (const { counts } of this.#open.values()) {
			blockReadCount += counts.blockReadCount;
			cacheHitCount += counts.cacheHitCount;
		}
		return {
			tablesOpen: this.#open.size,
			tablesOpened: this.#openedCount,
			blocksRead: blockReadCount,
			blocksCached: cacheHitCount,
			readsInTables: this.#findCount,
			cacheBytes: this.#cache?.stats.usedBytes ?? 0,
			...this.#rows?.statistics(),
		};
	}

	/** Closes all. They are opened again when they are needed. */
	close(): void {
		for (const [id, table] of this.#open) this.#close(id, table);
		this.#byRow.fill(undefined);
	}

	#openRow(row: number): TableReader {
		if (this.#open.size >= readerTableCountMax) this.#closeOldest();
		const id = this.#view.tableId(row);
		const path = `${this.#directory}/${tableFileName(id)}`;
		this.#cache ??= new BlockCache(this.#blockCacheSize);
		let table: TableReader;
		try {
			table = TableReader.open(this.#fileSystem, path, id, this.#cache);
		} catch (error) {
			const systemCode = systemCodeOf(error);
			if (systemCode === 'ENOENT') throw new TableGone(`${path} is not there`, { cause: error });
			if (systemCode !== 'EMFILE' && systemCode !== 'ENFILE') throw error;
			if (this.#open.size === 0) {
				throw new MillraceError('MILLRACE_BUSY', 'too many files are open to open a table', { cause: error });
			}
			this.close();
			return this.#openRow(row);
		}
		this.#openedCount++;
		this.#open.set(id, table);
		this.#byRow[row] = table;
		return table;
	}

	#closeOldest(): void {
		for (const [id, table] of this.#open) {
			this.#byRow[this.#byRow.indexOf(table)] = undefined;
			this.#close(id, table);
			return;
		}
	}

	#close(id: number, table: TableReader): void {
		this.#blockReadCount += table.counts.blockReadCount;
		this.#cacheHitCount += table.counts.cacheHitCount;
		this.#open.delete(id);
		table.close();
	}
}
