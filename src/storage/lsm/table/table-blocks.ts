/**
 * The data blocks of one table for whoever needs just one: from the partition's cache, or read, checked and decompressed into it.
 *
 *   file ──read──> codec memory: input ──check, decompress──> the cache's slab (or, where it caches nothing, output)
 *
 * No object is made on the way, unless the block is larger than the codec's areas; such a block has a Buffer of its own, which is
 * let go with the next load. Blocks are lent: valid until anything is loaded again through the same cache. One thread.
 */
import { codecAreaSize } from '../../../base/limits.js';
import { CodecMemory } from '../../../codec/codec-memory.js';
import type { FileHandle } from '../../../env/ports.js';
import type { BlockCache } from './block-cache.js';
import { checkBlock, decompressBlockInto, openBlock, rawSizeOf } from './block-frame.js';
import type { DataBlock } from './data-block.js';
import { blockHeaderSize, blockKindData, codecRaw } from './table-format.js';
import type { TableIndex } from './table-index.js';
import { tableCorrupt } from './table-meta.js';

/** What reads of a table have cost so far. Plain counts, for the statistics of a level. */
export class TableReadCounts {
	/** Points asked for. */
	getCount = 0;
	/** Of these, those the filter denied. */
	filterNegativeCount = 0;
	/** And those it let through although the table has nothing to say about the key. */
	filterFalsePositiveCount = 0;
	/** Data blocks and bytes read from the file, by points and iterators. */
	blockReadCount = 0;
	blockReadBytes = 0;
	/** Data blocks found in the cache. */
	cacheHitCount = 0;
}

export class TableBlocks {
	readonly file: FileHandle;
	readonly tableId: number;
	readonly index: TableIndex;
	readonly cache: BlockCache | undefined;
	readonly counts = new TableReadCounts();
	/** What the blocks of this table are checked and decompressed in. */
	readonly memory: CodecMemory;

	constructor(file: FileHandle, tableId: number, index: TableIndex, cache?: BlockCache) {
		this.file = file;
		this.tableId = tableId;
		this.index = index;
		this.cache = cache;
		this.memory = cache === undefined ? CodecMemory.ofThread : cache.memory;
	}

	/**
	 * Shows block `number` in `block`.
	 * @throws MillraceError MILLRACE_CORRUPT, MILLRACE_CODEC; and what `FileHandle.read` throws
	 */
	load(number: number, block: DataBlock): void {
		const offset = this.index.blockOffsets[number];
		if (!this.loadCached(offset, block)) this.#read(offset, this.index.blockSize(number), block);
	}

	/** Shows the block at a file offset in `block`, if it is cached. */
	loadCached(offset: number, block: DataBlock): boolean {
		const cache = this.cache;
		if (cache === undefined) return false;
		const slot = cache.find(this.tableId, offset);
		if (slot < 0) return false;
		this.counts.cacheHitCount++;
		block.load(cache.memory.bytes, cache.address(slot), cache.size(slot), this.file.path, offset);
		return true;
	}

	#read(offset: number, size: number, block: DataBlock): void {
		const { path } = this.file;
		const memory = this.memory;
		this.counts.blockReadCount++;
		this.counts.blockReadBytes += size;
		if (size > codecAreaSize) {
			this.#readLarge(offset, size, block);
			return;
		}
		const { bytes, input } = memory;
		this.#fill(bytes, input, size, offset);
		const codec = checkBlock(bytes, input, size, path, this.tableId, offset, blockKindData, memory);
		const rawSize = rawSizeOf(bytes, input);
		const cache = this.cache;
		const place = cache === undefined ? -1 : cache.reserve(rawSize);
		if (cache !== undefined && place >= 0) {
			decompressBlockInto(codec, bytes, input, path, bytes, place, memory);
			block.load(bytes, place, rawSize, path, offset);
			cache.commit(this.tableId, offset);
		} else if (codec === codecRaw) {
			block.load(bytes, input + blockHeaderSize, rawSize, path, offset);
		} else if (rawSize <= codecAreaSize) {
			decompressBlockInto(codec, bytes, input, path, bytes, memory.output, memory);
			block.load(bytes, memory.output, rawSize, path, offset);
		} else {
			const raw = new Uint8Array(rawSize);
			decompressBlockInto(codec, bytes, input, path, raw, 0, memory);
			block.load(raw, 0, rawSize, path, offset);
		}
	}

	/** A block that no area holds. It may still fit a large slab. */
	#readLarge(offset: number, size: number, block: DataBlock): void {
		const { path } = this.file;
		const bytes = Buffer.allocUnsafeSlow(size);
		this.#fill(bytes, 0, size, offset);
		const raw = openBlock(bytes, 0, size, path, this.tableId, offset, blockKindData);
		const cache = this.cache;
		const place = cache === undefined ? -1 : cache.reserve(raw.length);
		if (cache !== undefined && place >= 0) {
			cache.memory.bytes.set(raw, place);
			block.load(cache.memory.bytes, place, raw.length, path, offset);
			cache.commit(this.tableId, offset);
		} else {
			block.load(raw, 0, raw.length, path, offset);
		}
	}

	#fill(target: Uint8Array, targetOffset: number, size: number, offset: number): void {
		const readSize = this.file.read(target, targetOffset, size, offset);
		if (readSize === size) return;
		throw tableCorrupt(this.file.path, offset, `${readSize} bytes where ${size} should be`);
	}
}
