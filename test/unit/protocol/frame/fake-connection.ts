/** A connection without a socket: gathers what a session writes, and is congested when told to be. */
import type { FrameConnection } from '../../../../src/protocol/frame/frame-output.js';

export class FakeConnection implements FrameConnection {
	output: Buffer = Buffer.alloc(256);
	isCongested = false;
	isPaused = false;
	isEnded = false;
	flushCount = 0;
	#used = 0;
	#flushed: Buffer[] = [];

	reserve(size: number): number {
		if (this.#used + size > this.output.length) {
			this.#seal();
			this.output = Buffer.alloc(Math.max(256, size));
		}
		return this.#used;
	}

	advance(size: number): void {
		this.#used += size;
		if (this.#used > this.output.length) throw new Error('wrote past what was reserved');
	}

	flush(): void {
		this.flushCount++;
		this.#seal();
	}

	pause(): void {
		this.isPaused = true;
	}

	resume(): void {
		this.isPaused = false;
	}

	end(): void {
		this.flush();
		this.isEnded = true;
	}

	/** Everything flushed since the last call. */
	take(): Buffer {
		const all = Buffer.concat(this.#flushed);
		this.#flushed = [];
		return all;
	}

	#seal(): void {
		this.#flushed.push(Buffer.from(this.output.subarray(0, this.#used)));
		this.#used = 0;
	}
}
