/** The conformance suite inside a thread of the application that is attached to a database of this one (attached-worker.ts). */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Database, open } from '../../src/index.js';
import { TemporaryDirectory } from '../support/server-process.js';
import type { FromWorker, ToWorker } from './attached-worker.js';
import { conformanceTitles } from './conformance.js';

const partitions = 3;

class AttachedRun {
	readonly #directory = new TemporaryDirectory();
	readonly #databases: Database[] = [];
	readonly #worker = new Worker(new URL('./attached-worker.js', import.meta.url), { workerData: partitions });
	#settle: (message: FromWorker) => void = () => undefined;
	#fail: (error: Error) => void = () => undefined;

	constructor() {
		this.#worker.on('message', (message: FromWorker) => {
			if (message.type === 'done' || message.type === 'ended') this.#settle(message);
			else this.#serve(message).catch((error) => this.#fail(error));
		});
		this.#worker.on('error', (error) => this.#fail(error as Error));
	}

	async run(title: string): Promise<void> {
		const done = await this.#tell({ type: 'run', title });
		assert.equal(done.type === 'done' ? done.error : done.type, undefined);
	}

	async end(): Promise<void> {
		await this.#tell({ type: 'end' });
		await Promise.all(this.#databases.map((database) => database.close()));
		this.#directory[Symbol.dispose]();
	}

	#tell(message: ToWorker): Promise<FromWorker> {
		return new Promise((resolve, reject) => {
			this.#settle = resolve;
			this.#fail = reject;
			this.#worker.postMessage(message);
		});
	}

	async #serve(message: FromWorker): Promise<void> {
		if (message.type === 'make') {
			const path = join(this.#directory.path, String(this.#databases.length));
			this.#databases.push(await open(path, { partitions, durability: 'none', memtableSize: 20 << 20 }));
			this.#attach(this.#databases.length - 1);
		} else if (message.type === 'again') {
			this.#attach(message.database);
		} else if (message.type === 'drop') {
			await this.#databases[message.database].close();
			this.#worker.postMessage({ type: 'dropped', database: message.database } satisfies ToWorker);
		}
	}

	#attach(database: number): void {
		const attachment = this.#databases[database].attachment();
		const made: ToWorker = { type: 'made', database, path: this.#directory.path, attachment };
		this.#worker.postMessage(made, [...attachment.transferList]);
	}
}

describe(`attached thread, ${partitions} partitions`, () => {
	const attached = new AttachedRun();
	for (const title of conformanceTitles) test(title, () => attached.run(title));
	after(() => attached.end());
});
