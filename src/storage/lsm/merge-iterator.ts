/**
 * Merges ordered sources into one order: keys ascending, or descending after a seek backward, and the versions of one key newest
 * first in both. A loser tree (Knuth, TAOCP vol. 3, 5.4.1) over source numbers: each step replays one path, ceil(log2(k))
 * comparisons, and allocates nothing.
 *
 *   tree[0] = the winner      tree[1..k-1] = the loser of the match at that node      leaf of source i = node k + i
 *
 * A source that has ended loses against all others; of equal entries (which well-formed sources never have) the source
 * with the lower number comes first. Key and value are lent by the winning source until the next call. One thread.
 */
import { assert } from '../../base/assert.js';
import { compareBytes } from '../../base/bytes.js';
import type { EntryIterator } from './entry.js';

const noBytes = new Uint8Array(0);

export class MergeIterator implements EntryIterator {
	valid = false;
	key: Uint8Array = noBytes;
	keyOffset = 0;
	keySize = 0;
	sequence = 0;
	kind = 0;
	expiresAtMs = 0;
	value: Uint8Array = noBytes;
	valueOffset = 0;
	valueSize = 0;

	readonly #sources: readonly EntryIterator[];
	readonly #tree: Int32Array;
	#isBackward = false;

	/** @param sources newest first by convention; they belong to this iterator from now on */
	constructor(sources: readonly EntryIterator[]) {
		this.#sources = sources;
		this.#tree = new Int32Array(Math.max(1, sources.length));
	}

	/** The source that the present entry comes from. */
	get winner(): number {
		return this.#tree[0];
	}

	seekFirst(): void {
		this.#isBackward = false;
		for (const source of this.#sources) source.seekFirst();
		this.#playAll();
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		this.#isBackward = false;
		for (const source of this.#sources) source.seek(key, keyOffset, keySize);
		this.#playAll();
	}

	seekLast(): void {
		this.#isBackward = true;
		for (const source of this.#sources) source.seekLast();
		this.#playAll();
	}

	seekBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): void {
		this.#isBackward = true;
		for (const source of this.#sources) source.seekBackward(key, keyOffset, keySize, isInclusive);
		this.#playAll();
	}

	next(): void {
		assert(this.valid, 'next() on a valid iterator');
		this.#sources[this.#tree[0]].next();
		this.#replay();
	}

	close(): void {
		this.valid = false;
		for (const source of this.#sources) source.close?.();
	}

	/**
	 * Moves only the winning source: to its first key >= the given one, backward to its last key below it. The key is ahead of the
	 * present one. Spares a walk what it knows to be dead there.
	 */
	skipInWinner(key: Uint8Array, keyOffset: number, keySize: number): void {
		assert(this.valid, 'skipInWinner() on a valid iterator');
		const source = this.#sources[this.#tree[0]];
		if (this.#isBackward) source.seekBackward(key, keyOffset, keySize, false);
		else source.seek(key, keyOffset, keySize);
		this.#replay();
	}

	/** The winning source has moved: its matches are played again. */
	#replay(): void {
		const tree = this.#tree;
		let winner = tree[0];
		for (let node = (winner + this.#sources.length) >>> 1; node >= 1; node >>>= 1) {
			const loser = tree[node];
			if (this.#isBefore(loser, winner)) {
				tree[node] = winner;
				winner = loser;
			}
		}
		tree[0] = winner;
		this.#show();
	}

	#playAll(): void {
		const count = this.#sources.length;
		this.valid = false;
		if (count === 0) return;
		const winners = new Int32Array(count * 2);
		for (let i = 0; i < count; i++) winners[count + i] = i;
		for (let node = count - 1; node >= 1; node--) {
			const left = winners[node * 2];
			const right = winners[node * 2 + 1];
			const isRightFirst = this.#isBefore(right, left);
			winners[node] = isRightFirst ? right : left;
			this.#tree[node] = isRightFirst ? left : right;
		}
		this.#tree[0] = winners[1];
		this.#show();
	}

	#isBefore(a: number, b: number): boolean {
		const left = this.#sources[a];
		const right = this.#sources[b];
		if (!left.valid) return false;
		if (!right.valid) return true;
		const order = compareBytes(left.key, left.keyOffset, left.keySize, right.key, right.keyOffset, right.keySize);
		if (order !== 0) return order < 0 !== this.#isBackward;
		if (left.sequence !== right.sequence) return left.sequence > right.sequence;
		return a < b;
	}

	#show(): void {
		const source = this.#sources[this.#tree[0]];
		this.valid = source.valid;
		if (!source.valid) return;
		this.key = source.key;
		this.keyOffset = source.keyOffset;
		this.keySize = source.keySize;
		this.sequence = source.sequence;
		this.kind = source.kind;
		this.expiresAtMs = source.expiresAtMs;
		this.value = source.value;
		this.valueOffset = source.valueOffset;
		this.valueSize = source.valueSize;
	}
}
