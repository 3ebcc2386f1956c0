/**
 * The flat arrays of a RangeTombstoneSet: fragment i is [bound i, bound i + 1), the last one has no end.
 *
 *   keys        bound 0 | bound 1 | …             keyOffsets[i] .. keyOffsets[i + 1]
 *   sequences   of fragment 0, newest first | …   sequenceOffsets[i] .. sequenceOffsets[i + 1]
 *
 * Immutable once built; a builder makes the next ones from runs of the old ones and single fragments.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes } from '../../../base/bytes.js';

export class Fragments {
	readonly count: number;
	readonly keys: Uint8Array;
	readonly keyOffsets: Int32Array;
	readonly sequences: Float64Array;
	readonly sequenceOffsets: Int32Array;

	constructor(
		count: number,
		keys: Uint8Array,
		keyOffsets: Int32Array,
		sequences: Float64Array,
		sequenceOffsets: Int32Array,
	) {
		this.count = count;
		this.keys = keys;
		this.keyOffsets = keyOffsets;
		this.sequences = sequences;
		this.sequenceOffsets = sequenceOffsets;
	}

	/** Bytes of bounds and sequences. */
	get byteSize(): number {
		return this.keys.length + this.sequences.byteLength;
	}

	/** Order of a bound and a key. */
	compareBound(index: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		const at = this.keyOffsets[index];
		return compareBytes(this.keys, at, this.keyOffsets[index + 1] - at, key, keyOffset, keySize);
	}

	boundAt(index: number): Uint8Array {
		return this.keys.subarray(this.keyOffsets[index], this.keyOffsets[index + 1]);
	}

	/** The fragment that holds a key; -1: it is before the first. */
	find(key: Uint8Array, keyOffset: number, keySize: number): number {
		let low = 0;
		let high = this.count;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.compareBound(middle, key, keyOffset, keySize) <= 0) low = middle + 1;
			else high = middle;
		}
		return low - 1;
	}

	/** The newest sequence <= maxSequence of a fragment (-1: of none), or 0. */
	sequenceAt(index: number, maxSequence: number): number {
		if (index < 0) return 0;
		let low = this.sequenceOffsets[index];
		const end = this.sequenceOffsets[index + 1];
		let high = end;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.sequences[middle] <= maxSequence) high = middle;
			else low = middle + 1;
		}
		return low < end ? this.sequences[low] : 0;
	}
}

export const noFragments = new Fragments(
	0,
	new Uint8Array(0),
	new Int32Array(1),
	new Float64Array(0),
	new Int32Array(1),
);

/** Index of the first bound >= key, or the count. */
export function indexOfBound(fragments: Fragments, key: Uint8Array): number {
	const index = fragments.find(key, 0, key.length);
	return index >= 0 && fragments.compareBound(index, key, 0, key.length) === 0 ? index : index + 1;
}

export class FragmentBuilder {
	#count = 0;
	#keys: Uint8Array;
	#keyOffsets: Int32Array;
	#sequences: Float64Array;
	#sequenceOffsets: Int32Array;
	readonly #readSequences: readonly number[] | undefined;
	#list: number[] = [];

	/** @param old what it is made from @param addedSize bytes of the bounds that come to it */
	constructor(old: Fragments, addedSize: number, readSequences: readonly number[] | undefined) {
		this.#keys = new Uint8Array(old.keyOffsets[old.count] + addedSize);
		this.#keyOffsets = new Int32Array(old.count + 4);
		this.#sequences = new Float64Array(old.sequenceOffsets[old.count] + 16);
		this.#sequenceOffsets = new Int32Array(old.count + 4);
		this.#readSequences = readSequences;
	}

	/** Appends fragments [from, to) of `old` as they are. */
	appendRun(old: Fragments, from: number, to: number): void {
		if (from < to) {
			// Only the first can be like the one before it, which may have come from elsewhere.
			this.#appendList(old.boundAt(from), old.sequences, old.sequenceOffsets[from], old.sequenceOffsets[from + 1]);
			from++;
		}
		if (from >= to) return;
		const keyAt = this.#keyOffsets[this.#count];
		const sequenceAt = this.#sequenceOffsets[this.#count];
		const sequenceFrom = old.sequenceOffsets[from];
		const sequenceTo = old.sequenceOffsets[to];
		this.#reserve(this.#count + to - from, sequenceAt + sequenceTo - sequenceFrom);
		this.#keys.set(old.keys.subarray(old.keyOffsets[from], old.keyOffsets[to]), keyAt);
		this.#sequences.set(old.sequences.subarray(sequenceFrom, sequenceTo), sequenceAt);
		const keyShift = keyAt - old.keyOffsets[from];
		const sequenceShift = sequenceAt - sequenceFrom;
		for (let i = from; i < to; i++) {
			this.#count++;
			this.#keyOffsets[this.#count] = old.keyOffsets[i + 1] + keyShift;
			this.#sequenceOffsets[this.#count] = old.sequenceOffsets[i + 1] + sequenceShift;
		}
	}

