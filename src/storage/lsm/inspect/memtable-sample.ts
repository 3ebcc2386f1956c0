/**
 * Keys of a memtable in a range: all of them where they are few, else an even sample.
 *
 *   walk   from the lower bound on, newest versions only ─ reaches the end of the range in time: every key, one each
 *   slots  of the hash table, in no order of keys ─ those in the range, each standing for several
 *
 * The writer's thread only. Valid until the next write.
 */
import { compareBytes } from '../../../base/bytes.js';
import type { ScanRange } from '../../../command/scan-options.js';
import { type EntryView, makeEntryView } from '../entry.js';
import { type Memtable, viewEntry } from '../memtable/memtable.js';
import {
	arenaEntryBitsFor,
	arenaHeaderWords,
	arenaSlotCountWord,
	entryKeySizeWord,
} from '../memtable/memtable-format.js';
import { MemtableIterator } from '../memtable/memtable-iterator.js';

/** Keys of a range that are all looked at. */
export const walkCountMax = 1024;
/** Keys of a memtable that are sampled. */
const sampleCountMax = 4096;

export interface SampledEntry extends EntryView {
	key: Uint8Array;
	keyOffset: number;
	keySize: number;
}

export interface MemtableSample {
	/** Where `next` led: the newest version of a key. */
	readonly entry: SampledEntry;
	/** Keys that each one stands for. */
	readonly keysEach: number;
	next(): boolean;
}

export function sampleMemtable(memtable: Memtable, range: ScanRange): MemtableSample {
	const count = countByWalk(memtable, range);
	return count <= walkCountMax ? new WalkSample(memtable, range) : new SlotSample(memtable, range);
}

/** @returns more than `walkCountMax` when there are more */
function countByWalk(memtable: Memtable, range: ScanRange): number {
	const sample = new WalkSample(memtable, range);
	let count = 0;
	while (count <= walkCountMax && sample.next()) count++;
	return count;
}

class WalkSample implements MemtableSample {
	readonly entry: MemtableIterator;
	readonly keysEach = 1;
	readonly #range: ScanRange;
	#isBegun = false;

	constructor(memtable: Memtable, range: ScanRange) {
		this.entry = new MemtableIterator(memtable, true);
		this.#range = range;
	}

	next(): boolean {
		const { entry } = this;
		const { lower } = this.#range;
		if (this.#isBegun) entry.next();
		else if (lower === undefined) entry.seekFirst();
		else {
			entry.seek(lower, 0, lower.length);
			if (entry.valid && !this.#range.isLowerInclusive && isBelow(this.#range, entry)) entry.next();
		}
		this.#isBegun = true;
		return entry.valid && !isAbove(this.#range, entry);
	}
}

class SlotSample implements MemtableSample {
	readonly entry: SampledEntry;
	readonly keysEach: number;
	readonly #memtable: Memtable;
	readonly #range: ScanRange;
	readonly #entryMask: number;
	#slot = 0;
	#slotEnd = 0;

	constructor(memtable: Memtable, range: ScanRange) {
		this.#memtable = memtable;
		this.#range = range;
		this.entry = { ...makeEntryView(), key: memtable.bytes, keyOffset: 0, keySize: 0 };
		this.#entryMask = 2 ** arenaEntryBitsFor(memtable.arena.byteLength) - 1;
		const { words } = memtable;
		const slotCount = words[arenaSlotCountWord];
		let sampledCount = 0;
		while (this.#slotEnd < slotCount && sampledCount < sampleCountMax) {
			if (words[arenaHeaderWords + this.#slotEnd] !== 0) sampledCount++;
			this.#slotEnd++;
		}
		this.keysEach = sampledCount === 0 ? 0 : memtable.keyCount / sampledCount;
	}

	next(): boolean {
		const { entry } = this;
		const { words, bytes } = this.#memtable;
		while (this.#slot < this.#slotEnd) {
			const offset = words[arenaHeaderWords + this.#slot++] & this.#entryMask;
			if (offset === 0) continue;
			viewEntry(words, bytes, offset, entry);
			entry.keySize = words[offset + entryKeySizeWord] & 0xffff;
			entry.keyOffset = entry.valueOffset - entry.keySize;
			if (!isBelow(this.#range, entry) && !isAbove(this.#range, entry)) return true;
		}
		return false;
	}
}

function isBelow({ lower, isLowerInclusive }: ScanRange, { key, keyOffset, keySize }: SampledEntry): boolean {
	if (lower === undefined) return false;
	const order = compareBytes(key, keyOffset, keySize, lower, 0, lower.length);
	return order < 0 || (order === 0 && !isLowerInclusive);
}

function isAbove({ upper, isUpperInclusive }: ScanRange, { key, keyOffset, keySize }: SampledEntry): boolean {
	if (upper === undefined) return false;
	const order = compareBytes(key, keyOffset, keySize, upper, 0, upper.length);
	return order > 0 || (order === 0 && !isUpperInclusive);
}
