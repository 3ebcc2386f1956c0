/** Views of a database through encodings: what goes in comes out, errors that name key and encoding, and the types. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../src/base/errors.js';
import type { Bytes } from '../../../src/command/checked-bytes.js';
import type { Database } from '../../../src/engine/database.js';
import { type Encoding, json, msgpack } from '../../../src/engine/encodings.js';
import { open } from '../../../src/open.js';
import { testSeed } from '../../support/seed.js';
import { TemporaryDirectory } from '../../support/server-process.js';

interface User {
	readonly name: string;
	readonly age: number;
}

/** Whole numbers in order: big-endian, so that bytes sort as they do. */
const ordinal: Encoding<number> = {
	name: 'ordinal',
	encode(value) {
		if (!Number.isInteger(value)) throw new RangeError(`${value} is no ordinal`);
		const bytes = Buffer.alloc(4);
		bytes.writeUInt32BE(value);
		return bytes;
	},
	decode: (bytes) => Buffer.from(bytes).readUInt32BE(),
};

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const isSame = <A, B>(same: Same<A, B>): void => assert.ok(same);

/** Never called: that it compiles is the test. */
export function types(db: Database): void {
	const texts = db.withEncoding({ key: 'utf8', value: 'utf8' });
	isSame<ReturnType<typeof texts.get>, Promise<string | undefined>>(true);
	isSame<Parameters<typeof texts.put>[0], string>(true);
	isSame<ReturnType<typeof texts.getManySync>, (string | undefined)[]>(true);
	const plain = db.withEncoding({});
	isSame<ReturnType<typeof plain.getSync>, Uint8Array | undefined>(true);
	isSame<Parameters<typeof plain.put>[1], Bytes>(true);
	const loose = db.withEncoding({ key: 'utf8', value: 'json' });
	isSame<ReturnType<typeof loose.get>, Promise<unknown>>(true);
	const users = db.withEncoding({ key: ordinal, value: json<User>() });
	isSame<ReturnType<typeof users.get>, Promise<User | undefined>>(true);
	isSame<Parameters<typeof users.get>[0], number>(true);
	const scanned = users.scan({ gte: 3, limit: 2 });
	isSame<typeof scanned, AsyncIterableIterator<[key: number, value: User]>>(true);
	const keys = users.scan({ keysOnly: true });
	isSame<typeof keys, AsyncIterableIterator<[number, undefined]>>(true);
	// Written in place: `bytes` is known, and what comes out is what `decode` makes.
	const times = db.withEncoding({
		key: 'utf8',
		value: { encode: (date: Date) => date.toISOString(), decode: (bytes) => new Date(Buffer.from(bytes).toString()) },
	});
	isSame<ReturnType<typeof times.get>, Promise<Date | undefined>>(true);
	isSame<Parameters<typeof times.get>[0], string>(true);
	const numbered = db.withEncoding({ key: { encode: (n: number) => String(n), decode: (bytes) => bytes.length } });
	isSame<ReturnType<typeof numbered.get>, Promise<Uint8Array | undefined>>(true);
	isSame<Parameters<typeof numbered.get>[0], number>(true);
	const both = db.withEncoding({
		key: { encode: (n: number) => String(n), decode: (bytes) => bytes.length },
		value: { encode: (flag: boolean) => (flag ? '1' : ''), decode: (bytes) => bytes.length > 0 },
	});
	isSame<ReturnType<typeof both.get>, Promise<boolean | undefined>>(true);
	// @ts-expect-error keys are numbers
	void users.get('1');
	// @ts-expect-error a user has an age
	void users.put(1, { name: 'Ada' });
	// @ts-expect-error there is no such encoding
	db.withEncoding({ key: 'utf16' });
	// @ts-expect-error keys of a batch are encoded too
	void users.batch([{ type: 'delete', key: 'text' }]);
}

async function collect<K, V>(entries: AsyncIterable<[K, V]>): Promise<[K, V][]> {
	const all: [K, V][] = [];
	for await (const entry of entries) all.push(entry);
	return all;
}

test('every method of a view: reads, writes, conditions, batches, scans, at once and at a snapshot', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 2, durability: 'none' });
	const users = db.withEncoding({ key: ordinal, value: json<User>() });
	const ada = { name: 'Ada', age: 36 };
	const bob = { name: 'Bob', age: 7 };
	const written = await users.put(1, ada);
	assert.deepEqual(await users.get(1), ada);
	assert.deepEqual(users.getSync(1), ada);
	assert.equal(await users.put(1, bob, { ifAbsent: true }), undefined);
	const entry = await users.getEntry(1);
	assert.deepEqual(entry, { value: ada, version: written?.version, expiresAtMs: undefined });
	assert.deepEqual(users.getEntrySync(1), entry);
	using snapshot = await users.snapshot();
	const batched = await users.batch([
		{ type: 'put', key: 2, value: bob },
		{ type: 'put', key: 300, value: ada, ttlMs: 3_600_000 },
		{ type: 'delete', key: 1, ifVersion: written?.version },
	]);
	assert.deepEqual(batched, { count: 3 });
	assert.deepEqual(await users.getMany([1, 2, 300]), [undefined, bob, ada]);
	assert.deepEqual(users.getManySync([2, 1]), [bob, undefined]);
	assert.deepEqual(await users.getMany([1, 2], { snapshot }), [ada, undefined]);
	assert.deepEqual(await collect(users.scan()), [
		[2, bob],
		[300, ada],
	]);
	assert.deepEqual(await collect(users.scan({ gt: 2, keysOnly: true })), [[300, undefined]]);
	assert.deepEqual(await collect(users.scan({ snapshot })), [[1, ada]]);
	assert.deepEqual([await users.has(2), await users.count(), await users.count({ lte: 2 })], [true, 2, 1]);
	assert.ok(Number(await users.getExpiry(300)) > Date.now());
	assert.equal(await users.setExpiry(300), true);
	assert.equal(await users.increment(9), 1n);
	await users.deleteRange({ gte: 9, lt: 10 });
	assert.deepEqual([await users.delete(2), await users.delete(2), await users.count()], [true, false, 1]);
	const texts = db.withEncoding({ key: 'utf8', value: 'utf8' });
	await texts.append('long', 'ab');
	assert.equal(await texts.append('long', 'cd'), 4);
	assert.deepEqual(await collect(texts.scan({ prefix: 'lo' })), [['long', 'abcd']]);
	const writer = users.writer();
	for (let i = 1000; i < 1010; i++) writer.write([i, { name: `user ${i}`, age: i }]);
	await new Promise<void>((resolve) => writer.end({ type: 'delete', key: 1000 }, () => resolve()));
	assert.deepEqual(await users.get(1009), { name: 'user 1009', age: 1009 });
	assert.equal(await users.count({ gte: 1000, lt: 2000 }), 9);
});

