/** Conformance: scans, count and deletion by range; every bound, both directions, prefixes, limits. */
import assert from 'node:assert/strict';
import type { Store, StoreScanOptions } from '../../src/command/store.js';
import { MemoryStore } from '../support/memory-store.js';
import type { StoreTests } from './conformance.js';
import { bytes, entriesOf, keysOf, mustHaveCode, putAll } from './subject.js';

/** With 0x00 and 0xff at the ends, prefixes of each other, and what UTF-16 orders otherwise than bytes. */
const keys = [
	'\x00',
	'\x00\x00',
	'\x00\xff',
	'a',
	'a\x00',
	'a\x00a',
	'aa',
	'ab',
	'b',
	'b\xff',
	'b\xff\xff',
	'c',
	'\xff',
	'\xff\xff',
];
const bounds = ['', '\x00', '\x00\x01', 'a', 'a\x00', 'az', 'b\xff', 'c', '\xff', '\xff\xff', '\xff\xff\xff'];
const prefixes = ['', 'a', 'a\x00', 'b\xff', '\xff', '\xff\xff', 'nothing'];

/** Every selection of at most one bound on each side, with every prefix. */
function selections(): StoreScanOptions[] {
	const lowers = [{}, ...bounds.flatMap((bound) => [{ gt: bytes(bound) }, { gte: bytes(bound) }])];
	const uppers = [{}, ...bounds.flatMap((bound) => [{ lt: bytes(bound) }, { lte: bytes(bound) }])];
	const ranges = lowers.flatMap((lower) => uppers.map((upper) => ({ ...lower, ...upper })));
	const within = prefixes.flatMap((prefix) =>
		[...lowers, ...uppers].map((bound) => ({ ...bound, prefix: bytes(prefix) })),
	);
	return [...ranges, ...within];
}

async function twin(): Promise<Store> {
	const model = new MemoryStore();
	await putAll(model, Object.fromEntries(keys.map((key) => [key, `of ${key}`])));
	return model;
}

