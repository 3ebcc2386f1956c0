/**
 * An open table: index and filter pinned in memory as flat arrays, data blocks through the partition's cache.
 *
 *   get     filter probe -> binary search in the index -> one block, cached or read and verified -> restarts -> entry
 *
 * A table never changes, so several threads may each have a reader of the same file; one reader belongs to one
 * thread. Values are lent from the block: valid until the reader's next call.
 */
import { assert } from '../../../base/assert.js';
import type { FileHandle, FileSystem } from '../../../env/ports.js';
import type { EntryView } from '../entry.js';
import type { BlockCache } from './block-cache.js';
import { DataBlock } from './data-block.js';
import { ExpiryCursor, type ExpiryDirectory } from './expiry-section.js';
import type { Filter } from './filter.js';
import type { LocatedEntry } from './located-entry.js';
import type { ReadTrace } from './read-trace.js';
import { TableBlocks, type TableReadCounts } from './table-blocks.js';
import type { TableIndex } from './table-index.js';
import { TableIterator } from './table-iterator.js';
import type { TableMeta } from './table-meta.js';
import { loadTableParts, type TableParts } from './table-parts.js';
import { verifyTable } from './table-verify.js';

/** The block that the last point read of this thread looked into: one for all tables, so a huge one is soon let go. */
const lentBlock = new DataBlock();

export class TableReader {
	readonly meta: TableMeta;
	readonly #file: FileHandle;
	readonly #cache: BlockCache | undefined;
	readonly #parts: TableParts;
	readonly #index: TableIndex;
	readonly #filter: Filter;
	readonly #blocks: TableBlocks;
	#isClosed = false;

	private constructor(file: FileHandle, parts: TableParts, cache: BlockCache | undefined) {
		this.meta = parts.properties.meta;
		this.#file = file;
		this.#cache = cache;
		this.#parts = parts;
		this.#index = parts.index;
		this.#filter = parts.filter;
		this.#blocks = new TableBlocks(file, this.meta.id, parts.index, cache);
	}

	/**
	 * Opens a table and reads everything but its data blocks, in two reads.
	 * @param id the number it was built with
	 * @param cache of the partition; without one every block is read anew
	 * @throws MillraceError MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER; and what `FileSystem.open` and `read` throw
	 */
	static open(fileSystem: FileSystem, path: string, id: number, cache?: BlockCache): TableReader {
		const file = fileSystem.open(path, 'read');
		try {
			return TableReader.#load(file, id, cache);
		} catch (error) {
			file.close();
			throw error;
		}
	}

