/**
 * What survives a compaction, and into which tables it goes. Versions of a key come newest first; kept are the newest, and each
 * one that a pinned snapshot sees: a version with sequence s, replaced by one with sequence n, is seen from every snapshot p with
 * s <= p < n. What replaces a version is the next one of its key, or a deleted range that covers it, whichever came first.
 *
 *   sequences      9 put   7 delete   4 put   2 put         keepSequences [5]
 *   kept           9                  4
 *
 * At the bottom nothing lies below the compaction, so a tombstone under which no version is kept says what absence says, and
 * is dropped. Since versions come newest first, tombstones wait until an older version is kept or the key ends.
 *
 *   outputs   | a … f | g … p | q … z |     a new one begins between two keys: at the wanted size, or when the present
 *   ranges    | ─────────────── …     |     one overlaps so much of the level below that compacting it again would be dear
 *
 * The loop here runs for every byte that the store writes: bytes and offsets, no object per entry. One thread.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes } from '../../../base/bytes.js';
import { grandparentOverlapFactor, keySizeMax } from '../../../base/limits.js';
import { type EntryIterator, isExpired, kindTombstone, type RangeTombstone } from '../entry.js';
import { CompactionRanges } from './compaction-ranges.js';
import type { TableBuilder } from './table-builder.js';

export interface CompactionPolicy {
	/** Sequence numbers of pinned snapshots, ascending. */
	readonly keepSequences: readonly number[];
	/** True only when no older version of any key, nor of any key in the ranges deleted, exists outside of the inputs. */
	readonly isBottom: boolean;
	/** Entries that expired at or before this time count as tombstones. 0: none do. */
	readonly expiredBeforeMs: number;
	/** Bytes of a table at which the next one is begun; infinite: one table takes all. */
	readonly tableFileSize: number;
	/** Tables at most; the last one takes the rest. */
	readonly tableCountMax: number;
	/** Tables one level below the output, in order. */
	readonly grandparents: readonly Grandparent[];
}

export interface Grandparent {
	/** undefined: it reaches to the end of all keys. */
	readonly upper: Uint8Array | undefined;
	readonly size: number;
}

/** Makes the tables that a compaction writes. */
export interface CompactionOutputs {
	/** @param index 0, 1, 2 … */
	openOutput(index: number): TableBuilder;
	/** All entries and ranges were given to the builder; the caller finishes, checks and closes it. */
	finishOutput(builder: TableBuilder): void;
}

/** What a compaction did; the entries dropped, by reason. */
export interface CompactionCounts {
	tableCount: number;
	writtenCount: number;
	/** Replaced by a newer version of the key. */
	shadowedCount: number;
	/** Deletions that had nothing left to hide. */
	tombstoneCount: number;
	/** Values that expired, dropped or made tombstones. */
	expiredCount: number;
	/** Covered by a deleted range. */
	rangeDeletedCount: number;
}

/**
 * Writes what should be kept of `source`, from its present position to its end, and of `rangeTombstones`.
 * @param source positioned (for a whole compaction: after `seekFirst`)
 * @param rangeTombstones of all inputs, in any order
 */
export function writeCompaction(
	source: EntryIterator,
	rangeTombstones: readonly RangeTombstone[],
	policy: CompactionPolicy,
	outputs: CompactionOutputs,
): CompactionCounts {
	const writer = new CompactionWriter(rangeTombstones, policy, outputs);
	for (; source.valid; source.next()) writer.take(source);
	return writer.finish();
}

const noBytes = new Uint8Array(0);

