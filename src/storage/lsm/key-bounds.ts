/**
 * First and last keys of a level's tables in one flat array, so that finding the table of a key touches no object.
 *
 *   bytes   first 0 | last 0 | first 1 | last 1 | …        `#ends[2 i]`, `#ends[2 i + 1]`: where first i, last i end
 *
 * Immutable.
 */
import { compareBytes } from '../../base/bytes.js';

/** What a table is known by here. */
export interface KeyRange {
	readonly firstKey: Uint8Array;
	readonly lastKey: Uint8Array;
}

export class KeyBounds {
	readonly count: number;
	readonly #bytes: Uint8Array;
	readonly #ends: Uint32Array;

	/** @param ranges each from first to last key, both in it */
	constructor(ranges: readonly KeyRange[]) {
		this.count = ranges.length;
		this.#bytes = new Uint8Array(ranges.reduce((sum, range) => sum + range.firstKey.length + range.lastKey.length, 0));
		this.#ends = new Uint32Array(ranges.length * 2);
		let at = 0;
		for (let i = 0; i < ranges.length; i++) {
			this.#bytes.set(ranges[i].firstKey, at);
			at += ranges[i].firstKey.length;
			this.#ends[i * 2] = at;
			this.#bytes.set(ranges[i].lastKey, at);
			at += ranges[i].lastKey.length;
			this.#ends[i * 2 + 1] = at;
		}
	}

	/** Order of a table's first key and a key. */
	compareFirst(index: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		return this.#compare(index * 2, key, keyOffset, keySize);
	}

	/** Order of a table's last key and a key. */
	compareLast(index: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		return this.#compare(index * 2 + 1, key, keyOffset, keySize);
	}

	/** True when the key lies between a table's first and last. */
	holds(index: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		return (
			this.#compare(index * 2, key, keyOffset, keySize) <= 0 &&
			this.#compare(index * 2 + 1, key, keyOffset, keySize) >= 0
		);
	}

	/** In sorted tables: the first whose last key is >= the key; `count` when there is none. */
	find(key: Uint8Array, keyOffset: number, keySize: number): number {
		let low = 0;
		let high = this.count;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.#compare(middle * 2 + 1, key, keyOffset, keySize) < 0) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	/** In sorted tables: the last whose first key is < the key (<=, if `isInclusive`); -1 when there is none. */
	findBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): number {
		let low = 0;
		let high = this.count;
		while (low < high) {
			const middle = (low + high) >>> 1;
			const order = this.#compare(middle * 2, key, keyOffset, keySize);
			if (order < 0 || (isInclusive && order === 0)) low = middle + 1;
			else high = middle;
		}
		return low - 1;
	}

	#compare(number: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		const start = number === 0 ? 0 : this.#ends[number - 1];
		return compareBytes(this.#bytes, start, this.#ends[number] - start, key, keyOffset, keySize);
	}
}
