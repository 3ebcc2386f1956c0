/** Clients that behave badly or come in crowds: the server's memory stays bounded and the others are served. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connectionCountMax } from '../../src/base/limits.js';
import { encodeCommand, RawConnection } from '../support/raw-connection.js';
import { runProgram } from '../support/run-program.js';
import { type ServerProcess, startServer, TemporaryDirectory } from '../support/server-process.js';

const MiB = 1 << 20;
const directory = new TemporaryDirectory();
let server: ServerProcess;

before(async () => {
	server = await startServer({
		directory: directory.path,
		extra: ['--partitions', '2'],
	});
});
after(async () => {
	assert.deepEqual(await server.stop(), { code: 0, signal: null });
	directory[Symbol.dispose]();
});

test('10,000 idle connections: memory of each, and the server still answers', async () => {
	// Node raises its own limit of open files to the hard one; where that is lower, fewer connections have to do.
	const hard = (await runProgram('bash', ['-c', 'ulimit -H -n'])).text;
	const allowed = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard) - 200;
	const count = Math.min(connectionCountMax, allowed) - 10;
	const crowd = fileURLToPath(new URL('../support/idle-crowd.js', import.meta.url));
	using other = await RawConnection.open(server.port);
	await other.command('SET', 'crowd', 'go');
	const baseSize = server.residentSize();
	const crowding = runProgram(process.execPath, [crowd, String(server.port), String(count)]);
	let connected = 0;
	while (connected < count) {
		const info = String(await other.command('INFO', 'clients'));
		connected = Number(/connected_clients:(\d+)/.exec(info)?.[1]) - 1;
	}
	const eachSize = (server.residentSize() - baseSize) / count;
	console.log(`${count} idle connections: ${Math.round(eachSize)} bytes of memory each`);
	for (let i = 0; i < 100; i++) assert.equal(String(await other.command('GET', 'crowd')), 'go');
	assert.ok(eachSize < 32 * 1024, `${eachSize} bytes for an idle connection`);
	await other.command('SET', 'crowd', 'leave');
	const outcome = await crowding;
	assert.deepEqual([outcome.code, outcome.text], [0, `${count} connected, ${count} answered`], outcome.stderr);
});

test('a client that never reads costs bounded memory, and nobody else waits', async () => {
	using other = await RawConnection.open(server.port);
	await other.command('SET', 'big', Buffer.alloc(MiB, 'x'));
	using raw = await RawConnection.open(server.port);
	raw.pause();
	const baseSize = server.residentSize();
	const count = 2000;
	void raw.send(Buffer.concat(Array.from({ length: count }, () => encodeCommand('GET', 'big'))));
	let grownSize = 0;
	for (let i = 0; i < 2000; i++) {
		assert.equal(await other.command('INCR', 'beside'), i + 1);
		grownSize = Math.max(grownSize, server.residentSize() - baseSize);
	}
	console.log(`2000 MiB of replies asked for and not read: ${Math.round(grownSize / MiB)} MiB of memory`);
	assert.ok(grownSize < 400 * MiB, `grew by ${grownSize} bytes`);
	// It was only slow: it gets everything it asked for.
	raw.resume();
	for (let i = 0; i < 200; i++) assert.equal(((await raw.reply()) as Buffer).length, MiB);
});

test('a client that sends without ever reading is held back, not buffered', async () => {
	using raw = await RawConnection.open(server.port);
	using other = await RawConnection.open(server.port);
	raw.pause();
	const baseSize = server.residentSize();
	const batch = Buffer.concat(Array.from({ length: 1000 }, () => encodeCommand('ECHO', Buffer.alloc(1000, 'e'))));
	let isSent = false;
	const sending = (async () => {
		for (let i = 0; i < 300; i++) await raw.send(batch);
		isSent = true;
	})();
	for (let i = 0; i < 1000; i++) assert.equal(await other.command('PING'), 'PONG');
	assert.equal(isSent, false, '300 MB were taken from a client that reads nothing');
	assert.ok(server.residentSize() - baseSize < 100 * MiB);
	raw[Symbol.dispose]();
	await sending;
});
