/**
 * abstract-level's suite over databases of one partition and of three. It makes a thousand levels, and leaves half of them open;
 * so they stand on databases that are handed out again, emptied, when the level or sublevel that had one is closed. The part of
 * it that is about opening runs on directories of their own.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Database, open } from '../../src/index.js';
import { MillraceLevel } from '../../src/level/index.js';
import type { OpenOptions } from '../../src/open.js';
import { TemporaryDirectory } from '../support/server-process.js';
import { openingParts, runAbstractSuite } from './abstract-suite.js';

/** The suite has some levels open at once, and never closes a few. */
const poolSizeMax = 60;

interface Pooled {
	readonly database: Promise<Database>;
	isIdle: boolean;
}

/** Made in a place that is emptied when it is over. */
const small = { durability: 'none', memtableSize: 1 << 20, reserveFileSize: 0, blockCacheSize: 1 << 20 } as const;

class Pool implements AsyncDisposable {
	readonly #directory = new TemporaryDirectory();
	readonly #options: OpenOptions;
	/** The one that was idle for longest first: a level that was just closed may be opened again. */
	readonly #all: Pooled[] = [];

	constructor(partitions: number) {
		this.#options = { ...small, partitions };
	}

	get size(): number {
		return this.#all.length;
	}

	/** A level on an empty database. */
	makeLevel(options?: object): MillraceLevel {
		const pooled = this.#take();
		const ready = pooled.database.then(async (database) => {
			await database.deleteRange();
			return database;
		});
		const level = new MillraceLevel(ready, options);
		const follow = (emitter: Pick<MillraceLevel, 'on'>): void => {
			emitter.on('opening', () => this.#mark(pooled, false)).on('closed', () => this.#mark(pooled, true));
		};
		follow(level);
		const { sublevel } = level;
		// The suite for sublevels closes its sublevel and leaves the level open.
		level.sublevel = (...given: unknown[]): never => {
			const made = Reflect.apply(sublevel, level, given) as MillraceLevel;
			if (given[0] === 'test') follow(made);
			return made as never;
		};
		return level;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const { database } of this.#all) await (await database).close();
		this.#directory[Symbol.dispose]();
	}

	#take(): Pooled {
		let pooled = this.#all.find(({ isIdle }) => isIdle);
		if (pooled === undefined) {
			const path = join(this.#directory.path, String(this.#all.length));
			pooled = { database: open(path, this.#options), isIdle: false };
			this.#all.push(pooled);
		}
		this.#mark(pooled, false);
		return pooled;
	}

	#mark(pooled: Pooled, isIdle: boolean): void {
		pooled.isIdle = isIdle;
		this.#all.splice(this.#all.indexOf(pooled), 1);
		this.#all.push(pooled);
	}
}

describe('abstract-level', () => {
	for (const partitions of [1, 3]) {
		test(`its suite over ${partitions} partitions`, async (t) => {
			await using pool = new Pool(partitions);
			const { tests, assertions } = await runAbstractSuite((options) => pool.makeLevel(options));
			t.diagnostic(`${tests} tests, ${assertions} assertions, ${pool.size} databases`);
			assert.ok(tests > 1450 && assertions > 5000);
			assert.ok(pool.size <= poolSizeMax, `${pool.size} databases`);
		});
	}

	test('a snapshot is cut when it is taken, also while batches over several partitions are under way', async () => {
		using directory = new TemporaryDirectory();
		const level = new MillraceLevel(join(directory.path, 'db'), { ...small, partitions: 3 });
		const names = Array.from({ length: 9 }, (_, i) => `key ${i}`);
		const put = (round: number) => level.batch(names.map((key) => ({ type: 'put', key, value: String(round) })));
		await put(0);
		for (let round = 1; round <= 60; round++) {
			const isBusy = round % 2 === 0;
			const underWay = isBusy ? put(round) : await put(round);
			const snapshot = level.snapshot();
			const keys = level.keys();
			const later = [level.put('later', String(round)), level.put('key 3', 'later'), level.del('key 5')];
			const seen = new Set(await level.getMany(names, { snapshot }));
			// A batch under way lies before the cut as a whole, or behind it.
			assert.equal(seen.size, 1, [...seen].join(' '));
			assert.ok(seen.has(String(round)) || (isBusy && seen.has(String(round - 1))), [...seen].join(' '));
			assert.notEqual(await level.get('later', { snapshot }), String(round));
			assert.ok((await keys.all()).includes('key 5'));
			await Promise.all([underWay, ...later, snapshot.close()]);
			await put(round);
		}
		await level.close();
	});

	test('what its suite says about opening, on directories', async (t) => {
		using directory = new TemporaryDirectory();
		let made = 0;
		const levels: MillraceLevel[] = [];
		const { tests } = await runAbstractSuite((options) => {
			const location = join(directory.path, String(made++));
			const level = new MillraceLevel(location, { ...small, partitions: 1, ...options });
			levels.push(level);
			return level;
		}, openingParts);
		for (const level of levels) await level.close();
		t.diagnostic(`${tests} tests, ${made} levels`);
		assert.ok(tests > 20);
	});
});
