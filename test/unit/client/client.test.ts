/**
 * The client over real sockets against the real session with a fake port: every method, pipelining, replies in any
 * order, big values, back-pressure, timeouts, lost connections, and other servers than ours.
 */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { type ErrorCode, hasCode } from '../../../src/base/errors.js';
import { clientWaitingCountMax, inFlightPerConnectionMax, keySizeMax, valueSizeMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { type Client, type ConnectOptions, connect, type ScanSelection } from '../../../src/client/client.js';
import { Listener } from '../../../src/net/listener.js';
import { FrameSession } from '../../../src/protocol/frame/frame-session.js';
import { testSeed } from '../../support/seed.js';
import { FakeCommandPort } from '../protocol/frame/fake-command-port.js';

interface Pair {
	readonly client: Client;
	readonly port: FakeCommandPort;
	readonly listener: Listener;
}

async function withClient(run: (pair: Pair) => Promise<void>, options: ConnectOptions = {}): Promise<void> {
	const port = new FakeCommandPort(3);
	port.isAutomatic = true;
	const listener = await Listener.listen({
		host: '127.0.0.1',
		port: 0,
		makeSession: (_, connection) => new FrameSession(connection, port),
	});
	const client = await connect({ port: listener.port }, options);
	try {
		await run({ client, port, listener });
		await client.close();
	} finally {
		await listener.close(100);
	}
}

const coded = (code: ErrorCode) => (error: unknown) => hasCode(error, code);
const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString());

test('every method does what it says', async () => {
	await withClient(async ({ client, port }) => {
		assert.equal(client.partitionCount, 3);
		assert.equal(await client.ping(), undefined);
		assert.equal(await client.get('a'), undefined);
		assert.deepEqual(await client.put('a', 'välue'), { version: 1 });
		assert.equal(text(await client.get(Buffer.from('a'))), 'välue');
		assert.equal(await client.has('a'), true);
		assert.equal(await client.has('b'), false);
		assert.equal(await client.put('a', 'x', { ifAbsent: true }), undefined);
		assert.equal(await client.put('b', 'x', { ifPresent: true }), undefined);
		assert.deepEqual(await client.put('a', 'y', { expiresAtMs: 9_000_000_000_000 }), { version: 2 });
		assert.equal(await client.getExpiry('a'), 9_000_000_000_000);
		await client.put('a', 'z', { keepExpiry: true });
		assert.equal(await client.getExpiry('a'), 9_000_000_000_000);
		const before = Date.now();
		assert.equal(await client.setExpiry('a', { ttlMs: 60_000 }), true);
		assert.ok(port.lastArgument >= before + 60_000);
		assert.equal(await client.setExpiry('a'), true);
		assert.equal(await client.setExpiry('a'), false);
		assert.equal(await client.getExpiry('a'), 0);
		assert.equal(await client.getExpiry('none'), undefined);
		assert.equal(await client.increment('n'), 1n);
		assert.equal(await client.increment('n', -(2n ** 62n)), 1n - 2n ** 62n);
		assert.equal(await client.count(), 2);
		assert.equal((await client.stats()).length, 3);
		await client.put('empty', '');
		assert.equal((await client.get('empty'))?.length, 0);
		assert.deepEqual((await client.getMany(['n', 'none', 'a', 'empty'])).map(text), [
			(1n - 2n ** 62n).toString(),
			undefined,
			'z',
			'',
		]);
		assert.deepEqual(await client.getMany([]), []);
		assert.equal(await client.delete('a'), true);
		assert.equal(await client.delete('a'), false);
		await client.flush();
		await client.clear();
		assert.equal(await client.count(), 0);
		await assert.rejects(
			client.put('t', 'x').then(() => client.increment('t')),
			coded('MILLRACE_NOT_INTEGER'),
		);
	});
});