class CompactionWriter {
	readonly #policy: CompactionPolicy;
	readonly #outputs: CompactionOutputs;
	readonly #ranges: CompactionRanges;
	readonly #counts: CompactionCounts = {
		tableCount: 0,
		writtenCount: 0,
		shadowedCount: 0,
		tombstoneCount: 0,
		expiredCount: 0,
		rangeDeletedCount: 0,
	};

	readonly #key = new Uint8Array(keySizeMax);
	#keySize = 0;
	/** Sequence of the version before, of the same key. */
	#previousSequence = 0;
	/** How many of `keepSequences` are below what replaced the present version. */
	#snapshotCount = 0;
	/** Tombstones of this key that are kept only if something older is; expired values among them are negative. */
	readonly #waiting: Float64Array;
	#waitingCount = 0;

	#builder: TableBuilder | undefined;
	/** Nothing of the present key was written yet, so another table may begin with it. */
	#isBetweenKeys = true;
	/** From where on the present table covers deleted ranges. */
	#outputFrom: Uint8Array = noBytes;
	#grandparent = 0;
	#overlapSize = 0;
	readonly #overlapSizeMax: number;

	constructor(rangeTombstones: readonly RangeTombstone[], policy: CompactionPolicy, outputs: CompactionOutputs) {
		const sequences = policy.keepSequences;
		for (let i = 1; i < sequences.length; i++) assert(sequences[i - 1] <= sequences[i], 'snapshots ascend');
		assert(policy.tableCountMax >= 1 && policy.tableFileSize > 0, 'a compaction may write');
		this.#policy = policy;
		this.#outputs = outputs;
		this.#ranges = new CompactionRanges(rangeTombstones, sequences, policy.isBottom);
		this.#waiting = new Float64Array(sequences.length + 1);
		this.#overlapSizeMax = policy.tableFileSize * grandparentOverlapFactor;
	}

	take(entry: EntryIterator): void {
		const sequence = entry.sequence;
		let newer = Number.POSITIVE_INFINITY;
		if (!this.#startKey(entry.key, entry.keyOffset, entry.keySize)) {
			newer = this.#previousSequence;
			assert(sequence < newer, 'versions of a key come newest first');
		}
		this.#previousSequence = sequence;
		let isRangeDeleted = false;
		if (!this.#ranges.isEmpty) {
			const cover = this.#ranges.coverAbove(sequence);
			isRangeDeleted = cover < newer;
			if (isRangeDeleted) newer = cover;
		}
		if (newer !== Number.POSITIVE_INFINITY && !this.#isSeenBySnapshot(sequence, newer)) {
			if (isRangeDeleted) this.#counts.rangeDeletedCount++;
			else this.#counts.shadowedCount++;
			return;
		}
		const { kind, expiresAtMs } = entry;
		if (kind === kindTombstone) {
			this.#takeTombstone(sequence);
		} else if (expiresAtMs !== 0 && isExpired(expiresAtMs, this.#policy.expiredBeforeMs)) {
			this.#counts.expiredCount++;
			this.#takeTombstone(-sequence);
		} else {
			if (this.#waitingCount > 0) this.#writeWaiting();
			this.#write(sequence, kind, expiresAtMs, entry.value, entry.valueOffset, entry.valueSize);
		}
	}

	finish(): CompactionCounts {
		this.#endKey();
		if (this.#builder === undefined) {
			const [tombstone] = this.#ranges.clip(noBytes, undefined);
			if (tombstone === undefined) return this.#counts;
			// A table has an entry: the deletion of the range's first key says no more than the range does.
			const key = tombstone.start.length > 0 ? tombstone.start : Uint8Array.of(0);
			this.#key.set(key);
			this.#keySize = key.length;
			this.#write(tombstone.sequence, kindTombstone, 0, noBytes, 0, 0);
		}
		this.#finishOutput(undefined);
		return this.#counts;
	}

	/** Makes this the present key. @returns false when it already is */
	#startKey(key: Uint8Array, keyOffset: number, keySize: number): boolean {
		const present = this.#key;
		const comparable = Math.min(keySize, this.#keySize);
		let shared = 0;
		while (shared < comparable && key[keyOffset + shared] === present[shared]) shared++;
		if (shared === keySize && shared === this.#keySize) return false;
		this.#endKey();
		for (; shared < keySize; shared++) present[shared] = key[keyOffset + shared];
		this.#keySize = keySize;
		this.#isBetweenKeys = true;
		this.#snapshotCount = this.#policy.keepSequences.length;
		if (!this.#ranges.isEmpty) this.#ranges.moveTo(key, keyOffset, keySize);
		return true;
	}

	/** Tombstones that still wait have nothing to hide. */
	#endKey(): void {
		for (let i = 0; i < this.#waitingCount; i++) if (this.#waiting[i] > 0) this.#counts.tombstoneCount++;
		this.#waitingCount = 0;
	}

	/** True when some snapshot lies in [sequence, newer). Both fall from version to version. */
	#isSeenBySnapshot(sequence: number, newer: number): boolean {
		const sequences = this.#policy.keepSequences;
		while (this.#snapshotCount > 0 && sequences[this.#snapshotCount - 1] >= newer) this.#snapshotCount--;
		return this.#snapshotCount > 0 && sequences[this.#snapshotCount - 1] >= sequence;
	}

	#takeTombstone(signedSequence: number): void {
		if (this.#policy.isBottom) this.#waiting[this.#waitingCount++] = signedSequence;
		else this.#write(Math.abs(signedSequence), kindTombstone, 0, noBytes, 0, 0);
	}

	#writeWaiting(): void {
		for (let i = 0; i < this.#waitingCount; i++) {
			this.#write(Math.abs(this.#waiting[i]), kindTombstone, 0, noBytes, 0, 0);
		}
		this.#waitingCount = 0;
	}

	/** Adds a version of the present key to the present table, or to the next one if this is where it begins. */
	#write(
		sequence: number,
		kind: number,
		expiresAtMs: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
	): void {
		let builder = this.#builder;
		if (this.#isBetweenKeys) {
			builder = this.#builderForKey();
			this.#isBetweenKeys = false;
		}
		assert(builder !== undefined, 'a key has a table');
		builder.add(this.#key, 0, this.#keySize, sequence, kind, expiresAtMs, value, valueOffset, valueSize);
		this.#counts.writtenCount++;
	}

	#builderForKey(): TableBuilder {
		const present = this.#builder;
		if (this.#policy.grandparents.length > 0) this.#passGrandparents(present !== undefined);
		if (present !== undefined) {
			const isFull = present.size >= this.#policy.tableFileSize || this.#overlapSize > this.#overlapSizeMax;
			if (!isFull || this.#counts.tableCount === this.#policy.tableCountMax) return present;
			const key = this.#key.slice(0, this.#keySize);
			this.#finishOutput(key);
			this.#outputFrom = key;
			this.#overlapSize = 0;
		}
		const builder = this.#outputs.openOutput(this.#counts.tableCount++);
		this.#builder = builder;
		return builder;
	}

	/** Tables of the level below that end before the present key: their bytes count for the output they were passed in. */
	#passGrandparents(isCounted: boolean): void {
		const grandparents = this.#policy.grandparents;
		while (this.#grandparent < grandparents.length) {
			const { upper, size } = grandparents[this.#grandparent];
			if (upper === undefined || compareBytes(upper, 0, upper.length, this.#key, 0, this.#keySize) >= 0) return;
			if (isCounted) this.#overlapSize += size;
			this.#grandparent++;
		}
	}

	#finishOutput(nextKey: Uint8Array | undefined): void {
		const builder = this.#builder;
		assert(builder !== undefined, 'a table is being written');
		builder.setRangeTombstones(this.#ranges.clip(this.#outputFrom, nextKey));
		this.#outputs.finishOutput(builder);
		this.#builder = undefined;
	}
}
