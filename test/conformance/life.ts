/** Conformance: the life of a store. Every test has a store of its own, and may close it. */
import assert from 'node:assert/strict';
import type { StoreTests } from './conformance.js';
import { bytes, entriesOf, type LooseStore, mustHaveCode, text } from './subject.js';

/** One call of every method that needs an open store. */
const calls: readonly (readonly [method: string, ...given: unknown[]])[] = [
	['get', 'k'],
	['getMany', ['k']],
	['getEntry', 'k'],
	['has', 'k'],
	['put', 'k', 'v'],
	['delete', 'k'],
	['increment', 'n'],
	['append', 'k', 'v'],
	['setExpiry', 'k', { ttlMs: 1 }],
	['getExpiry', 'k'],
	['batch', [{ type: 'put', key: 'k', value: 'v' }]],
	['count'],
	['count', { estimate: true }],
	['deleteRange', { prefix: 'k' }],
	['snapshot'],
	['flush'],
	['compact'],
	['stats'],
	['explain', 'k'],
	['checkpoint', 'never'],
	['verify'],
];

export const lifeTests: StoreTests = {
	'after close every method says so; closing twice is one close': async (store) => {
		await store.put('k', 'v');
		const snapshot = await store.snapshot();
		const scan = store.scan();
		await scan.next();
		const fresh = store.scan();
		await Promise.all([store.close(), store.close()]);
		await store.close();
		await store[Symbol.asyncDispose]();
		const loose = store as unknown as LooseStore;
		for (const [method, ...given] of calls) await mustHaveCode('MILLRACE_CLOSED', loose[method](...given));
		await mustHaveCode('MILLRACE_CLOSED', store.scan().next());
		await mustHaveCode('MILLRACE_CLOSED', fresh.next());
		await scan.return?.();
		assert.equal((await scan.next()).done, true);
		await mustHaveCode('MILLRACE_CLOSED', store.get('k', { snapshot }));
		snapshot.close();
		snapshot.close();
	},

	'an iterator after close rejects, and is at its end then': async (store) => {
		await Promise.all(Array.from({ length: 5000 }, (_, i) => store.put(`key ${i}`, 'v'.repeat(500))));
		const scan = store.scan();
		await scan.next();
		await store.close();
		await mustHaveCode('MILLRACE_CLOSED', drain(scan));
		assert.equal((await scan.next()).done, true);
	},

	'close waits for calls under way': async (store, { reopen }) => {
		const writes = Array.from({ length: 200 }, (_, i) => store.put(`key ${i}`, `value ${i}`));
		const reads = Array.from({ length: 200 }, (_, i) => store.get(`key ${i}`));
		const batch = store.batch(Array.from({ length: 50 }, (_, i) => ({ type: 'put', key: `batch ${i}`, value: 'v' })));
		await store.close();
		assert.ok((await Promise.all(writes)).every((written) => written !== undefined));
		assert.equal((await Promise.all(reads)).length, 200);
		assert.deepEqual(await batch, { count: 50 });
		if (reopen === undefined) return;
		const again = await reopen();
		assert.equal(await again.store.count(), 250);
		assert.equal(text(await again.store.get('key 7')), 'value 7');
		await again.close();
	},

	'what was written is there after closing and opening': async (store, { reopen }) => {
		if (reopen === undefined) return;
		await store.put(bytes('\x00'), bytes('\xff'));
		const written = await store.put('v', 'kept');
		await store.put('timed', 'v', { expiresAtMs: Date.now() + 3_600_000 });
		await store.put('past', 'v', { expiresAtMs: 1 });
		await store.increment('n', 7);
		await store.flush();
		await store.append('n', '0');
		await store.delete('v2');
		await store.batch([
			{ type: 'put', key: 'b1', value: '1' },
			{ type: 'put', key: 'b2', value: '2' },
			{ type: 'put', key: 'b3', value: '3' },
		]);
		await store.deleteRange({ prefix: 'b2' });
		const before = await entriesOf(store);
		const expiresAtMs = await store.getExpiry('timed');
		const again = await reopen();
		assert.deepEqual(await entriesOf(again.store), before);
		assert.equal(before.length, 6);
		assert.equal((await again.store.getEntry('v'))?.version, written?.version);
		assert.equal(await again.store.getExpiry('timed'), expiresAtMs);
		const later = await again.store.put('v', 'newer', { ifVersion: written?.version ?? 0 });
		assert.ok(later !== undefined && later.version > (written?.version ?? 0));
		await again.close();
	},
};

async function drain(iterator: AsyncIterator<unknown>): Promise<void> {
	while ((await iterator.next()).done !== true);
}
