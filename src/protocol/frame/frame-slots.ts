/**
 * Which requests of a connection are in flight: a slot for each, from its submission until its reply is written.
 * Typed arrays that grow from `slotCountMin` to `inFlightPerConnectionMax`, so an idle connection costs little and
 * nothing is allocated for a request. Main thread only.
 *
 *   ids         [ 7 | 0 | 9 | 0 ]     0: free
 *   operations  [ 1 | . | 64| . ]
 *   free        [ 3 | 1 | ...   ]     a stack; its top is at freeCount - 1
 */
import { assert } from '../../base/assert.js';
import { inFlightPerConnectionMax } from '../../base/limits.js';

/** Slots of a fresh connection. */
const slotCountMin = 16;

export class FrameSlots {
	#ids = new Uint32Array(slotCountMin);
	#operations = new Uint8Array(slotCountMin);
	#free = Uint16Array.from({ length: slotCountMin }, (_, slot) => slot);
	#freeCount = slotCountMin;

	get inFlightCount(): number {
		return this.#ids.length - this.#freeCount;
	}

	/** @param id the client's, not 0. @returns a slot that now belongs to the request, or -1 when the window is full */
	take(id: number, operation: number): number {
		if (this.#freeCount === 0 && !this.#maybeGrow()) return -1;
		this.#freeCount--;
		const slot = this.#free[this.#freeCount] as number;
		this.#ids[slot] = id;
		this.#operations[slot] = operation;
		return slot;
	}

	free(slot: number): void {
		this.#ids[slot] = 0;
		this.#free[this.#freeCount] = slot;
		this.#freeCount++;
	}

	/** The request id of a slot in use. @throws AssertionError for a free one: a reply came twice, or to nobody */
	mustId(slot: number): number {
		assert(slot < this.#ids.length && this.#ids[slot] !== 0, 'a reply names a slot in use');
		return this.#ids[slot] as number;
	}

	operationOf(slot: number): number {
		return this.#operations[slot] as number;
	}

	/** Doubles the slots; only called when all are in use. */
	#maybeGrow(): boolean {
		const countBefore = this.#ids.length;
		if (countBefore >= inFlightPerConnectionMax) return false;
		const count = Math.min(countBefore * 2, inFlightPerConnectionMax);
		const ids = new Uint32Array(count);
		const operations = new Uint8Array(count);
		ids.set(this.#ids);
		operations.set(this.#operations);
		this.#ids = ids;
		this.#operations = operations;
		this.#free = new Uint16Array(count);
		for (let slot = countBefore; slot < count; slot++) this.#free[slot - countBefore] = slot;
		this.#freeCount = count - countBefore;
		return true;
	}
}
