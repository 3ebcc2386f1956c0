/**
 * Walks the entries of a table by keys descending, the versions of each key newest first. Entries are stored the other way, so
 * the walk goes key by key: back over all versions of a key, then forward through them.
 *
 *   stored     a5  b9  b7  b2  c4          shown from the end     c4 | b9  b7  b2 | a5
 *
 * It stands between two stored entries or on one, at (block, restart, entry in its interval); the keys of two neighbouring
 * intervals are at hand, so that looking whether a key continues before an interval costs nothing twice. Whether it continues in
 * the block before, the index knows. One thread.
 */

import type { BlockStream } from './block-stream.js';
import { IntervalKeys } from './interval-keys.js';
import type { TableIndex } from './table-index.js';

export class BackwardWalk {
	readonly #stream: BlockStream;
	readonly #index: TableIndex;
	/** The interval we are in, and the one before it when it was looked at. */
	#interval = new IntervalKeys();
	#before = new IntervalKeys();
	#block = -1;
	/** Entry of the interval; the interval's count: behind its last one. */
	#entry = 0;
	/** Where the newest version of the present key is. */
	#newestBlock = 0;
	#newestRestart = 0;
	#newestEntry = 0;
	/** Versions of the present key that are still to come. */
	#olderCount = 0;

	constructor(stream: BlockStream, index: TableIndex) {
		this.#stream = stream;
		this.#index = index;
	}

	/** Of the entry we are on: its key lies in these bytes. */
	get keys(): Uint8Array {
		return this.#interval.keys;
	}

	get keyOffset(): number {
		return this.#interval.keyOffset(this.#entry);
	}

	get keySize(): number {
		return this.#interval.keySize(this.#entry);
	}

	get entryOffset(): number {
		return this.#interval.entryOffset(this.#entry);
	}

	/** To the newest version of the last key. @returns false when there is none */
	seekLast(): boolean {
		this.#standAtEnd();
		return this.#takeKeyBefore();
	}

	/** To the newest version of the last key below the given one, or equal to it. @returns false when there is none */
	seek(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): boolean {
		// Behind (key, -1) lies what is above the key, behind (key, largest) what is not below it.
		const sequence = isInclusive ? -1 : Number.MAX_SAFE_INTEGER;
		const number = this.#index.find(key, keyOffset, keySize, sequence);
		if (number === this.#index.blockCount) {
			this.#standAtEnd();
			return this.#takeKeyBefore();
		}
		this.#enter(number);
		const { block } = this.#stream;
		this.#loadInterval(block.findRestart(key, keyOffset, keySize, sequence));
		const interval = this.#interval;
		let entry = 0;
		for (; entry < interval.count; entry++) {
			const order = interval.compare(entry, key, keyOffset, keySize);
			if (order > 0 || (order === 0 && !isInclusive)) break;
		}
		this.#entry = entry;
		return this.#takeKeyBefore();
	}

	/** To the next older version of the key, or the newest of the key before. @returns false at the start of the table */
	next(): boolean {
		if (this.#olderCount > 0) {
			this.#olderCount--;
			this.#stepForward();
			return true;
		}
		this.#enter(this.#newestBlock);
		this.#loadInterval(this.#newestRestart);
		this.#entry = this.#newestEntry;
		return this.#takeKeyBefore();
	}

	#standAtEnd(): void {
		this.#enter(this.#index.blockCount - 1);
		this.#loadInterval(this.#stream.block.restartCount - 1);
		this.#entry = this.#interval.count;
	}

	/** From behind a key's last version, or its newest, to the newest of the key before. */
	#takeKeyBefore(): boolean {
		if (!this.#stepBack()) return false;
		this.#olderCount = 0;
		while (this.#isSameKeyBefore()) {
			this.#stepBack();
			this.#olderCount++;
		}
		this.#newestBlock = this.#block;
		this.#newestRestart = this.#interval.restart;
		this.#newestEntry = this.#entry;
		return true;
	}

	#isSameKeyBefore(): boolean {
		const interval = this.#interval;
		const offset = interval.keyOffset(this.#entry);
		const size = interval.keySize(this.#entry);
		if (this.#entry > 0) return interval.compare(this.#entry - 1, interval.keys, offset, size) === 0;
		if (interval.restart > 0) {
			this.#loadBefore();
			return this.#before.compare(this.#before.count - 1, interval.keys, offset, size) === 0;
		}
		// A separator that equals the first key of the next block is the last key of its own.
		return this.#block > 0 && this.#index.compareSeparator(this.#block - 1, interval.keys, offset, size) === 0;
	}

	/** @returns false at the start of the table */
	#stepBack(): boolean {
		if (this.#entry > 0) {
			this.#entry--;
			return true;
		}
		if (this.#interval.restart > 0) {
			this.#loadBefore();
			const before = this.#before;
			this.#before = this.#interval;
			this.#before.forget();
			this.#interval = before;
		} else {
			if (this.#block === 0) return false;
			this.#enter(this.#block - 1);
			this.#loadInterval(this.#stream.block.restartCount - 1);
		}
		this.#entry = this.#interval.count - 1;
		return true;
	}

	/** To the entry stored next, which there is. */
	#stepForward(): void {
		this.#entry++;
		if (this.#entry < this.#interval.count) return;
		if (this.#interval.restart + 1 < this.#stream.block.restartCount) {
			this.#loadInterval(this.#interval.restart + 1);
		} else {
			this.#enter(this.#block + 1, false);
			this.#loadInterval(0);
		}
		this.#entry = 0;
	}

	#enter(number: number, isBackward = true): void {
		// Also when the stream is still in that block: a seek may have moved it since.
		if (number === this.#block && number === this.#stream.blockNumber) return;
		this.#interval.forget();
		this.#before.forget();
		this.#block = number;
		this.#stream.enter(number, isBackward);
	}

	#loadInterval(restart: number): void {
		if (this.#interval.restart === restart) return;
		this.#before.forget();
		this.#interval.load(this.#stream.block, restart);
	}

	#loadBefore(): void {
		const restart = this.#interval.restart - 1;
		if (this.#before.restart !== restart) this.#before.load(this.#stream.block, restart);
	}
}
