/** An EntryIterator over entries in an array: the plainest there can be, and one that counts how often it is moved. */
import { assert } from '../../src/base/assert.js';
import type { EntryIterator } from '../../src/storage/lsm/entry.js';

export interface ArrayEntry {
	readonly key: Buffer;
	readonly sequence: number;
	readonly kind: number;
	readonly expiresAtMs: number;
	readonly value: Buffer;
}

/** Keys ascending, versions newest first. */
export function compareArrayEntries(a: ArrayEntry, b: ArrayEntry): number {
	return Buffer.compare(a.key, b.key) || b.sequence - a.sequence;
}

export class ArrayIterator implements EntryIterator {
	valid = false;
	key: Uint8Array = Buffer.alloc(0);
	keyOffset = 0;
	keySize = 0;
	sequence = 0;
	kind = 0;
	expiresAtMs = 0;
	value: Uint8Array = Buffer.alloc(0);
	valueOffset = 0;
	valueSize = 0;
	/** Calls of `next`, and of seeks. */
	moveCount = 0;
	seekCount = 0;
	readonly #forward: readonly ArrayEntry[];
	/** Keys descending, versions newest first: made when first needed. */
	#backward: readonly ArrayEntry[] | undefined;
	#order: readonly ArrayEntry[];
	#index = 0;

	/** @param sorted by `compareArrayEntries` */
	constructor(sorted: readonly ArrayEntry[]) {
		this.#forward = sorted;
		this.#order = sorted;
	}

	seekFirst(): void {
		this.seek(Buffer.alloc(0), 0, 0);
	}

	seekLast(): void {
		this.#order = this.#descending();
		this.#enter(() => true);
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		this.#order = this.#forward;
		const target = key.subarray(keyOffset, keyOffset + keySize);
		this.#enter((entry) => Buffer.compare(entry.key, target) >= 0);
	}

	seekBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): void {
		this.#order = this.#descending();
		const target = key.subarray(keyOffset, keyOffset + keySize);
		this.#enter((entry) => Buffer.compare(entry.key, target) < (isInclusive ? 1 : 0));
	}

	next(): void {
		assert(this.valid, 'next() on a valid iterator');
		this.moveCount++;
		this.#show(this.#index + 1);
	}

	#descending(): readonly ArrayEntry[] {
		this.#backward ??= [...this.#forward].sort((a, b) => Buffer.compare(b.key, a.key) || b.sequence - a.sequence);
		return this.#backward;
	}

	/** To the first entry that is reached, by bisection. */
	#enter(isReached: (entry: ArrayEntry) => boolean): void {
		this.seekCount++;
		let low = 0;
		let high = this.#order.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (isReached(this.#order[middle])) high = middle;
			else low = middle + 1;
		}
		this.#show(low);
	}

	#show(index: number): void {
		this.#index = index;
		this.valid = index < this.#order.length;
		if (!this.valid) return;
		const entry = this.#order[index];
		this.key = entry.key;
		this.keySize = entry.key.length;
		this.sequence = entry.sequence;
		this.kind = entry.kind;
		this.expiresAtMs = entry.expiresAtMs;
		this.value = entry.value;
		this.valueSize = entry.value.length;
	}
}
