/**
 * Looks keys up in a memtable's arena (memtable-format.ts) from a thread that is not the partition's, without any say in what
 * happens to it: the partition may add to it, or reset and refill it, at any moment.
 *
 * So nothing that is read here is believed before `isIntact` said that the arena was not reset since the view named it. Until
 * then it may be garbage, and must do no harm: probes are counted, versions lie at ever lower offsets, sizes are held against the
 * arena. One reader for each thread and arena. Views point into the arena.
 */
import { type EntryView, type RangeTombstone, storedValueSizeMax } from '../entry.js';
import { entrySequence, hasKey, viewEntry } from '../memtable/memtable.js';
import {
	arenaEntryBitsFor,
	arenaGenerationWord,
	arenaHeaderWords,
	arenaKeyCountWord,
	arenaRangeWord,
	entryExpiryWords,
	entryFirstWord,
	entryHeaderWords,
	entryKeySizeWord,
	entryPreviousWord,
	entryValueSizeWord,
	slotCountFor,
} from '../memtable/memtable-format.js';

/** Where an entry would be: the arena was certainly reset. */
export const entryTorn = -1;

export class ArenaReader {
	readonly words: Int32Array;
	readonly bytes: Uint8Array;
	readonly #slotMask: number;
	readonly #entryBits: number;
	readonly #entryMask: number;
	readonly #entryMin: number;
	readonly #entryMax: number;

	constructor(arena: SharedArrayBuffer) {
		this.words = new Int32Array(arena);
		this.bytes = new Uint8Array(arena);
		this.#slotMask = slotCountFor(arena.byteLength) - 1;
		this.#entryBits = arenaEntryBitsFor(arena.byteLength);
		this.#entryMask = 2 ** this.#entryBits - 1;
		this.#entryMin = arenaHeaderWords + this.#slotMask + 1;
		this.#entryMax = this.words.length - entryHeaderWords - entryExpiryWords;
	}

	/** True when the arena was not reset since it had this generation. What was read of it before is then true. */
	isIntact(generation: number): boolean {
		return Atomics.load(this.words, arenaGenerationWord) === generation;
	}

	/**
	 * The newest version of a key with sequence <= maxSequence.
	 * @param hash `keyHash` of the key
	 * @returns its offset, for `show`; 0: there is none; `entryTorn`
	 */
	find(hash: number, key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): number {
		const { words, bytes } = this;
		// Counted before the slot is stored; plain, as the probes below. An empty memtable's slots are in no cache.
		if (words[arenaKeyCountWord] === 0) return 0;
		const tag = hash >>> this.#entryBits;
		let index = hash & this.#slotMask;
		for (let count = 0; count <= this.#slotMask; count++) {
			const slot = arenaHeaderWords + index;
			// Plain: a slot that was free when the durable sequence was loaded is free for all that is durable.
			const probed = words[slot];
			if (probed === 0) return 0;
			if (probed >>> this.#entryBits === tag) {
				// Atomic: the words of an entry that is just being published are seen behind it.
				const newest = Atomics.load(words, slot) & this.#entryMask;
				if (!this.#isOffset(newest)) return entryTorn;
				if (hasKey(words, bytes, newest, key, keyOffset, keySize)) return this.#findVersion(newest, maxSequence);
			}
			index = (index + 1) & this.#slotMask;
		}
		return entryTorn;
	}

	/** Fills `view` from an entry that was found. @returns false when it is certainly torn */
	show(entry: number, view: EntryView): boolean {
		viewEntry(this.words, this.bytes, entry, view);
		const { valueOffset, valueSize } = view;
		return valueSize >= 0 && valueSize <= storedValueSizeMax && valueOffset + valueSize <= this.bytes.length;
	}

	/** True when the newest range tombstone is another than `known`, or may be. */
	hasOtherRange(known: number): boolean {
		// Plain: one that is durable was there before the durable sequence was loaded.
		return this.words[arenaRangeWord] !== known;
	}

	/**
	 * Copies range tombstones with sequence <= maxSequence, newest first, as far as those that are known.
	 * @param known offset of the newest that is known; 0: none is
	 * @returns offset of the newest copied, `known` when there is none; `entryTorn`
	 */
	copyRanges(known: number, maxSequence: number, found: RangeTombstone[]): number {
		const { words, bytes } = this;
		let newest = known;
		for (let entry = Atomics.load(words, arenaRangeWord); entry !== known; ) {
			if (!this.#isOffset(entry)) return entryTorn;
			const sequence = entrySequence(words, entry);
			if (sequence <= maxSequence) {
				if (newest === known) newest = entry;
				const start = (entry + entryHeaderWords) * 4;
				const end = start + (words[entry + entryKeySizeWord] & 0xffff);
				const size = words[entry + entryValueSizeWord] & 0xffff;
				found.push({ start: bytes.slice(start, end), end: bytes.slice(end, end + size), sequence });
			}
			const previous = words[entry + entryPreviousWord];
			if (previous >= entry) return entryTorn;
			entry = previous;
		}
		return newest;
	}

	#findVersion(newest: number, maxSequence: number): number {
		const { words } = this;
		let entry = newest;
		while (entrySequence(words, entry) > maxSequence) {
			if (words[entry + entryFirstWord] === entry) return 0;
			const previous = words[entry + entryPreviousWord];
			if (previous >= entry || !this.#isOffset(previous)) return entryTorn;
			entry = previous;
		}
		return entry;
	}

	#isOffset(entry: number): boolean {
		return entry >= this.#entryMin && entry <= this.#entryMax;
	}
}
