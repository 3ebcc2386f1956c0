/**
 * The index of a table: for each data block a separator key, the block's size and the sequence of its last entry.
 *
 *   payload   u32 blockCount | rows (u32 blockSize, u32 keyEnd, u53 lastSequence) | separators, end to end
 *
 * A separator is >= every key of its block and <= every key of the next. It is either the block's last key, when
 * `lastSequence` is that entry's, or a shorter key that lies strictly between the two blocks, when `lastSequence` is 0.
 * (separator, sequence descending) is thus ordered like entries are, and a search for (key, sequence) meets exactly
 * one block, however many versions a key has. Block offsets are the running sum of the sizes.
 *
 * The reader keeps flat arrays: no object per block or key. Immutable; any thread.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes, readU32, readU53, writeU32, writeU53 } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import { GrowingBytes } from './growing-bytes.js';
import {
	blockHeaderSize,
	indexBlockCountOffset,
	indexHeaderSize,
	indexRowBlockSizeOffset,
	indexRowKeyEndOffset,
	indexRowSequenceOffset,
	indexRowSize,
} from './table-format.js';

export class IndexBuilder {
	readonly #rows = new GrowingBytes(indexRowSize * 256);
	readonly #keys = new GrowingBytes(4096);
	#blockCount = 0;

	/** Bytes the payload would have now. */
	get size(): number {
		return indexHeaderSize + this.#rows.size + this.#keys.size;
	}

	get blockCount(): number {
		return this.#blockCount;
	}

	/**
	 * Adds a block that another one follows, with the shortest separator we can find.
	 * @param last the block's last key, `next` the first of the following block; `last` <= `next`
	 */
	addBetween(
		blockSize: number,
		last: Uint8Array,
		lastSize: number,
		lastSequence: number,
		next: Uint8Array,
		nextOffset: number,
		nextSize: number,
	): void {
		let shared = 0;
		const sharedMax = Math.min(lastSize, nextSize);
		while (shared < sharedMax && last[shared] === next[nextOffset + shared]) shared++;
		const keys = this.#keys;
		if (shared + 1 < lastSize && shared + 1 < nextSize) {
			// One byte past what they share, the next key's prefix is above the last key and below the next one.
			keys.append(next, nextOffset, shared + 1);
			this.#addRow(blockSize, 0);
		} else if (shared + 1 < lastSize && shared < nextSize && last[shared] + 1 < next[nextOffset + shared]) {
			keys.append(last, 0, shared + 1);
			keys.bytes[keys.size - 1]++;
			this.#addRow(blockSize, 0);
		} else {
			this.addLast(blockSize, last, lastSize, lastSequence);
		}
	}

	/** Adds a block whose separator is its own last key. */
	addLast(blockSize: number, last: Uint8Array, lastSize: number, lastSequence: number): void {
		this.#keys.append(last, 0, lastSize);
		this.#addRow(blockSize, lastSequence);
	}

	/** @returns the payload of the index block, the caller's to keep */
	encode(): Uint8Array {
		const payload = new Uint8Array(this.size);
		writeU32(payload, indexBlockCountOffset, this.#blockCount);
		payload.set(this.#rows.bytes.subarray(0, this.#rows.size), indexHeaderSize);
		payload.set(this.#keys.bytes.subarray(0, this.#keys.size), indexHeaderSize + this.#rows.size);
		return payload;
	}

	#addRow(blockSize: number, lastSequence: number): void {
		const rows = this.#rows;
		rows.reserve(indexRowSize);
		writeU32(rows.bytes, rows.size + indexRowBlockSizeOffset, blockSize);
		writeU32(rows.bytes, rows.size + indexRowKeyEndOffset, this.#keys.size);
		writeU53(rows.bytes, rows.size + indexRowSequenceOffset, lastSequence);
		rows.size += indexRowSize;
		this.#blockCount++;
	}
}

export class TableIndex {
	readonly blockCount: number;
	/** Where each block starts; one more entry than blocks, so the last is where the data ends. */
	readonly blockOffsets: Float64Array;
	readonly keys: Uint8Array;
	/** Where each separator starts in `keys`; one more entry than blocks. */
	readonly keyOffsets: Uint32Array;
	readonly lastSequences: Float64Array;

	private constructor(blockCount: number, keys: Uint8Array) {
		this.blockCount = blockCount;
		this.blockOffsets = new Float64Array(blockCount + 1);
		this.keys = keys;
		this.keyOffsets = new Uint32Array(blockCount + 1);
		this.lastSequences = new Float64Array(blockCount);
	}

	/**
	 * Copies the payload of an index block into flat arrays, each size checked against what holds it.
	 * @param dataSize bytes of all data blocks, which the rows must add up to
	 * @returns what is wrong, when something is
	 */
	static decode(payload: Uint8Array, dataSize: number): TableIndex | string {
		if (payload.length < indexHeaderSize) return 'the index is cut off';
		const blockCount = readU32(payload, indexBlockCountOffset);
		const keysOffset = indexHeaderSize + blockCount * indexRowSize;
		if (blockCount === 0 || keysOffset > payload.length) return `the index cannot have ${blockCount} blocks`;
		const index = new TableIndex(blockCount, Uint8Array.from(payload.subarray(keysOffset)));
		for (let i = 0, row = indexHeaderSize; i < blockCount; i++, row += indexRowSize) {
			const blockSize = readU32(payload, row + indexRowBlockSizeOffset);
			const keyEnd = readU32(payload, row + indexRowKeyEndOffset);
			const keySize = keyEnd - index.keyOffsets[i];
			if (blockSize <= blockHeaderSize) return `block ${i} has ${blockSize} bytes`;
			if (keySize < 1 || keySize > keySizeMax || keyEnd > index.keys.length) {
				return `separator ${i} ends at ${keyEnd}`;
			}
			index.blockOffsets[i + 1] = index.blockOffsets[i] + blockSize;
			index.keyOffsets[i + 1] = keyEnd;
			index.lastSequences[i] = readU53(payload, row + indexRowSequenceOffset);
			if (i > 0 && !index.#isOrderedAt(i)) return `separator ${i} is not above the one before`;
		}
		if (index.keyOffsets[blockCount] !== index.keys.length) return 'bytes behind the last separator';
		const sum = index.blockOffsets[blockCount];
		return sum === dataSize ? index : `blocks of ${sum} bytes in ${dataSize} bytes of data`;
	}

	/** Bytes of its arrays. */
	get byteSize(): number {
		const { blockOffsets, keys, keyOffsets, lastSequences } = this;
		return blockOffsets.byteLength + keys.length + keyOffsets.byteLength + lastSequences.byteLength;
	}

	/** Bytes with header of a block. */
	blockSize(block: number): number {
		return this.blockOffsets[block + 1] - this.blockOffsets[block];
	}

	/**
	 * The only block that can hold the newest version of `key` that is not newer than `maxSequence`.
	 * @returns `blockCount` when every entry of the table comes before it
	 */
	find(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): number {
		let low = 0;
		let high = this.blockCount;
		while (low < high) {
			const middle = (low + high) >>> 1;
			const order = this.compareSeparator(middle, key, keyOffset, keySize);
			if (order < 0 || (order === 0 && this.lastSequences[middle] > maxSequence)) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	/** @returns negative, 0 or positive: separator against key */
	compareSeparator(block: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		const offset = this.keyOffsets[block];
		return compareBytes(this.keys, offset, this.keyOffsets[block + 1] - offset, key, keyOffset, keySize);
	}

	#isOrderedAt(block: number): boolean {
		assert(block > 0, 'there is a separator before');
		const offset = this.keyOffsets[block];
		const size = this.keyOffsets[block + 1] - offset;
		const order = this.compareSeparator(block - 1, this.keys, offset, size);
		return order < 0 || (order === 0 && this.lastSequences[block - 1] > this.lastSequences[block]);
	}
}
