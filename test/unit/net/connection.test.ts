/** Connection on a fake socket: one write at a time, chunks left alone until taken, limits, ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteSession } from '../../../src/net/byte-session.js';
import { Connection, type ConnectionOptions } from '../../../src/net/connection.js';
import { FakeSocket } from './fake-socket.js';

class Recorder implements ByteSession {
	readonly calls: string[] = [];
	onBytes(chunk: Buffer): void {
		this.calls.push(`bytes ${chunk.toString()}`);
	}
	onWritable(): void {
		this.calls.push('writable');
	}
	onDrain(): void {
		this.calls.push('drain');
	}
	onClose(): void {
		this.calls.push('close');
	}
}

function make(options: Partial<ConnectionOptions> = {}, takesAtOnce = false) {
	const socket = new FakeSocket(takesAtOnce);
	const session = new Recorder();
	const log: string[] = [];
	const connection = new Connection(socket.asSocket, {
		id: 3,
		makeSession: () => session,
		log: (line) => log.push(line),
		...options,
	});
	return { socket, session, connection, log };
}

function write(connection: Connection, text: string): void {
	const at = connection.reserve(text.length + 10);
	connection.output.write(text, at, 'latin1');
	connection.advance(text.length);
}

test('gathers, writes once, and holds back while a write is under way', () => {
	const { socket, connection } = make();
	connection.flush();
	assert.equal(socket.writeCount, 0);
	write(connection, 'one');
	write(connection, 'two');
	connection.flush();
	assert.equal(socket.writeCount, 1);
	for (const text of ['three', 'four', 'five']) {
		write(connection, text);
		connection.flush();
	}
	assert.equal(socket.writeCount, 1);
	socket.take();
	assert.equal(socket.writeCount, 2);
	socket.take();
	assert.equal(socket.text, 'onetwothreefourfive');
	assert.equal(connection.output.length, 0, 'an idle connection holds no chunk');
});

test('no chunk is touched before the socket has taken it, with many chunks and other connections about', () => {
	const makers = [make(), make(), make()];
	const expected = ['', '', ''];
	for (let round = 0; round < 400; round++) {
		const index = round % 3;
		const { connection, socket } = makers[index] as ReturnType<typeof make>;
		const text = String.fromCharCode(97 + (round % 26)).repeat(((round * 977) % 40_000) + 1);
		write(connection, text);
		expected[index] += text;
		if (round % 2 === 0) connection.flush();
		if (round % 5 === 0) socket.take();
	}
	makers.forEach(({ connection, socket }, index) => {
		connection.flush();
		while (socket.waitingCount > 0) socket.take();
		assert.ok(socket.text === expected[index], `bytes of connection ${index}`);
	});
});

test('congested at the soft limit, told once when below it again', () => {
	const { socket, session, connection } = make({ outputSizeSoft: 100, outputSizeMax: 1000 });
	socket.send(Buffer.from('x'));
	write(connection, 'x'.repeat(99));
	assert.ok(!connection.isCongested);
	write(connection, 'x');
	assert.ok(connection.isCongested);
	connection.flush();
	write(connection, 'y'.repeat(10));
	socket.take();
	assert.ok(!connection.isCongested);
	socket.take();
	assert.deepEqual(session.calls, ['bytes x', 'writable']);
});

test('destroyed above the hard limit, in a flush and in the middle of a burst; later output goes nowhere', async () => {
	const { socket, session, connection, log } = make({ outputSizeSoft: 100, outputSizeMax: 1000 });
	socket.send(Buffer.from('x'));
	write(connection, 'x'.repeat(1001));
	connection.flush();
	assert.ok(socket.isDestroyed);
	assert.deepEqual(log, ['connection 3: the client does not read: 1001 bytes of replies are waiting; closed']);
	write(connection, 'more');
	connection.flush();
	await new Promise((resolve) => setImmediate(resolve));
	write(connection, 'more');
	connection.flush();
	assert.deepEqual(session.calls, ['bytes x', 'close']);
	assert.equal(socket.writeCount, 0);

	const burst = make({ outputSizeSoft: 100, outputSizeMax: 100_000 });
	for (let i = 0; i < 100; i++) write(burst.connection, 'x'.repeat(10_000));
	assert.ok(burst.socket.isDestroyed);
	assert.equal(burst.log.length, 1);
});

test('end writes what is gathered, then FIN; input is thrown away from then on', () => {
	const { socket, session, connection } = make();
	socket.send(Buffer.from('x'));
	write(connection, 'a');
	connection.flush();
	write(connection, 'b');
	connection.pause();
	connection.end();
	connection.end();
	assert.ok(!socket.isPaused, 'reads on, so that the peer can finish');
	assert.ok(!socket.isEnded);
	socket.send(Buffer.from('y'));
	socket.take();
	assert.ok(socket.isEnded);
	socket.take();
	assert.equal(socket.text, 'ab');
	assert.deepEqual(session.calls, ['bytes x']);
});

test('a peer that never reads its last replies is destroyed after the grace period', async () => {
	const { socket, connection } = make({ graceMs: 10 });
	write(connection, 'a');
	connection.end();
	// The timer alone must not keep a process alive; a real socket would, the fake one does not.
	const alive = setInterval(() => {}, 1000);
	await new Promise((resolve) => socket.once('close', resolve));
	clearInterval(alive);
	assert.ok(socket.isDestroyed);
});

test('FIN drains once; without a session there is nothing to answer', () => {
	const { socket, session, connection } = make();
	socket.send(Buffer.from('x'));
	socket.emit('end');
	connection.drain();
	assert.deepEqual(session.calls, ['bytes x', 'drain']);
	const silent = make();
	silent.socket.emit('end');
	assert.ok(silent.socket.isEnded);
});
