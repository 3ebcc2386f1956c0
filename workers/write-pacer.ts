/**
 * Holds writes back while the partition wants them slower: only they are held, in slices after which it is asked again, so that
 * it may change its mind. Decisions of batches over several partitions are never held. Partition's thread only.
 */
import type { Partition } from '../src/storage/lsm/partition.js';

/** Slowed writes are held for so long at once, before the partition is asked again. */
const holdSliceMsMax = 5;

export class WritePacer {
	readonly #partition: Partition;
	/** Bytes of commands written since the partition was last asked how fast they may come. */
	#writtenBytes = 0;
	/** No write is begun for so long; 0: they are not held. */
	holdMs = 0;

	constructor(partition: Partition) {
		this.#partition = partition;
	}

	get isHolding(): boolean {
		return this.holdMs > 0;
	}

	noteWritten(size: number): void {
		this.#writtenBytes += size;
	}

	/** Tells the partition what was written since the last call, and holds the next writes back for as long as it asks. */
	pace(nowMs: number): void {
		if (this.#writtenBytes === 0 && !this.isHolding) return;
		const delayMs = this.#partition.maintenance.writeDelayMs(this.#writtenBytes, nowMs);
		this.holdMs = Math.min(delayMs, holdSliceMsMax);
		this.#writtenBytes = 0;
	}
}
