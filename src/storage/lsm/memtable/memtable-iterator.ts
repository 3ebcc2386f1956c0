/**
 * Walks a memtable in order (keys ascending or descending, the versions of one key always newest first), also while the
 * partition goes on writing to it: nodes are copied when they grow, so a walk sees at least every entry that was there when it
 * passed by, and callers that need one moment ignore entries above their sequence number.
 *
 * State is the path from the root as (node, last label taken) pairs in a typed array: no object per step. A node's own key comes
 * before its children, so its label is -1. A key found by its hash has no path: it is looked for when the walk moves on.
 */
import { assert } from '../../../base/assert.js';
import type { EntryIterator } from '../entry.js';
import type { Memtable } from './memtable.js';
import { viewEntry } from './memtable.js';
import { arenaRootWord, entryFirstWord, entryPreviousWord, nodeDepthWord, nodeOwnWord } from './memtable-format.js';
import {
	findChildWord,
	findLikeEntry,
	keyByteOffset,
	keySizeOf,
	nextLabel,
	previousLabel,
	sharedPrefixSize,
} from './radix-tree.js';

/** Keys that a walk loads ahead: as many cache misses as a processor core waits for at once. */
const aheadCount = 8;
/**
 * Of an entry with a short key: where its value is, mostly in the next cache line. Within the arena: behind entries lie nodes.
 */
const nextLineWord = 14;
/** Steps after a seek before it does: short walks do without. */
const shortWalkCount = 4;

export class MemtableIterator implements EntryIterator {
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

	readonly #memtable: Memtable;
	readonly #isNewestOnly: boolean;
	readonly #words: Int32Array;
	readonly #bytes: Uint8Array;
	/** Pairs: node, label of the child we are in (-1: its own key). */
	#path = new Int32Array(64);
	/** Numbers of the path in use; -1: none leads to where we are. */
	#pathSize = 0;
	#entry = 0;
	#isBackward = false;
	/** Where what `#descend` returned lies: -1 below the key, 0 the key itself or beginning with it, 1 above the key. */
	#side = 0;
	/** Steps to other keys until `#touchAhead`. */
	#untouchedSteps = 0;
	readonly #ahead = new Int32Array(aheadCount);
	/** Means nothing: without a result, loading ahead would be optimized away. */
	touched = 0;

	/** @param isNewestOnly skip all but the newest version of each key: saves a flush a cache miss for each old one */
	constructor(memtable: Memtable, isNewestOnly = false) {
		this.#memtable = memtable;
		this.#isNewestOnly = isNewestOnly;
		this.#words = memtable.words;
		this.#bytes = memtable.bytes;
		this.key = memtable.bytes;
		this.value = memtable.bytes;
	}

	seekFirst(): void {
		this.#pathSize = 0;
		this.#untouchedSteps = shortWalkCount;
		this.#isBackward = false;
		this.#enterFirst(this.#words[arenaRootWord]);
	}

	seekLast(): void {
		this.#pathSize = 0;
		this.#isBackward = true;
		this.#enterLast(this.#words[arenaRootWord]);
	}

