/**
 * Calls of the embedded API that wait for replies: slots in arrays, the slot number travelling as the command's sequence.
 * A call with many keys has one slot and a part number for each key. Main thread only.
 */
import { assert } from '../base/assert.js';

/** What a slot waits for. `parts` replies are gathered into `values` before `finish` is called. */
export interface PendingCall {
	readonly finish: (call: PendingCall) => void;
	readonly fail: (error: Error) => void;
	/** Replies still missing. */
	missing: number;
	status: number;
	number: number;
	/** A value for each part; undefined where there was none. */
	readonly values: (Uint8Array | undefined)[];
	/** The first error any part met. */
	error: Error | undefined;
}

export class PendingCalls {
	readonly #slots: (PendingCall | undefined)[] = [];
	readonly #free: number[] = [];
	#count = 0;

	get count(): number {
		return this.#count;
	}

	/** @returns the slot to send as the sequence */
	add(call: PendingCall): number {
		const slot = this.#free.pop() ?? this.#slots.length;
		this.#slots[slot] = call;
		this.#count++;
		return slot;
	}

	get(slot: number): PendingCall {
		const call = this.#slots[slot];
		assert(call !== undefined, `reply for slot ${slot}, which waits for nothing`);
		return call;
	}

	/** One more part has its reply; settles the call when it was the last. */
	settlePart(slot: number): void {
		const call = this.get(slot);
		call.missing--;
		if (call.missing > 0) return;
		this.#slots[slot] = undefined;
		this.#free.push(slot);
		this.#count--;
		if (call.error !== undefined) call.fail(call.error);
		else call.finish(call);
	}

	/** Nothing will answer any more. */
	failAll(error: Error): void {
		const calls = this.#slots.splice(0);
		this.#free.length = 0;
		this.#count = 0;
		for (const call of calls) call?.fail(error);
	}
}
