/**
 * A memtable: the newest writes of a partition, in an arena that other threads can read (memtable-format.ts). Points go through
 * the hash table, order through the radix tree; both find the same entries.
 *
 * The partition's thread is the only writer. Once rotated out it is never written again, and the background pool flushes
 * it from the same memory without a copy. `get` copies nothing: views point into the arena and stay valid until the
 * arena is reset, which the partition does only when no flush, read or scan uses it.
 */
import { assert } from '../../../base/assert.js';
import { copyBytes, readF64, writeF64 } from '../../../base/bytes.js';
import { keySizeMax, valueSizeMax } from '../../../base/limits.js';
import { copyShared, registerShared } from '../../../base/word-copy.js';
import { type EntryView, kindTombstone } from '../entry.js';
import {
	arenaBytesPerSlot,
	arenaEntryCountWord,
	arenaHeaderWords,
	arenaKeyCountWord,
	arenaMagic,
	arenaMagicWord,
	arenaMaxSequenceWord,
	arenaMinSequenceWord,
	arenaNodesWord,
	arenaSlotCountWord,
	arenaTombstoneCountWord,
	arenaUsedWord,
	entryExpiryWord,
	entryExpiryWords,
	entryFirstWord,
	entryHasExpiry,
	entryHeaderWords,
	entryKeySizeWord,
	entryKindWord,
	entryPreviousWord,
	entrySequenceWord,
	entryValueSizeWord,
	insertionWordsMax,
	slotCountMin,
} from './memtable-format.js';
import { insertKey } from './radix-tree.js';

/** The sequence number of an entry. */
function entrySequence(words: Int32Array, entry: number): number {
	return (words[entry + entrySequenceWord] >>> 0) + (words[entry + entryKindWord] & 0x1f_ffff) * 0x1_0000_0000;
}

/** Fills `view` from an entry; the value stays in the arena. */
export function viewEntry(words: Int32Array, bytes: Uint8Array, entry: number, view: EntryView): void {
	const keySizeAndFlags = words[entry + entryKeySizeWord];
	let at = (entry + entryHeaderWords) * 4;
	if ((keySizeAndFlags & entryHasExpiry) !== 0) {
		view.expiresAtMs = readF64(bytes, (entry + entryExpiryWord) * 4);
		at += entryExpiryWords * 4;
	} else {
		view.expiresAtMs = 0;
	}
	view.sequence = entrySequence(words, entry);
	view.kind = words[entry + entryKindWord] >>> 24;
	view.value = bytes;
	view.valueOffset = at + (keySizeAndFlags & 0xffff);
	view.valueSize = words[entry + entryValueSizeWord];
}

export class Memtable {
	readonly arena: SharedArrayBuffer;
	readonly words: Int32Array;
	readonly bytes: Uint8Array;
	readonly #slotMask: number;
	/** Bits of a slot that hold the entry's word offset; the rest hold bits of the hash. */
	readonly #entryBits: number;
	readonly #entryMask: number;
	#lastSequence = 0;

	/** @param arena fresh (all zero), or one that another Memtable filled; its size a multiple of 8 up to 1 GiB */
	constructor(arena: SharedArrayBuffer) {
		assert(arena.byteLength % 8 === 0 && arena.byteLength <= 2 ** 30, `arena size ${arena.byteLength}`);
		this.arena = arena;
		this.words = new Int32Array(arena);
		this.bytes = new Uint8Array(arena);
		registerShared(this.bytes);
		const slotCount = Math.max(slotCountMin, 2 ** Math.floor(Math.log2(arena.byteLength / arenaBytesPerSlot)));
		this.#slotMask = slotCount - 1;
		this.#entryBits = Math.ceil(Math.log2(this.words.length));
		this.#entryMask = 2 ** this.#entryBits - 1;
		if (this.words[arenaMagicWord] !== arenaMagic) this.reset();
		assert(this.words[arenaSlotCountWord] === slotCount, 'an arena keeps its slots');
	}

	/** Forgets everything. The caller knows that nobody reads this arena any more. */
	reset(): void {
		const { words } = this;
		const firstEntry = arenaHeaderWords + this.#slotMask + 1;
		words.fill(0, 0, firstEntry);
		words[arenaMagicWord] = arenaMagic;
		words[arenaSlotCountWord] = this.#slotMask + 1;
		words[arenaUsedWord] = firstEntry;
		words[arenaNodesWord] = words.length;
		this.#lastSequence = 0;
	}

	/** Versions held. */
	get entryCount(): number {
		return this.words[arenaEntryCountWord];
	}

	/** Distinct keys held, deleted ones included. */
	get keyCount(): number {
		return this.words[arenaKeyCountWord];
	}

	get tombstoneCount(): number {
		return this.words[arenaTombstoneCountWord];
	}

	get usedBytes(): number {
		return this.arena.byteLength - this.#freeBytes;
	}

	get minSequence(): number {
		return readU53Words(this.words, arenaMinSequenceWord);
	}

	get maxSequence(): number {
		return readU53Words(this.words, arenaMaxSequenceWord);
	}

	/** True when an empty arena of this size could take an entry of these sizes. */
	static couldHold(arenaSize: number, keySize: number, valueSize: number): boolean {
		return spaceFor(keySize, valueSize) + arenaSize / (arenaBytesPerSlot / 4) + 1024 <= arenaSize;
	}

	hasRoom(keySize: number, valueSize: number): boolean {
		return spaceFor(keySize, valueSize) <= this.#freeBytes && this.keyCount * 4 < (this.#slotMask + 1) * 3;
	}

