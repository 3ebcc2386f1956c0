/**
 * What survives a merge. Versions of a key come newest first; kept are the newest, and each one that a pinned snapshot
 * sees: a version with sequence s, replaced by one with sequence n, is seen from every snapshot p with s <= p < n.
 *
 *   sequences      9 put   7 delete   4 put   2 put         keepSequences [5]
 *   kept           9                  4
 *
 * At the bottom nothing lies below the merge, so a tombstone under which no version is kept says what absence says, and
 * is dropped. Since versions come newest first, tombstones wait until an older version is kept or the key ends.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes, copyBytes } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import { type EntryIterator, isExpired, kindTombstone } from '../entry.js';
import type { TableBuilder } from './table-builder.js';

export interface MergePolicy {
	/** Sequence numbers of pinned snapshots, ascending. */
	readonly keepSequences: readonly number[];
	/** True only when no older version of any key in `source` exists outside of it. */
	readonly dropTombstones: boolean;
	/** Entries that expired at or before this time count as tombstones. 0: none do. */
	readonly expiredBeforeMs: number;
}

/**
 * Adds to `builder` what a merge of `source` should keep, from the iterator's present position to its end.
 * @param source positioned (for a whole merge: after `seekFirst`)
 * @returns entries written, perhaps 0
 */
export function writeMerged(source: EntryIterator, builder: TableBuilder, policy: MergePolicy): number {
	const writer = new MergeWriter(builder, policy);
	for (; source.valid; source.next()) writer.take(source);
	return writer.writtenCount;
}

const noBytes = new Uint8Array(0);

/** Takes the versions of a merge one by one and adds those that survive. */
class MergeWriter {
	writtenCount = 0;
	readonly #builder: TableBuilder;
	readonly #policy: MergePolicy;
	readonly #key = new Uint8Array(keySizeMax);
	#keySize = 0;
	/** Sequence of the version before, of the same key: the one that replaced this one. */
	#newerSequence = 0;
	/** How many of `keepSequences` are below `#newerSequence`. */
	#snapshotCount = 0;
	/** Tombstones of this key that are kept only if something older is. */
	readonly #waiting: Float64Array;
	#waitingCount = 0;

	constructor(builder: TableBuilder, policy: MergePolicy) {
		const sequences = policy.keepSequences;
		for (let i = 1; i < sequences.length; i++) assert(sequences[i - 1] <= sequences[i], 'snapshots ascend');
		this.#builder = builder;
		this.#policy = policy;
		this.#waiting = new Float64Array(sequences.length + 1);
	}

	take(entry: EntryIterator): void {
		if (this.#isSameKey(entry)) {
			assert(entry.sequence < this.#newerSequence, 'versions of a key come newest first');
			if (!this.#isSeenBySnapshot(entry.sequence)) {
				this.#newerSequence = entry.sequence;
				return;
			}
		} else {
			this.#startKey(entry);
		}
		this.#newerSequence = entry.sequence;
		const isGone = entry.kind === kindTombstone || isExpired(entry.expiresAtMs, this.#policy.expiredBeforeMs);
		if (!isGone) {
			this.#writeWaiting();
			this.#builder.add(
				this.#key,
				0,
				this.#keySize,
				entry.sequence,
				entry.kind,
				entry.expiresAtMs,
				entry.value,
				entry.valueOffset,
				entry.valueSize,
			);
			this.writtenCount++;
		} else if (this.#policy.dropTombstones) {
			this.#waiting[this.#waitingCount++] = entry.sequence;
		} else {
			this.#writeTombstone(entry.sequence);
		}
	}

	#isSameKey(entry: EntryIterator): boolean {
		if (entry.keySize !== this.#keySize) return false;
		return compareBytes(this.#key, 0, this.#keySize, entry.key, entry.keyOffset, entry.keySize) === 0;
	}

	#startKey(entry: EntryIterator): void {
		copyBytes(entry.key, entry.keyOffset, this.#key, 0, entry.keySize);
		this.#keySize = entry.keySize;
		this.#waitingCount = 0;
		this.#snapshotCount = this.#policy.keepSequences.length;
	}

	/** True when some snapshot lies in [sequence, newer sequence). Sequences fall from call to call. */
	#isSeenBySnapshot(sequence: number): boolean {
		const sequences = this.#policy.keepSequences;
		while (this.#snapshotCount > 0 && sequences[this.#snapshotCount - 1] >= this.#newerSequence) {
			this.#snapshotCount--;
		}
		return this.#snapshotCount > 0 && sequences[this.#snapshotCount - 1] >= sequence;
	}

	#writeWaiting(): void {
		for (let i = 0; i < this.#waitingCount; i++) this.#writeTombstone(this.#waiting[i]);
		this.#waitingCount = 0;
	}

	#writeTombstone(sequence: number): void {
		this.#builder.add(this.#key, 0, this.#keySize, sequence, kindTombstone, 0, noBytes, 0, 0);
		this.writtenCount++;
	}
}
