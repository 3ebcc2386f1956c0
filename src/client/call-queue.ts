/**
 * A queue of calls: an array with a moving head, so that taking the first is O(1). The client's thread only.
 *
 *   calls  [ taken | head ->  waiting ]
 */
import type { Call } from './call.js';

/** Taken places tolerated before they are cut off; cutting costs the length of what waits, so it must be rare. */
const takenCountMax = 1024;

export class CallQueue {
	#calls: Call[] = [];
	#head = 0;

	get count(): number {
		return this.#calls.length - this.#head;
	}

	get first(): Call | undefined {
		return this.#calls[this.#head];
	}

	push(call: Call): void {
		this.#calls.push(call);
	}

	/** Takes the first away; there is one. */
	shift(): void {
		this.#head++;
		if (this.#head === this.#calls.length) this.clear();
		else if (this.#head >= takenCountMax && this.#head * 2 >= this.#calls.length) this.#cut();
	}

	/** What waits, in order: a copy. */
	all(): Call[] {
		return this.#calls.slice(this.#head);
	}

	clear(): void {
		this.#calls = [];
		this.#head = 0;
	}

	#cut(): void {
		this.#calls = this.#calls.slice(this.#head);
		this.#head = 0;
	}
}
