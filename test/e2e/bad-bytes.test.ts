/** Bad input on the wire: a coded error, the connection closed where nothing can follow, and nobody else is harmed. */
import assert from 'node:assert/strict';
import { connect as connectSocket, createServer } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { keySizeMax, valueSizeMax } from '../../src/base/limits.js';
import { type Client, connect } from '../../src/client/client.js';
import { RawConnection, ReplyError } from '../support/raw-connection.js';
import { type ServerProcess, startServer, TemporaryDirectory } from '../support/server-process.js';

const directory = new TemporaryDirectory();
let server: ServerProcess;
let witness: Client;

before(async () => {
	server = await startServer({ directory: directory.path, extra: ['--partitions', '2'] });
	witness = await connect({ port: server.port });
});
after(async () => {
	await witness.close();
	assert.deepEqual(await server.stop(), { code: 0, signal: null });
	directory[Symbol.dispose]();
});
beforeEach(() => witness.put('witness', 'unharmed'));
afterEach(async () => {
	assert.equal(Buffer.from((await witness.get('witness')) ?? []).toString(), 'unharmed');
});

/** Sends bytes on a connection of their own; everything the server says until it closes. */
async function answerTo(bytes: string | Uint8Array): Promise<string> {
	using raw = await RawConnection.open(server.port);
	void raw.send(bytes);
	return (await raw.untilEnd()).toString('latin1');
}

test('malformed RESP is answered with a protocol error and the end of the connection', async () => {
	const cases: [string, RegExp][] = [
		['*1\r\n$-5\r\n', /^-ERR Protocol error: invalid bulk length\r\n$/],
		[`*2\r\n$3\r\nGET\r\n$${valueSizeMax + 1}\r\n`, /^-ERR Protocol error: invalid bulk length\r\n$/],
		['*1\r\n$99999999999999999999\r\n', /^-ERR Protocol error: invalid bulk length\r\n$/],
		['*99999999\r\n', /^-ERR Protocol error: invalid multibulk length\r\n$/],
		['*x\r\n', /^-ERR Protocol error: invalid multibulk length\r\n$/],
		['*1\r\n:3\r\n', /^-ERR Protocol error: expected '\$', got ':'\r\n$/],
		['*1\r\n$4\r\nPINGxx', /^-ERR Protocol error: bulk string is not ended by CRLF\r\n$/],
		['SET "unbalanced\r\n', /^-ERR Protocol error: unbalanced quotes in request\r\n$/],
		['x'.repeat(70_000), /^-ERR Protocol error: too big inline request\r\n$/],
		[
			'*1\r\n$4\r\nPING\r\n\x00\x01garbage*\r\n*z\r\n',
			/^\+PONG\r\n-ERR unknown command .*\r\n-ERR Protocol error: .*\r\n$/,
		],
		['SET good 1\r\nGET good\r\n*1\r\n$z\r\nGET good\r\n', /^\+OK\r\n\$1\r\n1\r\n-ERR Protocol error: .*\r\n$/],
	];
	for (const [bytes, expected] of cases) assert.match(await answerTo(bytes), expected, bytes.slice(0, 60));
});

test('what is wrong with a command is said, and the connection goes on', async () => {
	using raw = await RawConnection.open(server.port);
	const text = async (...words: (string | Uint8Array)[]): Promise<string> => {
		const reply = await raw.command(...words);
		assert.ok(reply instanceof ReplyError, `${String(words[0])}: ${String(reply)}`);
		return reply.text;
	};
	const longKey = Buffer.alloc(keySizeMax + 1, 'k');
	assert.match(await text('NOSUCH', 'a'), /^ERR unknown command 'NOSUCH', with args beginning with: 'a'/);
	assert.match(await text('GET'), /^ERR wrong number of arguments for 'get' command/);
	assert.match(await text('GET', 'a', 'b'), /^ERR wrong number of arguments for 'get' command/);
	assert.match(await text('MSET', 'a'), /^ERR wrong number of arguments for 'mset' command/);
	assert.match(await text('SET', longKey, 'v'), /^ERR MILLRACE_KEY_SIZE /);
	assert.match(await text('GET', longKey), /^ERR MILLRACE_KEY_SIZE /);
	assert.match(await text('SET', '', 'v'), /^ERR MILLRACE_KEY_SIZE /);
	assert.match(await text('MSET', 'fine', 'v', longKey, 'v'), /^ERR MILLRACE_KEY_SIZE /);
	assert.equal(await raw.command('SET', longKey.subarray(1), 'longest'), 'OK');
	assert.equal(String(await raw.command('GET', longKey.subarray(1))), 'longest');
	assert.equal(await raw.command('PING'), 'PONG');
});

test('a command cut at every byte by the end of the connection does nothing', async () => {
	const command = '*3\r\n$3\r\nSET\r\n$7\r\nwitness\r\n$4\r\nHARM\r\n';
	for (let size = 0; size < command.length; size++) {
		using raw = await RawConnection.open(server.port);
		await raw.send(command.slice(0, size));
		raw.end();
		assert.equal((await raw.untilEnd()).length, 0, `cut after ${size} bytes`);
	}
	// The afterEach looks whether the witness was harmed.
});

test('a msgpack frame cut at every byte, or turned into garbage, does nothing', async () => {
	const frames = await recordPut('witness', 'HARM');
	for (let size = 1; size < frames.length; size++) {
		using raw = await RawConnection.open(server.port);
		await raw.send(frames.subarray(0, size));
		raw.end();
		await raw.untilEnd();
	}
	// One flipped byte cannot make another key into the witness.
	const others = await recordPut('bystander', 'HARM');
	for (let at = 0; at < others.length; at++) {
		const bent = Buffer.from(others);
		bent[at] ^= 0xff;
		using raw = await RawConnection.open(server.port);
		await raw.send(bent);
		raw.end();
		await raw.untilEnd();
	}
});

test('HTTP on our port is closed, TLS is refused', async () => {
	assert.equal(await answerTo('POST / HTTP/1.1\r\nHost: x\r\n\r\n'), '');
	const hello = Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3, 10]);
	assert.match(await answerTo(Buffer.concat([hello, Buffer.from('\n*bad\r\n')])), /^-ERR /);
});

/** The bytes the client sends for a put, as seen by a proxy between it and the server. */
async function recordPut(key: string, value: string): Promise<Buffer> {
	const sent: Buffer[] = [];
	const proxy = createServer((socket) => {
		const upstream = connectSocket(server.port, '127.0.0.1');
		socket.on('data', (chunk) => {
			sent.push(chunk);
			upstream.write(chunk);
		});
		upstream.pipe(socket);
		socket.on('close', () => upstream.destroy());
	});
	await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
	const address = proxy.address();
	assert.ok(typeof address === 'object' && address !== null);
	const client = await connect({ port: address.port });
	await client.put(key, value);
	await client.close();
	proxy.close();
	await witness.put('witness', 'unharmed');
	return Buffer.concat(sent);
}
