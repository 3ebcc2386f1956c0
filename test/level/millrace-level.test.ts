/** The adapter where abstract-level's suite does not look: cuts that come late, our own options, stores that are given. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode, MillraceError } from '../../src/base/errors.js';
import type { StorePutOptions, Written } from '../../src/command/store.js';
import { MillraceLevel } from '../../src/level/index.js';
import { Cuts, type LevelStore } from '../../src/level/level-snapshot.js';
import { MemoryStore } from '../support/memory-store.js';
import { TemporaryDirectory } from '../support/server-process.js';

/** A store whose snapshots are ready, and cut, when the test says so. */
class SlowCuts {
	readonly cuts: (() => void)[] = [];
	closedCount = 0;
	isQuiet = false;
	failure: MillraceError | undefined;

	snapshotSoon() {
		const cut = this.isQuiet ? undefined : new Promise<void>((resolve) => this.cuts.push(resolve));
		const ready = (cut ?? Promise.resolve()).then(() => {
			if (this.failure !== undefined) throw this.failure;
		});
		const close = (): void => {
			this.closedCount++;
		};
		return { cut, ready, close, isClosed: false, [Symbol.dispose]: close };
	}
}

const someTurns = async (): Promise<void> => {
	for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('writes stand in line behind a cut that is not made yet, in their order; else they go at once', async () => {
	const store = new SlowCuts();
	const cuts = new Cuts(store as unknown as LevelStore);
	const order: string[] = [];
	const write = (name: string) => cuts.write(async () => order.push(name));
	const early = write('before');
	assert.deepEqual(order, ['before']);
	const first = cuts.take();
	const held = [write('a'), write('b')];
	const second = cuts.take();
	held.push(write('c'));
	await someTurns();
	assert.deepEqual(order, ['before']);
	store.cuts[0]();
	await first;
	await Promise.all([early, held[0], held[1]]);
	assert.deepEqual(order, ['before', 'a', 'b']);
	store.cuts[1]();
	held.push(write('d'));
	await second;
	await Promise.all(held);
	assert.deepEqual(order, ['before', 'a', 'b', 'c', 'd']);
	store.isQuiet = true;
	const third = cuts.take();
	const now = write('e');
	assert.equal(order.at(-1), 'e');
	await Promise.all([third, now]);
});

test('a cut that fails is told to who reads with it, lets go, and holds up nobody', async () => {
	const store = new SlowCuts();
	store.failure = new MillraceError('MILLRACE_BUSY', 'too many snapshots');
	const cuts = new Cuts(store as unknown as LevelStore);
	const taken = cuts.take();
	const written = cuts.write(async () => 'written');
	store.cuts[0]();
	await assert.rejects(taken, (error) => hasCode(error, 'MILLRACE_BUSY'));
	assert.equal(await written, 'written');
	assert.equal(store.closedCount, 1);
});

test('options of writes, also through sublevels, batches and chained batches', async () => {
	const given: (StorePutOptions | undefined)[] = [];
	class Listening extends MemoryStore {
		override put(...call: Parameters<MemoryStore['put']>): Promise<Written | undefined> {
			given.push(call[2]);
			return super.put(...call);
		}
	}
	const store = new Listening();
	const level = new MillraceLevel<string, string>(store);
	const sub = level.sublevel('sub');
	const options = { ttlMs: 3_600_000, sliding: true };
	await level.put('a', '1', { ...options, sync: false });
	await sub.put('b', '2', { expiresAtMs: 1, durability: 'none' } as object);
	await level.put('c', '3', { sync: true });
	await level.put('d', '4');
	assert.deepEqual(
		given.map((each) => [each?.durability, each?.ttlMs, each?.expiresAtMs, each?.sliding]),
		[
			['none', 3_600_000, undefined, true],
			['none', undefined, 1, undefined],
			['always', undefined, undefined, undefined],
			[undefined, undefined, undefined, undefined],
		],
	);
	await level.batch([{ type: 'put', key: 'e', value: '5', ...options } as never, { type: 'del', key: 'd' }]);
	await level
		.batch()
		.put('f', '6', options as object)
		.del('c')
		.write({ sync: true } as object);
	assert.ok(((await store.getExpiry('e')) ?? 0) > 0 && ((await store.getExpiry('f')) ?? 0) > 0);
	assert.deepEqual(await level.keys().all(), ['a', 'e', 'f']);
	await assert.rejects(level.put('x', 'y', { ttlMs: 0 }), TypeError);
	await level.close();
	assert.equal(await store.count(), 3, 'a store that was given stays open');
});

test('getSync with a snapshot of this very turn says that it is too early', async () => {
	const level = new MillraceLevel(new MemoryStore());
	await level.open();
	await level.put('k', 'v');
	const snapshot = level.snapshot();
	assert.throws(
		() => level.getSync('k', { snapshot }),
		(error) => hasCode(error, 'MILLRACE_BUSY'),
	);
	assert.equal(await level.get('k', { snapshot }), 'v');
	assert.equal(level.getSync('k', { snapshot }), 'v');
	await snapshot.close();
	await level.close();
});

test('what is no place, no option and no snapshot of ours is refused', async () => {
	using directory = new TemporaryDirectory();
	const loose = MillraceLevel as unknown as new (...given: unknown[]) => MillraceLevel;
	for (const place of [undefined, null, '', 7, {}]) assert.throws(() => new loose(place), TypeError);
	const level = new loose(join(directory.path, 'db'), { cacheSize: 5 });
	await assert.rejects(level.open(), (error: Error) => hasCode(error.cause, 'MILLRACE_OPTION'));
	const other = new MillraceLevel(new MemoryStore());
	await other.open();
	const foreign = { ref: () => undefined, unref: () => undefined, close: async () => undefined };
	await assert.rejects(other.get('k', { snapshot: foreign as never }), TypeError);
	assert.throws(
		() => level.database,
		(error) => hasCode(error, 'MILLRACE_CLOSED'),
	);
	assert.equal((await other.database.stats()).length, 1);
	await other.compactRange('a', 'z');
});

test('the package exports it', async () => {
	const { MillraceLevel: exported } = (await import(import.meta.resolve('millrace/level'))) as {
		MillraceLevel: unknown;
	};
	assert.equal(exported, MillraceLevel);
});