test('misuse is a TypeError and over-long data a coded error, without a word to the server', async () => {
	await withClient(async ({ client, port }) => {
		const wrong = 7 as unknown as string;
		await assert.rejects(client.get(wrong), TypeError);
		await assert.rejects(client.put('a', wrong), TypeError);
		await assert.rejects(client.getMany(wrong as unknown as string[]), TypeError);
		await assert.rejects(client.getMany(['a', wrong]), TypeError);
		await assert.rejects(client.put('a', 'b', { ttl: 5 } as object), TypeError);
		await assert.rejects(client.put('a', 'b', { ttlMs: 0 }), TypeError);
		await assert.rejects(client.put('a', 'b', { ttlMs: 5, expiresAtMs: 6 }), TypeError);
		await assert.rejects(client.put('a', 'b', { ttlMs: 5, keepExpiry: true }), TypeError);
		await assert.rejects(client.put('a', 'b', { ifAbsent: true, ifPresent: true }), TypeError);
		await assert.rejects(client.increment('a', 1.5), TypeError);
		await assert.rejects(client.increment('a', 2n ** 63n), TypeError);
		await assert.rejects(client.get('\ud800'), TypeError);
		await assert.rejects(client.get(''), coded('MILLRACE_KEY_SIZE'));
		await assert.rejects(client.get('k'.repeat(keySizeMax + 1)), coded('MILLRACE_KEY_SIZE'));
		await assert.rejects(client.put('k', Buffer.alloc(valueSizeMax + 1)), coded('MILLRACE_VALUE_SIZE'));
		assert.equal(port.submittedCount, 0);
	});
	await assert.rejects(connect('redis://127.0.0.1'), TypeError);
	await assert.rejects(connect('127.0.0.1:7379'), TypeError);
	await assert.rejects(connect('millrace://127.0.0.1:7379/0'), TypeError);
	await assert.rejects(connect({ port: 70_000 }), TypeError);
	await assert.rejects(connect({}, { timeout: 5 } as object), TypeError);
});

test('thousands of calls at once agree with a map, replies shuffled and room refused', async () => {
	const prng = new Prng(testSeed('client'));
	await withClient(async ({ client, port }) => {
		port.shuffle = prng;
		port.roomMax = 100;
		const model = new Map<string, string>();
		const results: Promise<void>[] = [];
		for (let i = 0; i < 5_000; i++) {
			const key = `key-${prng.below(300)}`;
			if (prng.chance(0.5)) {
				const value = `value-${i}-${'x'.repeat(prng.below(200))}`;
				model.set(key, value);
				results.push(client.put(key, value).then((put) => assert.ok(put !== undefined)));
			} else {
				const expected = model.get(key);
				results.push(client.get(key).then((got) => assert.equal(text(got), expected)));
			}
		}
		await Promise.all(results);
		assert.ok(port.refusedCount > 0);
		assert.ok(port.queuedMax <= 100);
		const keys = [...model.keys()];
		assert.deepEqual((await client.getMany(keys)).map(text), [...model.values()]);
	});
});

test('the largest values travel, alone and many at once, and are the caller’s own', async () => {
	await withClient(async ({ client, port }) => {
		const value = Buffer.alloc(valueSizeMax);
		new Prng(5).fill(value, 0, 1_000);
		await Promise.all(Array.from({ length: 4 }, (_, i) => client.put(`big-${i}`, value)));
		assert.ok(port.queuedMax <= 2, 'no more bytes in flight than allowed');
		const many = await client.getMany(['big-0', 'big-1', 'none', 'big-2', 'big-3']);
		assert.deepEqual(
			many.map((each) => (each === undefined ? undefined : Buffer.compare(each, value))),
			[0, 0, undefined, 0, 0],
		);
		const first = await client.get('big-0');
		first?.fill(0);
		assert.equal(Buffer.compare((await client.get('big-0')) ?? first ?? value, value), 0);
	});
});