export const scanTests: StoreTests = {
	'scans give every range, both ways, in the order of bytes': async (store) => {
		await putAll(store, Object.fromEntries(keys.map((key) => [key, `of ${key}`])));
		assert.deepEqual(await keysOf(store), keys);
		const model = await twin();
		const all = selections();
		// All at once, some at a time: what is looked at is the answer, not the haste.
		for (let at = 0; at < all.length; at += 64) {
			await Promise.all(
				all.slice(at, at + 64).map(async (selection, i) => {
					const options = { ...selection, reverse: (at + i) % 2 === 1, ...(i % 5 === 0 ? { limit: i % 7 } : {}) };
					assert.deepEqual(await entriesOf(store, options), await entriesOf(model, options), JSON.stringify(options));
				}),
			);
		}
	},

	'limit, keysOnly, reverse': async (store) => {
		await putAll(store, Object.fromEntries(keys.map((key) => [key, `of ${key}`])));
		assert.deepEqual(await keysOf(store, { limit: 0 }), []);
		assert.deepEqual(await keysOf(store, { limit: 2 }), keys.slice(0, 2));
		assert.deepEqual(await keysOf(store, { limit: 1000, reverse: true }), [...keys].reverse());
		assert.deepEqual(await entriesOf(store, { limit: 1, reverse: true }), [['\xff\xff', 'of \xff\xff']]);
		assert.deepEqual(await entriesOf(store, { prefix: 'c', keysOnly: true }), [['c', '']]);
		assert.deepEqual(await keysOf(store, { gt: 'b', lt: 'a' }), []);
	},

	'thousands of entries, over many pages, with holes': async (store) => {
		const count = 6000;
		const name = (i: number) => `key ${String(i).padStart(6, '0')}`;
		const value = 'v'.repeat(100);
		await Promise.all(Array.from({ length: count }, (_, i) => store.put(name(i), `${value}${i}`)));
		await Promise.all(Array.from({ length: count / 3 }, (_, i) => store.delete(name(i * 3))));
		const expected = Array.from({ length: count }, (_, i) => i).filter((i) => i % 3 !== 0);
		assert.deepEqual(await keysOf(store), expected.map(name));
		assert.deepEqual(
			await entriesOf(store, { reverse: true, gte: name(1000), lt: name(4000) }),
			expected
				.filter((i) => i >= 1000 && i < 4000)
				.reverse()
				.map((i) => [name(i), `${value}${i}`]),
		);
		await store.flush();
		assert.equal(await store.count(), expected.length);
		assert.deepEqual(await keysOf(store, { gte: name(5990) }), expected.filter((i) => i >= 5990).map(name));
	},

	'a scan is one cut, and goes on while it is written to': async (store) => {
		const name = (i: number) => `key ${String(i).padStart(6, '0')}`;
		await Promise.all(Array.from({ length: 3000 }, (_, i) => store.put(name(i), 'v'.repeat(200))));
		const seen: string[] = [];
		for await (const [key, value] of store.scan()) {
			if (seen.length === 0) {
				await Promise.all(
					Array.from({ length: 3000 }, (_, i) => (i % 2 ? store.delete(name(i)) : store.put(name(i), 'new'))),
				);
				await store.put('zzz', 'new');
			}
			assert.equal(value.length, 200);
			seen.push(Buffer.from(key).toString());
		}
		assert.deepEqual(
			seen,
			Array.from({ length: 3000 }, (_, i) => name(i)),
		);
		assert.equal(await store.count(), 1501);
	},

	'a scan that is left early, or never begun, lets go': async (store) => {
		await Promise.all(Array.from({ length: 1000 }, (_, i) => store.put(`key ${i}`, 'v')));
		for (let round = 0; round < 20; round++) {
			for await (const [key] of store.scan({ prefix: 'key 5' })) {
				assert.equal(Buffer.from(key).toString(), 'key 5');
				break;
			}
		}
		const left = store.scan();
		assert.equal((await left.next()).done, false);
		assert.equal((await left.return?.())?.done, true);
		assert.equal((await left.next()).done, true);
		const fresh = store.scan();
		await fresh.return?.();
		assert.equal((await fresh.next()).done, true);
		await assert.rejects(async () => {
			for await (const _ of store.scan()) throw new Error('the body throws');
		}, /the body throws/);
	},

	'several scans side by side': async (store) => {
		await putAll(store, Object.fromEntries(keys.map((key) => [key, key])));
		const scans = [store.scan(), store.scan({ reverse: true }), store.scan({ prefix: bytes('b') })];
		const found: string[][] = [[], [], []];
		for (let open = 3; open > 0; ) {
			open = 0;
			for (const [i, scan] of scans.entries()) {
				const { value } = await scan.next();
				if (value === undefined) continue;
				found[i].push(Buffer.from(value[0]).toString('latin1'));
				open++;
			}
		}
		assert.deepEqual(found, [keys, [...keys].reverse(), ['b', 'b\xff', 'b\xff\xff']]);
	},

	'count: exact by range, and estimated': async (store) => {
		await putAll(store, Object.fromEntries(keys.map((key) => [key, key])));
		await store.put('gone', 'v', { expiresAtMs: 1 });
		await store.delete('aa');
		assert.equal(await store.count(), keys.length - 1);
		const model = await twin();
		await model.delete('aa');
		for (const [i, selection] of selections().entries()) {
			if (i % 9 === 0)
				assert.equal(await store.count(selection), await model.count(selection), JSON.stringify(selection));
		}
		assert.equal(await store.count({ gt: 'b', lte: 'a' }), 0);
		const estimate = await store.count({ estimate: true });
		assert.ok(Number.isFinite(estimate) && estimate >= 0, `${estimate}`);
		assert.equal(await store.count({ estimate: false }), keys.length - 1);
	},

	'deleteRange deletes what a scan of the range gives, and nothing else': async (store) => {
		const ranges = selections().filter((_, i) => i % 23 === 0);
		for (const range of [...ranges, {}]) {
			const model = await twin();
			await putAll(store, Object.fromEntries(keys.map((key) => [key, `of ${key}`])));
			await Promise.all([store.deleteRange(range), model.deleteRange(range)]);
			assert.deepEqual(await entriesOf(store), await entriesOf(model), JSON.stringify(range));
		}
		await store.put('after', 'v');
		assert.deepEqual(await keysOf(store), ['after']);
	},

	'a signal ends what takes long': async (store) => {
		await Promise.all(Array.from({ length: 2000 }, (_, i) => store.put(`key ${i}`, 'v'.repeat(300))));
		const reason = new Error('enough');
		const isReason = (error: unknown): boolean => error === reason;
		const signal = AbortSignal.abort(reason);
		await assert.rejects(store.scan({ signal }).next(), isReason);
		await assert.rejects(store.count({ signal }), isReason);
		await assert.rejects(store.flush({ signal }), isReason);
		await assert.rejects(store.compact({}, { signal }), isReason);
		await assert.rejects(store.verify({ signal }), isReason);
		await assert.rejects(store.checkpoint('never', { signal }), isReason);
		const controller = new AbortController();
		let seen = 0;
		await assert.rejects(async () => {
			for await (const _ of store.scan({ signal: controller.signal })) if (++seen === 1500) controller.abort(reason);
		}, isReason);
		assert.equal(seen, 1500);
		await Promise.all([store.flush({ signal: controller.signal }).catch(() => undefined), store.flush({})]);
		assert.equal(await store.count({ signal: new AbortController().signal }), 2000);
	},

	'flush, compact, verify, stats, explain change nothing that is stored': async (store) => {
		await putAll(store, Object.fromEntries(keys.map((key) => [key, `of ${key}`])));
		await store.flush();
		await store.delete('aa');
		await store.compact();
		await store.compact({ prefix: 'b' });
		assert.deepEqual(await store.verify(), []);
		const stats = await store.stats();
		assert.ok(stats.length > 0 && stats.every((numbers) => typeof numbers === 'object'));
		assert.equal(typeof (await store.explain('a')), 'object');
		assert.deepEqual(
			await keysOf(store),
			keys.filter((key) => key !== 'aa'),
		);
	},

	'a checkpoint holds what was written before it': async (store, { newPath, openCopy }) => {
		if (newPath === undefined) return;
		await putAll(store, Object.fromEntries(keys.map((key) => [key, `of ${key}`])));
		const directory = newPath('copy');
		const made = await store.checkpoint(directory);
		assert.equal(typeof made.directory, 'string');
		await store.put('after', 'v');
		await mustHaveCode('MILLRACE_DIRECTORY', store.checkpoint(directory));
		if (openCopy === undefined) return;
		const copy = await openCopy(directory);
		assert.deepEqual(await keysOf(copy.store), keys);
		await copy.store.put('more', 'v');
		await copy.close();
		assert.deepEqual(await keysOf(store, { prefix: 'more' }), []);
	},
};
