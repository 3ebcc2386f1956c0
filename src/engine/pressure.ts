/**
 * How close a thread is to being refused: `db.pressure`, and when a program should hear of it.
 *
 *   level   0 ─────────── 0.5 ─────────────── 1
 *           window fills   calls wait          MILLRACE_BUSY
 *
 * An event comes when the level rises to a band and when it has fallen well below it again, not each time it crosses a line:
 *
 *   band 1   from 0.5 (calls wait) until 0.25       band 2   from 0.9 (refusals are near) until 0.75
 */

/** How full this thread's way to the partitions is. */
export interface Pressure {
	/** 0: nothing under way. 0.5: the in-flight window is full, or a ring is. 1: further calls are refused with MILLRACE_BUSY. */
	readonly level: number;
	/**
	 * 'none': calls go out at once. 'window': `inFlightSizeMax` bytes are under way, calls wait. 'ring': a partition takes its
	 * commands more slowly than they come, calls wait. 'waiting': so many wait that refusals are near.
	 */
	readonly reason: 'none' | 'window' | 'ring' | 'waiting';
}

/** The level entered a band, or left it. */
export interface PressureEvent extends Pressure {
	readonly type: 'pressure';
}

const bands = [
	{ from: 0.5, until: 0.25 },
	{ from: 0.9, until: 0.75 },
];
/** Share of the bytes that may wait from which the reason is that so many wait. */
const waitingShareHigh = 0.8;

/**
 * @param windowShare bytes in flight of those allowed, 0 to 1
 * @param waitingShare bytes that wait of those allowed, 0 to 1
 * @param isWaiting whether anything waits
 */
export function pressureOf(
	windowShare: number,
	waitingShare: number,
	isWaiting: boolean,
	isWindowFull: boolean,
): Pressure {
	if (!isWaiting) return { level: Math.min(windowShare, 1) / 2, reason: 'none' };
	const level = 0.5 + Math.min(waitingShare, 1) / 2;
	if (waitingShare >= waitingShareHigh) return { level, reason: 'waiting' };
	return { level, reason: isWindowFull ? 'window' : 'ring' };
}

/** Remembers the band, and says when it changes. */
export class PressureBands {
	#band = 0;

	/** True while the level is in no band: it can only rise. */
	get isCalm(): boolean {
		return this.#band === 0;
	}

	/** @returns true when the band has changed */
	note(level: number): boolean {
		const before = this.#band;
		while (this.#band < bands.length && level >= bands[this.#band].from) this.#band++;
		while (this.#band > 0 && level <= bands[this.#band - 1].until) this.#band--;
		return this.#band !== before;
	}
}
