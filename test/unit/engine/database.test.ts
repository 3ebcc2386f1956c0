/** The embedded database as an application meets it, over real threads and files. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { type ErrorCode, hasCode, type MillraceError } from '../../../src/base/errors.js';
import { keySizeMax, valueSizeMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { callerStack } from '../../../src/command/caller-stack.js';
import { Database } from '../../../src/engine/database.js';
import { Engine } from '../../../src/engine/engine.js';
import { engineOptions, open } from '../../../src/open.js';
import { logGroup } from '../../../src/storage/lsm/wal/log-message-format.js';
import { testSeed } from '../../support/seed.js';
import { TemporaryDirectory } from '../../support/server-process.js';

const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString();

async function mustReject(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
	await assert.rejects(promise, (error) => hasCode(error, code));
}

test('put, get, has, delete, increment, getMany, count, stats, flush over three partitions', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(join(directory.path, 'db'), { partitions: 3 });
	assert.equal(db.partitionCount, 3);
	assert.equal(await db.get('k'), undefined);
	const first = await db.put('k', 'v');
	const second = await db.put('k', Buffer.from('w'));
	assert.ok(first !== undefined && second !== undefined && second.version > first.version);
	assert.equal(text(await db.get('k')), 'w');
	assert.equal(await db.put('k', 'x', { ifAbsent: true }), undefined);
	assert.equal(await db.put('other', 'x', { ifPresent: true }), undefined);
	assert.deepEqual([await db.has('k'), await db.has('other')], [true, false]);
	assert.deepEqual([await db.delete('k'), await db.delete('k')], [true, false]);
	assert.equal(await db.increment('n', 2n ** 63n - 1n), 2n ** 63n - 1n);
	await mustReject('MILLRACE_OVERFLOW', db.increment('n'));
	await db.put('word', 'many');
	await mustReject('MILLRACE_NOT_INTEGER', db.increment('word'));
	const keys = Array.from({ length: 300 }, (_, i) => `key ${i}`);
	await Promise.all(keys.map((key) => db.put(key, `value of ${key}`)));
	assert.deepEqual((await db.getMany([...keys, 'absent'])).map(text), [
		...keys.map((key) => `value of ${key}`),
		undefined,
	]);
	assert.deepEqual(await db.getMany([]), []);
	assert.equal(await db.count(), 302);
	await db.flush();
	assert.equal(text(await db.get('key 7')), 'value of key 7');
	const stats = await db.stats();
	assert.equal(stats.length, 3);
	assert.ok(stats.every((numbers) => Number(numbers.tables) === 1));
});

test('expiry: absolute, relative, kept', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 1 });
	await db.put('past', 'v', { expiresAtMs: 1 });
	assert.equal(await db.get('past'), undefined);
	await db.put('soon', 'v', { ttlMs: 1 });
	while (await db.has('soon'));
	await db.put('later', 'v', { ttlMs: 3_600_000 });
	await db.put('later', 'w', { keepExpiry: true });
	assert.equal(text(await db.get('later')), 'w');
	assert.equal(await db.count(), 1);
});

test('misuse rejects with a TypeError, sizes with a code; nothing throws and nothing hangs', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 2 });
	const loose = db as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
	const misuses: [string, ...unknown[]][] = [
		['get', 7],
		['get', null],
		['get', undefined],
		['has', {}],
		['delete', [1]],
		['put', 'k', 7],
		['put', 'k', undefined],
		['put', 'k', new ArrayBuffer(1)],
		['put', 'k', 'v', { ttl: 5 }],
		['put', 'k', 'v', { ttlMs: 0 }],
		['put', 'k', 'v', { ttlMs: 1.5 }],
		['put', 'k', 'v', { ttlMs: 1, expiresAtMs: 2 }],
		['put', 'k', 'v', { ifAbsent: true, ifPresent: true }],
		['put', 'k', 'v', { keepExpiry: true, ttlMs: 1 }],
		['put', '\ud800', 'v'],
		['increment', 'k', 1.5],
		['increment', 'k', Number.NaN],
		['increment', 'k', 2n ** 63n],
		['getMany', 'k'],
		['getMany', ['k', 7]],
	];
	for (const [name, ...given] of misuses) {
		await assert.rejects(loose[name].apply(db, given), TypeError, `${name} ${String(given)}`);
	}
	await mustReject('MILLRACE_KEY_SIZE', db.get(''));
	await mustReject('MILLRACE_KEY_SIZE', db.put(Buffer.alloc(keySizeMax + 1), 'v'));
	await mustReject('MILLRACE_KEY_SIZE', db.getMany(['k', '']));
	await mustReject('MILLRACE_VALUE_SIZE', db.put('k', Buffer.alloc(valueSizeMax + 1)));
	assert.equal(await db.count(), 0);
	for (const options of [
		{ partitions: 0 },
		{ partitions: 65 },
		{ memtableSize: 1 },
		{ inFlightSizeMax: 1 },
		{ durability: 'often' },
		{ nosuch: 1 },
	]) {
		await mustRejectOrThrow('MILLRACE_OPTION', () => open(directory.path, options as object));
	}
});

/** `open` checks its options before it returns a promise. */
async function mustRejectOrThrow(code: ErrorCode, run: () => Promise<unknown>): Promise<void> {
	await mustReject(code, (async () => run())());
}

test('buffers given may be reused at once, values given back are the caller’s own', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 1 });
	const key = Buffer.from('key');
	const value = Buffer.from('value');
	const putting = db.put(key, value);
	key.fill('x');
	value.fill('x');
	await putting;
	const [first, second] = await Promise.all([db.get('key'), db.get('key')]);
	assert.equal(text(first), 'value');
	first?.fill(0);
	assert.equal(text(second), 'value');
	assert.equal(text(await db.get('key')), 'value');
});

