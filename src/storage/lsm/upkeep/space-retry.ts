/**
 * When a flush or a compaction that found the disk full is tried again. Each try writes until there is no space left, so
 * without a pause between them a full disk would be written to for ever. Pure; partition's thread only.
 *
 *   no space ─> 1 s ─> no space ─> 2 s ─> … ─> 60 s ─> …        one that is done ends it
 *
 * Within a pause, one is begun that should fit into what is free: a delete of everything is compacted at once. When one
 * that should have fitted did not, free space says nothing here (a quota, a neighbour that writes), and only time counts.
 */
import { spaceRetryMsMax, spaceRetryMsMin } from '../../../base/limits.js';

export class SpaceRetry {
	#pauseMs = 0;
	/** 0: no pause. */
	#untilMs = 0;
	#isFreeSpaceTelling = true;

	onDone(): void {
		this.#pauseMs = 0;
		this.#untilMs = 0;
		this.#isFreeSpaceTelling = true;
	}

	/**
	 * @param sizeEstimate bytes it should have taken
	 * @param freeBytes without what it had written: that is gone
	 */
	onNoSpace(sizeEstimate: number, freeBytes: number, nowMs: number): void {
		this.#pauseMs = Math.min(spaceRetryMsMax, Math.max(spaceRetryMsMin, 2 * this.#pauseMs));
		this.#untilMs = nowMs + this.#pauseMs;
		this.#isFreeSpaceTelling = sizeEstimate > freeBytes;
	}

	/** @param freeBytes asked only within a pause @param nowMs what the clock shows: it may have been put back */
	mayBegin(sizeEstimate: number, freeBytes: () => number, nowMs: number): boolean {
		const leftMs = this.#untilMs - nowMs;
		if (leftMs <= 0 || leftMs > this.#pauseMs) return true;
		return this.#isFreeSpaceTelling && sizeEstimate <= freeBytes();
	}
}
