/**
 * The gate between batches over several partitions and epochs (database-memory.ts has the protocol and its proof), for all
 * callers of one thread: they share the thread's one flag.
 *
 *   enterBatch ─ open: counted, at once ─────────────── leaveBatch
 *       └─ somebody wants an epoch: in line ─ gate opens ─┘
 *   newEpoch ─ quiet: closed, begun, opened in one go, nobody waits
 *       └─ batches under way: closed ─ they end ─ one epoch for each who wants one ─ opened ─ all in line enter
 *
 * Fair: while an epoch is wanted no batch begins, so it comes as soon as the batches under way have ended; when this thread opens
 * the gate, the batches in line enter (unless another thread has closed it) before it is closed again. Other threads have no way
 * to ring here, so while something waits, the slot is looked at again and again: when a batch of this thread ends, and else first
 * in the next turns of the event loop, then every millisecond.
 *
 * That batches could starve needs threads that want epochs without a pause between any two of their closings. But a closed
 * gate is quiet, and a gate that is quiet is closed for the microsecond that `maybeNewEpoch` takes: pauses are nearly all
 * there is.
 *
 * A thread may block with a batch under way, and for as long as it likes. So who waits for batches to end gives up after a while,
 * and when the database is closing nobody waits for other threads for longer than a moment.
 *
 * One per thread, that thread only.
 */
import { assert } from '../base/assert.js';
import { MillraceError } from '../base/errors.js';
import { gateWaitMsMax } from '../base/limits.js';
import type { GateSlot } from '../command/database-memory.js';

/** Looks in consecutive turns of the event loop before they become rarer: a batch takes a fsync or two, 0.1 to 10 ms. */
const eagerLookCount = 4;
const lookIntervalMs = 1;
/** While the database is closing. */
const closingWaitMsMax = 1000;

/** Calls back in a while; replaced by tests. */
export type LookLater = (look: () => void, delayMs: number) => void;

const lookWithTimers: LookLater = (look, delayMs) => {
	if (delayMs === 0) setImmediate(look);
	else setTimeout(look, delayMs);
};

interface Waiter<T> {
	readonly resolve: (value: T) => void;
	readonly reject: (error: MillraceError) => void;
	readonly sinceMs: number;
}

export class EpochGate {
	readonly #slot: GateSlot;
	readonly #lookLater: LookLater;
	readonly #waitMsMax: number;
	/** Those who run `whileClosed`, or wait to. */
	#holderCount = 0;
	#isClosed = false;
	/** In line for a quiet gate; each begins an epoch of its own if it wants one. */
	#quietWaiters: Waiter<void>[] = [];
	#epochWaiters: Waiter<number>[] = [];
	/** Batches in line for an open gate. */
	#batchWaiters: Waiter<void>[] = [];
	#isLooking = false;
	#lookCount = 0;
	#end: MillraceError | undefined;
	/** The database is closing. */
	#closing: MillraceError | undefined;

	/** @param waitMsMax how long batches of other threads are waited for */
	constructor(slot: GateSlot, lookLater: LookLater = lookWithTimers, waitMsMax = gateWaitMsMax) {
		this.#slot = slot;
		this.#lookLater = lookLater;
		this.#waitMsMax = waitMsMax;
	}

	/** This thread's slot of the gate. */
	get slot(): number {
		return this.#slot.number;
	}

