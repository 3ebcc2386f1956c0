/** Conformance: single keys. Every read, every write, every option. */
import assert from 'node:assert/strict';
import { keySizeMax } from '../../src/base/limits.js';
import type { StoreTests } from './conformance.js';
import { bytes, mustHaveCode, text } from './subject.js';

const hourMs = 3_600_000;
const binaryKeys = ['\x00', '\x00\x00', '\xff', '\xff\xff\x00', '\x7f\x80', ' ', '{', '{}', '{a}b', 'a\x00'];

export const readAndWriteTests: StoreTests = {
	'put, get, has, getEntry, delete': async (store) => {
		assert.equal(await store.get('k'), undefined);
		assert.equal(await store.getEntry('k'), undefined);
		assert.equal(await store.has('k'), false);
		const first = await store.put('k', 'v');
		const second = await store.put('k', bytes('w'));
		assert.ok(first !== undefined && second !== undefined && second.version > first.version);
		assert.equal(text(await store.get('k')), 'w');
		const entry = await store.getEntry('k');
		assert.equal(text(entry?.value), 'w');
		assert.equal(entry?.version, second.version);
		assert.equal(entry?.expiresAtMs, undefined);
		assert.equal(await store.has('k'), true);
		assert.equal(await store.delete('k'), true);
		assert.equal(await store.delete('k'), false);
		assert.equal(await store.has('k'), false);
		const third = await store.put('k', 'again');
		assert.ok(third !== undefined && third.version > second.version);
	},

	'text is UTF-8, and what comes back is the caller’s own': async (store) => {
		await store.put('schlüssel ☃ 🙂', 'größe');
		assert.equal(Buffer.from((await store.get(Buffer.from('schlüssel ☃ 🙂'))) ?? []).toString(), 'größe');
		const first = await store.get('schlüssel ☃ 🙂');
		first?.fill(0);
		assert.equal(Buffer.from((await store.get('schlüssel ☃ 🙂')) ?? []).toString(), 'größe');
	},

	'binary keys and empty values': async (store) => {
		for (const key of binaryKeys) await store.put(bytes(key), bytes(`of ${key}`));
		const longest = 'x'.repeat(keySizeMax);
		await store.put(longest, '');
		for (const key of binaryKeys) assert.equal(text(await store.get(bytes(key))), `of ${key}`);
		assert.equal((await store.get(longest))?.length, 0);
		assert.equal(await store.has(longest), true);
		assert.equal((await store.getEntry(longest))?.value.length, 0);
	},

	'buffers may be used again as soon as a method has returned': async (store) => {
		const key = bytes('key');
		const value = bytes('value');
		const work: Promise<unknown>[] = [store.put(key, value)];
		key.set(bytes('two'));
		value.set(bytes('other'));
		work.push(store.put(key, value), store.append(key, value));
		key.set(bytes('off'));
		value.fill(0x30);
		work.push(store.batch([{ type: 'put', key, value }]));
		key.set(bytes('bad'));
		value.fill(0x31);
		await Promise.all(work);
		key.set(bytes('key'));
		const read = store.get(key);
		const many = store.getMany([key]);
		key.fill(0);
		assert.equal(text(await read), 'value');
		assert.deepEqual((await many).map(text), ['value']);
		assert.deepEqual((await store.getMany(['two', 'off', 'bad'])).map(text), ['otherother', '00000', undefined]);
	},

	'a large value': async (store) => {
		const value = Buffer.alloc(3_000_001, 'abcdefg');
		await store.put('large', value);
		assert.ok(value.equals((await store.get('large')) ?? new Uint8Array(0)));
		assert.equal(await store.append('large', value), 6_000_002);
		assert.equal((await store.get('large'))?.length, 6_000_002);
	},

	'getMany: order, duplicates, missing, none': async (store) => {
		await Promise.all(Array.from({ length: 300 }, (_, i) => store.put(`key ${i}`, `value ${i}`)));
		const keys = Array.from({ length: 400 }, (_, i) => `key ${(i * 7) % 400}`);
		const expected = keys.map((key) => (Number(key.slice(4)) < 300 ? `value ${key.slice(4)}` : undefined));
		assert.deepEqual((await store.getMany(keys)).map(text), expected);
		assert.deepEqual((await store.getMany(['key 1', 'no', 'key 1'])).map(text), ['value 1', undefined, 'value 1']);
		assert.deepEqual(await store.getMany([]), []);
	},

	'conditions: ifAbsent, ifPresent, ifVersion': async (store) => {
		assert.equal(await store.put('k', 'x', { ifPresent: true }), undefined);
		assert.equal(await store.put('k', 'x', { ifVersion: 7 }), undefined);
		const first = await store.put('k', '1', { ifAbsent: true });
		assert.ok(first !== undefined);
		assert.equal(await store.put('k', 'x', { ifAbsent: true }), undefined);
		assert.equal(await store.put('k', 'x', { ifVersion: 0 }), undefined);
		const second = await store.put('k', '2', { ifVersion: first.version });
		assert.ok(second !== undefined);
		assert.equal(await store.put('k', 'x', { ifVersion: first.version }), undefined);
		assert.equal(await store.append('k', 'x', { ifVersion: first.version }), undefined);
		assert.equal(await store.increment('k', 1, { ifVersion: first.version }), undefined);
		assert.equal(await store.delete('k', { ifVersion: first.version }), false);
		assert.equal(text(await store.get('k')), '2');
		assert.equal(await store.increment('k', 1, { ifVersion: second.version }), 3n);
		const third = (await store.getEntry('k'))?.version ?? 0;
		assert.ok(third > second.version);
		assert.equal(await store.append('k', '0', { ifVersion: third }), 2);
		const fourth = (await store.getEntry('k'))?.version ?? 0;
		assert.ok(await store.put('k', '4', { ifPresent: true, ifVersion: fourth }));
		assert.equal(await store.delete('k', { ifVersion: (await store.getEntry('k'))?.version ?? 0 }), true);
		assert.equal(await store.delete('k', { ifVersion: 0 }), false);
		assert.ok(await store.put('k', '5', { ifVersion: 0 }));
		assert.equal(await store.increment('n', 5, { ifVersion: 0 }), 5n);
		assert.equal(await store.append('a', 'tail', { ifVersion: 0 }), 4);
	},

	'increment and append': async (store) => {
		assert.equal(await store.increment('n'), 1n);
		assert.equal(await store.increment('n', -11), -10n);
		assert.equal(text(await store.get('n')), '-10');
		assert.equal(await store.increment('n', 2n ** 63n - 1n), 2n ** 63n - 11n);
		assert.equal(await store.increment('n', 10n), 2n ** 63n - 1n);
		await mustHaveCode('MILLRACE_OVERFLOW', store.increment('n'));
		assert.equal(text(await store.get('n')), '9223372036854775807');
		assert.equal(await store.increment('low', -(2n ** 63n)), -(2n ** 63n));
		await mustHaveCode('MILLRACE_OVERFLOW', store.increment('low', -1));
		for (const value of ['', 'many', '01', '1.5', ' 1', '99999999999999999999']) {
			await store.put('word', value);
			await mustHaveCode('MILLRACE_NOT_INTEGER', store.increment('word'));
			assert.equal(text(await store.get('word')), value);
		}
		assert.equal(await store.append('a', 'one'), 3);
		assert.equal(await store.append('a', ''), 3);
		assert.equal(await store.append('a', bytes('\x00\xff')), 5);
		assert.equal(text(await store.get('a')), 'one\x00\xff');
	},

	'an increment of many at once loses none': async (store) => {
		const sums = await Promise.all(Array.from({ length: 500 }, () => store.increment('n')));
		assert.deepEqual(new Set(sums).size, 500);
		assert.equal(text(await store.get('n')), '500');
	},

	'expiry: set, kept, moved, removed': async (store) => {
		const farMs = Date.now() + 24 * hourMs;
		await store.put('past', 'v', { expiresAtMs: 1 });
		assert.deepEqual(
			[await store.get('past'), await store.has('past'), await store.getExpiry('past')],
			[undefined, false, undefined],
		);
		assert.ok(await store.put('past', 'v', { ifAbsent: true }));
		assert.equal(await store.getExpiry('past'), 0);
		await store.put('far', 'v', { expiresAtMs: farMs });
		assert.equal(await store.getExpiry('far'), farMs);
		assert.equal((await store.getEntry('far'))?.expiresAtMs, farMs);
		await store.put('far', '1', { keepExpiry: true });
		await store.increment('far');
		await store.append('far', '0');
		assert.equal(await store.getExpiry('far'), farMs);
		assert.equal(await store.setExpiry('far', { expiresAtMs: farMs + 1 }), true);
		assert.equal(await store.getExpiry('far'), farMs + 1);
		assert.equal(await store.setExpiry('far'), true);
		assert.equal(await store.setExpiry('far'), false);
		assert.equal(await store.getExpiry('far'), 0);
		assert.equal(await store.setExpiry('far', { expiresAtMs: 1 }), true);
		assert.equal(await store.get('far'), undefined);
		assert.equal(await store.setExpiry('far', { ttlMs: hourMs }), false);
		await store.put('far', 'v', { expiresAtMs: farMs });
		await store.put('far', 'v');
		assert.equal(await store.getExpiry('far'), 0);
		assert.equal(await store.getExpiry('absent'), undefined);
		assert.equal(await store.count(), 2);
	},

	'ttlMs counts from now': async (store) => {
		await store.put('soon', 'v', { ttlMs: 1 });
		while (await store.has('soon'));
		assert.equal(await store.get('soon'), undefined);
		const beforeMs = Date.now();
		await store.put('later', 'v', { ttlMs: hourMs });
		const expiresAtMs = await store.getExpiry('later');
		assert.ok(expiresAtMs !== undefined && expiresAtMs >= beforeMs + hourMs && expiresAtMs <= Date.now() + hourMs);
		assert.equal(await store.setExpiry('later', { ttlMs: 1 }), true);
		while (await store.has('later'));
		assert.equal(await store.count(), 0);
	},

	'a sliding expiry moves with every read': async (store, { advance }) => {
		if (advance === undefined) {
			// With the system's clock: reads keep it alive for several times its span.
			await store.put('s', 'v', { ttlMs: 400, sliding: true });
			const first = (await store.getExpiry('s')) ?? 0;
			let last = first;
			while (last < first + 500) {
				if ((await store.get('s')) === undefined) return;
				last = (await store.getExpiry('s')) ?? 0;
			}
			assert.equal(text(await store.get('s')), 'v');
			return;
		}
		// Spans of hours: the system's clock, which may go on too, does not matter.
		await store.put('s', 'v', { ttlMs: 16 * hourMs, sliding: true });
		const first = (await store.getExpiry('s')) ?? 0;
		let last = first;
		for (const read of [() => store.get('s'), () => store.has('s'), () => store.getEntry('s')]) {
			advance(10 * hourMs);
			assert.ok(await read());
			const moved = (await store.getExpiry('s')) ?? 0;
			assert.ok(moved >= last + 10 * hourMs, `${moved} after ${last}`);
			last = moved;
		}
		await store.put('s', 'w', { keepExpiry: true });
		advance(15 * hourMs);
		assert.equal(await store.getExpiry('s'), last);
		assert.equal(text(await store.get('s')), 'w');
		await store.setExpiry('s', { ttlMs: 10 * hourMs });
		advance(6 * hourMs);
		assert.equal(text(await store.get('s')), 'w');
		advance(6 * hourMs);
		assert.equal(await store.get('s'), undefined);
		await store.put('s', 'v');
		await store.setExpiry('s', { ttlMs: 10 * hourMs, sliding: true });
		for (let i = 0; i < 3; i++) {
			advance(9 * hourMs);
			assert.equal(await store.has('s'), true);
		}
	},

	'each durability, for this write alone': async (store) => {
		for (const durability of ['always', 'interval', 'none'] as const) {
			assert.ok(await store.put(durability, 'v', { durability }));
			assert.equal(await store.append(durability, 'w', { durability }), 2);
			assert.equal(await store.increment(`n ${durability}`, 2, { durability }), 2n);
			assert.equal(await store.setExpiry(durability, { ttlMs: hourMs, durability }), true);
			assert.equal(await store.delete(durability, { durability }), true);
			assert.deepEqual(await store.batch([{ type: 'put', key: 'b', value: durability }], { durability }), { count: 1 });
			assert.equal(text(await store.get('b')), durability);
			await store.deleteRange({}, { durability });
			assert.equal(await store.count(), 0);
		}
	},
};
