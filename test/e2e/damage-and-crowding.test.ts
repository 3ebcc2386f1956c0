/** What one client's trouble must not be to others: a damaged block, replies larger than all buffers; and signals at once. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/client.js';
import { encodeCommand, RawConnection, ReplyError } from '../support/raw-connection.js';
import { smallServerPath, startServer, TemporaryDirectory } from '../support/server-process.js';

test('a damaged block of a table is an error for who reads it, and the server goes on', async () => {
	using directory = new TemporaryDirectory();
	const start = { directory: directory.path, script: smallServerPath };
	const count = 400;
	{
		await using server = await startServer(start);
		using raw = await RawConnection.open(server.port);
		for (let i = 0; i < count; i++) await raw.command('SET', `k${i}`, randomBytes(8000));
		await server.stop();
	}
	const partition = join(directory.path, 'partition-000');
	const table = readdirSync(partition).find((name) => name.endsWith('.sst')) as string;
	const descriptor = openSync(join(partition, table), 'r+');
	writeSync(descriptor, 'damage', 200);
	closeSync(descriptor);
	await using server = await startServer(start);
	using raw = await RawConnection.open(server.port);
	let damagedCount = 0;
	for (let i = 0; i < count; i++) {
		const reply = await raw.command('GET', `k${i}`);
		if (!(reply instanceof ReplyError)) continue;
		assert.match(reply.text, /^ERR MILLRACE_CORRUPT .*\.sst: at byte \d+/);
		damagedCount++;
	}
	assert.ok(damagedCount > 0 && damagedCount < 10, `${damagedCount} keys damaged`);
	const size = await raw.command('DBSIZE');
	assert.ok(size instanceof ReplyError && size.text.includes('MILLRACE_CORRUPT'));
	assert.equal(await raw.command('SET', 'new', 'v'), 'OK');
});

test('a client that reads gets all it asked for, however much that is', async () => {
	using directory = new TemporaryDirectory();
	await using server = await startServer({ directory: directory.path, extra: ['--partitions', '1'] });
	using raw = await RawConnection.open(server.port);
	await using client = await connect({ port: server.port });
	await client.put('largest', Buffer.alloc(16 << 20));
	await client.put('large', Buffer.alloc(1 << 20));
	void raw.send(Buffer.concat(Array.from({ length: 24 }, () => encodeCommand('GET', 'largest'))));
	for (let i = 0; i < 24; i++) assert.equal(((await raw.reply()) as Buffer).length, 16 << 20);
	const sizes = await Promise.all(Array.from({ length: 400 }, async () => (await client.get('large'))?.length));
	assert.ok(sizes.every((size) => size === 1 << 20));
	const many = await client.getMany(Array.from({ length: 24 }, () => 'largest'));
	assert.ok(many.every((value) => value?.length === 16 << 20));
});

test('a signal sent as soon as the ready line is out is an orderly end', async () => {
	using directory = new TemporaryDirectory();
	for (let i = 0; i < 5; i++) {
		await using server = await startServer({ directory: directory.path, extra: i === 0 ? ['--partitions', '1'] : [] });
		assert.deepEqual(await server.stop(), { code: 0, signal: null });
	}
});
