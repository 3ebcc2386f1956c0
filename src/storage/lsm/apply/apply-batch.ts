/**
 * Batches: all commands or none. First every command is carried out on a plan, which is laid over the tree so that each sees
 * what those before it did; only when all conditions held is the plan stored.
 *
 *   evaluate: command ─> applyWrite ─┬─ get, coverSequence: the plan's own writes, else the tree's
 *                                    └─ put, deleteRange ─> the plan (flat arrays, a hash table over them)
 *   store:    the plan ─> the tree, under the sequences that were planned
 *
 * A batch takes one sequence number for each of its commands, also for one that changed nothing, unless none did. Between
 * `evaluate` and `store` nothing else may change the tree's content (it may be rotated). Values that are not the batch's own
 * bytes are copied, so a plan holds nothing that is lent but the batch. A few bytes may make a large value each (a setExpiry, an
 * append), so that a plan ends as soon as no memtable could hold it. One plan, reused; the partition's thread only.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes, readU32 } from '../../../base/bytes.js';
import { statusNotFound } from '../../../base/errors.js';
import {
	batchHeaderSize,
	commandFlagsOffset,
	commandKeyOffset,
	opDeleteRange,
	readCommandKeySize,
	readCommandSize,
	sequenceCountOf,
} from '../../../command/command-format.js';
import type { EntryView, RangeTombstone } from '../entry.js';
import { keyHash } from '../key-hash.js';
import type { LsmTree } from '../lsm-tree.js';
import { applyWrite } from './apply-command.js';
import { BatchRanges } from './batch-ranges.js';
import { CommandResult } from './command-result.js';
import type { EntryStore } from './entry-store.js';

const noBytes = new Uint8Array(0);
/** Plans above this size give their arrays back. */
const keptCountMax = 8192;
/** Kind of a step that deletes a range: its value is the end. */
const kindRange = 0;

/** Ranges that a checked batch deletes, empty ones included. */
export function rangeCountOf(bytes: Uint8Array, offset: number): number {
	let count = 0;
	let at = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]) + batchHeaderSize;
	for (let left = sequenceCountOf(bytes, offset); left > 0; left--) {
		if (bytes[at] === opDeleteRange) count++;
		at += readCommandSize(bytes, at);
	}
	return count;
}

export class BatchPlan implements EntryStore {
	/** What the batch came to, in the form of a command's result. */
	readonly result = new CommandResult();
	readonly #sizeMax: number;
	#base: EntryStore | undefined;
	#batch: Uint8Array = noBytes;
	#firstSequence = 0;
	#count = 0;
	#size = 0;
	#isTooLarge = false;
	// The steps, by index: what `put` and `deleteRange` were given.
	#hashes = new Uint32Array(0);
	#keyOffsets = new Uint32Array(0);
	#keySizes = new Uint16Array(0);
	#kinds = new Uint8Array(0);
	#sequences = new Float64Array(0);
	#expiries = new Float64Array(0);
	#valueOffsets = new Uint32Array(0);
	#valueSizes = new Uint32Array(0);
	#values: Uint8Array[] = [];
	/** Open addressing by hash: index + 1 of the newest step of a key. Twice as many slots as steps. */
	#slots = new Uint32Array(0);
	/** The steps that delete a range, for look-ups. */
	readonly #ranges = new BatchRanges();

	/** @param sizeMax bytes of a memtable: keys and values above that are not even gathered */
	constructor(sizeMax: number) {
		this.#sizeMax = sizeMax;
	}

	/** The batch that was evaluated last stores more than fits a memtable: it was given up, and has no result. */
	get isTooLarge(): boolean {
		return this.#isTooLarge;
	}

	/** Versions and deleted ranges to be stored. */
	get count(): number {
		return this.#count;
	}

	/** Bytes of keys and values to be stored. */
	get size(): number {
		return this.#size;
	}

	get absenceSequence(): number {
		return this.#mustBase().absenceSequence;
	}

	/**
	 * Carries the batch out on the plan; `result` then says what storing it comes to, or why it must not be.
	 * @param offset where the batch begins: the count of its commands; it was checked (batch.ts)
	 * @returns true when there is something to store
	 */
	evaluate(base: EntryStore, firstSequence: number, nowMs: number, bytes: Uint8Array, offset: number): boolean {
		const count = readU32(bytes, offset);
		this.#begin(base, firstSequence, bytes, count);
		const { result } = this;
		let observedSequence = 0;
		let at = offset + batchHeaderSize;
		for (let index = 0; index < count; index++) {
			const keyOffset = at + commandKeyOffset(bytes[at + commandFlagsOffset]);
			const hash = bytes[at] === opDeleteRange ? 0 : keyHash(bytes, keyOffset, readCommandKeySize(bytes, at));
			applyWrite(this, firstSequence + index, nowMs, hash, bytes, at, result);
			if (this.#isTooLarge) {
				this.drop();
				return false;
			}
			if (result.isUnmet || result.status > statusNotFound) {
				// That the commands before it succeeded tells of what they saw, which a write of the plan does not note.
				if (index > 0) result.observedSequence = firstSequence - 1;
				result.hasWritten = false;
				result.number = index;
				this.drop();
				return false;
			}
			observedSequence = Math.max(observedSequence, result.observedSequence);
			at += readCommandSize(bytes, at);
		}
		result.reset();
		result.hasWritten = this.#count > 0;
		result.number = result.hasWritten ? firstSequence + count - 1 : 0;
		result.observedSequence = result.hasWritten ? result.number : observedSequence;
		if (!result.hasWritten) this.drop();
		return result.hasWritten;
	}