test('calls beyond the window wait, and beyond the waiting room are refused', async () => {
	await withClient(
		async ({ client, port }) => {
			port.isStuck = true;
			const total = clientWaitingCountMax + 10;
			const calls = Array.from({ length: total }, () => client.ping());
			const first = client.get('first');
			await assert.rejects(first, coded('MILLRACE_BUSY'));
			const settled = await Promise.allSettled(calls);
			assert.ok(settled.filter(({ status }) => status === 'rejected').length <= 10);
			const gets = Array.from({ length: inFlightPerConnectionMax }, () => client.get('k'));
			await new Promise((resolve) => setTimeout(resolve, 20));
			assert.equal(port.queuedCount, 6, 'inFlightMax of the client');
			port.isStuck = false;
			port.deliver();
			await Promise.all(gets);
			assert.equal(port.queuedMax, 6);
		},
		{ inFlightMax: 6 },
	);
});

test('entries are exported partition after partition, page after page', async () => {
	await withClient(async ({ client }) => {
		const expected = new Map<string, string>();
		for (let i = 0; i < 5_000; i++) expected.set(`key-${i}`, `value-${i}`);
		await Promise.all([...expected].map(([key, value]) => client.put(key, value)));
		await client.put(Uint8Array.of(0, 255), Uint8Array.of(1), { expiresAtMs: 9_000_000_000_000 });
		let binaryCount = 0;
		for await (const { key, value, expiresAtMs } of client.exportEntries()) {
			if (key[0] === 0) {
				binaryCount++;
				assert.deepEqual([...key, ...value, expiresAtMs], [0, 255, 1, 9_000_000_000_000]);
				continue;
			}
			assert.equal(expected.get(text(key) as string), text(value));
			assert.equal(expiresAtMs, 0);
			expected.delete(text(key) as string);
		}
		assert.equal(expected.size, 0);
		assert.equal(binaryCount, 1);
	});
});

test('a scan goes over all partitions in one order, with bounds, limit and direction, and a count agrees', async () => {
	const prng = new Prng(testSeed('client scan'));
	await withClient(async ({ client, port }) => {
		const names = Array.from({ length: 6_000 }, (_, i) => `key-${String(i).padStart(5, '0')}`);
		await Promise.all(names.map((name) => client.put(name, `value of ${name}`)));
		const find = async (selection?: ScanSelection): Promise<string[]> => {
			const found: string[] = [];
			for await (const { key, value, version } of client.scan(selection)) {
				assert.equal(text(value), selection?.keysOnly === true ? '' : `value of ${text(key)}`);
				assert.ok(version > 0);
				found.push(text(key) as string);
			}
			return found;
		};
		assert.deepEqual(await find(), names);
		assert.deepEqual(await find({ reverse: true, keysOnly: true }), [...names].reverse());
		const bound = (): string => `key-0${prng.below(60)}`;
		for (let i = 0; i < 30; i++) {
			const gte = bound();
			const lt = bound();
			const prefix = prng.chance(0.3) ? `key-0${prng.below(6)}` : 'key-';
			const limit = prng.chance(0.5) ? prng.below(3_000) : undefined;
			const reverse = prng.chance(0.5);
			const range = prng.chance(0.5) ? { gte, lt, prefix } : { gt: gte, lte: lt, prefix };
			const inRange = names.filter((name) => name >= gte && name < lt && name.startsWith(prefix));
			const expected = (reverse ? inRange.reverse() : inRange).slice(0, limit);
			assert.deepEqual(await find({ ...range, reverse, ...(limit === undefined ? {} : { limit }) }), expected);
			assert.equal(await client.count(range), inRange.length);
		}
		const before = port.submittedCount;
		for await (const { key } of client.scan({ limit: 2_000 })) if (text(key) === 'key-00005') break;
		assert.ok(port.submittedCount - before <= 6, 'a scan that is left asks for no more than the pages ahead');
		for (const wrong of [{ gt: 'a', gte: 'b' }, { lt: 'a', lte: 'b' }, { limit: -1 }, { reverse: 1 }, { from: 'a' }]) {
			assert.throws(() => client.scan(wrong as object), TypeError);
		}
		await assert.rejects(client.count({ limit: 5 } as object), TypeError);
		assert.throws(() => client.scan({ gt: 'x'.repeat(keySizeMax + 1) }), coded('MILLRACE_KEY_SIZE'));
	});
});

