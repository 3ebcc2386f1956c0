/**
 * Walks a table in order, for merges and scans: reads runs of whole blocks with one call and verifies and
 * decompresses them one by one. It does not touch the cache, so a merge leaves what readers use in place.
 *
 *   chunk   | block | block | block |      one read; `#chunkBlock` is the first of them, `#chunkEnd` the one after
 *
 * A walk from the start reads 256 KiB at a time; after a seek the first read is small and each doubles, so a short
 * scan pays for little and a long one soon reads like a merge. One thread; key and value are lent until the next call.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes, copyBytes } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import type { FileHandle } from '../../../env/ports.js';
import type { EntryIterator } from '../entry.js';
import { openBlock } from './block-frame.js';
import { DataBlock } from './data-block.js';
import { blockKindData } from './table-format.js';
import type { TableIndex } from './table-index.js';
import { tableCorrupt } from './table-meta.js';

const readAheadSizeMax = 256 * 1024;
const readAheadSizeMin = 32 * 1024;

export class TableIterator implements EntryIterator {
	valid = false;
	key = new Uint8Array(64);
	keyOffset = 0;
	keySize = 0;
	sequence = 0;
	kind = 0;
	expiresAtMs = 0;
	value: Uint8Array = this.key;
	valueOffset = 0;
	valueSize = 0;

	readonly #file: FileHandle;
	readonly #tableId: number;
	readonly #index: TableIndex;
	readonly #block: DataBlock;
	/** Number of the block we are in. */
	#blockNumber = 0;
	#chunk = Buffer.alloc(0);
	#chunkBlock = 0;
	#chunkEnd = 0;
	#readAheadSize = readAheadSizeMax;

	constructor(file: FileHandle, tableId: number, index: TableIndex) {
		this.#file = file;
		this.#tableId = tableId;
		this.#index = index;
		this.#block = new DataBlock(file.path);
	}

	/** Number of the block the entry is in. */
	get blockNumber(): number {
		return this.#blockNumber;
	}

	/** The block the entry is in, its cursor on the entry: for `verify`. */
	get block(): DataBlock {
		return this.#block;
	}

	seekFirst(): void {
		this.#readAheadSize = readAheadSizeMax;
		this.#enterBlock(0);
		this.#show(0);
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		this.#readAheadSize = readAheadSizeMin;
		const number = this.#index.find(key, keyOffset, keySize, Number.MAX_SAFE_INTEGER);
		this.valid = false;
		if (number === this.#index.blockCount) return;
		this.#enterBlock(number);
		this.#show(this.#block.seekRestart(key, keyOffset, keySize, Number.MAX_SAFE_INTEGER));
		while (this.valid && compareBytes(this.key, 0, this.keySize, key, keyOffset, keySize) < 0) this.next();
	}

	next(): void {
		assert(this.valid, 'next() on a valid iterator');
		const block = this.#block;
		if (block.nextOffset < block.entriesEnd) {
			this.#show(block.nextOffset);
		} else if (this.#blockNumber + 1 < this.#index.blockCount) {
			this.#enterBlock(this.#blockNumber + 1);
			this.#show(0);
		} else {
			this.valid = false;
		}
	}

	#enterBlock(number: number): void {
		this.valid = false;
		this.keySize = 0;
		const index = this.#index;
		if (number < this.#chunkBlock || number >= this.#chunkEnd) this.#readChunk(number);
		const offset = index.blockOffsets[number];
		const start = offset - index.blockOffsets[this.#chunkBlock];
		const size = index.blockSize(number);
		const path = this.#file.path;
		const payload = openBlock(this.#chunk, start, size, path, this.#tableId, offset, blockKindData);
		this.#block.load(payload, offset);
		this.#blockNumber = number;
	}

	/** Reads block `first` and as many whole ones after it as the read-ahead allows. */
	#readChunk(first: number): void {
		const offsets = this.#index.blockOffsets;
		const offset = offsets[first];
		let end = first + 1;
		while (end < this.#index.blockCount && offsets[end + 1] - offset <= this.#readAheadSize) end++;
		const size = offsets[end] - offset;
		// Memory for a huge block is let go with it.
		const capacity = Math.max(size, this.#readAheadSize);
		if (this.#chunk.length < size || this.#chunk.length > Math.max(readAheadSizeMax, size)) {
			this.#chunk = Buffer.allocUnsafeSlow(capacity);
		}
		this.#chunkEnd = 0;
		const readSize = this.#file.read(this.#chunk, 0, size, offset);
		if (readSize !== size) {
			throw tableCorrupt(this.#file.path, offset, `${readSize} bytes where ${size} should be`);
		}
		this.#chunkBlock = first;
		this.#chunkEnd = end;
		this.#readAheadSize = Math.min(this.#readAheadSize * 2, readAheadSizeMax);
	}

	/** Puts the fields on the entry at `offset` of the block. */
	#show(offset: number): void {
		const block = this.#block;
		block.parse(offset);
		const shared = block.shared;
		const keySize = shared + block.unshared;
		if (shared > this.keySize || keySize > keySizeMax || keySize === 0) {
			throw block.corrupt(`the key of the entry at ${offset} takes ${shared} of ${this.keySize} bytes`);
		}
		if (keySize > this.key.length) {
			const grown = new Uint8Array(Math.min(keySizeMax, keySize * 2));
			grown.set(this.key.subarray(0, shared));
			this.key = grown;
		}
		copyBytes(block.bytes, block.suffixOffset, this.key, shared, block.unshared);
		this.keySize = keySize;
		block.fill(this);
		this.valid = true;
	}
}
