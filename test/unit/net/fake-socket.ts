/**
 * A socket for tests: records what is written, and lets the test decide when the kernel takes it. Main thread only.
 * Views are copied when their callback is called, not when written: a chunk reused too early shows as wrong bytes.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

export class FakeSocket extends EventEmitter {
	/** Bytes the peer has got. */
	readonly received: Buffer[] = [];
	isPaused = false;
	isEnded = false;
	isDestroyed = false;
	writeCount = 0;
	#waiting: { view: Buffer; done: () => void }[] = [];
	readonly #takesAtOnce: boolean;

	/** @param takesAtOnce false: nothing is taken before `take()` */
	constructor(takesAtOnce = true) {
		super();
		this.#takesAtOnce = takesAtOnce;
	}

	/** What a Connection is given. */
	get asSocket(): Socket {
		return this as unknown as Socket;
	}

	get text(): string {
		return Buffer.concat(this.received).toString('latin1');
	}

	get waitingCount(): number {
		return this.#waiting.length;
	}

	/** The peer sends. */
	send(bytes: Buffer): void {
		if (!this.isDestroyed) this.emit('data', bytes);
	}

	/** The kernel takes everything written so far. */
	take(): void {
		const waiting = this.#waiting;
		this.#waiting = [];
		for (const { view } of waiting) this.received.push(Buffer.from(view));
		for (const { done } of waiting) done();
		this.#maybeClose();
	}

	write(view: Buffer, done: () => void): boolean {
		this.writeCount++;
		this.#waiting.push({ view, done });
		if (this.#takesAtOnce) process.nextTick(() => this.take());
		return true;
	}

	cork(): void {}
	uncork(): void {}
	setNoDelay(): void {}

	pause(): void {
		this.isPaused = true;
	}

	resume(): void {
		this.isPaused = false;
	}

	end(): void {
		this.isEnded = true;
		this.#maybeClose();
	}

	destroy(): void {
		if (this.isDestroyed) return;
		this.isDestroyed = true;
		process.nextTick(() => this.emit('close'));
	}

	#maybeClose(): void {
		if (this.isEnded && this.#waiting.length === 0) this.destroy();
	}
}
