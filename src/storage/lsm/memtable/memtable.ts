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
import { keySizeMax } from '../../../base/limits.js';
import { copyShared, registerShared } from '../../../base/word-copy.js';
import { type EntryView, kindTombstone, type RangeTombstone, storedValueSizeMax } from '../entry.js';
import {
	arenaBytesPerSlot,
	arenaEntryBitsFor,
	arenaEntryCountWord,
	arenaGenerationWord,
	arenaHeaderWords,
	arenaKeyCountWord,
	arenaMagic,
	arenaMagicWord,
	arenaMaxSequenceWord,
	arenaMinSequenceWord,
	arenaNodesWord,
	arenaRangeCountWord,
	arenaRangeWord,
	arenaSlotCountWord,
	arenaTombstoneCountWord,
	arenaUsedWord,
	entryExpiryWord,
	entryExpiryWords,
	entryFirstWord,
	entryHasExpiry,
	entryHeaderWords,
	entryKeySizeWord,
	entryKindRange,
	entryKindWord,
	entryPreviousWord,
	entrySequenceWord,
	entryValueSizeWord,
	insertionWordsFor,
	insertionWordsMax,
	slotCountFor,
} from './memtable-format.js';
import { insertKey } from './radix-tree.js';

/** The sequence number of an entry. */
export function entrySequence(words: Int32Array, entry: number): number {
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

/** Largest arena: offsets of its words fit 28 bits, and leave four of a slot to the hash. */
export const arenaSizeMax = 2 ** 30;

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
		assert(arena.byteLength % 8 === 0 && arena.byteLength <= arenaSizeMax, `arena size ${arena.byteLength}`);
		this.arena = arena;
		this.words = new Int32Array(arena);
		this.bytes = new Uint8Array(arena);
		registerShared(this.bytes);
		const slotCount = slotCountFor(arena.byteLength);
		this.#slotMask = slotCount - 1;
		this.#entryBits = arenaEntryBitsFor(arena.byteLength);
		this.#entryMask = 2 ** this.#entryBits - 1;
		if (this.words[arenaMagicWord] !== arenaMagic) this.reset();
		assert(this.words[arenaSlotCountWord] === slotCount, 'an arena keeps its slots');
	}

	/** Forgets everything. No flush and no walk needs it any more; readers in other threads notice by the generation. */
	reset(): void {
		const { words } = this;
		const firstEntry = arenaHeaderWords + this.#slotMask + 1;
		Atomics.store(words, arenaGenerationWord, words[arenaGenerationWord] + 1);
		// A load after the store: nothing written below can be seen by who has not seen that the arena is being reset.
		assert((Atomics.load(words, arenaGenerationWord) & 1) === 1, 'one reset at a time');
		words.fill(0, 0, arenaGenerationWord);
		words.fill(0, arenaGenerationWord + 1, firstEntry);
		words[arenaMagicWord] = arenaMagic;
		words[arenaSlotCountWord] = this.#slotMask + 1;
		words[arenaUsedWord] = firstEntry;
		words[arenaNodesWord] = words.length;
		this.#lastSequence = 0;
		Atomics.store(words, arenaGenerationWord, words[arenaGenerationWord] + 1);
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

	get rangeTombstoneCount(): number {
		return this.words[arenaRangeCountWord];
	}

	/** True when there is nothing to flush: no version, and no range tombstone either. */
	get isEmpty(): boolean {
		return this.entryCount + this.rangeTombstoneCount === 0;
	}

	get usedBytes(): number {
		return this.arena.byteLength - this.#freeBytes;
	}

	/** Of entries and range tombstones; 0 when there are none. */
	get minSequence(): number {
		return readU53Words(this.words, arenaMinSequenceWord);
	}

	/** Of entries and range tombstones; 0 when there are none. */
	get maxSequence(): number {
		return readU53Words(this.words, arenaMaxSequenceWord);
	}

	/** True when an empty arena of this size could take an entry (or range tombstone: start and end) of these sizes. */
	static couldHold(arenaSize: number, keySize: number, valueSize: number): boolean {
		return spaceFor(keySize, valueSize) + headSize(arenaSize) <= arenaSize;
	}

	/** True when an empty arena of this size could take so many entries, whose keys and values have `size` bytes together. */
	static couldHoldAll(arenaSize: number, count: number, size: number): boolean {
		const slotCount = slotCountFor(arenaSize);
		return spaceForAll(0, count, size) + headSize(arenaSize) <= arenaSize && count * 4 < slotCount * 3;
	}

	hasRoom(keySize: number, valueSize: number): boolean {
		return spaceFor(keySize, valueSize) <= this.#freeBytes && this.keyCount * 4 < (this.#slotMask + 1) * 3;
	}

	/** Room for so many entries or range tombstones, whose keys and values have `size` bytes together: for a batch. */
	hasRoomForAll(count: number, size: number): boolean {
		const { keyCount } = this;
		const hasSlots = (keyCount + count) * 4 < (this.#slotMask + 1) * 3;
		return hasSlots && spaceForAll(keyCount, count, size) <= this.#freeBytes;
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
		assert(keySize > 0 && keySize <= keySizeMax && valueSize <= storedValueSizeMax, 'sizes were checked');
		assert(sequence > this.#lastSequence && this.hasRoom(keySize, valueSize), 'sequences grow, room was checked');
		this.#lastSequence = sequence;
		const { words, bytes } = this;
		const isFirst = words[arenaEntryCountWord] + words[arenaRangeCountWord] === 0;
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
		words[arenaEntryCountWord]++;
		if (isFirst) writeU53Words(words, arenaMinSequenceWord, sequence);
		writeU53Words(words, arenaMaxSequenceWord, sequence);
		if (kind === kindTombstone) words[arenaTombstoneCountWord]++;
	}

	/**
	 * Adds a range tombstone over [start, end); an empty start: from the beginning, an empty end: to the end. It does not change
	 * what `get` and iterators find: readers ask the partition's RangeTombstoneSet. The caller checked `hasRoom(start, end)`.
	 */
	putRangeTombstone(
		sequence: number,
		start: Uint8Array,
		startOffset: number,
		startSize: number,
		end: Uint8Array,
		endOffset: number,
		endSize: number,
	): void {
		assert(startSize <= keySizeMax && endSize <= keySizeMax, 'sizes were checked');
		assert(sequence > this.#lastSequence && this.hasRoom(startSize, endSize), 'sequences grow, room was checked');
		this.#lastSequence = sequence;
		const { words, bytes } = this;
		const entry = words[arenaUsedWord];
		const at = (entry + entryHeaderWords) * 4;
		words[entry + entryPreviousWord] = words[arenaRangeWord];
		words[entry + entrySequenceWord] = sequence;
		words[entry + entryKindWord] = Math.floor(sequence / 0x1_0000_0000) | (entryKindRange << 24);
		words[entry + entryKeySizeWord] = startSize;
		words[entry + entryValueSizeWord] = endSize;
		words[entry + entryFirstWord] = 0;
		copyBytes(start, startOffset, bytes, at, startSize);
		copyBytes(end, endOffset, bytes, at + startSize, endSize);
		words[arenaUsedWord] = (at + startSize + endSize + 3) >>> 2;
		Atomics.store(words, arenaRangeWord, entry);
		if (words[arenaEntryCountWord] + words[arenaRangeCountWord]++ === 0) {
			writeU53Words(words, arenaMinSequenceWord, sequence);
		}
		writeU53Words(words, arenaMaxSequenceWord, sequence);
	}

	/** Sequence numbers up to this one are dealt with here: the last ones stored nothing. */
	noteSequence(sequence: number): void {
		assert(sequence >= this.#lastSequence, 'sequences grow');
		this.#lastSequence = sequence;
		writeU53Words(this.words, arenaMaxSequenceWord, sequence);
	}

	/** Copies of the range tombstones, newest first. */
	rangeTombstones(): RangeTombstone[] {
		const { words, bytes } = this;
		const found: RangeTombstone[] = [];
		for (let entry = words[arenaRangeWord]; entry !== 0; entry = words[entry + entryPreviousWord]) {
			const start = (entry + entryHeaderWords) * 4;
			const end = start + words[entry + entryKeySizeWord];
			found.push({
				start: new Uint8Array(bytes.subarray(start, end)),
				end: new Uint8Array(bytes.subarray(end, end + words[entry + entryValueSizeWord])),
				sequence: entrySequence(words, entry),
			});
		}
		return found;
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

	/** The entry that is the newest version of exactly this key, or 0. Only in the writer's thread. */
	findEntry(hash: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		return this.words[this.#findSlot(hash, key, keyOffset, keySize)] & this.#entryMask;
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
		Atomics.store(words, slot, ((hash >>> this.#entryBits) << this.#entryBits) | entry);
	}
}

/** A word of the second cache line of an entry with a short key: where its value is. */
const touchedValueWord = 24;

function spaceFor(keySize: number, valueSize: number): number {
	return (entryHeaderWords + entryExpiryWords + ((keySize + valueSize + 3) >>> 2) + insertionWordsMax) * 4;
}

function spaceForAll(keyCount: number, count: number, size: number): number {
	const headerWords = entryHeaderWords + entryExpiryWords + 1;
	return size + (count * headerWords + insertionWordsFor(keyCount, count) + insertionWordsMax) * 4;
}

/** Bytes of header and slots at most. */
function headSize(arenaSize: number): number {
	return arenaSize / (arenaBytesPerSlot / 4) + 1024;
}

/** True when this is a version of exactly this key. */
export function hasKey(
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
