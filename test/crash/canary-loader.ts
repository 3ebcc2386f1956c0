/** Loaded before a server (`node --import`): gives it the canary in place of its log thread. */
import { syncBuiltinESMExports } from 'node:module';
import threads, { isMainThread, Worker, type WorkerOptions } from 'node:worker_threads';

class CanaryWorker extends Worker {
	constructor(url: string | URL, options?: WorkerOptions) {
		const isLog = String(url).endsWith('/log-worker.js');
		super(isLog ? new URL('./canary-log-worker.js', import.meta.url) : url, options);
	}
}

if (isMainThread) {
	Object.assign(threads, { Worker: CanaryWorker });
	syncBuiltinESMExports();
}
