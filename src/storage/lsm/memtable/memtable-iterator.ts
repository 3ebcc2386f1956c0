/**
 * Walks a memtable in order (key ascending, sequence descending), also while the partition goes on writing to it:
 * nodes are copied when they grow, so a walk sees at least every entry that was there when it passed by, and callers
 * that need one moment ignore entries above their sequence number.
 *
 * State is the path from the root as (node, last label taken) pairs in a typed array: no object per step.
 */
import { assert } from '../../../base/assert.js';
import type { EntryIterator } from '../entry.js';
import type { Memtable } from './memtable.js';
import { viewEntry } from './memtable.js';
import { arenaRootWord, entryFirstWord, entryPreviousWord, nodeDepthWord, nodeOwnWord } from './memtable-format.js';
import { findChildWord, findLikeEntry, keyByteOffset, keySizeOf, nextLabel, sharedPrefixSize } from './radix-tree.js';

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

	readonly #isNewestOnly: boolean;
	readonly #words: Int32Array;
	readonly #bytes: Uint8Array;
	/** Pairs: node, label of the child we are in (-1: its own key). */
	#path = new Int32Array(64);
	#pathSize = 0;
	#entry = 0;

	/** @param isNewestOnly skip all but the newest version of each key: saves a flush a cache miss for each old one */
	constructor(memtable: Memtable, isNewestOnly = false) {
		this.#isNewestOnly = isNewestOnly;
		this.#words = memtable.words;
		this.#bytes = memtable.bytes;
		this.key = memtable.bytes;
		this.value = memtable.bytes;
	}

	seekFirst(): void {
		this.#pathSize = 0;
		this.#enterFirst(this.#words[arenaRootWord]);
	}

	next(): void {
		assert(this.valid, 'next() on a valid iterator');
		const words = this.#words;
		const hasOlder = words[this.#entry + entryFirstWord] !== this.#entry;
		if (hasOlder && !this.#isNewestOnly) this.#show(words[this.#entry + entryPreviousWord]);
		else this.#nextKey();
	}

	seek(key: Uint8Array, keyOffset: number, keySize: number): void {
		const words = this.#words;
		const bytes = this.#bytes;
		this.#pathSize = 0;
		let pointer = words[arenaRootWord];
		if (pointer === 0) {
			this.valid = false;
			return;
		}
		const like = findLikeEntry(words, bytes, key, keyOffset, keySize);
		const shared = sharedPrefixSize(words, bytes, like, key, keyOffset, keySize);
		while ((pointer & 1) === 0 && words[(pointer >>> 1) + nodeDepthWord] < shared) {
			const node = pointer >>> 1;
			const label = key[keyOffset + words[node + nodeDepthWord]];
			this.#push(node, label);
			pointer = words[findChildWord(words, bytes, node, label)];
		}
		const node = pointer >>> 1;
		const partsHere = (pointer & 1) === 0 && words[node + nodeDepthWord] === shared;
		if (keySize === shared) {
			this.#enterFirst(pointer);
		} else if (partsHere) {
			const label = key[keyOffset + shared];
			this.#push(node, label);
			const childWord = findChildWord(words, bytes, node, label);
			if (childWord !== 0) this.#enterFirst(words[childWord]);
			else this.#nextKey();
		} else {
			const isBelow =
				keySizeOf(words, like) > shared && key[keyOffset + shared] < bytes[keyByteOffset(words, like) + shared];
			if (isBelow) this.#enterFirst(pointer);
			else this.#nextKey();
		}
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

	/** Climbs until a node has a larger child, and enters that. */
	#nextKey(): void {
		while (this.#pathSize > 0) {
			const node = this.#path[this.#pathSize - 2];
			const label = nextLabel(this.#words, this.#bytes, node, this.#path[this.#pathSize - 1]);
			if (label < 256) {
				this.#path[this.#pathSize - 1] = label;
				this.#enterFirst(this.#words[findChildWord(this.#words, this.#bytes, node, label)]);
				return;
			}
			this.#pathSize -= 2;
		}
		this.valid = false;
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