test('many large puts without awaiting: rings fill up, nothing is lost or reordered', async () => {
	using directory = new TemporaryDirectory();
	const prng = new Prng(testSeed('database backpressure'));
	await using db = await open(directory.path, { partitions: 2, durability: 'interval' });
	const newest = new Map<string, string>();
	const calls: Promise<unknown>[] = [];
	for (let i = 0; i < 400; i++) {
		const key = `k${prng.below(50)}`;
		const value = `${i}:`.padEnd(prng.below(300_000), String(i % 10));
		newest.set(key, value);
		const buffer = Buffer.from(value);
		calls.push(db.put(key, buffer));
		buffer.fill(0);
		if (i % 10 === 0) calls.push(db.get(key).then((found) => assert.equal(text(found), value)));
	}
	await Promise.all(calls);
	for (const [key, value] of newest) assert.equal(text(await db.get(key)), value);
});

test('values of 16 MiB go in and out, side by side', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 2, durability: 'none' });
	const values = [1, 2, 3].map((fill) => Buffer.alloc(valueSizeMax, fill));
	await Promise.all(values.map((value, i) => db.put(`big ${i}`, value)));
	for (const [i, found] of (await db.getMany(['big 0', 'big 1', 'big 2'])).entries()) {
		assert.ok(values[i].equals(found ?? Buffer.alloc(0)));
	}
});

test('close waits for calls under way, lets the directory go, and refuses calls after it', async () => {
	using directory = new TemporaryDirectory();
	const db = await open(directory.path, { partitions: 2 });
	const putting = Promise.all(Array.from({ length: 2000 }, (_, i) => db.put(`k${i}`, 'v')));
	const closings = [db.close(), db.close()];
	await mustReject('MILLRACE_CLOSED', db.get('k1'));
	await mustReject('MILLRACE_CLOSED', db.count());
	await putting;
	await Promise.all(closings);
	await db.close();
	await mustReject('MILLRACE_CLOSED', db.put('late', 'v'));
	await using again = await open(directory.path);
	assert.equal(await again.count(), 2000);
	await mustReject('MILLRACE_LOCKED', open(directory.path));
});

test('a thread that dies rejects what is under way and what comes, and close still ends', async () => {
	using directory = new TemporaryDirectory();
	const bad = join(directory.path, 'bad-worker.mjs');
	const real = engineOptions(join(directory.path, 'db'), { partitions: 2 });
	// The log worker of every partition is replaced by one that ends at the first group of writes. Edits, which a partition puts
	// while it opens, pass: a death before the database is open would be open's own error.
	const ring = new URL('../../../src/ring/', import.meta.url).href;
	writeFileSync(
		bad,
		`import { workerData } from 'node:worker_threads';
		const { ThreadBell } = await import('${ring}bell.js');
		const { RingConsumer } = await import('${ring}ring-consumer.js');
		const messages = new RingConsumer(workerData.memory.logRing, undefined, workerData.logOversizePort);
		const bell = new ThreadBell(workerData.memory.logBell);
		for (;;) {
			while (messages.next()) if (messages.source[messages.offset] === ${logGroup}) throw new Error('broken on purpose');
			messages.release();
			bell.sleep(() => messages.hasNext());
		}`,
	);
	const deaths: string[] = [];
	const logWorkerUrl = new URL(`file://${bad}`);
	const onDeath = (error: MillraceError): unknown => deaths.push(error.message);
	const db = new Database(await Engine.start({ ...real, logWorkerUrl, onDeath }));
	const calls = Array.from({ length: 100 }, (_, i) => db.put(`k${i}`, 'v'));
	const outcomes = await Promise.allSettled(calls);
	assert.ok(
		outcomes.every((outcome) => outcome.status === 'rejected' && hasCode(outcome.reason, 'MILLRACE_WORKER_DIED')),
	);
	assert.equal(deaths.length, 1);
	assert.match(deaths[0], /^the log worker of partition [01] died \(exit 1\): Error: broken on purpose/);
	await mustReject('MILLRACE_WORKER_DIED', db.get('k1'));
	await db.close();
});

test('bytes that were transferred away are refused, empty ones are not', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 1 });
	const value = new Uint8Array(8).fill(1);
	structuredClone(value.buffer, { transfer: [value.buffer] });
	await assert.rejects(db.put('k', value), TypeError);
	await assert.rejects(db.batch([{ type: 'put', key: 'k', value }]), TypeError);
	assert.equal(await db.has('k'), false);
	for (const empty of ['', new Uint8Array(0), new Uint8Array(8).subarray(3, 3), Buffer.alloc(0)]) {
		await db.put('k', empty);
		assert.equal((await db.get('k'))?.length, 0);
	}
});

test('a database that is logged shows no buffers; warnings name the frames of the program alone', async () => {
	using directory = new TemporaryDirectory();
	await assert.rejects(open(directory.path, null as unknown as undefined), /options of open are an object/);
	await using db = await open(directory.path, { partitions: 1 });
	await db.put('secret key', 'v');
	for (const shown of [inspect(db), JSON.stringify(db)]) assert.ok(shown.length < 500, shown.slice(0, 1000));
	let stack = '';
	const encode = (key: string): string => {
		stack = callerStack(encode);
		return key;
	};
	db.withEncoding({ key: { encode, decode: String } }).getSync('k');
	assert.match(stack, /^at TestContext.*database\.test\.js/);
});
