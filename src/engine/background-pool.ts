/**
 * The background pool: piscina threads that flush, compact and prepare files for all partitions. Main only passes jobs through.
 *
 *   quick jobs (flush, segments, removals) ──────────────────────────────> threads, in order of arrival
 *   slow jobs (compactions, verification) ─> wait here, level 0 first ──> all threads but one
 *
 * So one thread is always free for what writers wait for, however much there is to compact.
 */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';

/** Fewest threads with which a flush need not wait for a compaction. */
const threadCountMin = 2;
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
	readonly start: () => void;
	readonly cancel: (failure: unknown) => void;
}

/** What the pool looks at in a job (storage/lsm/jobs.ts); for the rest, jobs are opaque. */
interface JobOutline {
	readonly kind: string;
	readonly inputs?: readonly { readonly level: number }[];
}

const slowKinds = new Set(['compact', 'verify']);

export class BackgroundPool {
	readonly #pool: Piscina;
	readonly #slowCountMax: number;
	#slowCount = 0;
	readonly #waiting: WaitingTask[] = [];
	#isClosed = false;

	constructor(workerUrl: URL) {
		const threadCount = Math.max(threadCountMin, Math.min(threadCountMax, availableParallelism() >> 1));
		this.#slowCountMax = threadCount - 1;
		this.#pool = new Piscina({
			filename: workerUrl.href,
			minThreads: 1,
			maxThreads: threadCount,
			idleTimeout: idleTimeoutMs,
			recordTiming: false,
			atomics: 'disabled',
		});
	}

	/** Runs a job. Never rejects: a thread that broke is an outcome too. */
	async run(task: Task): Promise<unknown> {
		if (!slowKinds.has((task.job as JobOutline).kind)) return this.#runNow(task);
		if (this.#slowCount === this.#slowCountMax || this.#isClosed) {
			const cancelled = await new Promise<unknown>((resolve) => {
				this.#waiting.push({ task, start: () => resolve(undefined), cancel: resolve });
				if (this.#isClosed) this.#cancelWaiting();
			});
			if (cancelled !== undefined) return cancelled;
		} else {
			this.#slowCount++;
		}
		try {
			return await this.#runNow(task);
		} finally {
			this.#startNext();
		}
	}

	/** Ends the threads; a job under way is cut off, which leaves nothing to repair. */
	async close(): Promise<void> {
		this.#isClosed = true;
		this.#cancelWaiting();
		await this.#pool.destroy();
	}

	/** The place of a slow job that has ended goes to the next. */
	#startNext(): void {
		const levelZero = this.#waiting.findIndex(({ task }) => (task.job as JobOutline).inputs?.[0]?.level === 0);
		const [next] = this.#waiting.splice(Math.max(0, levelZero), 1);
		if (next === undefined) this.#slowCount--;
		else next.start();
	}

	#cancelWaiting(): void {
		for (const { cancel } of this.#waiting.splice(0)) cancel(failureOf('it is closing'));
	}

	async #runNow(task: Task): Promise<unknown> {
		try {
			return await this.#pool.run(task);
		} catch (error) {
			return failureOf(error instanceof Error ? error.message : String(error));
		}
	}
}

function failureOf(message: string): unknown {
	return { failure: { code: undefined, systemCode: '', message: `the background pool failed: ${message}` } };
}