	static #load(file: FileHandle, id: number, cache: BlockCache | undefined): TableReader {
		return new TableReader(file, loadTableParts(file, id), cache);
	}

	/** Of its data blocks: for who reckons without reading them. */
	get index(): TableIndex {
		return this.#index;
	}

	get filter(): Filter {
		return this.#filter;
	}

	/** False: the key is certainly not here. @param keyHash its `keyHash` */
	mayContain(keyHash: number): boolean {
		return this.#filter.mayContain(keyHash);
	}

	/** What reads through this reader have cost so far. */
	/** Bytes held while the table is open: index and filter. */
	get memoryBytes(): number {
		return this.#index.byteSize + this.#filter.byteSize;
	}

	get counts(): TableReadCounts {
		return this.#blocks.counts;
	}

	/**
	 * Finds the newest version of a key with sequence <= `maxSequence`; tombstones and expired entries are found too.
	 * @param keyHash `keyHash` of the key
	 * @param view filled when true is returned; its value is lent until the next call on any reader of this thread
	 * @param trace told what was touched
	 * @throws MillraceError MILLRACE_CORRUPT, MILLRACE_CODEC; and what `FileHandle.read` throws
	 */
	get(
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		keyHash: number,
		maxSequence: number,
		view: EntryView,
		trace?: ReadTrace,
	): boolean {
		if (trace !== undefined) return this.#getTraced(key, keyOffset, keySize, keyHash, maxSequence, view, trace);
		assert(!this.#isClosed, 'the table is open');
		const counts = this.#blocks.counts;
		counts.getCount++;
		if (!this.#filter.mayContain(keyHash)) {
			counts.filterNegativeCount++;
			return false;
		}
		const index = this.#index;
		const number = index.find(key, keyOffset, keySize, maxSequence);
		if (number < index.blockCount) {
			this.#blocks.load(number, lentBlock);
			if (lentBlock.find(key, keyOffset, keySize, maxSequence)) {
				lentBlock.fill(view);
				return true;
			}
		}
		if (!this.#filter.isEmpty) counts.filterFalsePositiveCount++;
		return false;
	}

	/** `get`, and a look at what it changed in the counts. */
	#getTraced(
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		keyHash: number,
		maxSequence: number,
		view: EntryView,
		trace: ReadTrace,
	): boolean {
		const startUs = trace.nowUs();
		const { filterNegativeCount, blockReadCount, cacheHitCount } = this.counts;
		const isFound = this.get(key, keyOffset, keySize, keyHash, maxSequence, view);
		const isDenied = this.counts.filterNegativeCount > filterNegativeCount;
		const isCacheHit = this.counts.cacheHitCount > cacheHitCount;
		const isBlockUsed = isCacheHit || this.counts.blockReadCount > blockReadCount;
		const block = isBlockUsed ? this.#index.find(key, keyOffset, keySize, maxSequence) : -1;
		trace.steps.push({
			tableId: this.meta.id,
			filter: this.#filter.isEmpty ? 'none' : isDenied ? 'absent' : 'maybe',
			blockOffset: isBlockUsed ? this.#index.blockOffsets[block] : -1,
			blockSize: isBlockUsed ? this.#index.blockSize(block) : 0,
			isCacheHit,
			isFound,
			tookUs: trace.nowUs() - startUs,
		});
		return isFound;
	}

	/**
	 * Walks the table. With a cache, short scans go through it; without one (compactions), all is read in big pieces past it.
	 * Valid while the reader is open.
	 * @param reused a closed iterator, over any table, to be made this one
	 */
	iterator(reused?: TableIterator): TableIterator {
		assert(!this.#isClosed, 'the table is open');
		if (reused === undefined) return TableIterator.over(this.#blocks, this.#filter);
		reused.moveTo(this.#blocks, this.#filter);
		return reused;
	}

	/** When this table's entries expire; undefined: none does, or its format (1) does not say. */
	get expiryDirectory(): ExpiryDirectory | undefined {
		return this.#parts.expiryDirectory;
	}

	/** Walks the rows of the expiry section. Valid while the reader is open. */
	expiryCursor(directory: ExpiryDirectory): ExpiryCursor {
		assert(!this.#isClosed, 'the table is open');
		return new ExpiryCursor(this.#file, this.meta.id, directory, this.#index.blockCount);
	}

	/**
	 * Fills `entry` with the one that a row of the expiry section names. Through the cache: who asks looks the key up next.
	 * @throws MillraceError MILLRACE_CORRUPT; and what `FileHandle.read` throws
	 */
	locate(blockNumber: number, entryNumber: number, entry: LocatedEntry): void {
		assert(!this.#isClosed, 'the table is open');
		this.#blocks.load(blockNumber, lentBlock);
		entry.locate(lentBlock, entryNumber);
	}

	/**
	 * Reads and checks every byte: checksums, order, restarts, separators, filter, and counts against the properties.
	 * @throws MillraceError MILLRACE_CORRUPT naming file, offset and what
	 */
	verify(): void {
		assert(!this.#isClosed, 'the table is open');
		verifyTable(this.#file, this.#parts);
	}

	/** Closes the file and forgets its blocks. */
	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#cache?.drop(this.meta.id);
		this.#file.close();
	}
}
