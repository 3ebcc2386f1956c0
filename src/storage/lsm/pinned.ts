/**
 * A resource that several views share: an arena or an open table. The last one to let go disposes of it.
 * Owned by the partition's thread; counts are plain numbers.
 */
import { assert } from '../../base/assert.js';

/** What a holder of pins needs to know of what it holds. */
export interface Pinnable {
	pin(): void;
	unpin(): void;
}

export class Pinned<T> implements Pinnable {
	readonly value: T;
	#count = 1;
	readonly #dispose: (value: T) => void;

	/** Starts with one pin, the creator's. */
	constructor(value: T, dispose: (value: T) => void) {
		this.value = value;
		this.#dispose = dispose;
	}

	get isFree(): boolean {
		return this.#count === 0;
	}

	pin(): void {
		assert(this.#count > 0, 'a disposed resource is not pinned again');
		this.#count++;
	}

	unpin(): void {
		assert(this.#count > 0, 'one unpin for each pin');
		this.#count--;
		if (this.#count === 0) this.#dispose(this.value);
	}
}
