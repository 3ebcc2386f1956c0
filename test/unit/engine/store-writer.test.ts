/** Loading by stream: all of it arrives, in bounded memory; what goes wrong names the record. */
import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { valueSizeMax } from '../../../src/base/limits.js';
import type { StoreWriter } from '../../../src/engine/store-writer.js';
import { open } from '../../../src/open.js';
import { TemporaryDirectory } from '../../support/server-process.js';

const keyOf = (i: number): string => `key ${String(i).padStart(8, '0')}`;

test('two hundred thousand records: all there, memory bounded, statistics', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 2, durability: 'none' });
	const recordCount = 200_000;
	let heapMax = 0;
	const heapBefore = process.memoryUsage().heapUsed;
	function* records(): Generator<[string, string]> {
		for (let i = 0; i < recordCount; i++) {
			if (i % 1000 === 0) heapMax = Math.max(heapMax, process.memoryUsage().heapUsed);
			yield [keyOf(i), `value of ${i} `.padEnd(100, '.')];
		}
	}
	const writer = db.writer();
	await pipeline(Readable.from(records()), writer);
	const { records: doneCount, bytes, recordsPerSecond } = writer.stats;
	assert.equal(doneCount, recordCount);
	assert.ok(bytes > recordCount * 112 && recordsPerSecond > 0);
	assert.equal(await db.count(), recordCount);
	assert.equal(
		Buffer.from((await db.get(keyOf(123_456))) ?? '')
			.toString()
			.trimEnd(),
		'value of 123456 '.padEnd(100, '.'),
	);
	// Ten times what is held at once; all records together would be more than twice that.
	assert.ok(heapMax - heapBefore < 100 * 1024 * 1024, `${heapMax - heapBefore} bytes of heap`);
});

test('operations in order of their keys, a slow source, a web stream', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 3, durability: 'none' });
	const writer = db.writer({ durability: 'none' });
	for (let round = 0; round < 50; round++) {
		for (let i = 0; i < 20; i++) writer.write([keyOf(i), `round ${round}`]);
		writer.write({ type: 'increment', key: 'n', delta: 2 });
		writer.write({ type: 'append', key: 'log', value: '.' });
		writer.write({ type: 'delete', key: keyOf(round % 20) });
		if (round % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
	}
	await new Promise<void>((resolve) => writer.end(resolve));
	assert.equal(writer.stats.records, 50 * 23);
	assert.equal(await db.increment('n', 0), 100n);
	assert.equal((await db.get('log'))?.length, 50);
	assert.equal(await db.has(keyOf(9)), false);
	assert.equal(Buffer.from((await db.get(keyOf(10))) ?? '').toString(), 'round 49');
	await Readable.toWeb(Readable.from([['web', 'stream']])).pipeTo(Writable.toWeb(db.writer()) as WritableStream);
	assert.ok(await db.has('web'));
	const large = [0, 1, 2].map((fill) => Buffer.alloc(valueSizeMax - fill * 8_000_000, fill));
	const mixed = large.flatMap((value, i) => [
		[`large ${i}`, 'before'],
		[`large ${i}`, value],
		[`small ${i}`, 'v'],
	]);
	const operation = { type: 'put', key: 'large operation', value: large[1], ttlMs: 3_600_000 };
	await pipeline(Readable.from([...mixed, operation, ['last', 'v']]), db.writer());
	for (const [i, value] of large.entries()) assert.ok(value.equals((await db.get(`large ${i}`)) ?? Buffer.alloc(0)));
	assert.deepEqual([(await db.get('large operation'))?.length, await db.has('last')], [large[1].length, true]);
	const slow = db.writer();
	slow.write(['slow', '1']);
	while (!(await db.has('slow')));
	await new Promise<void>((resolve) => slow.end(resolve));
});

test('errors name the record; the stream ends with them', async () => {
	using directory = new TemporaryDirectory();
	const db = await open(directory.path, { partitions: 2, durability: 'none' });
	const mustFail = async (records: unknown[], pattern: RegExp, options?: object): Promise<void> => {
		await assert.rejects(pipeline(Readable.from(records), db.writer(options)), pattern);
	};
	await mustFail(
		[
			['a', '1'],
			['b', 7],
		],
		/TypeError: record 1 \(key "b"\): a value is a string/,
	);
	await mustFail(
		[
			['a', '1'],
			['', '2'],
		],
		/record 1 \(key ""\): a key has from 1 to/,
	);
	await mustFail([['a', '1'], ['b']], /TypeError: record 1/);
	await mustFail([7], /TypeError: record 0: an operation is an object/);
	await mustFail(
		[{ type: 'put', key: 'k', value: 'v', ifAbsent: true }],
		/record 0 \(key "k"\): a writer takes no conditions/,
	);
	await mustFail([{ type: 'put', key: 'k', value: 'v', ttl: 5 }], /has no option 'ttl'/);
	await db.put('word', 'many');
	const counters = Array.from({ length: 50 }, (_, i) => ({ type: 'increment', key: i === 37 ? 'word' : `n${i}` }));
	await mustFail(counters, /record 37: .*/);
	await mustFail(
		[
			['a', '1'],
			['', Buffer.alloc(200_000)],
		],
		/record 1: a key has from 1 to/,
	);
	await mustFail(
		[
			['a', '1'],
			['k', Buffer.alloc(valueSizeMax + 1)],
		],
		/record 1: a value has at most/,
	);
	assert.throws(() => db.writer({ sync: true } as object), TypeError);
	assert.throws(() => db.writer({ durability: 'often' } as object), TypeError);
	const open1: StoreWriter = db.writer();
	await db.close();
	await assert.rejects(pipeline(Readable.from([['a', 'b']]), open1), { code: 'MILLRACE_CLOSED' });
	assert.throws(() => db.writer(), { code: 'MILLRACE_CLOSED' });
});

test('what a listener writes while a group goes out is not lost', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 2, inFlightSizeMax: 64 * 1024 });
	const writer = db.writer();
	let count = 0;
	db.on('pressure', ({ level }) => {
		if (level >= 0.5) for (let i = 0; i < 40; i++) writer.write([`heard ${count++}`, 'v']);
	});
	// Nearly fills the window, so that the group is what makes calls wait.
	const puts = Array.from({ length: 6 }, (_, i) => db.put(`k${i}`, Buffer.alloc(10_000)));
	for (let i = 0; i < 100; i++) writer.write([keyOf(i), Buffer.alloc(300)]);
	await Promise.all(puts);
	await new Promise<void>((resolve) => writer.end(resolve));
	assert.ok(count > 0, 'calls waited');
	assert.equal(await db.count({ prefix: 'heard' }), count);
	assert.equal(writer.stats.records, 100 + count);
});
