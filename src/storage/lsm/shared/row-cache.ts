/**
 * What the tables of a partition say about hot keys, found again without filter, index and block: the newest version of a key in
 * any table, or that no table has one. One for each ReaderTables, in the memory of its thread.
 *
 *   hash ─> bucket of 8 ways: tag (the hash), position ─> row in a circular log
 *
 *   log     | rows | next row | overwritten soon | rows ...      positions count words and grow; those from `#floor` on hold,
 *                  ^ end      ^ floor            ^ old           those below `#old` are soon overwritten
 *   row     0 sequence low | 1 sequence high (21 bits), kind << 24 (0: absent) | 2 keySize, rowHasExpiry << 16 | 3 valueSize
 *           | [4,5 expiresAtMs low, high] | key | value | pad to 4
 *
 * Tables are immutable, so a row is true for the set of tables it was read from: `forgetRows`, called when the set changes,
 * raises the floor to the end. Arenas, deleted ranges, expiry and snapshots are for who asks to judge.
 *
 * A key is admitted when it is missed for the second time: the first time leaves its tag, with a position that does not hold.
 * Tags of rows that do not hold any more count as such, so what was hot is back at once. A row that is hit when most of the log
 * was written behind it is written anew, so that hot rows stay.
 */
import { assert } from '../../../base/assert.js';
import { cachedRowSizeMax } from '../../../base/limits.js';
import type { EntryView } from '../entry.js';

/** What `find` comes to. */
export const rowMissed = 0;
/** No table has a version of the key. */
export const rowAbsent = 1;
export const rowFound = 2;

const wayCount = 8;
/** Tag and position: a bucket is as long as a cache line. */
const wayWords = 2;
const bucketWords = wayCount * wayWords;
/** A bucket for so many bytes: three or four rows of 130 bytes, so that hardly any bucket is full of what holds. */
const bytesPerBucket = 512;
const rowHeaderWords = 4;
const rowExpiryWords = 2;
const rowHasExpiry = 1;
const kindAbsent = 0;
/** A budget below it is not worth the while. */
const budgetMin = 16 * 1024;
/** The log is not split into fewer rows. */
const rowCountMin = 16;
/** A new tag drives a row out of a full bucket once in so many times, else it is not left. */
const intrusionPeriod = 16;
/** Rows are written anew when more than this part of the log was written behind them. */
const oldFraction = 0.75;
/** 4 GiB of rows: where positions end and the cache begins anew. */
const positionMaxDefault = 2 ** 30;

export class RowCache {
	readonly #bucketCount: number;
	readonly #ways: Int32Array;
	readonly #words: Uint32Array;
	readonly #bytes: Uint8Array;
	/** Words of the log. */
	readonly #capacity: number;
	readonly #rowSizeMax: number;
	readonly #positionMax: number;
	/** Where the next row goes; 0 is no row's. */
	#end = 1;
	/** Position of the log's first word, in the lap that is being written. */
	#lapStart = 0;
	#floor = 1;
	#old = 1;
	/** Where the row of the key that was missed last goes; -1: it is not admitted. */
	#admittedWay = -1;
	#turn = 0;
	#hitCount = 0;
	#admittedCount = 0;
	#renewedCount = 0;

