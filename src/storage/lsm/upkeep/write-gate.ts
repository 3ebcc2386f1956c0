/**
 * Applies the verdicts of write-control.ts: says after a drain how long the next writes should wait, and when writing is stopped,
 * whether a write waits or is refused. Counts what that cost. Told the time; partition's thread only.
 *
 *   slowed    bytes written run up a debt that the allowed rate pays off; until it is paid, writes wait (reads do not)
 *   stopped   a write waits; when the stop has lasted `stallTimeoutMs`, it is refused with MILLRACE_OVERLOADED
 */
import { statusOf, statusOk } from '../../../base/errors.js';
import type { WriteReason, WriteVerdict } from './write-control.js';

/** `prepareWrite` found no room yet: wait for a job or the log, then ask again. Not a status of the table. */
export const statusWait = 255;

/** Unused time that counts towards later writes, at most: a drain is a burst, and its average is what matters. */
const creditMsMax = 5;

interface StallCounts {
	count: number;
	totalMs: number;
	longestMs: number;
}

export class WriteGate {
	readonly #stallTimeoutMs: number;
	#state: WriteVerdict['state'] = 'open';
	/** Time at which the bytes written so far are paid for. */
	#paidAtMs = 0;
	#stallReason: WriteReason = '';
	#stallSinceMs = 0;
	readonly #stops = new Map<WriteReason, StallCounts>();
	readonly #slowdowns = new Map<WriteReason, StallCounts>();
	#slowSinceMs = 0;
	#slowReason: WriteReason = '';
	#delayedMs = 0;
	refusedCount = 0;

	constructor(stallTimeoutMs: number) {
		this.#stallTimeoutMs = stallTimeoutMs;
	}

	/**
	 * After a drain: milliseconds that the next writes should wait. Ask again, with 0 bytes, after a part of them.
	 * @param bytes of the commands just written
	 */
	delayMs(bytes: number, verdict: WriteVerdict, nowMs: number): number {
		this.#note(verdict, nowMs);
		if (bytes > 0) this.#endStall(nowMs);
		// What becomes of a write while writing is stopped, `admit` says when it comes.
		if (verdict.state !== 'slowed') return 0;
		// A clock that was put back must not make the debt larger than it is.
		if (this.#paidAtMs > nowMs + 60_000 || this.#paidAtMs < nowMs - creditMsMax) this.#paidAtMs = nowMs - creditMsMax;
		const costMs = (bytes / verdict.bytesPerSecond) * 1000;
		this.#paidAtMs += costMs;
		const delayMs = Math.max(0, this.#paidAtMs - nowMs);
		if (bytes > 0) this.#delayedMs += Math.min(delayMs, costMs);
		return delayMs;
	}

	/** Before a write. @returns statusOk, statusWait, or the status that refuses it */
	admit(verdict: WriteVerdict, nowMs: number): number {
		if (verdict.state !== 'stopped' || verdict.reason === 'disk') return statusOk;
		return this.wait(verdict.reason, nowMs);
	}

	/** A write finds no room. @returns statusWait, or after too long a wait the status that refuses it */
	wait(reason: WriteReason, nowMs: number): number {
		if (this.#stallReason === '') {
			this.#stallReason = reason;
			this.#stallSinceMs = nowMs;
		}
		if (nowMs - this.#stallSinceMs < this.#stallTimeoutMs) return statusWait;
		this.refusedCount++;
		return statusOf('MILLRACE_OVERLOADED');
	}

	/** What a stop was for may be over. @param isOver tells for the reason whether it is */
	tick(isOver: (reason: WriteReason) => boolean, verdict: WriteVerdict, nowMs: number): void {
		this.#note(verdict, nowMs);
		if (this.#stallReason !== '' && isOver(this.#stallReason)) this.#endStall(nowMs);
	}

	/** Why writes wait now, '' when they do not. */
	get stallReason(): WriteReason {
		return this.#stallReason;
	}

	statistics(): Record<string, unknown> {
		return {
			slowdowns: Object.fromEntries(this.#slowdowns),
			stops: Object.fromEntries(this.#stops),
			delayedMs: Math.round(this.#delayedMs),
			refused: this.refusedCount,
		};
	}

	#note({ state, reason }: WriteVerdict, nowMs: number): void {
		if (state === this.#state && reason === this.#slowReason) return;
		if (this.#state === 'slowed') count(this.#slowdowns, this.#slowReason, nowMs - this.#slowSinceMs);
		this.#state = state;
		this.#slowReason = reason;
		this.#slowSinceMs = nowMs;
		if (state === 'open') this.#paidAtMs = nowMs;
	}

	#endStall(nowMs: number): void {
		if (this.#stallReason === '') return;
		count(this.#stops, this.#stallReason, nowMs - this.#stallSinceMs);
		this.#stallReason = '';
	}
}

function count(counts: Map<WriteReason, StallCounts>, reason: WriteReason, ms: number): void {
	const before = counts.get(reason) ?? { count: 0, totalMs: 0, longestMs: 0 };
	const lasted = Math.max(0, ms);
	counts.set(reason, {
		count: before.count + 1,
		totalMs: before.totalMs + lasted,
		longestMs: Math.max(before.longestMs, lasted),
	});
}
