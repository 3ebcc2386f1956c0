/**
 * The deleted ranges of a compaction: which versions they hide, and what of them goes into each output.
 *
 *   inputs      [b, f) 7   [d, h) 9              asked in order of keys: the smallest sequence above a version that covers it
 *   fragments   [b, d) 7   [d, f) 9 7   [f, h) 9
 *   output      keys up to e: [b, e) 7  [d, e) 9      the next one, from e on: [e, f) 7  [e, h) 9      no gap between them
 *
 * Of tombstones one over the other only those are kept that some read can tell apart, and pieces of one become one again, so that
 * ranges do not crumble from compaction to compaction. One thread.
 */
import { assert } from '../../../base/assert.js';
import type { RangeTombstone } from '../entry.js';
import type { Fragments } from '../scan/range-tombstone-fragments.js';
import { RangeTombstoneSet } from '../scan/range-tombstone-set.js';
import { compareKeys } from './table-meta.js';

/** The first of all keys. */
const firstKeyOfAll = Uint8Array.of(0);
const toTheEnd = new Uint8Array(0);

export class CompactionRanges {
	readonly #fragments: Fragments;
	/** Tombstones up to this sequence hide nothing any more once this compaction is done. */
	readonly #droppedSequence: number;
	/** The fragment of the present key; -1: it is before the first. */
	#index = -1;

	/**
	 * @param keepSequences pinned snapshots, ascending
	 * @param isBottom true: nothing older than the inputs is left in their ranges
	 */
	constructor(tombstones: readonly RangeTombstone[], keepSequences: readonly number[], isBottom: boolean) {
		const hasKeys = ({ start, end }: RangeTombstone) => start.length > 0 || compareKeys(end, firstKeyOfAll) !== 0;
		this.#fragments = RangeTombstoneSet.build(tombstones.filter(hasKeys), keepSequences).fragments;
		this.#droppedSequence = isBottom ? (keepSequences[0] ?? Number.MAX_SAFE_INTEGER) : -1;
	}

	get isEmpty(): boolean {
		return this.#fragments.count === 0;
	}

	/** Goes on to a key, which is above those before. */
	moveTo(key: Uint8Array, keyOffset: number, keySize: number): void {
		const fragments = this.#fragments;
		while (this.#index + 1 < fragments.count && fragments.compareBound(this.#index + 1, key, keyOffset, keySize) <= 0) {
			this.#index++;
		}
	}

	/** The smallest sequence above `sequence` of a tombstone that covers the present key; infinite: there is none. */
	coverAbove(sequence: number): number {
		if (this.#index < 0) return Number.POSITIVE_INFINITY;
		const { sequences, sequenceOffsets } = this.#fragments;
		let cover = Number.POSITIVE_INFINITY;
		const end = sequenceOffsets[this.#index + 1];
		for (let i = sequenceOffsets[this.#index]; i < end && sequences[i] > sequence; i++) cover = sequences[i];
		return cover;
	}

	/**
	 * What an output holds that covers keys from `from` (empty: from the beginning) to before `to` (undefined: to the end).
	 * A sequence is that of one deletion, of one range: between two pieces of it lies nothing that it did not delete, too, so they
	 * become one again, and there are never more tombstones than there were.
	 * @returns in order of start, then of sequence, newest first; the keys are copies
	 */
	clip(from: Uint8Array, to: Uint8Array | undefined): RangeTombstone[] {
		const fragments = this.#fragments;
		const clipped = new Map<number, { start: Uint8Array; end: Uint8Array; sequence: number }>();
		const outputEnd = to === undefined ? toTheEnd : Uint8Array.from(to);
		for (let i = 0; i < fragments.count; i++) {
			if (to !== undefined && fragments.compareBound(i, to, 0, to.length) >= 0) break;
			const hasNext = i + 1 < fragments.count;
			if (hasNext && fragments.compareBound(i + 1, from, 0, from.length) <= 0) continue;
			const bound = fragments.boundAt(i);
			const start = Uint8Array.from(compareKeys(bound, from) < 0 ? from : bound);
			const isWhole = hasNext && (to === undefined || fragments.compareBound(i + 1, to, 0, to.length) < 0);
			const end = isWhole ? Uint8Array.from(fragments.boundAt(i + 1)) : outputEnd;
			for (const sequence of this.#keptAt(i)) {
				const tombstone = clipped.get(sequence);
				if (tombstone === undefined) clipped.set(sequence, { start, end, sequence });
				else tombstone.end = end;
			}
		}
		const tombstones = [...clipped.values()];
		for (const { start, end } of tombstones)
			assert(end.length === 0 || compareKeys(start, end) < 0, 'no range is empty');
		return tombstones.sort((a, b) => compareKeys(a.start, b.start) || b.sequence - a.sequence);
	}

	/** Sequences of a fragment's tombstones that are still needed. */
	#keptAt(index: number): Float64Array {
		const { sequences, sequenceOffsets } = this.#fragments;
		const start = sequenceOffsets[index];
		let end = start;
		while (end < sequenceOffsets[index + 1] && sequences[end] > this.#droppedSequence) end++;
		return sequences.subarray(start, end);
	}
}