test('values of every encoding come back as they were', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 1, durability: 'none' });
	const packed = db.withEncoding({ key: 'msgpack', value: msgpack<unknown>() });
	const texts = db.withEncoding({ key: 'utf8', value: 'json' });
	// Msgpackr renames one property.
	const value = fc
		.jsonValue()
		.map((each) => JSON.parse(JSON.stringify(each).replaceAll('__proto__', 'proto')) as unknown);
	const property = fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), value, async (key, each) => {
		await packed.put([key], each);
		assert.deepEqual(await packed.get([key]), each);
		await texts.put(key, each);
		assert.deepEqual(await texts.get(key), each);
		assert.deepEqual(
			(await collect(texts.scan({ gte: key, lte: key }))).map(([found]) => found),
			[key],
		);
	});
	await fc.assert(property, { seed: testSeed('encodings'), numRuns: 100 });
	await packed.put('bytes', Buffer.from([0, 255]));
	assert.deepEqual(new Uint8Array((await packed.get('bytes')) as Uint8Array), new Uint8Array([0, 255]));
	for (const exact of [2n ** 53n + 1n, -(2n ** 62n) - 1n, 2n ** 64n - 1n]) {
		await packed.put('bigint', [exact]);
		assert.deepEqual(await packed.get('bigint'), [exact]);
	}
	for (const nothing of [undefined, () => 1]) await assert.rejects(packed.put('bigint', nothing), TypeError);
	const marked = db.withEncoding({ key: 'utf8', value: 'utf8' });
	await marked.put('replacement', '\ufffd and \ufeff');
	assert.equal(await marked.get('replacement'), '\ufffd and \ufeff');
});

test('what does not encode is a TypeError and nothing is written; what does not decode names key and encoding', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 2, durability: 'none' });
	const users = db.withEncoding({ key: ordinal, value: 'json' });
	const circular: unknown[] = [];
	circular.push(circular);
	await assert.rejects(users.put(1, circular), /the value is nothing for json: Converting circular/);
	await assert.rejects(users.put(1, undefined), /JSON has no undefined/);
	await assert.rejects(users.get(1.5), {
		name: 'TypeError',
		message: 'the key is nothing for ordinal: 1.5 is no ordinal',
	});
	await assert.rejects(users.getMany(7 as never), TypeError);
	await assert.rejects(users.append(1, 'x'), /values in json cannot be appended to/);
	await assert.rejects(
		users.batch([
			{ type: 'put', key: 1, value: 1 },
			{ type: 'put', key: 2, value: () => 0 },
		]),
		/^TypeError: operation 1 of the batch: the value is nothing for json/,
	);
	assert.throws(() => users.scan({ prefix: 1 }), /keys in ordinal have no prefixes/);
	assert.throws(() => users.scan({ gte: 0.5 }), /the gte is nothing for ordinal/);
	for (const wrong of [{ key: 'utf16' }, { value: {} }, { keys: 'utf8' }, { key: null }, { value: 7 }, 7, null]) {
		assert.throws(() => db.withEncoding(wrong as object), TypeError);
	}
	assert.equal(await db.count(), 0);
	await db.put('abc', '{"cut');
	await db.put(Buffer.from([255]), Buffer.from([0x92]));
	const texts = db.withEncoding({ key: 'utf8', value: 'json' });
	await assert.rejects(texts.get('abc'), (error) => {
		assert.ok(hasCode(error, 'MILLRACE_CODEC') && error.cause instanceof SyntaxError);
		return error.message.startsWith('the value of the key "abc" does not decode as json: ');
	});
	assert.throws(() => texts.getSync('abc'), { code: 'MILLRACE_CODEC' });
	await assert.rejects(texts.getMany(['none', 'abc']), { code: 'MILLRACE_CODEC' });
	await assert.rejects(collect(texts.scan({ gt: 'b' })), /the key 0xff does not decode as utf8/);
	const bytes = db.withEncoding({ value: 'msgpack' });
	await assert.rejects(bytes.get(Buffer.from([255])), /the value of the key 0xff does not decode as msgpack/);
});
