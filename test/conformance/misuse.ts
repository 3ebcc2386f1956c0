/** Conformance: what is refused, how, and that nothing was written by it. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { keySizeMax, valueSizeMax } from '../../src/base/limits.js';
import type { StoreTests } from './conformance.js';
import { keysOf, type LooseStore, mustBeTypeError, mustHaveCode } from './subject.js';

type Call = readonly [method: string, ...given: unknown[]];

const noKeys: readonly unknown[] = [undefined, null, 7, 7n, true, {}, ['k'], new ArrayBuffer(1), Symbol('k'), '\ud800'];
const keyMethods = ['get', 'getEntry', 'has', 'delete', 'increment', 'setExpiry', 'getExpiry', 'explain'];

const wrongKeys: readonly Call[] = [
	...noKeys.flatMap((key) => [...keyMethods.map((method): Call => [method, key]), ['put', key, 'v'] as const]),
	...noKeys.map((key): Call => ['append', key, 'v']),
	...noKeys.map((key): Call => ['getMany', ['k', key]]),
];

const wrongValues: readonly Call[] = [undefined, null, 7, {}, ['v'], new ArrayBuffer(1), '\udc00'].flatMap((value) => [
	['put', 'k', value] as const,
	['append', 'k', value] as const,
]);

const wrongOptions: readonly Call[] = [
	...[
		{ ttl: 5 },
		{ ttlMs: 0 },
		{ ttlMs: -1 },
		{ ttlMs: 1.5 },
		{ ttlMs: Number.NaN },
		{ ttlMs: Number.POSITIVE_INFINITY },
		{ ttlMs: '5' },
		{ ttlMs: null },
		{ expiresAtMs: 0 },
		{ expiresAtMs: 1.5 },
		{ ttlMs: 5, expiresAtMs: 5 },
		{ keepExpiry: true, ttlMs: 5 },
		{ ifAbsent: true, ifPresent: true },
		{ ifVersion: -1 },
		{ ifVersion: 1.5 },
		{ ifVersion: '1' },
		{ durability: 'often' },
		7,
		'ttl',
	].map((options): Call => ['put', 'k', 'v', options]),
	['setExpiry', 'k', { ttlMs: -5 }],
	['setExpiry', 'k', { ifAbsent: true }],
	['delete', 'k', { ttlMs: 5 }],
	['delete', 'k', { ifVersion: -1 }],
	['delete', 'k', { durability: 1 }],
	['increment', 'k', 1, { keepExpiry: true }],
	['increment', 'k', 1.5],
	['increment', 'k', '1'],
	['increment', 'k', Number.NaN],
	['increment', 'k', 2 ** 53],
	['increment', 'k', 2n ** 63n],
	['append', 'k', 'v', { ifVersion: 0.5 }],
	['get', 'k', { snap: 1 }],
	['get', 'k', { snapshot: {} }],
	['get', 'k', { snapshot: 7 }],
	['getMany', 'k'],
	['getMany', undefined],
	['getMany', { 0: 'k', length: 1 }],
	['getMany', ['k'], { snapshot: {} }],
	['getEntry', 'k', { limit: 1 }],
	['has', 'k', { snapshot: {} }],
	['batch', { type: 'put', key: 'k', value: 'v' }],
	['batch', undefined],
	['batch', [], { sync: true }],
	['deleteRange', { from: 'a' }],
	['deleteRange', { gt: 'a', gte: 'a' }],
	['deleteRange', { limit: 1 }],
	['compact', { reverse: true }],
	['flush', { signal: 7 }],
	['verify', { signals: 7 }],
	['checkpoint', ''],
	['checkpoint', 7],
];

const wrongScans: readonly unknown[] = [
	{ from: 'a' },
	{ gt: 7 },
	{ gt: null },
	{ gt: 'a', gte: 'a' },
	{ lt: 'a', lte: 'a' },
	{ prefix: 7 },
	{ reverse: 1 },
	{ keysOnly: 'yes' },
	{ limit: -1 },
	{ limit: 1.5 },
	{ limit: '3' },
	{ signal: {} },
	{ snapshot: {} },
];

export const misuseTests: StoreTests = {
	'wrong types and unknown options are TypeErrors, and write nothing': async (store) => {
		const loose = store as unknown as LooseStore;
		for (const call of [...wrongKeys, ...wrongValues, ...wrongOptions]) {
			const [method, ...given] = call;
			await mustBeTypeError(`${method} ${describeGiven(given)}`, () => loose[method](...given));
		}
		for (const options of wrongScans) {
			await mustBeTypeError(`scan ${describeGiven([options])}`, () => loose.scan(options));
		}
		for (const options of [{ limit: 1 }, { estimate: 1 }, { reverse: true }, { snapshot: {} }, { gt: 7 }]) {
			await mustBeTypeError(`count ${describeGiven([options])}`, () => loose.count(options));
		}
		assert.deepEqual(await keysOf(store), []);
	},

	'sizes have codes': async (store) => {
		const long = 'x'.repeat(keySizeMax + 1);
		const large = Buffer.alloc(valueSizeMax + 1);
		for (const key of ['', new Uint8Array(0), long]) {
			await mustHaveCode('MILLRACE_KEY_SIZE', store.get(key));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.getMany(['k', key]));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.getEntry(key));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.has(key));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.put(key, 'v'));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.delete(key));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.increment(key));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.append(key, 'v'));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.setExpiry(key, { ttlMs: 1 }));
			await mustHaveCode('MILLRACE_KEY_SIZE', store.batch([{ type: 'put', key, value: 'v' }]));
		}
		await mustHaveCode('MILLRACE_VALUE_SIZE', store.put('k', large));
		await mustHaveCode('MILLRACE_VALUE_SIZE', store.append('k', large));
		await mustHaveCode('MILLRACE_VALUE_SIZE', store.batch([{ type: 'put', key: 'k', value: large }]));
		await mustHaveCode('MILLRACE_KEY_SIZE', store.deleteRange({ gt: long }));
		const scanned = (async () => store.scan({ prefix: long }).next())();
		await mustHaveCode('MILLRACE_KEY_SIZE', scanned);
		assert.deepEqual(await keysOf(store), []);
	},
};

const describeGiven = (given: readonly unknown[]): string => given.map((each) => inspect(each)).join(', ');