	next(): void {
		assert(this.valid, 'next() on a valid iterator');
		const words = this.#words;
		const hasOlder = words[this.#entry + entryFirstWord] !== this.#entry;
		if (hasOlder && !this.#isNewestOnly) this.#show(words[this.#entry + entryPreviousWord]);
		else if (this.#isBackward) this.#previousKey();
		else {
			if (this.#pathSize < 0) this.seek(this.key, this.keyOffset, this.keySize);
			this.#nextKey();
		}
	}

	seekExact(hash: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		this.valid = false;
		this.#isBackward = false;
		const entry = this.#memtable.findEntry(hash, key, keyOffset, keySize);
		if (entry === 0) return false;
		this.#pathSize = -1;
		this.#show(entry);
		return true;
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		this.#isBackward = false;
		const pointer = this.#descend(key, keyOffset, keySize);
		if (this.#side > 0 || (this.#side === 0 && pointer !== 0)) this.#enterFirst(pointer);
		else this.#nextKey();
	}

	seekBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): void {
		this.#isBackward = true;
		const pointer = this.#descend(key, keyOffset, keySize);
		if (this.#side < 0) {
			this.#enterLast(pointer);
		} else if (isInclusive && this.#side === 0 && this.#isOwnKey(pointer, keySize)) {
			this.#enterFirst(pointer);
		} else {
			this.#previousKey();
		}
	}

	/**
	 * Goes down to where the key would be, and leaves that path.
	 * @returns a pointer whose keys lie all on one side of the key (`#side`), or 0: they lie between labels of the path's last node
	 */
	#descend(key: Uint8Array, keyOffset: number, keySize: number): number {
		const words = this.#words;
		const bytes = this.#bytes;
		this.#pathSize = 0;
		this.#untouchedSteps = shortWalkCount;
		this.#side = 0;
		let pointer = words[arenaRootWord];
		if (pointer === 0) return 0;
		const like = findLikeEntry(words, bytes, key, keyOffset, keySize);
		const shared = sharedPrefixSize(words, bytes, like, key, keyOffset, keySize);
		while ((pointer & 1) === 0 && words[(pointer >>> 1) + nodeDepthWord] < shared) {
			const node = pointer >>> 1;
			const label = key[keyOffset + words[node + nodeDepthWord]];
			this.#push(node, label);
			pointer = words[findChildWord(words, bytes, node, label)];
		}
		if (keySize === shared) return pointer;
		const node = pointer >>> 1;
		if ((pointer & 1) === 0 && words[node + nodeDepthWord] === shared) {
			// The node's children share as much with the key as any entry does, so none of them has its next byte.
			this.#push(node, key[keyOffset + shared]);
			return 0;
		}
		const isShorter = keySizeOf(words, like) === shared;
		this.#side = isShorter || bytes[keyByteOffset(words, like) + shared] < key[keyOffset + shared] ? -1 : 1;
		return pointer;
	}

	/** True when the first key at or below a pointer has this size. */
	#isOwnKey(pointer: number, keySize: number): boolean {
		if (pointer === 0) return false;
		const words = this.#words;
		const node = pointer >>> 1;
		if ((pointer & 1) === 1) return keySizeOf(words, node) === keySize;
		return words[node + nodeDepthWord] === keySize && words[node + nodeOwnWord] !== 0;
	}

	/** Shows the smallest key at or below a pointer. */
	#enterFirst(pointer: number): void {
		const words = this.#words;
		if (pointer === 0) {
			this.valid = false;
			return;
		}
		while ((pointer & 1) === 0) {
			const node = pointer >>> 1;
			const own = words[node + nodeOwnWord];
			if (own !== 0) {
				this.#push(node, -1);
				pointer = own;
			} else {
				const label = nextLabel(words, this.#bytes, node, -1);
				assert(label < 256, 'a node has children');
				this.#push(node, label);
				pointer = words[findChildWord(words, this.#bytes, node, label)];
			}
		}
		this.#show(words[(pointer >>> 1) + entryPreviousWord]);
	}

	/** Shows the largest key at or below a pointer: its newest version. */
	#enterLast(pointer: number): void {
		const words = this.#words;
		if (pointer === 0) {
			this.valid = false;
			return;
		}
		while ((pointer & 1) === 0) {
			const node = pointer >>> 1;
			const label = previousLabel(words, this.#bytes, node, 256);
			this.#push(node, label);
			pointer = label < 0 ? words[node + nodeOwnWord] : words[findChildWord(words, this.#bytes, node, label)];
		}
		this.#show(words[(pointer >>> 1) + entryPreviousWord]);
	}

	/** Climbs until a node has a smaller child or a key of its own, and enters that. */
	#previousKey(): void {
		const words = this.#words;
		while (this.#pathSize > 0) {
			const node = this.#path[this.#pathSize - 2];
			const before = this.#path[this.#pathSize - 1];
			const label = previousLabel(words, this.#bytes, node, before);
			if (label >= 0) {
				this.#path[this.#pathSize - 1] = label;
				this.#enterLast(words[findChildWord(words, this.#bytes, node, label)]);
				return;
			}
			const own = words[node + nodeOwnWord];
			if (own !== 0 && before >= 0) {
				this.#path[this.#pathSize - 1] = -1;
				this.#enterLast(own);
				return;
			}
			this.#pathSize -= 2;
		}
		this.valid = false;
	}

	/** Climbs until a node has a larger child, and enters that. */
	#nextKey(): void {
		while (this.#pathSize > 0) {
			const node = this.#path[this.#pathSize - 2];
			const label = nextLabel(this.#words, this.#bytes, node, this.#path[this.#pathSize - 1]);
			if (label < 256) {
				this.#path[this.#pathSize - 1] = label;
				if (this.#untouchedSteps-- === 0) this.#touchAhead(node, label);
				this.#enterFirst(this.#words[findChildWord(this.#words, this.#bytes, node, label)]);
				return;
			}
			this.#pathSize -= 2;
		}
		this.valid = false;
	}

	/**
	 * Loads what the next steps will need. Keys that are neighbours here lie anywhere in the arena; a walk that went to one after
	 * the other would wait for each by itself, and this waits for all of them together.
	 */
	#touchAhead(node: number, label: number): void {
		const words = this.#words;
		const bytes = this.#bytes;
		const ahead = this.#ahead;
		let count = 0;
		for (; label < 256 && count < aheadCount; label = nextLabel(words, bytes, node, label)) {
			ahead[count++] = words[findChildWord(words, bytes, node, label)];
		}
		let sum = 0;
		for (let i = 0; i < count; i++) {
			const pointer = ahead[i];
			// Of a leaf, the newest version; of a node, any word.
			ahead[i] = words[(pointer >>> 1) + entryPreviousWord];
			if ((pointer & 1) === 0) ahead[i] = 0;
		}
		for (let i = 0; i < count; i++) sum += words[ahead[i] + entryFirstWord] + words[ahead[i] + nextLineWord];
		this.touched = sum | 0;
		this.#untouchedSteps = count;
	}

	#push(node: number, label: number): void {
		if (this.#pathSize === this.#path.length) {
			const longer = new Int32Array(this.#path.length * 2);
			longer.set(this.#path);
			this.#path = longer;
		}
		this.#path[this.#pathSize] = node;
		this.#path[this.#pathSize + 1] = label;
		this.#pathSize += 2;
	}

	#show(entry: number): void {
		this.#entry = entry;
		this.keyOffset = keyByteOffset(this.#words, entry);
		this.keySize = keySizeOf(this.#words, entry);
		viewEntry(this.#words, this.#bytes, entry, this);
		this.valid = true;
	}
}
