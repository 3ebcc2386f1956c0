/**
 * What compactions have done so far: counts, bytes, entries dropped, and how fast they take bytes out of level 0.
 * Partition's thread.
 */
import { levelCountMax } from '../../../base/limits.js';
import type { CompactionCounts } from '../table/compaction-writer.js';
import { RateMeter } from '../upkeep/rate-meter.js';
import type { Compaction } from './compaction.js';

export interface LevelCompactions {
	/** Compactions whose output this level was. */
	count: number;
	readBytes: number;
	writtenBytes: number;
}

export class CompactionCounters {
	count = 0;
	moveCount = 0;
	readBytes = 0;
	writtenBytes = 0;
	/** Time with at least one compaction under way. */
	busyMs = 0;
	readonly reasons: Record<string, number> = {};
	readonly dropped = { shadowed: 0, tombstones: 0, expired: 0, rangeDeleted: 0 };
	readonly levels: LevelCompactions[] = Array.from({ length: levelCountMax }, () => ({
		count: 0,
		readBytes: 0,
		writtenBytes: 0,
	}));
	/** Of what leaves level 0, in bytes of commands, by the time spent on compactions of all levels. */
	readonly rate = new RateMeter();
	#busySinceMs: number | undefined;
	#busyMsAtLastZero = 0;

	/** @param isBusy a compaction is under way from now on */
	onBusy(isBusy: boolean, nowMs: number): void {
		if (this.#busySinceMs !== undefined) this.busyMs += Math.max(0, nowMs - this.#busySinceMs);
		this.#busySinceMs = isBusy ? nowMs : undefined;
	}

	onMoved(compaction: Compaction): void {
		this.moveCount++;
		this.#count(compaction);
	}

	onDone(
		compaction: Compaction,
		outputs: readonly { readonly size: number }[],
		counts: CompactionCounts | undefined,
	): void {
		this.count++;
		this.#count(compaction);
		const level = this.levels[compaction.outputLevel];
		const readBytes = compaction.inputs.reduce((sum, { meta }) => sum + meta.size, 0);
		const writtenBytes = outputs.reduce((sum, { size }) => sum + size, 0);
		level.count++;
		level.readBytes += readBytes;
		level.writtenBytes += writtenBytes;
		this.readBytes += readBytes;
		this.writtenBytes += writtenBytes;
		if (counts !== undefined) {
			this.dropped.shadowed += counts.shadowedCount;
			this.dropped.tombstones += counts.tombstoneCount;
			this.dropped.expired += counts.expiredCount;
			this.dropped.rangeDeleted += counts.rangeDeletedCount;
		}
		if (compaction.inputLevel === 0) {
			const zero = compaction.inputs.filter(({ level: from }) => from === 0);
			this.rate.add(
				zero.reduce((sum, { meta }) => sum + meta.rawSize, 0),
				this.busyMs - this.#busyMsAtLastZero,
			);
			this.#busyMsAtLastZero = this.busyMs;
		}
	}

	#count({ reason }: Compaction): void {
		this.reasons[reason] = (this.reasons[reason] ?? 0) + 1;
	}
}
