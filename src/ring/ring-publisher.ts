/**
 * Publishes on behalf of a producer in another thread: the producer commits records and hands over its `position`;
 * the thread that decides when they may be seen (the log thread, once the writes behind replies are durable) owns
 * this object and stores the tail.
 *
 * Invariant: a ring has one publishing thread, either the producer's own or this one, so the tail has one writer.
 * Whatever carries the position between the two threads (another ring) also orders the producer's writes of the
 * records before our store of the tail, which in turn comes before the consumer's reads of them.
 */
import { assert } from '../base/assert.js';
import type { Bell } from './bell.js';
import { capacityOf, dataOffset, tailWordIndex } from './ring-format.js';

export class RingPublisher {
	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #capacity: number;
	readonly #consumerBell: Bell;
	#tail: number;

	constructor(ring: SharedArrayBuffer, consumerBell: Bell) {
		this.#capacity = capacityOf(ring);
		this.#words = new Int32Array(ring, 0, dataOffset / 4);
		this.#consumerBell = consumerBell;
		this.#tail = Atomics.load(this.#words, tailWordIndex) >>> 0;
	}

	/**
	 * Makes the records before `position` visible and wakes the consumer if it sleeps. Never moves backwards: a
	 * position at or before the tail does nothing.
	 * @param position a `position` of the ring's producer, u32
	 */
	publishTo(position: number): void {
		const distance = (position - this.#tail) | 0;
		if (distance <= 0) return;
		assert(distance <= this.#capacity, 'a position to publish is at most a ring ahead');
		this.#tail = position >>> 0;
		Atomics.store(this.#words, tailWordIndex, position | 0);
		this.#consumerBell.ring();
	}
}
