/**
 * Whether writes go on at full speed, are slowed down or stopped: pure. Three things can pile up, each with a mark from
 * which writes are slowed and one at which they stop:
 *
 *   memtables   the last arena fills while all others wait for their flush           0 … 1 of it used
 *   level 0     tables: each read asks all of them                                   levelZeroSlowCount … levelZeroStopCount
 *   debt        bytes that compactions have to rewrite                               compactionDebtSlow … compactionDebtStop
 *
 * Between the marks (pressure p from 0 to 1) the rate falls steadily, without a cliff, around the rate R at which the pile is
 * measured to shrink:     rate = R x 8^(1 - 2p)       8 R at the slow mark, R in the middle, R / 8 at the stop mark
 *
 * so that writes settle where as much comes as goes, before anything stops.
 */

export type WriteState = 'open' | 'slowed' | 'stopped';
export type WriteReason = '' | 'memtables' | 'level-0' | 'debt' | 'disk' | 'log';

export interface WritePressure {
	/** Memtables that wait for their flush. */
	readonly immutableCount: number;
	readonly memtableCountMax: number;
	/** Used share of the active memtable. */
	readonly activeShare: number;
	readonly levelZeroCount: number;
	readonly debtBytes: number;
	readonly isDiskFull: boolean;
	/** Measured, in bytes of commands: what flushes take, what compactions take out of level 0. 0: not known yet. */
	readonly flushBytesPerSecond: number;
	readonly compactionBytesPerSecond: number;
}

export interface WriteMarks {
	readonly levelZeroSlowCount: number;
	readonly levelZeroStopCount: number;
	readonly compactionDebtSlow: number;
	readonly compactionDebtStop: number;
}

export interface WriteVerdict {
	readonly state: WriteState;
	readonly reason: WriteReason;
	/** Infinite when open, 0 when stopped. */
	readonly bytesPerSecond: number;
}

/** Rate at the slow mark for each byte a second that the pile shrinks by. */
const rateSpan = 8;
/** Assumed while nothing was measured: an ordinary disk and one core. */
const unknownBytesPerSecond = 32 * 1024 * 1024;

const open: WriteVerdict = { state: 'open', reason: '', bytesPerSecond: Number.POSITIVE_INFINITY };

export function judgeWrites(pressure: WritePressure, marks: WriteMarks): WriteVerdict {
	if (pressure.isDiskFull) return { state: 'stopped', reason: 'disk', bytesPerSecond: 0 };
	const { levelZeroSlowCount, levelZeroStopCount, compactionDebtSlow, compactionDebtStop } = marks;
	const isLastArena = pressure.immutableCount >= pressure.memtableCountMax - 1;
	const memory = isLastArena ? Math.max(0, Math.min(1, pressure.activeShare)) : -1;
	const zero = shareBetween(pressure.levelZeroCount, levelZeroSlowCount, levelZeroStopCount);
	const debt = shareBetween(pressure.debtBytes, compactionDebtSlow, compactionDebtStop);
	if (zero >= 1) return { state: 'stopped', reason: 'level-0', bytesPerSecond: 0 };
	if (debt >= 1) return { state: 'stopped', reason: 'debt', bytesPerSecond: 0 };
	const rates: WriteVerdict[] = [
		slowed('memtables', memory, pressure.flushBytesPerSecond),
		slowed('level-0', zero, pressure.compactionBytesPerSecond),
		slowed('debt', debt, pressure.compactionBytesPerSecond),
	];
	return rates.reduce((least, rate) => (rate.bytesPerSecond < least.bytesPerSecond ? rate : least), open);
}

function slowed(reason: WriteReason, share: number, measured: number): WriteVerdict {
	if (share < 0) return open;
	const rate = measured > 0 ? measured : unknownBytesPerSecond;
	return { state: 'slowed', reason, bytesPerSecond: rate * rateSpan ** (1 - 2 * share) };
}

/** Below 0 before `slow`, 0 there, 1 at `stop`. */
function shareBetween(value: number, slow: number, stop: number): number {
	return (value - slow) / (stop - slow);
}
