/**
 * Merges ordered sources into one order: keys ascending, or descending after a seek backward, and the versions of one key newest
 * first in both. A loser tree (Knuth, TAOCP vol. 3, 5.4.1) over source numbers: each step replays one path, ceil(log2(k))
 * comparisons, and allocates nothing.
 *
 *   tree[0] = the winner      tree[1..k-1] = the loser of the match at that node      leaf of source i = node k + i
 *
 * A source that has ended loses against all others; of equal entries (which well-formed sources never have) the source
 * with the lower number comes first. Key and value are lent by the winning source until the next call. One thread.
 *
 * After `seekExact` only the winner is known to stand where it should: no other source can have anything before it. They are
 * sought when the walk moves on, which a cursor opened for one entry never does.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes, copyBytes } from '../../../base/bytes.js';
import type { EntryIterator } from '../entry.js';

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
	/** The winner of each node, while all matches are played. */
	readonly #winners: Int32Array;
	#isBackward = false;
	/** True: all sources but the winner are still to be sought, to this key. */
	#isWaiting = false;
	#soughtKey = new Uint8Array(64);
	#soughtKeySize = 0;

	/** @param sources newest first by convention; they belong to this iterator from now on */
	constructor(sources: readonly EntryIterator[]) {
		this.#sources = sources;
		this.#tree = new Int32Array(Math.max(1, sources.length));
		this.#winners = new Int32Array(sources.length * 2);
	}

	/** The source that the present entry comes from. */
	get winner(): number {
		return this.#tree[0];
	}

	seekFirst(): void {
		this.#isBackward = false;
		this.#isWaiting = false;
		for (const source of this.#sources) source.seekFirst();
		this.#playAll();
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		this.#isBackward = false;
		this.#isWaiting = false;
		for (const source of this.#sources) source.seek(key, keyOffset, keySize);
		this.#playAll();
	}

	/**
	 * As `seek`, for a key that is likely to be there, over sources that are newest first (as for points: of one key, all versions
	 * in a source are newer than those in the next). It then costs what a point read does.
	 * @param hash `keyHash` of the key
	 */
	seekExact(hash: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		const sources = this.#sources;
		for (let i = 0; i < sources.length; i++) {
			if (!isFoundExactly(sources[i], hash, key, keyOffset, keySize)) continue;
			this.#isBackward = false;
			this.#isWaiting = true;
			if (keySize > this.#soughtKey.length) this.#soughtKey = new Uint8Array(keySize * 2);
			copyBytes(key, keyOffset, this.#soughtKey, 0, keySize);
			this.#soughtKeySize = keySize;
			this.#tree[0] = i;
			this.#show();
			return true;
		}
		this.seek(key, keyOffset, keySize);
		return false;
	}

	seekLast(): void {
		this.#isBackward = true;
		this.#isWaiting = false;
		for (const source of this.#sources) source.seekLast();
		this.#playAll();
	}

	seekBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): void {
		this.#isBackward = true;
		this.#isWaiting = false;
		for (const source of this.#sources) source.seekBackward(key, keyOffset, keySize, isInclusive);
		this.#playAll();
	}

	next(): void {
		assert(this.valid, 'next() on a valid iterator');
		this.#sources[this.#tree[0]].next();
		if (this.#isWaiting) this.#seekOthers();
		else this.#replay();
	}

	close(): void {
		this.valid = false;
		this.#isWaiting = false;
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
		if (this.#isWaiting) this.#seekOthers();
		else this.#replay();
	}

	/**
	 * The walk has left the entry that `seekExact` found, which was the first of all. A newer source that is written to
	 * meanwhile may have a version of the key by now; it comes next, too new for whoever looks at one moment, and nothing
	 * comes twice.
	 */
	#seekOthers(): void {
		this.#isWaiting = false;
		const winner = this.#tree[0];
		const sources = this.#sources;
		for (let i = 0; i < sources.length; i++) {
			if (i !== winner) sources[i].seek(this.#soughtKey, 0, this.#soughtKeySize);
		}
		this.#playAll();
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
		const winners = this.#winners;
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

/** Also of a source that has no short way. */
function isFoundExactly(
	source: EntryIterator,
	hash: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
): boolean {
	if (source.seekExact !== undefined) return source.seekExact(hash, key, keyOffset, keySize);
	source.seek(key, keyOffset, keySize);
	return source.valid && compareBytes(source.key, source.keyOffset, source.keySize, key, keyOffset, keySize) === 0;
}
