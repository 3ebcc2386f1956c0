/** What is there after a restart: orderly, by SHUTDOWN, by kill -9, in the middle of a pipeline; and the signals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../../src/client/client.js';
import { encodeCommand, RawConnection } from '../support/raw-connection.js';
import { type ServerProcess, startServer, TemporaryDirectory } from '../support/server-process.js';

const extra = ['--partitions', '2'];

async function writeSome(server: ServerProcess, name: string): Promise<void> {
	await using client = await connect({ port: server.port });
	const puts = Array.from({ length: 2000 }, (_, i) => client.put(`${name}:${i % 1500}`, `${name} value ${i}`));
	await Promise.all(puts);
	await client.put(`${name}:expires`, 'x', { expiresAtMs: Date.now() + 3_600_000 });
	await client.increment(`${name}:counter`, 42);
	await client.delete(`${name}:0`);
}

async function checkSome(server: ServerProcess, name: string): Promise<void> {
	await using client = await connect({ port: server.port });
	const keys = Array.from({ length: 1500 }, (_, i) => `${name}:${i}`);
	const values = (await client.getMany(keys)).map((value) => value && Buffer.from(value).toString());
	const expected = keys.map((_, i) => (i === 0 ? undefined : `${name} value ${i < 500 ? i + 1500 : i}`));
	assert.deepEqual(values, expected);
	assert.ok(((await client.getExpiry(`${name}:expires`)) ?? 0) > Date.now());
	assert.equal(await client.increment(`${name}:counter`, 0), 42n);
}

test('data survives SIGTERM, SIGINT, SHUTDOWN and kill -9', async () => {
	using directory = new TemporaryDirectory();
	const written: string[] = [];
	for (const end of ['SIGTERM', 'SIGINT', 'SHUTDOWN', 'SIGKILL'] as const) {
		await using server = await startServer({ directory: directory.path, extra: written.length ? [] : extra });
		for (const name of written) await checkSome(server, name);
		await writeSome(server, end);
		written.push(end);
		if (end === 'SHUTDOWN') {
			using raw = await RawConnection.open(server.port);
			await raw.send('SHUTDOWN\r\n');
			assert.equal((await raw.untilEnd()).length, 0);
		} else {
			server.signal(end);
		}
		const exit = await server.exited;
		assert.deepEqual(exit, end === 'SIGKILL' ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null });
	}
	await using server = await startServer({ directory: directory.path });
	for (const name of written) await checkSome(server, name);
	await using client = await connect({ port: server.port });
	assert.equal(await client.count(), 4 * (1499 + 2));
});

test('SIGTERM in the middle of pipelines: every reply is whole, and everything answered is there', async () => {
	using directory = new TemporaryDirectory();
	await using server = await startServer({ directory: directory.path, extra });
	const connections = await Promise.all([0, 1, 2].map(() => RawConnection.open(server.port)));
	const count = 20_000;
	for (const [n, raw] of connections.entries()) {
		const commands = Array.from({ length: count }, (_, i) => encodeCommand('SET', `p${n}:${i}`, `v${i}`));
		void raw.send(Buffer.concat(commands));
	}
	await Promise.all(connections.map((raw) => raw.replies(100)));
	server.signal('SIGTERM');
	const answered = await Promise.all(
		connections.map(async (raw) => {
			const rest = (await raw.untilEnd()).toString('latin1');
			assert.match(rest, /^(\+OK\r\n)*$/);
			return 100 + rest.length / 5;
		}),
	);
	assert.deepEqual(await server.exited, { code: 0, signal: null });
	assert.equal(server.stderr, '');
	for (const raw of connections) raw[Symbol.dispose]();
	await using next = await startServer({ directory: directory.path });
	await using client = await connect({ port: next.port });
	for (const [n, total] of answered.entries()) {
		const keys = Array.from({ length: total }, (_, i) => `p${n}:${i}`);
		const values = (await client.getMany(keys)).map((value) => value && Buffer.from(value).toString());
		assert.deepEqual(
			values,
			keys.map((_, i) => `v${i}`),
		);
	}
});

test('the second signal ends the server at once, and nothing acknowledged is lost', async () => {
	using directory = new TemporaryDirectory();
	await using server = await startServer({ directory: directory.path, extra });
	await writeSome(server, 'twice');
	// A client that owes the reading of its replies keeps the first close waiting.
	using raw = await RawConnection.open(server.port);
	await raw.command('SET', 'big', Buffer.alloc(8 << 20));
	raw.pause();
	await raw.send(Buffer.concat(Array.from({ length: 20 }, () => encodeCommand('GET', 'big'))));
	server.signal('SIGTERM');
	await waitUntilRefused(server.port);
	server.signal('SIGTERM');
	assert.deepEqual(await server.exited, { code: 128 + 15, signal: null });
	await using next = await startServer({ directory: directory.path });
	await checkSome(next, 'twice');
});

/** The first signal was taken when nobody is accepted any more. */
async function waitUntilRefused(port: number): Promise<void> {
	for (;;) {
		try {
			using _raw = await RawConnection.open(port);
		} catch {
			return;
		}
	}
}
