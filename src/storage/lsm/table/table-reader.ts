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
import type { EntryIterator, EntryView } from '../entry.js';
import type { BlockCache } from './block-cache.js';
import { openBlock } from './block-frame.js';
import { DataBlock } from './data-block.js';
import { Filter } from './filter.js';
import { decodeFooter } from './footer.js';
import { decodeProperties, type TableProperties } from './properties.js';
import {
	blockCodecOffset,
	blockKindData,
	blockKindFilter,
	blockKindIndex,
	blockKindProperties,
	codecRaw,
	footerSize,
} from './table-format.js';
import { TableIndex } from './table-index.js';
import { TableIterator } from './table-iterator.js';
import { type TableMeta, tableCorrupt } from './table-meta.js';
import { verifyTable } from './table-verify.js';

/** Blocks up to this size are read into memory that all readers of a thread use in turn; larger ones into their own. */
const scratchSize = 64 * 1024;
const scratch = Buffer.allocUnsafeSlow(scratchSize);

export class TableReader {
	readonly meta: TableMeta;
	readonly #file: FileHandle;
	readonly #cache: BlockCache | undefined;
	readonly #properties: TableProperties;
	readonly #index: TableIndex;
	readonly #filter: Filter;
	readonly #block: DataBlock;
	#isClosed = false;

	private constructor(
		file: FileHandle,
		properties: TableProperties,
		index: TableIndex,
		filter: Filter,
		cache: BlockCache | undefined,
	) {
		this.meta = properties.meta;
		this.#file = file;
		this.#cache = cache;
		this.#properties = properties;
		this.#index = index;
		this.#filter = filter;
		this.#block = new DataBlock(file.path);
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
		const path = file.path;
		const size = file.size();
		if (size < footerSize) throw tableCorrupt(path, 0, `${size} bytes are no table`);
		const footer = decodeFooter(mustRead(file, size - footerSize, footerSize), path, id, size);
		const start = footer.filterOffset;
		const tail = mustRead(file, start, size - footerSize - start);
		const part = (offset: number, partSize: number, kind: number) =>
			openBlock(tail, offset - start, partSize, path, id, offset, kind);
		const filter = Filter.decode(part(footer.filterOffset, footer.filterSize, blockKindFilter));
		if (filter === undefined) throw tableCorrupt(path, footer.filterOffset, 'this is no filter');
		const index = TableIndex.decode(part(footer.indexOffset, footer.indexSize, blockKindIndex), start);
		if (typeof index === 'string') throw tableCorrupt(path, footer.indexOffset, index);
		const payload = part(footer.propertiesOffset, footer.propertiesSize, blockKindProperties);
		const properties = decodeProperties(payload, id, size);
		if (properties === undefined) throw tableCorrupt(path, footer.propertiesOffset, 'these are no properties');
		return new TableReader(file, properties, index, filter, cache);
	}

	/** False: the key is certainly not here. @param keyHash its `keyHash` */
	mayContain(keyHash: number): boolean {
		return this.#filter.mayContain(keyHash);
	}

	/**
	 * Finds the newest version of a key with sequence <= `maxSequence`; tombstones and expired entries are found too.
	 * @param keyHash `keyHash` of the key
	 * @param view filled when true is returned; its value is lent until the next call
	 * @throws MillraceError MILLRACE_CORRUPT; and what `FileHandle.read` throws
	 */
	get(
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		keyHash: number,
		maxSequence: number,
		view: EntryView,
	): boolean {
		if (!this.#filter.mayContain(keyHash)) return false;
		const index = this.#index;
		const number = index.find(key, keyOffset, keySize, maxSequence);
		if (number === index.blockCount) return false;
		const block = this.#block;
		block.load(this.#readBlock(number), index.blockOffsets[number]);
		if (!block.find(key, keyOffset, keySize, maxSequence)) return false;
		block.fill(view);
		return true;
	}

	/** Walks the whole table in big sequential reads, past the cache. Valid while the reader is open. */
	iterator(): EntryIterator {
		assert(!this.#isClosed, 'the table is open');
		return new TableIterator(this.#file, this.meta.id, this.#index);
	}

	/**
	 * Reads and checks every byte: checksums, order, restarts, separators, filter, and counts against the properties.
	 * @throws MillraceError MILLRACE_CORRUPT naming file, offset and what
	 */
	verify(): void {
		assert(!this.#isClosed, 'the table is open');
		verifyTable(this.#file, this.#properties, this.#index, this.#filter);
	}

	/** Closes the file and forgets its blocks. */
	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#cache?.drop(this.meta.id);
		this.#file.close();
	}

	#readBlock(number: number): Buffer {
		const offset = this.#index.blockOffsets[number];
		const cached = this.#cache?.get(this.meta.id, offset);
		if (cached !== undefined) return cached;
		assert(!this.#isClosed, 'the table is open');
		const size = this.#index.blockSize(number);
		const isLarge = size > scratchSize;
		const bytes = isLarge ? Buffer.allocUnsafeSlow(size) : scratch;
		readWhole(this.#file, bytes, size, offset);
		const view = openBlock(bytes, 0, size, this.#file.path, this.meta.id, offset, blockKindData);
		// A raw block is a view of the scratch memory, which the next read fills again.
		const block = !isLarge && bytes[blockCodecOffset] === codecRaw ? copyOf(view) : view;
		this.#cache?.put(this.meta.id, offset, block);
		return block;
	}
}

function copyOf(bytes: Buffer): Buffer {
	const copy = Buffer.allocUnsafeSlow(bytes.length);
	copy.set(bytes);
	return copy;
}

function mustRead(file: FileHandle, offset: number, size: number): Uint8Array {
	const bytes = new Uint8Array(size);
	readWhole(file, bytes, size, offset);
	return bytes;
}

function readWhole(file: FileHandle, target: Uint8Array, size: number, position: number): void {
	const readSize = file.read(target, 0, size, position);
	if (readSize !== size) throw tableCorrupt(file.path, position, `${readSize} bytes where ${size} should be`);
}
