/** A thread that attaches to the database it was given, and does what it was told. Says how that ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from '../../../src/attach.js';
import type { Attachment } from '../../../src/engine/attach-messages.js';
import type { Database } from '../../../src/engine/database.js';

export interface AttachedTask {
	readonly attachment: Attachment;
	readonly kind: keyof typeof tasks;
	readonly name: string;
	readonly count: number;
	/** i32 words: 0 counts what was done, 1 is waited for. */
	readonly words: Int32Array<SharedArrayBuffer>;
}

type Task = (db: Database, task: AttachedTask) => Promise<unknown>;

const tasks = {
	/** Adds `count` times one to each of ten counters that everybody adds to. */
	increment: async (db, { count }) => {
		for (let round = 0; round < count; round++) {
			await Promise.all(Array.from({ length: 10 }, (_, i) => db.increment(`counter ${i}`)));
		}
		await db.close();
		return count;
	},
	/** Puts values of up to 16 MiB that say who they are, and reads back what others put. */
	bigValues: async (db, { name, count }) => {
		const sizeOf = (i: number): number => [300_000, 1 << 20, 5_000_000, 1 << 24][i % 4];
		const fillOf = (i: number): number => (name.charCodeAt(0) + i) & 0xff;
		await Promise.all(
			Array.from({ length: count }, (_, i) => db.put(`${name} ${i}`, Buffer.alloc(sizeOf(i), fillOf(i)))),
		);
		for (let i = 0; i < count; i++) {
			const value = await db.get(`${name} ${i}`);
			if (value === undefined || !Buffer.alloc(sizeOf(i), fillOf(i)).equals(value)) return `value ${i} is wrong`;
			if ((await db.get('big'))?.length !== 1 << 24) return "the opener's value is wrong";
		}
		return 'all right';
	},
	/** Puts and gets, and tells by a word how far it is: whoever waits for that may block its event loop. */
	countInWords: async (db, { name, count, words }) => {
		for (let i = 1; i <= count; i++) {
			await db.put(`${name} ${i}`, String(i));
			if (Buffer.from((await db.get(`${name} ${i}`)) ?? []).toString() !== String(i))
				throw new Error('not what was put');
			Atomics.store(words, 0, i);
			Atomics.notify(words, 0);
		}
		return 'done';
	},
	/** Writes until the end: pairs in one batch, in different partitions, and everything else. Never closes. */
	writeForEver: async (db, { name, words }) => {
		const value = Buffer.alloc(20_000, name);
		for (let i = 0; ; i++) {
			const pair = Array.from({ length: 4 }, (_, part) => ({
				type: 'put' as const,
				key: `pair ${name} ${part}`,
				value: `${name} ${i}`,
			}));
			const snapshot = i % 16 === 0 ? db.snapshot() : undefined;
			const writes = Array.from({ length: 20 }, (_, j) => db.put(`${name} ${j}`, value));
			await Promise.all([db.batch(pair), snapshot, db.increment('all'), ...writes]);
			Atomics.add(words, 0, 1);
		}
	},
	/** The same one after the other, until calls are refused. @returns the code, and how many were acknowledged */
	writeUntilRefused: async (db, { name, words }) => {
		const codes = new Set<string>();
		let acknowledged = 0;
		const events: string[] = [];
		db.on('closing', () => events.push('closing'));
		const write = async (lane: number): Promise<void> => {
			for (let i = 0; ; i++) {
				try {
					await db.put(`${name} ${lane} ${i}`, 'v');
					acknowledged++;
					Atomics.add(words, 0, 1);
				} catch (error) {
					codes.add((error as { code: string }).code);
					return;
				}
			}
		};
		await Promise.all(Array.from({ length: 50 }, (_, lane) => write(lane)));
		await db.close();
		return { codes: [...codes], acknowledged, events };
	},
	/** Attached, it blocks its thread until it is told to go on. @returns the code its next call is refused with */
	block: async (db, { words }) => {
		await db.put('before', 'v');
		Atomics.store(words, 0, 1);
		Atomics.notify(words, 0);
		Atomics.wait(words, 1, 0);
		return db.put('after', 'v').then(
			() => 'put',
			(error: { code: string }) => error.code,
		);
	},
	/** Begins a batch over several partitions and blocks in the middle of it. @returns the code it is refused with */
	blockInBatch: async (db, { words }) => {
		const operations = Array.from({ length: 20 }, (_, i) => ({ type: 'put' as const, key: `part ${i}`, value: 'v' }));
		const batch = db.batch(operations);
		// Its prepares are on their way after this.
		await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
		Atomics.store(words, 0, 1);
		Atomics.notify(words, 0);
		Atomics.wait(words, 1, 0);
		return batch.then(
			() => 'committed',
			(error: { code: string }) => error.code,
		);
	},
	/** Says that it is attached, and has nothing more to do. */
	idle: async (db) => {
		await db.put('idle', 'v');
		return 'idle';
	},
} satisfies Record<string, Task>;

const task = workerData as AttachedTask;
const run: Task = tasks[task.kind];
try {
	parentPort?.postMessage({ outcome: await run(await attach(task.attachment), task) });
} catch (error) {
	parentPort?.postMessage({ failure: `${(error as { code?: string }).code} ${(error as Error).message}` });
}