	/** Adds a version. Sequence numbers only grow; the caller checked `hasRoom`. Copies key and value. */
	put(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		sequence: number,
		kind: number,
		expiresAtMs: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
	): void {
		assert(keySize > 0 && keySize <= keySizeMax && valueSize <= valueSizeMax, 'sizes were checked');
		assert(sequence > this.#lastSequence && this.hasRoom(keySize, valueSize), 'sequences grow, room was checked');
		this.#lastSequence = sequence;
		const { words, bytes } = this;
		const entry = words[arenaUsedWord];
		const hasExpiry = expiresAtMs !== 0;
		const at = (entry + entryHeaderWords + (hasExpiry ? entryExpiryWords : 0)) * 4;
		words[entry + entrySequenceWord] = sequence;
		words[entry + entryKindWord] = Math.floor(sequence / 0x1_0000_0000) | (kind << 24);
		words[entry + entryKeySizeWord] = keySize | (hasExpiry ? entryHasExpiry : 0);
		words[entry + entryValueSizeWord] = valueSize;
		if (hasExpiry) writeF64(bytes, (entry + entryExpiryWord) * 4, expiresAtMs);
		if (key === value && valueOffset === keyOffset + keySize) {
			copyShared(key, keyOffset, bytes, at, keySize + valueSize);
		} else {
			copyBytes(key, keyOffset, bytes, at, keySize);
			copyBytes(value, valueOffset, bytes, at + keySize, valueSize);
		}
		words[arenaUsedWord] = (at + keySize + valueSize + 3) >>> 2;
		this.#link(hash, entry, key, keyOffset, keySize);
		if (words[arenaEntryCountWord]++ === 0) writeU53Words(words, arenaMinSequenceWord, sequence);
		writeU53Words(words, arenaMaxSequenceWord, sequence);
		if (kind === kindTombstone) words[arenaTombstoneCountWord]++;
	}

	/** Newest version with sequence <= maxSequence, tombstones included. @returns false when there is none */
	get(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		maxSequence: number,
		view: EntryView,
	): boolean {
		const { words, bytes } = this;
		const slotValue = words[this.#findSlot(hash, key, keyOffset, keySize)];
		if (slotValue === 0) return false;
		let entry = slotValue & this.#entryMask;
		while (entrySequence(words, entry) > maxSequence) {
			if (words[entry + entryFirstWord] === entry) return false;
			entry = words[entry + entryPreviousWord];
		}
		viewEntry(words, bytes, entry, view);
		return true;
	}

	/**
	 * Loads the slot of a hash, or with `isSlotLoaded` the entry it names. Called for many keys in a row before their commands
	 * are applied: the processor then waits for all of them at once instead of one after the other.
	 * @returns a number that means nothing; use it, or the loads are optimized away
	 */
	touch(hash: number, isSlotLoaded: boolean): number {
		const slotValue = this.words[arenaHeaderWords + (hash & this.#slotMask)];
		if (!isSlotLoaded) return slotValue;
		const entry = slotValue & this.#entryMask;
		return this.words[entry + entryKeySizeWord] + this.words[entry + touchedValueWord];
	}

	get #freeBytes(): number {
		return (this.words[arenaNodesWord] - this.words[arenaUsedWord]) * 4;
	}

	/** The word of the slot that holds the key, or of the free one where it would go. */
	#findSlot(hash: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		const { words, bytes } = this;
		const tag = hash >>> this.#entryBits;
		for (let index = hash & this.#slotMask; ; index = (index + 1) & this.#slotMask) {
			const slotValue = words[arenaHeaderWords + index];
			if (slotValue === 0) return arenaHeaderWords + index;
			if (slotValue >>> this.#entryBits !== tag) continue;
			const entry = slotValue & this.#entryMask;
			if (hasKey(words, bytes, entry, key, keyOffset, keySize)) return arenaHeaderWords + index;
		}
	}

	/** Makes a written entry the newest version of its key. */
	#link(hash: number, entry: number, key: Uint8Array, keyOffset: number, keySize: number): void {
		const { words } = this;
		const slot = this.#findSlot(hash, key, keyOffset, keySize);
		const slotValue = words[slot];
		if (slotValue === 0) {
			words[entry + entryFirstWord] = entry;
			words[entry + entryPreviousWord] = entry;
			insertKey(words, this.bytes, entry, key, keyOffset, keySize);
			words[arenaKeyCountWord]++;
		} else {
			const newest = slotValue & this.#entryMask;
			const first = words[newest + entryFirstWord];
			words[entry + entryFirstWord] = first;
			words[entry + entryPreviousWord] = newest;
			words[first + entryPreviousWord] = entry;
			// A second version follows the first: the first's own word 0 now names the newest, and the chain ends at it.
		}
		words[slot] = ((hash >>> this.#entryBits) << this.#entryBits) | entry;
	}
}

/** A word of the second cache line of an entry with a short key: where its value is. */
const touchedValueWord = 24;

function spaceFor(keySize: number, valueSize: number): number {
	return (entryHeaderWords + entryExpiryWords + ((keySize + valueSize + 3) >>> 2) + insertionWordsMax) * 4;
}

function hasKey(
	words: Int32Array,
	bytes: Uint8Array,
	entry: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
): boolean {
	const keySizeAndFlags = words[entry + entryKeySizeWord];
	if ((keySizeAndFlags & 0xffff) !== keySize) return false;
	const at = (entry + entryHeaderWords + ((keySizeAndFlags & entryHasExpiry) !== 0 ? entryExpiryWords : 0)) * 4;
	for (let i = 0; i < keySize; i++) if (bytes[at + i] !== key[keyOffset + i]) return false;
	return true;
}

function readU53Words(words: Int32Array, word: number): number {
	return (words[word] >>> 0) + words[word + 1] * 0x1_0000_0000;
}

function writeU53Words(words: Int32Array, word: number, value: number): void {
	words[word] = value;
	words[word + 1] = Math.floor(value / 0x1_0000_0000);
}
