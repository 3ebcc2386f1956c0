/** Conformance: batches, all or nothing, over keys that lie anywhere. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { BatchOperation } from '../../src/command/store.js';
import type { StoreTests } from './conformance.js';
import { entriesOf, keysOf, mustBeTypeError, mustHaveCode, putAll, text } from './subject.js';

export const batchTests: StoreTests = {
	'a batch of every kind, each seeing what those before it did': async (store) => {
		await putAll(store, { old: 'v', n: '5', word: 'w' });
		const done = await store.batch([
			{ type: 'put', key: 'new', value: 'v' },
			{ type: 'delete', key: 'old' },
			{ type: 'increment', key: 'n' },
			{ type: 'increment', key: 'n', delta: 10n },
			{ type: 'append', key: 'word', value: 'x' },
			{ type: 'append', key: 'word', value: 'y' },
			{ type: 'put', key: 'twice', value: '1' },
			{ type: 'append', key: 'twice', value: '2' },
			{ type: 'increment', key: 'twice' },
			{ type: 'delete', key: 'absent' },
			{ type: 'put', key: 'brief', value: 'v' },
			{ type: 'delete', key: 'brief' },
			{ type: 'put', key: 'timed', value: 'v', ttlMs: 3_600_000 },
			{ type: 'put', key: 'expired', value: 'v', expiresAtMs: 1 },
		]);
		assert.deepEqual(done, { count: 14 });
		assert.deepEqual(await entriesOf(store), [
			['n', '16'],
			['new', 'v'],
			['timed', 'v'],
			['twice', '13'],
			['word', 'wxy'],
		]);
		assert.ok(((await store.getExpiry('timed')) ?? 0) > Date.now());
	},

	'a condition that is not met: nothing is written': async (store) => {
		await putAll(store, { a: '1', b: '2', c: '3' });
		const { version = 0 } = (await store.getEntry('a')) ?? {};
		const fill: BatchOperation[] = Array.from({ length: 20 }, (_, i) => ({ type: 'put', key: `x ${i}`, value: 'v' }));
		const unmet: BatchOperation[] = [
			{ type: 'put', key: 'a', value: 'x', ifAbsent: true },
			{ type: 'put', key: 'z', value: 'x', ifPresent: true },
			{ type: 'put', key: 'a', value: 'x', ifVersion: version + 1 },
			{ type: 'delete', key: 'a', ifVersion: 0 },
			{ type: 'increment', key: 'b', ifVersion: 0 },
			{ type: 'append', key: 'b', value: 'x', ifVersion: 0 },
		];
		for (const operation of unmet) {
			assert.equal(await store.batch([...fill, operation]), undefined, JSON.stringify(operation));
			assert.equal(await store.batch([operation, ...fill]), undefined, JSON.stringify(operation));
		}
		assert.deepEqual(await keysOf(store), ['a', 'b', 'c']);
		assert.deepEqual(
			await store.batch([
				...fill,
				{ type: 'put', key: 'a', value: 'met', ifVersion: version },
				{ type: 'put', key: 'z', value: 'new', ifVersion: 0 },
				{ type: 'put', key: 'z', value: 'newer', ifPresent: true },
				{ type: 'delete', key: 'c' },
				{ type: 'put', key: 'c', value: 'again', ifAbsent: true },
			]),
			{ count: 25 },
		);
		assert.deepEqual((await store.getMany(['a', 'c', 'z'])).map(text), ['met', 'again', 'newer']);
	},

	'an operation that fails: nothing is written': async (store) => {
		await putAll(store, { word: 'many', full: String(2n ** 63n - 1n) });
		const fill: BatchOperation[] = Array.from({ length: 20 }, (_, i) => ({ type: 'put', key: `x ${i}`, value: 'v' }));
		await mustHaveCode('MILLRACE_NOT_INTEGER', store.batch([...fill, { type: 'increment', key: 'word' }]));
		await mustHaveCode('MILLRACE_OVERFLOW', store.batch([{ type: 'increment', key: 'full' }, ...fill]));
		assert.deepEqual(await keysOf(store), ['full', 'word']);
	},

	'a bad element: nothing is written': async (store) => {
		await store.put('a', '1');
		const good: BatchOperation = { type: 'put', key: 'good', value: 'v' };
		const bad: unknown[] = [
			null,
			7,
			'put',
			{},
			{ type: 'get', key: 'k' },
			{ type: 'toString', key: 'k' },
			{ type: 'put', key: 'k' },
			{ type: 'put', key: 7, value: 'v' },
			{ type: 'put', key: 'k', value: 7 },
			{ type: 'put', key: 'k', value: 'v', ttlMs: -1 },
			{ type: 'put', key: 'k', value: 'v', ttlMs: 1.5 },
			{ type: 'put', key: 'k', value: 'v', unknown: true },
			{ type: 'put', key: 'k', value: 'v', durability: 'none' },
			{ type: 'put', key: 'k', value: 'v', ifVersion: -1 },
			{ type: 'delete', key: 'k', ifVersion: 0.5 },
			{ type: 'delete', key: 'k', value: 'v' },
			{ type: 'increment', key: 'k', delta: 1.5 },
			{ type: 'increment', key: 'k', delta: 2n ** 63n },
			{ type: 'append', key: 'k' },
		];
		for (const element of bad) {
			const operations = [good, { type: 'delete', key: 'a' }, element, good] as BatchOperation[];
			await mustBeTypeError(inspect(element), () => store.batch(operations));
		}
		await mustHaveCode('MILLRACE_KEY_SIZE', store.batch([good, { type: 'delete', key: '' }]));
		assert.deepEqual(await keysOf(store), ['a']);
	},

	'an empty batch, and a large one': async (store) => {
		assert.equal(await store.batch([]), undefined);
		const operations: BatchOperation[] = Array.from({ length: 5000 }, (_, i) => ({
			type: 'put',
			key: `key ${i}`,
			value: 'v'.repeat(i % 200),
		}));
		assert.deepEqual(await store.batch(operations), { count: 5000 });
		assert.equal(await store.count(), 5000);
		assert.deepEqual(await store.batch(operations.map(({ key }) => ({ type: 'delete', key }))), { count: 5000 });
		assert.equal(await store.count(), 0);
	},

	'batches that meet at their keys are carried out one after the other': async (store) => {
		const names = Array.from({ length: 8 }, (_, i) => `counter ${i}`);
		const one = (i: number) => {
			const turned = [...names.slice(i % 8), ...names.slice(0, i % 8)];
			return store.batch(turned.map((key) => ({ type: 'increment' as const, key })));
		};
		assert.ok((await Promise.all(Array.from({ length: 60 }, (_, i) => one(i)))).every((done) => done?.count === 8));
		assert.deepEqual(
			(await store.getMany(names)).map(text),
			names.map(() => '60'),
		);
	},

	'of many conditional batches on one version, one wins': async (store) => {
		const written = await store.put('lock', 'free');
		const claims = Array.from({ length: 20 }, (_, i) =>
			store.batch([
				{ type: 'put', key: 'lock', value: String(i), ifVersion: written?.version ?? 0 },
				{ type: 'put', key: `claimed by ${i}`, value: 'v' },
			]),
		);
		const winners = (await Promise.all(claims)).flatMap((done, i) => (done === undefined ? [] : [i]));
		assert.equal(winners.length, 1);
		assert.equal(text(await store.get('lock')), String(winners[0]));
		assert.deepEqual(await keysOf(store, { prefix: 'claimed' }), [`claimed by ${winners[0]}`]);
	},
};
