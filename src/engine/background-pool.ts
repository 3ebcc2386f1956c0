/**
 * The background pool: piscina threads that flush, merge and prepare files for all partitions. Main only passes jobs through.
 */
import { Piscina } from 'piscina';

/** Threads at most: a flush of one partition must not wait for a merge of another; more would crowd out the partitions. */
const threadCountMax = 2;
/** An idle thread ends after this. */
const idleTimeoutMs = 10_000;

export class BackgroundPool {
	readonly #pool: Piscina;

	constructor(workerUrl: URL) {
		this.#pool = new Piscina({
			filename: workerUrl.href,
			minThreads: 1,
			maxThreads: threadCountMax,
			idleTimeout: idleTimeoutMs,
			recordTiming: false,
			atomics: 'disabled',
		});
	}

	/** Runs a job. Never rejects: a thread that broke is an outcome too. */
	async run(task: { directory: string; job: unknown }): Promise<unknown> {
		try {
			return await this.#pool.run(task);
		} catch (error) {
			const message = error instanceof Error ? error.message : String(error);
			return {
				failure: { code: undefined, systemCode: '', message: `the background pool failed: ${message}` },
			};
		}
	}

	/** Ends the threads; a job under way is cut off, which leaves nothing to repair. */
	async close(): Promise<void> {
		await this.#pool.destroy();
	}
}