test('a lost connection rejects what is under way and what comes after', async () => {
	const port = new FakeCommandPort(1);
	let drop = () => {};
	const listener = await Listener.listen({
		host: '127.0.0.1',
		port: 0,
		makeSession: (_, connection) => {
			drop = () => connection.destroy('');
			return new FrameSession(connection, port);
		},
	});
	const client = await connect(`millrace://127.0.0.1:${listener.port}`, { inFlightMax: 2 });
	const calls = [client.put('a', 'b'), client.get('a'), client.get('waits')];
	const outcomes = Promise.allSettled(calls);
	while (port.queuedCount < 2) await new Promise((resolve) => setImmediate(resolve));
	drop();
	const reasons = (await outcomes).map((outcome) => (outcome.status === 'rejected' ? outcome.reason : undefined));
	assert.ok(reasons.every(coded('MILLRACE_CONNECTION')));
	assert.match(String(reasons[0]), /unknown/);
	assert.match(String(reasons[2]), /not sent/);
	await assert.rejects(client.get('a'), coded('MILLRACE_CONNECTION'));
	await client.close();
	await assert.rejects(client.get('a'), coded('MILLRACE_CLOSED'));
	await listener.close(100);
});

test('a call without a reply gives up, its late reply harms no other, and close does not wait for it', async () => {
	await withClient(
		async ({ client, port }) => {
			port.isStuck = true;
			await assert.rejects(client.get('late'), coded('MILLRACE_CONNECTION'));
			port.isStuck = false;
			await client.put('k', 'v');
			port.deliver();
			assert.equal(text(await client.get('k')), 'v');
			port.isStuck = true;
			await assert.rejects(client.get('never'), coded('MILLRACE_CONNECTION'));
		},
		{ requestTimeoutMs: 40 },
	);
});

test('close answers what was asked, and the client can be used with `await using`', async () => {
	await withClient(async ({ client }) => {
		const calls = Array.from({ length: 3_000 }, (_, i) => client.put(`k${i}`, 'v'));
		const closed = client.close();
		await assert.rejects(client.get('k'), coded('MILLRACE_CLOSED'));
		await Promise.all(calls);
		await closed;
		await client[Symbol.asyncDispose]();
	});
});

/** A server that says some bytes and nothing more. */
async function withServer(bytes: Buffer, run: (port: number) => Promise<void>): Promise<void> {
	const server: Server = createServer((socket) => {
		socket.on('error', () => {});
		socket.write(bytes);
		socket.on('data', () => {});
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	await run((server.address() as AddressInfo).port);
	await new Promise<void>((resolve) => server.close(() => resolve()));
}

test('what is no Millrace server is told apart', async () => {
	await withServer(Buffer.from('-ERR max number of clients reached\r\n'), async (port) => {
		await assert.rejects(connect({ port }), (error: unknown) => {
			assert.ok(hasCode(error, 'MILLRACE_PROTOCOL'));
			assert.match(error.message, /-ERR max number of clients/);
			return true;
		});
	});
	await withServer(Buffer.from([0xc1, 0x4d, 0x52, 1, 2, 0, 0, 0, 0x91, 1]), async (port) => {
		await assert.rejects(connect({ port }), coded('MILLRACE_PROTOCOL'));
	});
	await withServer(Buffer.alloc(0), async (port) => {
		await assert.rejects(connect({ port }, { connectTimeoutMs: 30 }), coded('MILLRACE_CONNECTION'));
	});
	let freePort = 0;
	await withServer(Buffer.alloc(0), async (port) => {
		freePort = port;
	});
	await assert.rejects(connect({ port: freePort }), (error: unknown) => {
		assert.ok(hasCode(error, 'MILLRACE_CONNECTION'));
		assert.match(error.message, /millrace serve/);
		return true;
	});
});
