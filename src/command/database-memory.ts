/**
 * The few words that all threads of one database share, whichever partition they talk to: the epoch, by which a snapshot over all
 * partitions is one cut, and the gate, by which no batch over several partitions lies across it.
 *
 *   word 0            epoch: one more for every snapshot
 *   word 32 + 2 * i   thread i: batches over several partitions it has between their first prepare and their last decision
 *   word 33 + 2 * i   thread i: 1 while it wants to begin a new epoch and waits for all batches to end
 *
 * The cut. A partition loads the epoch for every write, after the write has come to it and before it applies it (one load for
 * all that it took from a ring together); the first time it sees a new one, it notes what it has as that epoch's cut. Let X be in
 * the cut, and Y a write that was answered before X began. When X was applied, its partition had loaded an older epoch, and that
 * after X began; Y was applied earlier still, when that older epoch held, so no partition had seen a newer one: Y is in the cut.
 * (All loads and stores here are sequentially consistent atomics.)
 *
 * The gate (Dekker): who begins a batch counts it, then looks whether anybody wants an epoch, and takes its count back if so; who
 * wants an epoch says so, then waits until nobody counts a batch. So no batch is between its first prepare and its last decision
 * when the epoch changes, and each is in a cut as a whole or not at all.
 *
 * Slots belong to threads: 0 is the one that opened the database. When a thread ends, whoever cleans up after it (the
 * opener) first settles its batches and then clears its slot.
 */
import { assert } from '../base/assert.js';
import { attachedThreadCountMax } from '../base/limits.js';

const epochWord = 0;
const slotsWord = 32;
const slotWords = 2;
export const gateSlotCount = attachedThreadCountMax + 1;

export function createDatabaseMemory(): SharedArrayBuffer {
	return new SharedArrayBuffer((slotsWord + gateSlotCount * slotWords) * 4);
}

/** The epoch that holds now: an i32 that wraps; compare by difference. Any thread. */
export function loadEpoch(words: Int32Array): number {
	return Atomics.load(words, epochWord);
}

/** One thread's hold on the gate. */
export class GateSlot {
	readonly #words: Int32Array;
	readonly #slot: number;

	constructor(memory: SharedArrayBuffer, slot: number) {
		assert(Number.isInteger(slot) && slot >= 0 && slot < gateSlotCount, `gate slot ${slot}`);
		this.#words = new Int32Array(memory);
		this.#slot = slot;
	}

	get number(): number {
		return this.#slot;
	}

	/** @returns false when somebody waits for an epoch: try again soon */
	maybeEnterBatch(): boolean {
		Atomics.add(this.#words, this.#batchesWord, 1);
		if (!this.#isEpochWanted()) return true;
		Atomics.sub(this.#words, this.#batchesWord, 1);
		return false;
	}

	/** Once for each `maybeEnterBatch` that said yes, when the batch is decided everywhere. */
	leaveBatch(): void {
		const before = Atomics.sub(this.#words, this.#batchesWord, 1);
		assert(before > 0, 'a batch was entered');
	}

	/** From now on no batch begins, until `openGate`. */
	closeGate(): void {
		Atomics.store(this.#words, this.#batchesWord + 1, 1);
	}

	openGate(): void {
		Atomics.store(this.#words, this.#batchesWord + 1, 0);
	}

	/**
	 * True when no batch is under way anywhere, and none begins while this thread keeps the gate closed: once seen, it holds.
	 * (It may be seen false again for a moment: who wants to begin counts before it looks.)
	 */
	get isQuiet(): boolean {
		for (let slot = 0; slot < gateSlotCount; slot++) {
			if (Atomics.load(this.#words, slotsWord + slot * slotWords) !== 0) return false;
		}
		return true;
	}

	/** Begins a new epoch. The gate is closed and it is quiet. @returns it */
	beginEpoch(): number {
		return (Atomics.add(this.#words, epochWord, 1) + 1) | 0;
	}

	/** The thread is gone, and its batches are settled. */
	clear(): void {
		Atomics.store(this.#words, this.#batchesWord, 0);
		this.openGate();
	}

	get #batchesWord(): number {
		return slotsWord + this.#slot * slotWords;
	}

	#isEpochWanted(): boolean {
		for (let slot = 0; slot < gateSlotCount; slot++) {
			if (Atomics.load(this.#words, slotsWord + slot * slotWords + 1) !== 0) return true;
		}
		return false;
	}
}
