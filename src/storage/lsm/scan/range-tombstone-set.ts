/**
 * All live range tombstones of a partition in one structure that reads ask. They are fragmented: the bounds of all ranges cut the
 * key space into fragments, sorted and side by side, each with the sequences of the tombstones that cover it, newest first.
 *
 *   tombstones   [b, f) 7   [d, h) 9                         bounds       b    d      f    h
 *   fragments    [b, d) 7   [d, f) 9 7   [f, h) 9   [h, …)   sequences    7    9 7    9    (none)
 *
 * Invariants: bounds ascend strictly; neighbours have different sequences; the last fragment has none unless it has no end.
 * Fragments are flat arrays, immutable: `add` makes new ones, so a cursor that a scan holds goes on seeing those it began with.
 *
 * Ranges that cover each other (a log trimmed from its start, again and again) would make lists as long as there are tombstones.
 * So who adds one may say at which sequences reads can still come: of a fragment only the newest sequence at or below each of
 * these, and the newest of all, is kept. One thread.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes } from '../../../base/bytes.js';
import type { RangeTombstone } from '../entry.js';
import { FragmentBuilder, type Fragments, indexOfBound, noFragments } from './range-tombstone-fragments.js';

export class RangeTombstoneSet {
	#fragments: Fragments = noFragments;
	#newestSequence = 0;

	/**
	 * A set of these tombstones; their order does not matter.
	 * @param readSequences ascending: where reads can still come, beside now; undefined: anywhere
	 */
	static build(tombstones: readonly RangeTombstone[], readSequences?: readonly number[]): RangeTombstoneSet {
		const set = new RangeTombstoneSet();
		if (tombstones.length > 0) set.#sweep(tombstones, readSequences);
		return set;
	}

	get isEmpty(): boolean {
		return this.#fragments.count === 0;
	}

	/** The newest sequence in the set, 0 when there is none: newer entries need not ask. */
	get newestSequence(): number {
		return this.#newestSequence;
	}

	/** For compactions, which go through all of them. Immutable. */
	get fragments(): Fragments {
		return this.#fragments;
	}

	get fragmentCount(): number {
		return this.#fragments.count;
	}

	/** Adds one, usually the newest. Cost: a copy of the fragments. @param readSequences as in `build` */
	add(tombstone: RangeTombstone, readSequences?: readonly number[]): void {
		const { start, end, sequence } = tombstone;
		if (isEmptyRange(tombstone)) return;
		this.#newestSequence = Math.max(this.#newestSequence, sequence);
		const old = this.#fragments;
		const builder = new FragmentBuilder(old, start.length + end.length, readSequences);
		const first = indexOfBound(old, start);
		const behind = end.length === 0 ? old.count : indexOfBound(old, end);
		builder.appendRun(old, 0, first);
		if (!hasBoundAt(old, first, start)) builder.appendCovered(start, old, first - 1, sequence);
		for (let i = first; i < behind; i++) builder.appendCovered(old.boundAt(i), old, i, sequence);
		if (end.length > 0 && !hasBoundAt(old, behind, end)) builder.appendLike(end, old, behind - 1);
		builder.appendRun(old, behind, old.count);
		this.#fragments = builder.finish();
	}

	/**
	 * Adds those of one command, newer than all others, of which reads see all or none. Cost: that of adding one, and a sort.
	 * @param readSequences as in `build`
	 */
	addAll(tombstones: readonly RangeTombstone[], readSequences: readonly number[]): void {
		for (const { sequence } of tombstones) assert(sequence > this.#newestSequence, 'newer than what is there');
		const old = this.#fragments;
		const { fragments: newer, newestSequence } = RangeTombstoneSet.build(tombstones, []);
		this.#newestSequence = Math.max(this.#newestSequence, newestSequence);
		const builder = new FragmentBuilder(old, newer.keyOffsets[newer.count], readSequences);
		let oldEnd = 0;
		let newerEnd = 0;
		while (oldEnd < old.count || newerEnd < newer.count) {
			const order = compareBounds(old, oldEnd, newer, newerEnd);
			const key = order <= 0 ? old.boundAt(oldEnd) : newer.boundAt(newerEnd);
			if (order <= 0) oldEnd++;
			if (order >= 0) newerEnd++;
			const sequence = newer.sequenceAt(newerEnd - 1, newestSequence);
			if (sequence === 0) builder.appendLike(key, old, oldEnd - 1);
			else builder.appendCovered(key, old, oldEnd - 1, sequence);
		}
		this.#fragments = builder.finish();
	}

	/** The newest sequence <= maxSequence of a tombstone that covers the key, or 0. Older versions of the key are deleted. */
	coverSequence(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): number {
		const fragments = this.#fragments;
		if (fragments.count === 0) return 0;
		return fragments.sequenceAt(fragments.find(key, keyOffset, keySize), maxSequence);
	}

	/** For a walk in either direction at one sequence. It does not see what is added later. */
	cursor(maxSequence: number): RangeTombstoneCursor {
		if (this.#fragments.count === 0) return emptyCursor;
		return new RangeTombstoneCursor(this.#fragments, maxSequence);
	}

	/** Goes through the bounds in order, with the sequences of the ranges that are open there. */
	#sweep(tombstones: readonly RangeTombstone[], readSequences: readonly number[] | undefined): void {
		const events: { key: Uint8Array; sequence: number; isStart: boolean }[] = [];
		let size = 0;
		for (const tombstone of tombstones) {
			const { start, end, sequence } = tombstone;
			if (isEmptyRange(tombstone)) continue;
			this.#newestSequence = Math.max(this.#newestSequence, sequence);
			events.push({ key: start, sequence, isStart: true });
			if (end.length > 0) events.push({ key: end, sequence, isStart: false });
			size += start.length + end.length;
		}
		events.sort((a, b) => Buffer.compare(a.key, b.key));
		const builder = new FragmentBuilder(noFragments, size, readSequences);
		/** Descending, with repetitions. */
		const open: number[] = [];
		for (let i = 0; i < events.length; i++) {
			const { key, sequence, isStart } = events[i];
			const at = placeOf(open, sequence);
			if (isStart) open.splice(at, 0, sequence);
			else open.splice(at, 1);
			const isLastHere = i + 1 === events.length || Buffer.compare(events[i + 1].key, key) !== 0;
			if (isLastHere) builder.append(key, open);
		}
		this.#fragments = builder.finish();
	}
}

/** Remembers the fragment it found last: neighbouring keys are mostly in the same one, or in the next. */
export class RangeTombstoneCursor {
	readonly #fragments: Fragments;
	readonly #maxSequence: number;
	/** Fragment of the last key; -1: before the first. */
	#index = -1;
	/** What `coverSequence` found last. */
	cover = 0;

	constructor(fragments: Fragments, maxSequence: number) {
		this.#fragments = fragments;
		this.#maxSequence = maxSequence;
	}

	get isEmpty(): boolean {
		return this.#fragments.count === 0;
	}

	/** As `RangeTombstoneSet.coverSequence`, fastest for keys in either order. */
	coverSequence(key: Uint8Array, keyOffset: number, keySize: number): number {
		const fragments = this.#fragments;
		if (fragments.count === 0) return 0;
		const index = this.#index;
		const isBelowEnd = !this.hasEnd || fragments.compareBound(index + 1, key, keyOffset, keySize) > 0;
		const isFromStart = index < 0 || fragments.compareBound(index, key, keyOffset, keySize) <= 0;
		if (!isBelowEnd || !isFromStart) {
			this.#index = fragments.find(key, keyOffset, keySize);
			this.cover = fragments.sequenceAt(this.#index, this.#maxSequence);
		}
		return this.cover;
	}

	/** True when the last key's fragment ends somewhere: at `fragmentEnd`. */
	get hasEnd(): boolean {
		return this.#index + 1 < this.#fragments.count;
	}

	/** First key behind the last key's fragment: a forward walk skips to it. Only with `hasEnd`. Not to be changed. */
	get fragmentEnd(): Uint8Array {
		return this.#fragments.boundAt(this.#index + 1);
	}

	/** First key of the last key's fragment (which is covered): a backward walk skips below it. Empty: nothing is below. */
	get fragmentStart(): Uint8Array {
		return this.#fragments.boundAt(this.#index);
	}
}

/** Has nothing to remember, so it serves all. */
const emptyCursor = new RangeTombstoneCursor(noFragments, 0);

function isEmptyRange({ start, end }: RangeTombstone): boolean {
	return end.length > 0 && compareBytes(start, 0, start.length, end, 0, end.length) >= 0;
}

/** Order of two bounds; one behind the last is above all others. */
function compareBounds(a: Fragments, aIndex: number, b: Fragments, bIndex: number): number {
	if (aIndex === a.count) return 1;
	if (bIndex === b.count) return -1;
	const bound = b.boundAt(bIndex);
	return a.compareBound(aIndex, bound, 0, bound.length);
}

function hasBoundAt(fragments: Fragments, index: number, key: Uint8Array): boolean {
	return index < fragments.count && fragments.compareBound(index, key, 0, key.length) === 0;
}

/** Index of the first number <= `sequence` in a descending list. */
function placeOf(descending: readonly number[], sequence: number): number {
	let low = 0;
	let high = descending.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (descending[middle] <= sequence) high = middle;
		else low = middle + 1;
	}
	return low;
}
