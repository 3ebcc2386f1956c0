/**
 * A memtable: the newest writes of a partition, in an arena that other threads can read (memtable-format.ts).
 *
 * The partition's thread is the only writer. Once rotated out it is never written again, and the background pool flushes
 * it from the same memory without a copy. `get` copies nothing: views point into the arena and stay valid until the
 * arena is reset, which the partition does only when no flush, read or scan uses it.
 */
import { assert } from '../../../base/assert.js';
import { copyBytes, readF64, writeF64 } from '../../../base/bytes.js';
import { keySizeMax, valueSizeMax } from '../../../base/limits.js';
import { type EntryView, kindTombstone } from '../entry.js';
import {
	arenaEntryCountWord,
	arenaHeaderWords,
	arenaKeyCountWord,
	arenaMagic,
	arenaMagicWord,
	arenaMaxSequenceWord,
	arenaMinSequenceWord,
	arenaNodesWord,
	arenaTombstoneCountWord,
	arenaUsedWord,
	entryExpiryWord,
	entryExpiryWords,
	entryHasExpiry,
	entryHeaderWords,
	entryKeySizeWord,
	entryKindWord,
	entryPreviousWord,
	entrySequenceWord,
	entryValueSizeWord,
	insertionWordsMax,
} from './memtable-format.js';
import { entryKeyEquals, findEntryWord, insertEntry } from './radix-tree.js';

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

export class Memtable {
	readonly arena: SharedArrayBuffer;
	readonly words: Int32Array;
	readonly bytes: Uint8Array;
	#lastSequence = 0;

	/** @param arena from `createArena`, or one that another thread filled */
	constructor(arena: SharedArrayBuffer) {
		assert(arena.byteLength % 8 === 0 && arena.byteLength <= 2 ** 30, `arena size ${arena.byteLength}`);
		this.arena = arena;
		this.words = new Int32Array(arena);
		this.bytes = new Uint8Array(arena);
		if (this.words[arenaMagicWord] !== arenaMagic) this.reset();
	}

	/** Forgets everything. The caller knows that nobody reads this arena any more. */
	reset(): void {
		this.words.fill(0, 0, arenaHeaderWords);
		this.words[arenaMagicWord] = arenaMagic;
		this.words[arenaUsedWord] = arenaHeaderWords;
		this.words[arenaNodesWord] = this.words.length;
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
		return this.arena.byteLength - (this.words[arenaNodesWord] - this.words[arenaUsedWord]) * 4;
	}

	get minSequence(): number {
		return readU53Words(this.words, arenaMinSequenceWord);
	}

	get maxSequence(): number {
		return readU53Words(this.words, arenaMaxSequenceWord);
	}

	/** Bytes of the arena that a put of this size may take at most. */
	static spaceFor(keySize: number, valueSize: number): number {
		const words = entryHeaderWords + entryExpiryWords + ((keySize + valueSize + 3) >>> 2) + insertionWordsMax;
		return words * 4;
	}

	hasRoom(keySize: number, valueSize: number): boolean {
		return this.usedBytes + Memtable.spaceFor(keySize, valueSize) <= this.arena.byteLength;
	}

	/** Adds a version. Sequence numbers only grow; the caller checked `hasRoom`. Copies key and value. */
	put(
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
		assert(sequence > this.#lastSequence, 'sequence numbers grow');
		assert(this.hasRoom(keySize, valueSize), 'room was checked');
		this.#lastSequence = sequence;
		const { words, bytes } = this;
		const entry = words[arenaUsedWord];
		const hasExpiry = expiresAtMs !== 0;
		let at = (entry + entryHeaderWords + (hasExpiry ? entryExpiryWords : 0)) * 4;
		words[entry + entryPreviousWord] = 0;
		words[entry + entrySequenceWord] = sequence;
		words[entry + entryKindWord] = Math.floor(sequence / 0x1_0000_0000) | (kind << 24);
		words[entry + entryKeySizeWord] = keySize | (hasExpiry ? entryHasExpiry : 0);
		words[entry + entryValueSizeWord] = valueSize;
		if (hasExpiry) writeF64(bytes, (entry + entryExpiryWord) * 4, expiresAtMs);
		copyBytes(key, keyOffset, bytes, at, keySize);
		at += keySize;
		copyBytes(value, valueOffset, bytes, at, valueSize);
		words[arenaUsedWord] = (at + valueSize + 3) >>> 2;
		insertEntry(words, bytes, entry, key, keyOffset, keySize);
		if (words[arenaEntryCountWord]++ === 0) writeU53Words(words, arenaMinSequenceWord, sequence);
		writeU53Words(words, arenaMaxSequenceWord, sequence);
		if (kind === kindTombstone) words[arenaTombstoneCountWord]++;
	}

	/** Newest version with sequence <= maxSequence, tombstones included. @returns false when there is none */
	get(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number, view: EntryView): boolean {
		const { words, bytes } = this;
		const word = findEntryWord(words, bytes, key, keyOffset, keySize);
		if (word === 0) return false;
		let entry = words[word] >>> 1;
		if (!entryKeyEquals(words, bytes, entry, key, keyOffset, keySize)) return false;
		while (entry !== 0 && entrySequence(words, entry) > maxSequence) entry = words[entry + entryPreviousWord];
		if (entry === 0) return false;
		viewEntry(words, bytes, entry, view);
		return true;
	}
}

function readU53Words(words: Int32Array, word: number): number {
	return (words[word] >>> 0) + words[word + 1] * 0x1_0000_0000;
}

function writeU53Words(words: Int32Array, word: number, value: number): void {
	words[word] = value;
	words[word + 1] = Math.floor(value / 0x1_0000_0000);
}
