/**
 * Threads of the application that read synchronously at the same time: each opens or attaches, warms up, waits for the others,
 * reads for a while, and says how much.
 *
 *   main ── plan, ticket ──> thread ── 'ready' ──> main ── 'go' ──> thread ── reads done ──> main
 */
import { Worker } from 'node:worker_threads';
import type { CellResult, Plan } from './bench-plan.js';
import type { BenchStore } from './bench-store.js';
import { measure } from './workloads.js';

export interface ThreadBoot {
	readonly plan: Plan;
	readonly ticket: unknown;
}

/** The next message of a thread, or what it died of. */
function messageOf(thread: Worker): Promise<unknown> {
	return new Promise((resolve, reject) => {
		thread.once('message', resolve);
		thread.once('error', reject);
		thread.once('exit', (code) => reject(new Error(`a reading thread ended with ${code}`)));
	});
}

export async function readInThreads(store: BenchStore, plan: Plan, threadCount: number): Promise<CellResult> {
	const threads: Worker[] = [];
	for (let i = 0; i < threadCount; i++) {
		const { data, transferList } = store.ticket();
		const workerData: ThreadBoot = { plan, ticket: data };
		const transfers = transferList as NonNullable<ConstructorParameters<typeof Worker>[1]>['transferList'];
		const url = new URL('./thread-reads-worker.js', import.meta.url);
		threads.push(new Worker(url, { workerData, ...(transfers === undefined ? {} : { transferList: transfers }) }));
	}
	await Promise.all(threads.map(messageOf));
	const result = await measure(async () => {
		const counts = threads.map(messageOf);
		for (const thread of threads) thread.postMessage('go');
		return (await Promise.all(counts)).reduce<number>((sum, count) => sum + Number(count), 0);
	});
	const ends = threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve)));
	for (const thread of threads) thread.postMessage('end');
	await Promise.all(ends);
	return result;
}
