/** Requests that are answered once everything up to a sequence is in tables. Kept by their envelopes. */
interface FlushWaiter {
	readonly envelope: Buffer;
	readonly sequence: number;
}

export class FlushWaiters {
	#waiters: FlushWaiter[] = [];

	/** @param envelope of the request; copied */
	add(envelope: Uint8Array, sequence: number): void {
		this.#waiters.push({ envelope: Buffer.from(envelope), sequence });
	}

	/** Takes out those that wait for nothing any more. */
	takeReady(flushedSequence: number): Buffer[] {
		const ready = this.#waiters.filter((waiter) => waiter.sequence <= flushedSequence);
		if (ready.length > 0) this.#waiters = this.#waiters.filter((waiter) => waiter.sequence > flushedSequence);
		return ready.map((waiter) => waiter.envelope);
	}

	takeAll(): Buffer[] {
		return this.takeReady(Number.POSITIVE_INFINITY);
	}
}
