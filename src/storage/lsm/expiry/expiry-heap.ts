/**
 * The expiring entries of one memtable by time: a binary heap in flat arrays, 12 bytes a row, the earliest at index 0.
 *
 *   children of row i: 2i + 1 and 2i + 2, neither earlier than it
 *
 * It holds word offsets of entries, not keys: those stay in the arena, which must live as long. At most as many rows as the
 * arena holds entries; versions that were overwritten stay in until their time. The partition's thread.
 */
import { assert } from '../../../base/assert.js';

const capacityMin = 256;

export class ExpiryHeap {
	#times = new Float64Array(capacityMin);
	#entries = new Uint32Array(capacityMin);
	#count = 0;

	get count(): number {
		return this.#count;
	}

	/** The earliest time; infinite when there is none. */
	get firstMs(): number {
		return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#times[0];
	}

	/** The entry that expires first. */
	get firstEntry(): number {
		assert(this.#count > 0, 'the heap has rows');
		return this.#entries[0];
	}

	push(expiresAtMs: number, entry: number): void {
		if (this.#count === this.#times.length) this.#grow();
		const times = this.#times;
		const entries = this.#entries;
		let at = this.#count++;
		while (at > 0) {
			const parent = (at - 1) >>> 1;
			if (times[parent] <= expiresAtMs) break;
			times[at] = times[parent];
			entries[at] = entries[parent];
			at = parent;
		}
		times[at] = expiresAtMs;
		entries[at] = entry;
	}

	/** Removes the earliest. */
	pop(): void {
		assert(this.#count > 0, 'the heap has rows');
		const times = this.#times;
		const entries = this.#entries;
		const count = --this.#count;
		const time = times[count];
		const entry = entries[count];
		let at = 0;
		for (let child = 1; child < count; child = 2 * at + 1) {
			if (child + 1 < count && times[child + 1] < times[child]) child++;
			if (times[child] >= time) break;
			times[at] = times[child];
			entries[at] = entries[child];
			at = child;
		}
		times[at] = time;
		entries[at] = entry;
	}

	#grow(): void {
		const times = new Float64Array(this.#count * 2);
		const entries = new Uint32Array(this.#count * 2);
		times.set(this.#times);
		entries.set(this.#entries);
		this.#times = times;
		this.#entries = entries;
	}
}
