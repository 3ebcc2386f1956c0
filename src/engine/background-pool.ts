/**
 * The background pool: piscina threads that flush, compact and prepare files for all partitions. Main only passes jobs through.
 *
 *   short jobs (log segments, removals) ─────────────────────────────────> threads
 *   flushes ─────────────────────────────> wait here ────────────────────> all threads but one
 *   compactions, verify, checkpoints ────> wait here, level 0 first ─────> all threads but two
 *
 * So what a writer waits for next never waits behind what takes long: a segment not behind flushes, a flush not behind
 * compactions, however many there are.
 */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { youngGenerationSizeMb } from '../base/limits.js';
import { threadArguments, whenAllLoaded, whenLoaded } from './thread-loading.js';

/** Fewest threads: one for each of the three. They share processors where these are fewer. */
const threadCountMin = 3;
/** Most threads: more would only fight for the disk. */
const threadCountMax = 8;
/** An idle thread ends after this. */
const idleTimeoutMs = 10_000;

interface Task {
	readonly directory: string;
	readonly job: unknown;
}

interface WaitingTask {
	readonly task: Task;
	/** @param failure the outcome, when it will not be run */
	readonly go: (failure?: unknown) => void;
}

/** What the pool looks at in a job (storage/lsm/upkeep/jobs.ts); for the rest, jobs are opaque. */
interface JobOutline {
	readonly kind: string;
	readonly inputs?: readonly { readonly level: number }[];
}

const slowKinds = new Set(['compact', 'verify', 'checkpoint']);

/** Threads of a pool on this machine, at most. */
export function poolThreadCountMax(): number {
	return Math.max(threadCountMin, Math.min(threadCountMax, (availableParallelism() >> 1) + 1));
}

export class BackgroundPool {
	readonly #pool: Piscina;
	/** Flushes and slow jobs at once. */
	readonly #longCountMax: number;
	#longCount = 0;
	#slowCount = 0;
	readonly #waitingFlushes: WaitingTask[] = [];
	readonly #waitingSlow: WaitingTask[] = [];
	/** Settles when a thread has loaded its modules, or has ended. */
	readonly #loaded = new WeakMap<Worker, Promise<void>>();
	#isClosed = false;

	constructor(workerUrl: URL) {
		const threadCount = poolThreadCountMax();
		this.#longCountMax = threadCount - 1;
		this.#pool = new Piscina({
			filename: workerUrl.href,
			minThreads: 1,
			maxThreads: threadCount,
			idleTimeout: idleTimeoutMs,
			recordTiming: false,
			resourceLimits: { maxYoungGenerationSizeMb: youngGenerationSizeMb },
			atomics: 'disabled',
			...threadArguments,
		});
		this.#noteThreads();
	}

	/** Runs a job. Never rejects: a thread that broke is an outcome too. */
	async run(task: Task): Promise<unknown> {
		const { kind } = task.job as JobOutline;
		const isSlow = slowKinds.has(kind);
		if (!isSlow && kind !== 'flush') return this.#runNow(task);
		const waiting = isSlow ? this.#waitingSlow : this.#waitingFlushes;
		const failure = await new Promise<unknown>((resolve) => {
			waiting.push({ task, go: resolve });
			this.#startWaiting();
		});
		if (failure !== undefined) return failure;
		try {
			return await this.#runNow(task);
		} finally {
			this.#longCount--;
			if (isSlow) this.#slowCount--;
			this.#startWaiting();
		}
	}

	/**
	 * Ends the threads; a job under way is cut off, which leaves nothing to repair. Threads that are being started get to load
	 * their modules first.
	 */
	async close(): Promise<void> {
		this.#isClosed = true;
		this.#startWaiting();
		await whenAllLoaded(this.#pool.threads.map((thread) => this.#loaded.get(thread) ?? Promise.resolve()));
		await this.#pool.destroy();
	}

	/** The first message of a thread says that it is ready. */
	#noteThreads(): void {
		for (const thread of this.#pool.threads) {
			if (!this.#loaded.has(thread)) this.#loaded.set(thread, whenLoaded(thread));
		}
	}

	/** Gives free places away. */
	#startWaiting(): void {
		if (this.#isClosed) {
			const waiting = [...this.#waitingFlushes.splice(0), ...this.#waitingSlow.splice(0)];
			for (const { go } of waiting) go(failureOf('it is closing'));
			return;
		}
		while (this.#waitingFlushes.length > 0 && this.#longCount < this.#longCountMax) {
			this.#longCount++;
			this.#waitingFlushes.shift()?.go();
		}
		while (
			this.#waitingSlow.length > 0 &&
			this.#slowCount < this.#longCountMax - 1 &&
			this.#longCount < this.#longCountMax
		) {
			const levelZero = this.#waitingSlow.findIndex(({ task }) => (task.job as JobOutline).inputs?.[0]?.level === 0);
			this.#longCount++;
			this.#slowCount++;
			this.#waitingSlow.splice(Math.max(0, levelZero), 1)[0].go();
		}
	}

	async #runNow(task: Task): Promise<unknown> {
		try {
			const outcome = this.#pool.run(task);
			this.#noteThreads();
			return await outcome;
		} catch (error) {
			return failureOf(error instanceof Error ? error.message : String(error));
		}
	}
}

function failureOf(message: string): unknown {
	return { failure: { code: undefined, systemCode: '', message: `the background pool failed: ${message}` } };
}
