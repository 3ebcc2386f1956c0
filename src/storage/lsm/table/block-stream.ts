/**
 * Feeds an iterator blocks of one table, in order or against it, each in memory of the iterator's own: what it lends stays valid
 * whatever happens to the cache meanwhile.
 *
 *   after a seek, with a cache     two blocks through the cache, one read each: a short scan touches no more than it needs
 *   further on, or without         | block | block | block |   read ahead past the cache: 32 KiB, doubling up to 256 KiB
 *                                  blocks that are cached all the same are taken from there where a read would begin
 *
 * So a compaction (no cache) and the long part of a scan leave in the cache what readers use. Buffers come from a pool and go
 * back with `close`; one for a huge block is let go with the block. One thread.
 */
import { assert } from '../../../base/assert.js';
import { copyBytes } from '../../../base/bytes.js';
import { codecAreaSize } from '../../../base/limits.js';
import { checkBlock, decompressBlockInto, openBlock, rawSizeOf } from './block-frame.js';
import { giveBuffer, pooledBufferSizeMax, takeBuffer } from './buffer-pool.js';
import { DataBlock } from './data-block.js';
import type { TableBlocks } from './table-blocks.js';
import { blockKindData } from './table-format.js';
import { tableCorrupt } from './table-meta.js';

const readAheadSizeMin = 32 * 1024;
const readAheadSizeMax = 256 * 1024;
/** Blocks after a seek that go through the cache. */
const cachedBlockCount = 2;

const noBytes = new Uint8Array(0);
/** What a block of the cache is shown in before it is copied. */
const lentBlock = new DataBlock();

export class BlockStream {
	/** The block entered last. */
	readonly block = new DataBlock();
	/** Its number; -1: none. */
	blockNumber = -1;
	#blocks: TableBlocks;
	/** The block's payload, unless that is huge. */
	#payload: Uint8Array = noBytes;
	/** Stored blocks `#chunkBlock` … `#chunkEnd - 1`. */
	#chunk: Uint8Array = noBytes;
	#chunkBlock = 0;
	#chunkEnd = 0;
	#readAheadSize = readAheadSizeMin;
	/** Blocks still to be taken through the cache. */
	#cachedLeft = 0;

	constructor(blocks: TableBlocks) {
		this.#blocks = blocks;
	}

	/** From now on blocks of another table. Only when closed. */
	moveTo(blocks: TableBlocks): void {
		assert(this.blockNumber === -1 && this.#chunkEnd === 0, 'a stream that moves to another table is closed');
		this.#blocks = blocks;
	}

	/** A walk begins. @param isWhole of the whole table: then it reads in big pieces from the start, where it has no cache */
	start(isWhole: boolean): void {
		const hasCache = this.#blocks.cache !== undefined;
		this.#cachedLeft = hasCache ? cachedBlockCount : 0;
		this.#readAheadSize = isWhole && !hasCache ? readAheadSizeMax : readAheadSizeMin;
	}

	/**
	 * Shows block `number` in `block`.
	 * @param isBackward reads ahead towards the start
	 * @throws MillraceError MILLRACE_CORRUPT, MILLRACE_CODEC; and what `FileHandle.read` throws
	 */
	enter(number: number, isBackward: boolean): void {
		if (number === this.blockNumber) return;
		this.blockNumber = -1;
		if (number < this.#chunkBlock || number >= this.#chunkEnd) {
			if (this.#maybeEnterCached(number)) {
				this.blockNumber = number;
				return;
			}
			this.#readChunk(number, isBackward);
		}
		this.#openBlock(number);
		this.blockNumber = number;
	}

	/** Gives the buffers back: nothing lent is valid. What is entered afterwards takes new ones. */
	close(): void {
		this.blockNumber = -1;
		this.#chunkEnd = 0;
		giveBuffer(this.#payload);
		giveBuffer(this.#chunk);
		this.#payload = noBytes;
		this.#chunk = noBytes;
	}

	#maybeEnterCached(number: number): boolean {
		const blocks = this.#blocks;
		if (blocks.cache === undefined) return false;
		if (this.#cachedLeft > 0) {
			this.#cachedLeft--;
			blocks.load(number, lentBlock);
		} else if (!blocks.loadCached(blocks.index.blockOffsets[number], lentBlock)) {
			return false;
		}
		const { bytes, start, size, fileOffset } = lentBlock;
		this.#reserve(size);
		copyBytes(bytes, start, this.#payload, 0, size);
		this.block.load(this.#payload, 0, size, blocks.file.path, fileOffset);
		return true;
	}

	/** Shows a block of the chunk. */
	#openBlock(number: number): void {
		const { index, file, tableId } = this.#blocks;
		const { path } = file;
		const fileOffset = index.blockOffsets[number];
		const offset = fileOffset - index.blockOffsets[this.#chunkBlock];
		const size = index.blockSize(number);
		if (size > codecAreaSize) {
			const raw = openBlock(this.#chunk, offset, size, path, tableId, fileOffset, blockKindData);
			this.block.load(raw, 0, raw.length, path, fileOffset);
			return;
		}
		const { memory } = this.#blocks;
		const { bytes, input } = memory;
		copyBytes(this.#chunk, offset, bytes, input, size);
		const codec = checkBlock(bytes, input, size, path, tableId, fileOffset, blockKindData, memory);
		const rawSize = rawSizeOf(bytes, input);
		this.#reserve(rawSize);
		decompressBlockInto(codec, bytes, input, path, this.#payload, 0, memory);
		this.block.load(this.#payload, 0, rawSize, path, fileOffset);
	}

	/** Sees to a payload buffer of `size` bytes; one that was made for a huge block is given up. */
	#reserve(size: number): void {
		const capacity = this.#payload.length;
		if (capacity >= size && (capacity <= pooledBufferSizeMax || size > pooledBufferSizeMax)) return;
		giveBuffer(this.#payload);
		this.#payload = noBytes;
		this.#payload = takeBuffer(size);
	}

	/** Reads block `number` and as many whole neighbours in the direction of the walk as the read-ahead allows. */
	#readChunk(number: number, isBackward: boolean): void {
		const { index, file, counts } = this.#blocks;
		const offsets = index.blockOffsets;
		const limit = this.#readAheadSize;
		let first = number;
		let end = number + 1;
		if (isBackward) while (first > 0 && offsets[end] - offsets[first - 1] <= limit) first--;
		else while (end < index.blockCount && offsets[end + 1] - offsets[first] <= limit) end++;
		const offset = offsets[first];
		const size = offsets[end] - offset;
		this.#chunkEnd = 0;
		if (this.#chunk.length < size || this.#chunk.length > Math.max(size, pooledBufferSizeMax)) {
			giveBuffer(this.#chunk);
			this.#chunk = noBytes;
			this.#chunk = takeBuffer(Math.max(size, Math.min(limit, index.blockOffsets[index.blockCount])));
		}
		const readSize = file.read(this.#chunk, 0, size, offset);
		if (readSize !== size) throw tableCorrupt(file.path, offset, `${readSize} bytes where ${size} should be`);
		counts.blockReadCount += end - first;
		counts.blockReadBytes += size;
		this.#chunkBlock = first;
		this.#chunkEnd = end;
		this.#readAheadSize = Math.min(limit * 2, readAheadSizeMax);
	}
}