	/** Stores what was evaluated. The caller made sure of room. */
	store(target: LsmTree): void {
		assert(this.result.hasWritten && target === this.#base, 'a plan is stored where it was made for, once');
		const batch = this.#batch;
		const ranges: RangeTombstone[] = [];
		for (let i = 0; i < this.#count; i++) {
			const sequence = this.#sequences[i];
			const value = this.#values[i];
			const keyOffset = this.#keyOffsets[i];
			const keySize = this.#keySizes[i];
			const valueOffset = this.#valueOffsets[i];
			const valueSize = this.#valueSizes[i];
			const kind = this.#kinds[i];
			if (kind === kindRange) {
				ranges.push(target.putRange(batch, keyOffset, keySize, value, valueOffset, valueSize, sequence));
			} else {
				const expiresAtMs = this.#expiries[i];
				const hash = this.#hashes[i];
				target.put(hash, batch, keyOffset, keySize, sequence, kind, expiresAtMs, value, valueOffset, valueSize);
			}
		}
		if (ranges.length > 0) target.hideRanges(ranges);
		this.drop();
	}

	/** Forgets the steps, stored or not, and lets go of what was lent, and of memory that only a large batch needs. */
	drop(): void {
		this.#base = undefined;
		this.#batch = noBytes;
		this.#ranges.begin(noBytes);
		this.#values.length = 0;
		this.#count = 0;
		if (this.#kinds.length > keptCountMax) this.#allocate(64);
	}

	// --- EntryStore: the plan over the tree -----------------------------------------------------------

	get(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		maxSequence: number,
		view: EntryView,
	): boolean {
		const step = this.#slots[this.#slotOf(hash, key, keyOffset, keySize)] - 1;
		if (step < 0) return this.#mustBase().get(hash, key, keyOffset, keySize, maxSequence, view);
		view.sequence = this.#sequences[step];
		view.kind = this.#kinds[step];
		view.expiresAtMs = this.#expiries[step];
		view.value = this.#values[step];
		view.valueOffset = this.#valueOffsets[step];
		view.valueSize = this.#valueSizes[step];
		return true;
	}

	coverSequence(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): number {
		const sequence = this.#ranges.coverSequence(key, keyOffset, keySize);
		return sequence > 0 ? sequence : this.#mustBase().coverSequence(key, keyOffset, keySize, maxSequence);
	}

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
		assert(key === this.#batch && kind !== kindRange, 'keys are of the batch');
		if (!this.#grow(keySize + valueSize)) return;
		const slot = this.#slotOf(hash, key, keyOffset, keySize);
		this.#addStep(hash, keyOffset, keySize, sequence, kind, expiresAtMs, value, valueOffset, valueSize);
		this.#slots[slot] = this.#count;
	}

	deleteRange(
		start: Uint8Array,
		startOffset: number,
		startSize: number,
		end: Uint8Array,
		endOffset: number,
		endSize: number,
		sequence: number,
	): void {
		assert(start === this.#batch && end === this.#batch, 'bounds are of the batch');
		if (!this.#grow(startSize + endSize)) return;
		this.#addStep(0, startOffset, startSize, sequence, kindRange, 0, end, endOffset, endSize);
		this.#ranges.add(startOffset, startSize, endOffset, endSize, sequence);
	}

	// --- inside ---------------------------------------------------------------------------------------

	#begin(base: EntryStore, firstSequence: number, batch: Uint8Array, count: number): void {
		this.#base = base;
		this.#batch = batch;
		this.#firstSequence = firstSequence;
		this.#ranges.begin(batch);
		this.#values.length = 0;
		this.#count = 0;
		this.#size = 0;
		this.#isTooLarge = false;
		if (count > this.#kinds.length) this.#allocate(Math.max(64, count));
		else this.#slots.fill(0);
	}

	/** Before a step is added. @returns false when it is one too many */
	#grow(size: number): boolean {
		this.#size += size;
		this.#isTooLarge = this.#size > this.#sizeMax;
		return !this.#isTooLarge;
	}

	#allocate(count: number): void {
		this.#hashes = new Uint32Array(count);
		this.#keyOffsets = new Uint32Array(count);
		this.#keySizes = new Uint16Array(count);
		this.#kinds = new Uint8Array(count);
		this.#sequences = new Float64Array(count);
		this.#expiries = new Float64Array(count);
		this.#valueOffsets = new Uint32Array(count);
		this.#valueSizes = new Uint32Array(count);
		this.#values = [];
		this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(count * 2)));
	}

	#mustBase(): EntryStore {
		assert(this.#base !== undefined, 'a batch is under way');
		return this.#base;
	}

	#addStep(
		hash: number,
		keyOffset: number,
		keySize: number,
		sequence: number,
		kind: number,
		expiresAtMs: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
	): void {
		const step = this.#count++;
		assert(step < this.#kinds.length && sequence >= this.#firstSequence, 'one step for each command');
		const isOwn = value === this.#batch || valueSize === 0;
		this.#hashes[step] = hash;
		this.#keyOffsets[step] = keyOffset;
		this.#keySizes[step] = keySize;
		this.#kinds[step] = kind;
		this.#sequences[step] = sequence;
		this.#expiries[step] = expiresAtMs;
		this.#values[step] = isOwn ? value : new Uint8Array(value.subarray(valueOffset, valueOffset + valueSize));
		this.#valueOffsets[step] = isOwn ? valueOffset : 0;
		this.#valueSizes[step] = valueSize;
	}

	/** Where the newest step of a key is noted, or would be. */
	#slotOf(hash: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		const mask = this.#slots.length - 1;
		for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
			const step = this.#slots[slot] - 1;
			if (step < 0) return slot;
			if (this.#hashes[step] !== hash) continue;
			const order = compareBytes(this.#batch, this.#keyOffsets[step], this.#keySizes[step], key, keyOffset, keySize);
			if (order === 0) return slot;
		}
	}
}
