/**
 * The ranges that a batch deletes, while it is evaluated: their bounds cut the key space into fragments, sorted and side by side,
 * each with the newest sequence that covers it, or 0.
 *
 *   [b, f) 7, then [d, h) 9        bounds      b    d    h
 *                                  sequences   7    9    0
 *
 * A batch reads nothing older than its own last write, so that the newest is enough (the tree's RangeTombstoneSet keeps more). A
 * batch may have 10,000 ranges and ask 65,536 times: asking is a binary search, adding moves flat arrays and copies no key.
 * Bounds are places in the batch, which is lent until the next `begin`. One thread.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes } from '../../../base/bytes.js';

const noBytes = new Uint8Array(0);
const capacityMin = 16;

export class BatchRanges {
	#batch: Uint8Array = noBytes;
	#count = 0;
	#offsets = new Uint32Array(capacityMin);
	#sizes = new Uint16Array(capacityMin);
	#sequences = new Float64Array(capacityMin);

	/** Starts anew, and gives large arrays back. */
	begin(batch: Uint8Array): void {
		this.#batch = batch;
		this.#count = 0;
		if (this.#offsets.length > 1024) this.#resize(capacityMin);
	}

	/** Adds [start, end), which is not empty; without an end (`endSize` 0) it goes on to the last key. Sequences grow. */
	add(startOffset: number, startSize: number, endOffset: number, endSize: number, sequence: number): void {
		if (this.#count + 2 > this.#offsets.length) this.#resize(this.#offsets.length * 2);
		const batch = this.#batch;
		const first = this.#indexOf(batch, startOffset, startSize, false);
		const behind = endSize === 0 ? this.#count : this.#indexOf(batch, endOffset, endSize, false);
		assert(behind >= first, 'a range ends behind its start');
		const hasEnd = endSize > 0 && !this.#isBound(behind, endOffset, endSize);
		const sequenceBehind = behind === 0 ? 0 : this.#sequences[behind - 1];
		const next = first + (hasEnd ? 2 : 1);
		this.#offsets.copyWithin(next, behind, this.#count);
		this.#sizes.copyWithin(next, behind, this.#count);
		this.#sequences.copyWithin(next, behind, this.#count);
		this.#count += next - behind;
		this.#set(first, startOffset, startSize, sequence);
		if (hasEnd) this.#set(first + 1, endOffset, endSize, sequenceBehind);
	}

	/** The newest sequence that covers the key; 0: none. */
	coverSequence(key: Uint8Array, keyOffset: number, keySize: number): number {
		if (this.#count === 0) return 0;
		const behind = this.#indexOf(key, keyOffset, keySize, true);
		return behind === 0 ? 0 : this.#sequences[behind - 1];
	}

	#set(index: number, offset: number, size: number, sequence: number): void {
		this.#offsets[index] = offset;
		this.#sizes[index] = size;
		this.#sequences[index] = sequence;
	}

	/** Index of the first bound >= the key, or (`isBehind`) of the first above it. */
	#indexOf(key: Uint8Array, keyOffset: number, keySize: number, isBehind: boolean): number {
		let low = 0;
		let high = this.#count;
		while (low < high) {
			const middle = (low + high) >>> 1;
			const order = compareBytes(this.#batch, this.#offsets[middle], this.#sizes[middle], key, keyOffset, keySize);
			if (order < 0 || (isBehind && order === 0)) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	#isBound(index: number, offset: number, size: number): boolean {
		if (index === this.#count) return false;
		const batch = this.#batch;
		return compareBytes(batch, this.#offsets[index], this.#sizes[index], batch, offset, size) === 0;
	}

	#resize(capacity: number): void {
		const { length } = this.#offsets;
		const keptCount = Math.min(capacity, length);
		const offsets = new Uint32Array(capacity);
		const sizes = new Uint16Array(capacity);
		const sequences = new Float64Array(capacity);
		offsets.set(this.#offsets.subarray(0, keptCount));
		sizes.set(this.#sizes.subarray(0, keptCount));
		sequences.set(this.#sequences.subarray(0, keptCount));
		this.#offsets = offsets;
		this.#sizes = sizes;
		this.#sequences = sequences;
	}
}
