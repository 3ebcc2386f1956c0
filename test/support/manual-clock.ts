/** A clock that stands still until a test moves it. */
import type { Clock } from '../../src/env/ports.js';

export class ManualClock implements Clock {
	#nowMs: number;

	constructor(nowMs = 1_700_000_000_000) {
		this.#nowMs = nowMs;
	}

	nowMs(): number {
		return this.#nowMs;
	}

	/** @param stepMs may be negative: wall clocks do step back */
	advance(stepMs: number): void {
		this.#nowMs += stepMs;
	}
}
