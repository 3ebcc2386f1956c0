/** Listener and connections over real sockets, with a session that echoes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import type { ByteSession } from '../../../src/net/byte-session.js';
import type { Connection } from '../../../src/net/connection.js';
import { Listener, type ListenOptions } from '../../../src/net/listener.js';

class Echo implements ByteSession {
	readonly #connection: Connection;
	/** Answers each chunk this many times. */
	readonly #count: number;

	constructor(connection: Connection, count: number) {
		this.#connection = connection;
		this.#count = count;
	}
	onBytes(chunk: Buffer): void {
		for (let i = 0; i < this.#count; i++) {
			const at = this.#connection.reserve(chunk.length);
			chunk.copy(this.#connection.output, at);
			this.#connection.advance(chunk.length);
		}
		this.#connection.flush();
	}
	onWritable(): void {}
	onDrain(): void {
		this.#connection.end();
	}
	onClose(): void {}
}

function listen(options: Partial<ListenOptions> = {}, count = 1): Promise<Listener> {
	return Listener.listen({
		host: '127.0.0.1',
		port: 0,
		makeSession: (_firstByte, connection) => new Echo(connection, count),
		...options,
	});
}

async function readAll(socket: Socket): Promise<string> {
	const chunks: Buffer[] = [];
	for await (const chunk of socket) chunks.push(chunk as Buffer);
	return Buffer.concat(chunks).toString('latin1');
}

test('serves, tells protocols by the first byte, and ends with the peer', async () => {
	const firstBytes: number[] = [];
	const listener = await listen({
		makeSession: (firstByte, connection) => {
			firstBytes.push(firstByte);
			return new Echo(connection, 1);
		},
	});
	const socket = connect(listener.port, '127.0.0.1');
	socket.end('*hello');
	assert.equal(await readAll(socket), '*hello');
	assert.deepEqual(firstBytes, [0x2a]);
	await listener.close(1000);
	assert.equal(listener.connectionCount, 0);
	assert.equal(listener.acceptedCount, 1);
});

test('many chunks of output arrive whole and in order', async () => {
	const listener = await listen({}, 400);
	const socket = connect(listener.port, '127.0.0.1');
	const line = `${'0123456789'.repeat(1000)}\n`;
	socket.end(line);
	assert.ok((await readAll(socket)) === line.repeat(400));
	await listener.close(1000);
});

test('a taken port is MILLRACE_LISTEN with a sentence; so is an address of another machine', async () => {
	const listener = await listen();
	await assert.rejects(listen({ port: listener.port }), (error: Error) => {
		assert.ok(hasCode(error, 'MILLRACE_LISTEN'));
		assert.match(error.message, /^cannot listen on 127\.0\.0\.1:\d+: the port is taken/);
		return true;
	});
	await assert.rejects(
		listen({ host: '192.0.2.1' }),
		(error: Error) => hasCode(error, 'MILLRACE_LISTEN') && /not an address of this machine/.test(error.message),
	);
	await listener.close(1000);
});

test('clients over the cap get a line and are closed; when one leaves there is room again', async () => {
	const listener = await listen({ connectionCountMax: 1 });
	const first = connect(listener.port, '127.0.0.1');
	first.write('a');
	await once(first, 'data');
	const second = connect(listener.port, '127.0.0.1');
	second.write('b');
	assert.equal(await readAll(second), '-ERR max number of clients reached\r\n');
	assert.equal(listener.refusedCount, 1);
	first.end();
	await once(first, 'close');
	while (listener.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve));
	const third = connect(listener.port, '127.0.0.1');
	third.end('c');
	assert.equal(await readAll(third), 'c');
	await listener.close(1000);
});

test('close ends idle and silent connections, and destroys at the deadline those that do not end', async () => {
	const log: string[] = [];
	const listener = await listen({
		log: (line) => log.push(line),
		makeSession: (firstByte, connection) => {
			const session = new Echo(connection, 1);
			// A session that never finishes draining.
			if (firstByte === 0x21) session.onDrain = () => {};
			return session;
		},
	});
	const sockets = ['', 'x', '!'].map((text) => {
		const socket = connect(listener.port, '127.0.0.1');
		socket.on('error', () => {});
		if (text !== '') socket.write(text);
		socket.resume();
		return socket;
	});
	while (listener.connectionCount < 3) await new Promise((resolve) => setImmediate(resolve));
	await once(sockets[2] as Socket, 'data');
	await listener.close(50);
	assert.equal(listener.connectionCount, 0);
	assert.deepEqual(log, ['connection 3: did not finish in time; closed']);
	await assert.rejects(once(connect(listener.port, '127.0.0.1'), 'connect'), /ECONNREFUSED/);
});

test('a real client that never reads is destroyed at the hard limit', async () => {
	const log: string[] = [];
	const options = { log: (line: string) => log.push(line), outputSizeSoft: 1 << 20, outputSizeMax: 8 << 20 };
	const listener = await listen(options, 1000);
	const socket = connect(listener.port, '127.0.0.1');
	socket.on('error', () => {});
	socket.pause();
	socket.write('x'.repeat(60_000));
	while (log.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
	assert.match(log.join(), /the client does not read/);
	while (listener.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve));
	socket.destroy();
	await listener.close(1000);
});
