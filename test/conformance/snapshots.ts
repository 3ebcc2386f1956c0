/** Conformance: snapshots, one cut over everything, while it is written to. */
import assert from 'node:assert/strict';
import type { StoreTests } from './conformance.js';
import { entriesOf, keysOf, mustHaveCode, putAll, text } from './subject.js';

export const snapshotTests: StoreTests = {
	'a snapshot sees what was stored when it was taken': async (store) => {
		await putAll(store, { a: '1', b: '2', c: '3' });
		using snapshot = await store.snapshot();
		assert.equal(snapshot.isClosed, false);
		const { version } = (await store.getEntry('a')) ?? {};
		await putAll(store, { a: 'new', d: 'new' });
		await store.delete('b');
		await store.deleteRange({ prefix: 'c' });
		assert.deepEqual((await store.getMany(['a', 'b', 'c', 'd', 'a'], { snapshot })).map(text), [
			'1',
			'2',
			'3',
			undefined,
			'1',
		]);
		assert.equal(text(await store.get('b', { snapshot })), '2');
		assert.equal((await store.getEntry('a', { snapshot }))?.version, version);
		assert.deepEqual([await store.has('c', { snapshot }), await store.has('d', { snapshot })], [true, false]);
		assert.deepEqual(await entriesOf(store, { snapshot, reverse: true }), [
			['c', '3'],
			['b', '2'],
			['a', '1'],
		]);
		assert.equal(await store.count({ snapshot }), 3);
		assert.equal(await store.count({ snapshot, gt: 'a' }), 2);
		assert.deepEqual(await keysOf(store), ['a', 'd']);
		await store.flush();
		await store.compact();
		assert.equal(text(await store.get('b', { snapshot })), '2');
		assert.deepEqual(await keysOf(store, { snapshot }), ['a', 'b', 'c']);
	},

	'a closed snapshot is refused, and closing again does nothing': async (store) => {
		await store.put('k', 'v');
		const snapshot = await store.snapshot();
		const other = await store.snapshot();
		snapshot.close();
		snapshot.close();
		assert.equal(snapshot.isClosed, true);
		await mustHaveCode('MILLRACE_SNAPSHOT', store.get('k', { snapshot }));
		await mustHaveCode('MILLRACE_SNAPSHOT', store.getMany(['k'], { snapshot }));
		await mustHaveCode('MILLRACE_SNAPSHOT', store.getEntry('k', { snapshot }));
		await mustHaveCode('MILLRACE_SNAPSHOT', store.has('k', { snapshot }));
		await mustHaveCode('MILLRACE_SNAPSHOT', store.count({ snapshot }));
		await mustHaveCode('MILLRACE_SNAPSHOT', store.scan({ snapshot }).next());
		assert.equal(text(await store.get('k', { snapshot: other })), 'v');
		other[Symbol.dispose]();
		await mustHaveCode('MILLRACE_SNAPSHOT', store.get('k', { snapshot: other }));
	},

	'many snapshots, each its own moment': async (store) => {
		const snapshots = [];
		for (let i = 0; i < 50; i++) {
			await Promise.all([store.put('n', String(i)), store.put(`key ${i}`, 'v')]);
			snapshots.push(await store.snapshot());
		}
		for (const [i, snapshot] of snapshots.entries()) {
			assert.equal(text(await store.get('n', { snapshot })), String(i));
			assert.equal(await store.count({ snapshot, prefix: 'key' }), i + 1);
			snapshot.close();
		}
	},

	'a write answered before another began is in every cut that has the other': async (store) => {
		// Each step of the chain is awaited, and goes to whichever partition its key belongs to.
		let isOver = false;
		const chain = (async () => {
			let step = 0;
			for (; !isOver && step < 3000; step++) await store.put(`chain ${step % 50}`, String(step));
			isOver = true;
			return step;
		})();
		let looks = 0;
		while (!isOver && looks < 60) {
			using snapshot = await store.snapshot();
			const values = (await entriesOf(store, { snapshot, prefix: 'chain' })).map(([, value]) => Number(value));
			const newest = Math.max(-1, ...values);
			const expected = Array.from({ length: Math.min(50, newest + 1) }, (_, i) => newest - i);
			assert.deepEqual(
				values.sort((a, b) => b - a),
				expected,
			);
			looks++;
		}
		isOver = true;
		assert.ok((await chain) > 0);
	},

	'a batch lies in a cut as a whole or not at all': async (store) => {
		const names = Array.from({ length: 12 }, (_, i) => `account ${i}`);
		const put = (round: number) =>
			store.batch(names.map((key) => ({ type: 'put' as const, key, value: String(round) })));
		await put(0);
		let isOver = false;
		const writing = (async () => {
			for (let round = 1; !isOver && round < 400; round++) await put(round);
			isOver = true;
		})();
		for (let looks = 0; !isOver && looks < 40; looks++) {
			using snapshot = await store.snapshot();
			const values = new Set((await store.getMany(names, { snapshot })).map(text));
			assert.equal(values.size, 1, [...values].join(' '));
			const scanned = new Set((await entriesOf(store)).map(([, value]) => value));
			assert.equal(scanned.size, 1, [...scanned].join(' '));
		}
		isOver = true;
		await writing;
	},
};
