/**
 * How a sleeping thread is woken. A thread has one bell, shared by everything that may give it work.
 *
 *   owner                                   whoever has work for it
 *   1. store sleeping = 1                   1. store the work (a ring's tail or head)
 *   2. look for work again                  2. load sleeping; when 1, make it 0 and wake
 *   3. sleep only if there is none
 *
 * All four are sequentially consistent atomics, so of (owner 2, ringer 2) at least one sees the other side's
 * step 1 (Dekker's protocol): either the owner finds the work or the ringer finds the owner asleep. No wake-up is
 * lost. A wake-up without work is possible (a ringer that was slow after its step 2), so owners sleep in loops.
 *
 * `compareExchange` lets one of several ringers do the waking: a futex call or a message costs microseconds,
 * the load that finds nobody asleep a nanosecond.
 *
 * Layout: SharedArrayBuffer of 128 bytes, word 0: i32 sleeping (0 or 1). The rest keeps neighbours off its line.
 */
import type { MessagePort } from 'node:worker_threads';
import { assert } from '../base/assert.js';

const bellSize = 128;
const sleepingWordIndex = 0;
const awake = 0;
const asleep = 1;

export interface Bell {
	/** Wakes the owner if it sleeps; cheap when it does not (one atomic load). Any thread may call it. */
	ring(): void;
}

function createBell(): SharedArrayBuffer {
	return new SharedArrayBuffer(bellSize);
}

function wordsOf(shared: SharedArrayBuffer): Int32Array<SharedArrayBuffer> {
	assert(shared.byteLength === bellSize, `a bell has ${bellSize} bytes, not ${shared.byteLength}`);
	return new Int32Array(shared);
}

/** True for the one ringer that found the owner asleep and has to wake it. */
function mayWake(words: Int32Array<SharedArrayBuffer>): boolean {
	if (Atomics.load(words, sleepingWordIndex) === awake) return false;
	return Atomics.compareExchange(words, sleepingWordIndex, asleep, awake) === asleep;
}

/** The bell of a thread that sleeps in `Atomics.wait`, that is, one without an event loop to serve. */
export class ThreadBell implements Bell {
	readonly #words: Int32Array<SharedArrayBuffer>;

	static create(): SharedArrayBuffer {
		return createBell();
	}

	constructor(shared: SharedArrayBuffer) {
		this.#words = wordsOf(shared);
	}

	ring(): void {
		if (mayWake(this.#words)) Atomics.notify(this.#words, sleepingWordIndex, 1);
	}

	/**
	 * Owner only. Sleeps until rung or for `timeoutMs`; may also return early, so look for work again after it.
	 * @param hasWork called after sleeping = 1 is stored, must read shared memory; true prevents the sleep
	 */
	sleep(hasWork: () => boolean, timeoutMs = Number.POSITIVE_INFINITY): void {
		Atomics.store(this.#words, sleepingWordIndex, asleep);
		// A ringer that came between the store and the wait has made the word 0, and the wait returns at once.
		if (!hasWork()) Atomics.wait(this.#words, sleepingWordIndex, asleep, timeoutMs);
		Atomics.store(this.#words, sleepingWordIndex, awake);
	}
}

/**
 * The ringing side for an owner that sleeps in its event loop: one empty message when the flag says it sleeps.
 * Each ringing thread has a port of its own to the owner; all of them share the owner's flag.
 */
export class PortBell implements Bell {
	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #port: MessagePort;

	constructor(shared: SharedArrayBuffer, port: MessagePort) {
		this.#words = wordsOf(shared);
		this.#port = port;
	}

	ring(): void {
		if (mayWake(this.#words)) this.#port.postMessage(null);
	}
}

/** The owner's side of `PortBell`s. The owner listens on the ports and calls `disarm` when a message arrives. */
export class PortBellOwner {
	readonly #words: Int32Array<SharedArrayBuffer>;

	static create(): SharedArrayBuffer {
		return createBell();
	}

	constructor(shared: SharedArrayBuffer) {
		this.#words = wordsOf(shared);
	}

	/**
	 * Says that the owner goes back to its event loop with nothing to do and wants a message when work comes.
	 * @param hasWork called after the flag is stored, must read shared memory
	 * @returns false, and the owner stays awake, when there is work after all
	 */
	arm(hasWork: () => boolean): boolean {
		Atomics.store(this.#words, sleepingWordIndex, asleep);
		if (!hasWork()) return true;
		Atomics.store(this.#words, sleepingWordIndex, awake);
		return false;
	}

	/** Says that the owner is awake: a message arrived, or it woke for a reason of its own. */
	disarm(): void {
		Atomics.store(this.#words, sleepingWordIndex, awake);
	}
}
