/**
 * Walks the entries of one table, in order or against it (see EntryIterator): `BlockStream` brings the blocks, forward each key
 * is put together from the one before, backward `BackwardWalk` does it by intervals.
 *
 * Key and value are lent until the next call on this iterator; the cache cannot take them away. `close` gives the buffers back.
 * Valid while the table's file is open. One thread.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes, copyBytes } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import type { FileHandle } from '../../../env/ports.js';
import type { EntryIterator } from '../entry.js';
import { BackwardWalk } from './backward-walk.js';
import { BlockStream } from './block-stream.js';
import type { DataBlock } from './data-block.js';
import type { Filter } from './filter.js';
import { TableBlocks } from './table-blocks.js';
import type { TableIndex } from './table-index.js';

export class TableIterator implements EntryIterator {
	valid = false;
	key: Uint8Array;
	keyOffset = 0;
	keySize = 0;
	sequence = 0;
	kind = 0;
	expiresAtMs = 0;
	value: Uint8Array;
	valueOffset = 0;
	valueSize = 0;

	#index: TableIndex;
	/** Of a table that is read through its reader. */
	#filter: Filter | undefined;
	readonly #stream: BlockStream;
	readonly #block: DataBlock;
	/** Where keys are put together, walking forward. */
	#ownKey = new Uint8Array(64);
	/** Made by the first seek backward. */
	#backward: BackwardWalk | undefined;
	#isBackward = false;

	/** An iterator with a cache is for reads; without one it reads past everything, in big pieces. */
	static over(blocks: TableBlocks, filter: Filter): TableIterator {
		const iterator = new TableIterator(blocks.file, blocks.tableId, blocks.index, blocks);
		iterator.#filter = filter;
		return iterator;
	}

	constructor(file: FileHandle, tableId: number, index: TableIndex, blocks = new TableBlocks(file, tableId, index)) {
		this.#index = index;
		this.#stream = new BlockStream(blocks);
		this.#block = this.#stream.block;
		this.key = this.#ownKey;
		this.value = this.#ownKey;
	}

	/** Makes it one over another table; it was closed, and stands nowhere. */
	moveTo(blocks: TableBlocks, filter: Filter): void {
		this.valid = false;
		this.#index = blocks.index;
		this.#filter = filter;
		this.#stream.moveTo(blocks);
		this.#backward = undefined;
	}

	/** Number of the block the entry is in. */
	get blockNumber(): number {
		return this.#stream.blockNumber;
	}

	/** The block the entry is in, its cursor on the entry: for `verify`. */
	get block(): DataBlock {
		return this.#block;
	}

	seekFirst(): void {
		this.#startForward(true);
		this.#enterBlock(0);
		this.#show(this.#block.start);
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		this.#startForward(false);
		const number = this.#index.find(key, keyOffset, keySize, Number.MAX_SAFE_INTEGER);
		if (number === this.#index.blockCount) return;
		this.#enterBlock(number);
		const restart = this.#block.findRestart(key, keyOffset, keySize, Number.MAX_SAFE_INTEGER);
		this.#show(this.#block.mustRestartOffset(restart));
		while (this.valid && compareBytes(this.key, 0, this.keySize, key, keyOffset, keySize) < 0) this.#stepForward();
	}

	seekExact(hash: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		if (this.#filter?.mayContain(hash) === false) return false;
		this.seek(key, keyOffset, keySize);
		return this.valid && compareBytes(this.key, 0, this.keySize, key, keyOffset, keySize) === 0;
	}

	seekLast(): void {
		this.#showBackward(this.#startBackward().seekLast());
	}

	seekBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): void {
		this.#showBackward(this.#startBackward().seek(key, keyOffset, keySize, isInclusive));
	}

	next(): void {
		assert(this.valid, 'next() on a valid iterator');
		if (!this.#isBackward) this.#stepForward();
		else if (this.#backward !== undefined) this.#showBackward(this.#backward.next());
	}

	/** Gives the buffers back: nothing that it lent may be used any more, nor the iterator, unless by another seek. */
	close(): void {
		this.valid = false;
		this.#stream.close();
	}

	#startForward(isWhole: boolean): void {
		this.valid = false;
		this.#isBackward = false;
		this.key = this.#ownKey;
		this.keyOffset = 0;
		this.keySize = 0;
		this.#stream.start(isWhole);
	}

	#startBackward(): BackwardWalk {
		this.valid = false;
		this.#isBackward = true;
		this.#stream.start(false);
		this.#backward ??= new BackwardWalk(this.#stream, this.#index);
		return this.#backward;
	}

	#stepForward(): void {
		const block = this.#block;
		if (block.nextOffset < block.entriesEnd) {
			this.#show(block.nextOffset);
		} else if (this.#stream.blockNumber + 1 < this.#index.blockCount) {
			this.#enterBlock(this.#stream.blockNumber + 1);
			this.#show(block.start);
		} else {
			this.valid = false;
		}
	}

	#enterBlock(number: number): void {
		this.valid = false;
		this.keySize = 0;
		this.#stream.enter(number, false);
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
		if (keySize > this.#ownKey.length) {
			const grown = new Uint8Array(Math.min(keySizeMax, keySize * 2));
			grown.set(this.#ownKey.subarray(0, shared));
			this.#ownKey = grown;
			this.key = grown;
		}
		copyBytes(block.bytes, block.suffixOffset, this.#ownKey, shared, block.unshared);
		this.keySize = keySize;
		block.fill(this);
		this.valid = true;
	}

	/** Puts the fields on the entry that the walk backward is on, if there is one. */
	#showBackward(isThere: boolean): void {
		this.valid = isThere;
		const walk = this.#backward;
		if (!isThere || walk === undefined) return;
		this.key = walk.keys;
		this.keyOffset = walk.keyOffset;
		this.keySize = walk.keySize;
		this.#block.parse(walk.entryOffset);
		this.#block.fill(this);
	}
}
