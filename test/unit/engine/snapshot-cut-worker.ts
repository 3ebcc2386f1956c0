/** A thread that writes numbers which grow, so that a snapshot that is no cut shows: what each key means is in snapshot-cut.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from '../../../src/attach.js';
import type { Attachment } from '../../../src/engine/attach-messages.js';

export interface CutTask {
	readonly attachment: Attachment;
	readonly kind: 'leader' | 'follower' | 'batches';
	/** A key in each partition. */
	readonly keys: readonly string[];
	/** Word 0: the leader's newest number, acknowledged; word 1: 1 when it is enough. */
	readonly words: Int32Array<SharedArrayBuffer>;
}

const { attachment, kind, keys, words } = workerData as CutTask;
const db = await attach(attachment);
const [first = '', second = '', third = ''] = keys;
let count = 0;

async function step(): Promise<void> {
	if (kind === 'follower') {
		await db.put(`follower ${third}`, String(Atomics.load(words, 0)));
		return;
	}
	count++;
	if (kind === 'batches') {
		const operations = keys.map((key) => ({ type: 'put' as const, key: `batch ${key}`, value: String(count) }));
		await db.batch(operations);
		return;
	}
	await db.put(`leader ${first}`, String(count));
	Atomics.store(words, 0, count);
	await db.put(`leader ${second}`, String(count));
}

while (Atomics.load(words, 1) === 0) await step();
await db.close();
parentPort?.postMessage(count);
