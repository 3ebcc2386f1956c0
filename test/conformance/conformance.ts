/**
 * What every store must do, written once, on nothing but the Store port. A store is handed in as a function that makes an empty
 * one; all tests but those of its life share it, and each begins by emptying it.
 *
 *   conformance('three partitions', () => …)  ──>  node:test: reads and writes, scans, snapshots, batches, misuse, life, model
 *
 * A `ConformanceRun` carries the tests out by name, in whichever thread it lives (attached-worker.ts).
 */
import { after, describe, test } from 'node:test';
import type { Store } from '../../src/command/store.js';
import { batchTests } from './batches.js';
import { lifeTests } from './life.js';
import { misuseTests } from './misuse.js';
import { modelTests } from './model.js';
import { readAndWriteTests } from './reads-and-writes.js';
import { scanTests } from './scans.js';
import { snapshotTests } from './snapshots.js';
import type { MakeSubject, Subject } from './subject.js';

/** A test, given an empty store. */
export type StoreTest = (store: Store, subject: Subject) => Promise<void>;
export type StoreTests = Readonly<Record<string, StoreTest>>;

const sharedTests: StoreTests = { ...readAndWriteTests, ...scanTests, ...snapshotTests, ...batchTests, ...misuseTests };
const modelTitle = 'random operations against the memory store';

/** All tests, by title. */
export const conformanceTitles: readonly string[] = [
	...Object.keys(sharedTests),
	...Object.keys(lifeTests),
	modelTitle,
];

export class ConformanceRun {
	readonly #name: string;
	readonly #makeSubject: MakeSubject;
	readonly #runCount: number;
	#shared: Promise<Subject> | undefined;

	/** @param runCount random runs of the model test */
	constructor(name: string, makeSubject: MakeSubject, runCount: number) {
		this.#name = name;
		this.#makeSubject = makeSubject;
		this.#runCount = runCount;
	}

	/** Carries out one test. @throws what it finds wrong */
	async run(title: string): Promise<void> {
		if (title === modelTitle) return modelTests(this.#name, this.#makeSubject, this.#runCount);
		const shared = sharedTests[title];
		if (shared !== undefined) {
			this.#shared ??= this.#makeSubject();
			const subject = await this.#shared;
			await subject.store.deleteRange();
			return shared(subject.store, subject);
		}
		const own = await this.#makeSubject();
		try {
			await lifeTests[title](own.store, own);
		} finally {
			await own.close();
		}
	}

	async end(): Promise<void> {
		await (await this.#shared)?.close();
	}
}

export function conformance(name: string, makeSubject: MakeSubject, runCount = 40): void {
	describe(name, () => {
		const run = new ConformanceRun(name, makeSubject, runCount);
		for (const title of conformanceTitles) test(title, () => run.run(title));
		after(() => run.end());
	});
}
