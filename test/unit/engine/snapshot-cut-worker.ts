/**
 * A thread that writes numbers which grow, so that a snapshot that is no cut shows: what each key means is in
 * snapshot-cut.test.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from '../../../src/attach.js';
import type { Attachment } from '../../../src/engine/attach-messages.js';

export interface CutTask {
	readonly attachment: Attachment;
	readonly kind: 'leader' | 'follower' | 'batches';
	/** A key in each partition. */
	readonly keys: readonly string[];
	/** Word 0: 1 when it is enough; word 1 + i: the newest number of the leader's chain i that is acknowledged. */
	readonly words: Int32Array<SharedArrayBuffer>;
}

/** Of each kind, in each thread: so many that some are at any point of their way when a snapshot is taken. */
export const chainCount = 8;

async function run({ attachment, kind, keys, words }: CutTask): Promise<number> {
	const db = await attach(attachment);
	const [first = '', second = '', third = ''] = keys;
	let sum = 0;
	const runChain = async (chain: number): Promise<void> => {
		for (let count = 1; Atomics.load(words, 0) === 0; count++) {
			if (kind === 'follower') {
				await db.put(`follower ${chain} ${third}`, String(Atomics.load(words, 1 + chain)));
			} else if (kind === 'batches') {
				await db.batch(keys.map((key) => ({ type: 'put', key: `batch ${chain} ${key}`, value: String(count) })));
			} else {
				await db.put(`leader ${chain} ${first}`, String(count));
				Atomics.store(words, 1 + chain, count);
				await db.put(`leader ${chain} ${second}`, String(count));
			}
			sum++;
		}
	};
	await Promise.all(Array.from({ length: chainCount }, (_, chain) => runChain(chain)));
	await db.close();
	return sum;
}

if (parentPort !== null) parentPort.postMessage(await run(workerData as CutTask));