	/** Counts a batch when the gate is open. @returns false when it is not: `enterBatch` waits for that */
	maybeEnterBatch(): boolean {
		if (this.#isClosed || this.#end !== undefined || this.#batchWaiters.length > 0) return false;
		return this.#slot.maybeEnterBatch();
	}

	/** Resolves when the batch is counted: then it may send its first prepare. @throws the error of `end` */
	enterBatch(): Promise<void> {
		if (this.maybeEnterBatch()) return Promise.resolve();
		return this.#wait(this.#batchWaiters);
	}

	/** Once for each batch that entered, when it is decided everywhere or was never begun. */
	leaveBatch(): void {
		// Then nobody waits for it any more, and the opener may have cleared the slot already.
		if (this.#end !== undefined) return;
		this.#slot.leaveBatch();
		if (this.#isClosed) this.#look();
	}

	/**
	 * Begins an epoch now, if no batch is under way.
	 * @returns it; undefined when a batch is: `newEpoch` waits for its end
	 */
	maybeNewEpoch(): number | undefined {
		if (this.#end !== undefined) return undefined;
		const wasClosed = this.#isClosed;
		if (!wasClosed) this.#slot.closeGate();
		const epoch = this.#slot.isQuiet ? this.#slot.beginEpoch() : undefined;
		if (!wasClosed) this.#slot.openGate();
		return epoch;
	}

	/**
	 * Begins an epoch when the batches under way have ended. @returns it, an i32 that wraps
	 * @throws MILLRACE_BUSY when one does not end; the error of `end`
	 */
	newEpoch(): Promise<number> {
		const epoch = this.maybeNewEpoch();
		if (epoch !== undefined) return Promise.resolve(epoch);
		if (this.#end === undefined) this.#close();
		return this.#wait(this.#epochWaiters);
	}

	/**
	 * Does something while no batch is under way in any thread. Batches wait meanwhile; epochs do not.
	 * @throws MILLRACE_BUSY when one does not end; the error of `end`
	 */
	async whileClosed<T>(work: () => Promise<T>): Promise<T> {
		this.#holderCount++;
		try {
			this.#close();
			if (!this.#slot.isQuiet) await this.#wait(this.#quietWaiters);
			return await work();
		} finally {
			this.#holderCount--;
			this.#look();
		}
	}

	/** The database is closing: who has to wait for other threads for more than a moment is refused with this error. */
	hurry(error: MillraceError): void {
		this.#closing ??= error;
	}

	/** The database is closed, or nothing will answer any more: who waits is refused with this error, and who comes later. */
	end(error: MillraceError): void {
		this.#end ??= error;
		const waiters = [...this.#batchWaiters.splice(0), ...this.#epochWaiters.splice(0), ...this.#quietWaiters.splice(0)];
		for (const { reject } of waiters) reject(this.#end);
		this.#maybeOpen();
	}

	#wait<T>(waiters: Waiter<T>[]): Promise<T> {
		if (this.#end !== undefined) return Promise.reject(this.#end);
		return new Promise((resolve, reject) => {
			waiters.push({ resolve, reject, sinceMs: performance.now() });
			this.#look();
		});
	}

	#close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#slot.closeGate();
	}

	/** Lets through whoever need not wait any longer, and comes back for the others. */
	#look(): void {
		if (this.#isClosed && this.#slot.isQuiet) this.#onQuiet();
		this.#refuseTired();
		this.#maybeOpen();
		const closing = this.#closing;
		// If another thread keeps it closed: what this one keeps it closed for will end.
		if (closing !== undefined && !this.#isClosed) refuseOld(this.#batchWaiters, closingWaitMsMax, () => closing);
		const isDone = this.#batchWaiters.length + this.#epochWaiters.length + this.#quietWaiters.length === 0;
		if (isDone || this.#isLooking) return;
		this.#isLooking = true;
		this.#lookCount++;
		this.#lookLater(
			() => {
				this.#isLooking = false;
				this.#look();
			},
			this.#lookCount <= eagerLookCount ? 0 : lookIntervalMs,
		);
	}

	/** Those who have waited for batches of other threads for too long: perhaps one of these threads is blocked. */
	#refuseTired(): void {
		const waitMsMax = this.#closing === undefined ? this.#waitMsMax : closingWaitMsMax;
		const makeError = (): MillraceError =>
			this.#closing ??
			new MillraceError(
				'MILLRACE_BUSY',
				`a batch of another thread has been under way for ${waitMsMax} ms: is it blocked?`,
			);
		refuseOld(this.#quietWaiters, waitMsMax, makeError);
		refuseOld(this.#epochWaiters, waitMsMax, makeError);
	}

	#onQuiet(): void {
		this.#lookCount = 0;
		for (const { resolve } of this.#quietWaiters.splice(0)) resolve();
		for (const { resolve } of this.#epochWaiters.splice(0)) resolve(this.#slot.beginEpoch());
	}

	/** Opens the gate if nobody here needs it closed, and lets in the batches in line if nobody elsewhere does. */
	#maybeOpen(): void {
		if (this.#isClosed) {
			if (this.#holderCount + this.#epochWaiters.length + this.#quietWaiters.length > 0) return;
			this.#isClosed = false;
			this.#slot.openGate();
		}
		let enteredCount = 0;
		while (enteredCount < this.#batchWaiters.length && this.#slot.maybeEnterBatch()) enteredCount++;
		if (enteredCount === 0) return;
		assert(this.#end === undefined, 'nobody is in line after the end');
		this.#lookCount = 0;
		for (const { resolve } of this.#batchWaiters.splice(0, enteredCount)) resolve();
	}
}

/** Takes out those at the front of a line who are in it for so long. */
function refuseOld<T>(waiters: Waiter<T>[], waitMsMax: number, makeError: () => MillraceError): void {
	if (waiters.length === 0) return;
	const sinceMs = performance.now() - waitMsMax;
	const count = waiters.findIndex((waiter) => waiter.sinceMs > sinceMs);
	for (const { reject } of waiters.splice(0, count < 0 ? waiters.length : count)) reject(makeError());
}