	/** Appends a fragment with the sequences of fragment `index` of `old` (-1: with none). */
	appendLike(key: Uint8Array, old: Fragments, index: number): void {
		const from = index < 0 ? 0 : old.sequenceOffsets[index];
		this.#appendList(key, old.sequences, from, index < 0 ? 0 : old.sequenceOffsets[index + 1]);
	}

	/** As `appendLike`, and one sequence more. */
	appendCovered(key: Uint8Array, old: Fragments, index: number, sequence: number): void {
		const list: number[] = [];
		const from = index < 0 ? 0 : old.sequenceOffsets[index];
		const to = index < 0 ? 0 : old.sequenceOffsets[index + 1];
		let at = from;
		while (at < to && old.sequences[at] > sequence) list.push(old.sequences[at++]);
		list.push(sequence);
		while (at < to) list.push(old.sequences[at++]);
		this.append(key, list);
	}

	/** Appends a fragment. @param descending its sequences; repetitions and those no read can ask for are left out */
	append(key: Uint8Array, descending: readonly number[]): void {
		const list = this.#list;
		list.length = 0;
		const reads = this.#readSequences;
		let read = reads === undefined ? 0 : reads.length;
		for (let i = 0; i < descending.length; i++) {
			const sequence = descending[i];
			const newer = list.length === 0 ? Number.POSITIVE_INFINITY : list[list.length - 1];
			if (sequence === newer) continue;
			if (reads !== undefined && list.length > 0) {
				while (read > 0 && reads[read - 1] >= newer) read--;
				if (read === 0) break;
				if (reads[read - 1] < sequence) continue;
			}
			list.push(sequence);
		}
		this.#appendList(key, list, 0, list.length);
	}

	finish(): Fragments {
		const count = this.#count;
		if (count === 0) return noFragments;
		return new Fragments(
			count,
			this.#keys.slice(0, this.#keyOffsets[count]),
			this.#keyOffsets.slice(0, count + 1),
			this.#sequences.slice(0, this.#sequenceOffsets[count]),
			this.#sequenceOffsets.slice(0, count + 1),
		);
	}

	/** A fragment like the one before it is a part of that. */
	#appendList(key: Uint8Array, sequences: ArrayLike<number>, from: number, to: number): void {
		const count = this.#count;
		if (count === 0 ? from === to : this.#isLikeLast(sequences, from, to)) return;
		const keyAt = this.#keyOffsets[count];
		const sequenceAt = this.#sequenceOffsets[count];
		this.#reserve(count + 1, sequenceAt + to - from);
		assert(keyAt + key.length <= this.#keys.length, 'the bounds were announced');
		this.#keys.set(key, keyAt);
		for (let i = from; i < to; i++) this.#sequences[sequenceAt + i - from] = sequences[i];
		this.#count = count + 1;
		this.#keyOffsets[count + 1] = keyAt + key.length;
		this.#sequenceOffsets[count + 1] = sequenceAt + to - from;
	}

	#isLikeLast(sequences: ArrayLike<number>, from: number, to: number): boolean {
		const at = this.#sequenceOffsets[this.#count - 1];
		if (this.#sequenceOffsets[this.#count] - at !== to - from) return false;
		for (let i = from; i < to; i++) if (this.#sequences[at + i - from] !== sequences[i]) return false;
		return true;
	}

	#reserve(fragmentCount: number, sequenceCount: number): void {
		if (fragmentCount + 1 > this.#keyOffsets.length) {
			const size = fragmentCount * 2 + 2;
			this.#keyOffsets = grown(this.#keyOffsets, new Int32Array(size));
			this.#sequenceOffsets = grown(this.#sequenceOffsets, new Int32Array(size));
		}
		if (sequenceCount > this.#sequences.length) {
			this.#sequences = grown(this.#sequences, new Float64Array(sequenceCount * 2));
		}
	}
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
	to.set(from);
	return to;
}