	/**
	 * @param budget bytes of all of it; a small one makes a cache that holds nothing
	 * @param positionMax other than the usual for tests
	 */
	constructor(budget: number, positionMax = positionMaxDefault) {
		assert(Number.isSafeInteger(budget) && budget >= 0, `a row cache of ${budget} bytes`);
		this.#bucketCount = budget < budgetMin ? 1 : Math.floor(budget / bytesPerBucket);
		this.#ways = new Int32Array(this.#bucketCount * bucketWords);
		const affordable = budget < budgetMin ? 0 : Math.floor((budget - this.#ways.byteLength) / 4);
		this.#capacity = Math.min(affordable, positionMaxDefault / 4);
		this.#positionMax = positionMax;
		this.#words = new Uint32Array(this.#capacity);
		this.#bytes = new Uint8Array(this.#words.buffer);
		this.#rowSizeMax = Math.min(cachedRowSizeMax, Math.floor(this.#bytes.length / rowCountMin));
	}

	/** The tables are others: nothing that is known holds. */
	forgetRows(): void {
		this.#floor = this.#end;
		this.#old = this.#end;
	}

	/**
	 * Looks a key up; `admit` may follow a miss.
	 * @param hash `keyHash` of the key
	 * @param found filled with the newest version for `rowFound`; its value is lent until the next `admit` or `find`
	 * @returns rowMissed, rowAbsent, rowFound
	 */
	find(hash: number, key: Uint8Array, keyOffset: number, keySize: number, found: EntryView): number {
		const ways = this.#ways;
		const tag = hash | 0;
		const bucket = Math.floor((hash * this.#bucketCount) / 0x1_0000_0000) * bucketWords;
		let known = -1;
		for (let way = bucket; way < bucket + bucketWords; way += wayWords) {
			if (ways[way] !== tag) continue;
			known = way;
			const position = ways[way + 1];
			if (position < this.#floor || !this.#hasKey(position, key, keyOffset, keySize)) continue;
			this.#hitCount++;
			return this.#show(position < this.#old ? this.#renew(way, position) : position, found);
		}
		if (known < 0) this.#leaveTag(bucket, tag);
		this.#admittedWay = known;
		return rowMissed;
	}

	/**
	 * What the tables say of the key that `find` has just missed: kept, if it was missed before and is not too large.
	 * @param isStored false: no table has a version @param found the newest version, if there is one
	 */
	admit(key: Uint8Array, keyOffset: number, keySize: number, isStored: boolean, found: EntryView): void {
		const way = this.#admittedWay;
		if (way < 0) return;
		const hasExpiry = isStored && found.expiresAtMs !== 0;
		const valueSize = isStored ? found.valueSize : 0;
		const headerWords = rowHeaderWords + (hasExpiry ? rowExpiryWords : 0);
		const wordCount = headerWords + ((keySize + valueSize + 3) >>> 2);
		if (wordCount * 4 > this.#rowSizeMax) return;
		const position = this.#reserve(wordCount);
		const row = this.#wordOf(position);
		const words = this.#words;
		const sequence = isStored ? found.sequence : 0;
		words[row] = sequence;
		words[row + 1] = Math.floor(sequence / 0x1_0000_0000) | ((isStored ? found.kind : kindAbsent) << 24);
		words[row + 2] = keySize | (hasExpiry ? rowHasExpiry << 16 : 0);
		words[row + 3] = valueSize;
		if (hasExpiry) {
			words[row + 4] = found.expiresAtMs;
			words[row + 5] = Math.floor(found.expiresAtMs / 0x1_0000_0000);
		}
		const bytes = this.#bytes;
		const start = (row + headerWords) * 4;
		for (let i = 0; i < keySize; i++) bytes[start + i] = key[keyOffset + i];
		const { value, valueOffset } = found;
		if (valueSize > 0) bytes.set(value.subarray(valueOffset, valueOffset + valueSize), start + keySize);
		this.#ways[way + 1] = position;
		this.#admittedWay = -1;
		this.#admittedCount++;
	}

	statistics(): Record<string, number> {
		return {
			readsInRows: this.#hitCount,
			rowsAdmitted: this.#admittedCount,
			rowsRenewed: this.#renewedCount,
			rowCacheBytes: this.#bytes.length + this.#ways.byteLength,
		};
	}

	#hasKey(position: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		const row = this.#wordOf(position);
		const shape = this.#words[row + 2];
		if ((shape & 0xffff) !== keySize) return false;
		const bytes = this.#bytes;
		const start = (row + headerWordsOf(shape)) * 4;
		for (let i = 0; i < keySize; i++) if (bytes[start + i] !== key[keyOffset + i]) return false;
		return true;
	}

	#show(position: number, found: EntryView): number {
		const words = this.#words;
		const row = this.#wordOf(position);
		const kind = words[row + 1] >>> 24;
		if (kind === kindAbsent) return rowAbsent;
		const shape = words[row + 2];
		found.kind = kind;
		found.sequence = words[row] + (words[row + 1] & 0x1f_ffff) * 0x1_0000_0000;
		found.expiresAtMs = shape >>> 16 === 0 ? 0 : words[row + 4] + words[row + 5] * 0x1_0000_0000;
		found.value = this.#bytes;
		found.valueOffset = (row + headerWordsOf(shape)) * 4 + (shape & 0xffff);
		found.valueSize = words[row + 3];
		return rowFound;
	}

	/** Of a key that its bucket does not know: in a way that does not hold, or now and then in one that does. */
	#leaveTag(bucket: number, tag: number): void {
		const ways = this.#ways;
		const turn = this.#turn;
		this.#turn = (turn + 1) % intrusionPeriod;
		let way = bucket + (turn % wayCount) * wayWords;
		for (let count = 0; count < wayCount && ways[way + 1] >= this.#floor; count++) {
			way += wayWords;
			if (way === bucket + bucketWords) way = bucket;
		}
		if (ways[way + 1] >= this.#floor && turn !== 0) return;
		ways[way] = tag;
		ways[way + 1] = 0;
	}

	/** Writes a row again, at the end. @returns its position now */
	#renew(way: number, position: number): number {
		const words = this.#words;
		const row = this.#wordOf(position);
		const shape = words[row + 2];
		const wordCount = headerWordsOf(shape) + (((shape & 0xffff) + words[row + 3] + 3) >>> 2);
		const renewed = this.#reserve(wordCount);
		// The new place may overlap the old one, when the old one is next to be overwritten.
		words.copyWithin(this.#wordOf(renewed), row, row + wordCount);
		this.#ways[way + 1] = renewed;
		this.#renewedCount++;
		return renewed;
	}

	/** @returns the position of a row of so many words */
	#reserve(wordCount: number): number {
		const capacity = this.#capacity;
		if (this.#end > this.#positionMax) this.#beginAnew();
		if (this.#end - this.#lapStart + wordCount > capacity) {
			this.#lapStart += capacity;
			this.#end = this.#lapStart;
		}
		const position = this.#end;
		this.#end += wordCount;
		this.#floor = Math.max(this.#floor, this.#end - capacity);
		this.#old = Math.max(this.#old, this.#end - Math.floor(capacity * oldFraction));
		return position;
	}

	/** Positions must not wrap: a tag of long ago would seem to hold. */
	#beginAnew(): void {
		this.#ways.fill(0);
		this.#lapStart = 0;
		this.#end = 1;
		this.#floor = 1;
		this.#old = 1;
	}

	/** Index of the first word of a row that holds. */
	#wordOf(position: number): number {
		const word = position - this.#lapStart;
		return word >= 0 ? word : word + this.#capacity;
	}
}

/** @param shape word 2 of a row */
function headerWordsOf(shape: number): number {
	return shape >>> 16 === 0 ? rowHeaderWords : rowHeaderWords + rowExpiryWords;
}
