/**
 * Whether there is room on the disk, and in the budget. Plain state of the partition's thread; it is told what happens and the
 * time, and says what may be done.
 *
 *   open ──a job finds no space──> full: the reserve file is removed ──> what the job stopped is tried again, every second
 *     ^                                                                                      │
 *     └────────────── the reserve could be made again, with a little more ───────────────────┘
 *   open ──over the budget──> over ──5 % below it──> open
 *
 * The reserve is first made when there are tables that deletes could free: a quarter of its size. A small or short-lived database
 * does without. While full or over, puts are refused; reads go on, and so do deletes and compactions, which are what frees
 * space. Without a reserve file (size 0), full ends when a second has passed; what still finds no space says so again.
 */

/** Pause before work that found the disk full is tried again. */
const retryDelayMs = 1000;
/** Below this share of the budget, puts are taken again: it would open and close with every flush otherwise. */
const budgetReopenShare = 0.95;
/** The reserve is made when tables take one part in so many of its size. */
const reserveFraction = 4;

export interface DiskGuardOptions {
	/** Bytes the partition's files may take; 0: no limit. */
	readonly diskBudget: number;
	/** Bytes of the reserve file; 0: none. */
	readonly reserveFileSize: number;
}

type ReserveState = 'none' | 'ready' | 'preparing' | 'leaving' | 'gone';

/** Something the reserve needs: the caller has a job do it. */
export type ReserveTask = 'prepare' | 'remove' | undefined;

export class DiskGuard {
	readonly #options: DiskGuardOptions;
	#reserve: ReserveState;
	#isSpaceOut = false;
	#isOverBudget = false;
	/** No job that needs space is begun until then; 0: no pause. */
	#pausedUntilMs = 0;
	/** What the clock showed at the last tick. */
	#clockMs = 0;
	#usedBytes = 0;
	#tableBytes = 0;
	/** Times the disk was found full, and times the budget was found used up. */
	#fullCount = 0;
	#overCount = 0;

	/** @param hasReserve the reserve file is there already */
	constructor(options: DiskGuardOptions, hasReserve: boolean) {
		this.#options = options;
		this.#reserve = options.reserveFileSize === 0 ? 'none' : hasReserve ? 'ready' : 'gone';
	}

	/** True when puts are refused. */
	get isFull(): boolean {
		return this.#isSpaceOut || this.#isOverBudget;
	}

	/** True while not even what frees space is begun. */
	get isPaused(): boolean {
		return this.#pausedUntilMs > 0 || this.#reserve === 'leaving';
	}

	mayWrite(isDelete: boolean): boolean {
		return isDelete || !this.isFull;
	}

	/** Why puts are refused, for people; '' when they are not. */
	get reason(): string {
		if (this.#isSpaceOut) return 'the disk is full; writes are taken again once there is space';
		if (!this.#isOverBudget) return '';
		const { diskBudget } = this.#options;
		return (
			`the files take ${this.#usedBytes} bytes of a disk budget of ${diskBudget}; writes are taken again below ` +
			`${Math.floor(diskBudget * budgetReopenShare)}: delete something, or open with a larger diskBudget`
		);
	}

	/** A job found the disk full. @returns what to do with the reserve */
	onJobFailed(): ReserveTask {
		if (!this.#isSpaceOut) this.#fullCount++;
		this.#isSpaceOut = true;
		if (this.#reserve === 'ready') {
			this.#reserve = 'leaving';
			return 'remove';
		}
		if (this.#reserve !== 'leaving') this.#pausedUntilMs = this.#clockMs + retryDelayMs;
		return undefined;
	}

	/** The reserve is removed: what was stopped should be tried again now. */
	onReserveRemoved(): void {
		if (this.#reserve === 'leaving') this.#reserve = 'gone';
	}

	/** @param isFull there was no space for it */
	onReservePrepared(isFull: boolean): void {
		this.#reserve = isFull ? 'gone' : 'ready';
		if (isFull) {
			this.#fullCount += this.#isSpaceOut ? 0 : 1;
			this.#isSpaceOut = true;
			this.#pausedUntilMs = this.#clockMs + retryDelayMs;
		} else {
			this.#isSpaceOut = false;
			this.#pausedUntilMs = 0;
		}
	}

	/** @param isIdle no job that needs space is under way or waits, so that the reserve takes none away from it */
	maybeReserveTask(isIdle: boolean): ReserveTask {
		if (this.#reserve !== 'gone' || this.isPaused || (this.#isSpaceOut && !isIdle)) return undefined;
		if (!this.#isSpaceOut && this.#tableBytes * reserveFraction < this.#options.reserveFileSize) return undefined;
		this.#reserve = 'preparing';
		return 'prepare';
	}

	/** @param otherBytes of the log and the manifest */
	onUsage(tableBytes: number, otherBytes: number): void {
		const bytes = tableBytes + otherBytes;
		this.#tableBytes = tableBytes;
		this.#usedBytes = bytes;
		const { diskBudget } = this.#options;
		if (diskBudget === 0) return;
		if (!this.#isOverBudget && bytes > diskBudget) {
			this.#isOverBudget = true;
			this.#overCount++;
		} else if (bytes < diskBudget * budgetReopenShare) {
			this.#isOverBudget = false;
		}
	}

	/** Milliseconds until `tick` has something to do; undefined: nothing. */
	tickDelayMs(nowMs: number): number | undefined {
		if (this.#pausedUntilMs === 0) return undefined;
		const delayMs = this.#pausedUntilMs - nowMs;
		return delayMs > retryDelayMs ? 1 : Math.max(1, delayMs);
	}

	/** @param nowMs what the clock shows: it may have been put back. @returns true when what was stopped should be tried again */
	tick(nowMs: number): boolean {
		this.#clockMs = nowMs;
		if (this.#pausedUntilMs === 0) return false;
		const delayMs = this.#pausedUntilMs - nowMs;
		if (delayMs > 0 && delayMs <= retryDelayMs) return false;
		this.#pausedUntilMs = 0;
		if (this.#reserve === 'none') this.#isSpaceOut = false;
		return true;
	}

	get statistics(): Record<string, number | string> {
		return {
			diskUsedBytes: this.#usedBytes,
			diskBudget: this.#options.diskBudget,
			diskState: this.#isSpaceOut ? 'full' : this.#isOverBudget ? 'over budget' : 'ok',
			diskReason: this.reason,
			reserveBytes: this.#reserve === 'ready' ? this.#options.reserveFileSize : 0,
			diskFullCount: this.#fullCount,
			diskOverBudgetCount: this.#overCount,
		};
	}
}
