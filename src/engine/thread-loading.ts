/**
 * When a thread may be ended. Ended while it still loads its modules, it leaves files open, some 30 for the threads of a
 * database, and may take the whole process with it (Node.js 20, "IsGraphAsync"). So whoever ends threads waits until they have
 * loaded, which the first message of each says.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';

/** A thread that has not loaded its modules by then never will. */
const loadTimeoutMs = 5000;

/** Settles when a thread has loaded its modules, or has ended. Ask when it was just made. */
export function whenLoaded(worker: Worker): Promise<void> {
	return new Promise((resolve) => {
		worker.once('message', () => resolve());
		worker.once('exit', () => resolve());
	});
}

/** Resolves when all have settled, or some never will. */
export async function whenAllLoaded(loading: readonly Promise<void>[]): Promise<void> {
	const giveUp = new AbortController();
	await Promise.race([
		Promise.all(loading),
		sleep(loadTimeoutMs, undefined, { signal: giveUp.signal }).catch(() => undefined),
	]);
	giveUp.abort();
}

/**
 * Threads are started with the arguments of the process (loaders, conditions), but for one: of a program given as text to
 * `node --input-type=module`, no thread could load a file.
 */
export const threadArguments: { execArgv?: string[] } = process.execArgv.some((text) => text.startsWith('--input-type'))
	? { execArgv: [] }
	: {};
