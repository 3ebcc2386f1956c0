/**
 * Slows a job down to so many bytes a second: it sleeps between writes, in short slices, so that its thread can be ended
 * meanwhile.
 * Blocks the thread that calls it: for the background pool only.
 */
import type { Clock, FileHandle } from '../../../env/ports.js';

/** Longest sleep at once. */
const sliceMsMax = 100;
/** Time that a job was slower than it may be counts towards later writes, at most this much. */
const creditMsMax = 200;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function sleepThread(ms: number): void {
	Atomics.wait(sleeper, 0, 0, ms);
}

export class Pace {
	readonly #bytesPerSecond: number;
	readonly #clock: Clock | undefined;
	readonly #sleep: (ms: number) => void;
	/** Time at which what was written so far may have been written. */
	#dueMs = 0;

	/** @param bytesPerSecond 0: no limit. @param clock without one there is no limit either */
	constructor(bytesPerSecond: number, clock: Clock | undefined, sleep = sleepThread) {
		this.#bytesPerSecond = bytesPerSecond;
		this.#clock = clock;
		this.#sleep = sleep;
	}

	/** Call after writing. Returns when that many bytes were due. */
	spend(bytes: number): void {
		if (this.#bytesPerSecond === 0 || this.#clock === undefined) return;
		const nowMs = this.#clock.nowMs();
		const costMs = (bytes / this.#bytesPerSecond) * 1000;
		// A clock that was put back must not stop the job: it never owes more than this write.
		this.#dueMs = Math.min(Math.max(this.#dueMs, nowMs - creditMsMax), nowMs + sliceMsMax) + costMs;
		let leftMs = this.#dueMs - nowMs;
		while (leftMs >= 1) {
			const sliceMs = Math.min(leftMs, sliceMsMax);
			this.#sleep(sliceMs);
			leftMs -= sliceMs;
		}
	}

	/** A file whose writes keep this pace. */
	over(file: FileHandle): FileHandle {
		return this.#bytesPerSecond === 0 ? file : new PacedFile(file, this);
	}
}

class PacedFile implements FileHandle {
	readonly #file: FileHandle;
	readonly #pace: Pace;

	constructor(file: FileHandle, pace: Pace) {
		this.#file = file;
		this.#pace = pace;
	}

	get path(): string {
		return this.#file.path;
	}

	read(target: Uint8Array, offset: number, size: number, position: number): number {
		return this.#file.read(target, offset, size, position);
	}

	write(source: Uint8Array, offset: number, size: number, position: number): void {
		this.#file.write(source, offset, size, position);
		this.#pace.spend(size);
	}

	sync(): void {
		this.#file.sync();
	}

	size(): number {
		return this.#file.size();
	}

	truncate(size: number): void {
		this.#file.truncate(size);
	}

	close(): void {
		this.#file.close();
	}
}
