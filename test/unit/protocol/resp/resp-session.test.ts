/** Protocol errors, inline commands, order, back-pressure, cuts and large inputs, through a session on a fake socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MultiReply, multiValues } from '../../../../src/protocol/resp/multi-reply.js';
import { command, Rig, seed } from './resp-rig.js';

/** The same input whole, byte by byte and in random pieces, with refusals: always this output. @returns the last rig */
async function sameOutput(input: Buffer | string, expected: string): Promise<Rig> {
	let rig = new Rig();
	assert.equal(await rig.run(input), expected);
	rig = new Rig({ fullChance: 0.3, windowSizeMax: 2 });
	assert.equal(await rig.run(input, () => 1), expected);
	for (let round = 0; round < 10; round++) {
		const cutting = new Rig({ seed: seed + round, fullChance: 0.3 });
		assert.equal(await cutting.run(input, () => cutting.randomSize(1 << (round + 1))), expected);
		rig = cutting;
	}
	return rig;
}

test('inline commands: words, quotes, escapes, empty lines, both line ends', () =>
	sameOutput(
		'PING\r\n\r\n\n  ping  \n\tECHO\t"a b"\r\nECHO "\\x41\\n\\t\\"\\q"\r\nECHO \'it\\\'s \\n\'\r\nECHO pre"fix"\nECHO ""\n' +
			'ECHO "\\xZZ"\r\nECHO \r\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n*0\r\n*-1\r\nPING\n',
		'+PONG\r\n+PONG\r\n$3\r\na b\r\n$5\r\nA\n\t"q\r\n$7\r\nit\'s \\n\r\n$6\r\nprefix\r\n$0\r\n\r\n$3\r\nxZZ\r\n' +
			"-ERR wrong number of arguments for 'echo' command\r\n$2\r\n\r\n\r\n+PONG\r\n",
	).then(() => {}));

const protocolErrors: [input: string, error: string][] = [
	['*x\r\n', 'invalid multibulk length'],
	['*65537\r\n', 'invalid multibulk length'],
	['*99999999999999\r\n', 'invalid multibulk length'],
	['*\r\n', 'invalid multibulk length'],
	['*1\n', 'invalid multibulk length'],
	['*1\rx', 'invalid multibulk length'],
	['*1\r\n$-1\r\n', 'invalid bulk length'],
	['*1\r\n$x\r\n', 'invalid bulk length'],
	['*1\r\n$16777217\r\n', 'invalid bulk length'],
	['*1\r\n:1\r\n', "expected '$', got ':'"],
	['*1\r\n\x01', "expected '$', got ' '"],
	['*1\r\n$4\r\nPINGxx', 'bulk string is not ended by CRLF'],
	['ECHO "a\r\n', 'unbalanced quotes in request'],
	['ECHO "a"b\r\n', 'unbalanced quotes in request'],
	["ECHO 'a\\\r\n", 'unbalanced quotes in request'],
];

test('protocol errors close after the reply; good commands before are answered, nothing after is', async () => {
	for (const [input, error] of protocolErrors) {
		const before = Buffer.concat([command('SET', 'a', '1'), command('GET', 'a'), command('PING')]);
		const whole = Buffer.concat([before, Buffer.from(input, 'latin1'), Buffer.from('\r\nPING\r\nSET b 1\r\n')]);
		const rig = await sameOutput(whole, `+OK\r\n$1\r\n1\r\n+PONG\r\n-ERR Protocol error: ${error}\r\n`);
		assert.ok(rig.socket.isEnded, `closed after ${JSON.stringify(input)}`);
		assert.equal(rig.port.submitCount, 2);
		assert.equal(rig.port.sinkCount, 0);
	}
});

test('inline lines end at the limit', async () => {
	const rig = new Rig();
	const line = `ECHO ${'x'.repeat(65_530)}`;
	assert.equal(line.length, 65_535);
	assert.match(await rig.run(`${line}\n`), /^\$65530\r\nx+\r\n$/);
	for (const nextSize of [() => 1 << 30, () => 1000]) {
		const other = new Rig();
		const output = await other.run(`${line}xx`, nextSize);
		assert.equal(output, '-ERR Protocol error: too big inline request\r\n');
	}
});

test('a command over commandSizeMax is refused at the header that exceeds it', async () => {
	const rig = new Rig();
	const value = Buffer.alloc(16 * 1024 * 1024);
	const input = command('MSET', 'a', value, 'b', value, 'c', value, 'd', value);
	assert.equal(await rig.run(input, () => 65_536), '-ERR Protocol error: too big command\r\n');
	assert.equal(rig.port.submitCount, 0);
});

test('replies keep the order of commands whatever the order they come in', async () => {
	const parts: Buffer[] = [];
	let expected = '';
	for (let i = 0; i < 3000; i++) {
		const key = `key:${(i * 7) % 50}`;
		if (i % 10 === 3) parts.push(command('PING', `p${i}`));
		else if (i % 10 === 5) parts.push(command('MGET', `v${i - 1}`, 'none', `v${i - 1}`));
		else if (i % 10 === 4) parts.push(command('SET', `v${i}`, `x${i}`));
		else if (i % 10 === 7) parts.push(command('NOPE'));
		else parts.push(command('SET', key, `${i}`), command('GET', key));
		if (i % 10 === 3) expected += `$${`p${i}`.length}\r\np${i}\r\n`;
		else if (i % 10 === 5) {
			const bulk = `$${`x${i - 1}`.length}\r\nx${i - 1}\r\n`;
			expected += `*3\r\n${bulk}$-1\r\n${bulk}`;
		} else if (i % 10 === 4) expected += '+OK\r\n';
		else if (i % 10 === 7) expected += "-ERR unknown command 'NOPE', with args beginning with: \r\n";
		else expected += `+OK\r\n$${`${i}`.length}\r\n${i}\r\n`;
	}
	const input = Buffer.concat(parts);
	for (const windowSizeMax of [1, 3, 64, 1024]) {
		const rig = new Rig({ windowSizeMax, fullChance: windowSizeMax === 3 ? 0.2 : 0 });
		assert.equal(await rig.run(input, () => rig.randomSize(20_000)), expected);
	}
});

test('a full window pauses the socket and takes no more than that', async () => {
	const rig = new Rig({ windowSizeMax: 8 });
	rig.socket.send(Buffer.concat(Array.from({ length: 100 }, (_, i) => command('SET', `k${i}`, 'v'))));
	assert.equal(rig.port.submitCount, 8);
	assert.ok(rig.socket.isPaused);
	await rig.settle();
	assert.equal(rig.socket.text, '+OK\r\n'.repeat(100));
	assert.ok(!rig.socket.isPaused);
});

test('a client that does not read is paused at the soft limit and goes on when it reads', async () => {
	const rig = new Rig({ takesAtOnce: false, outputSizeSoft: 10_000, isShuffled: false });
	const input = Buffer.concat(Array.from({ length: 1000 }, () => command('ECHO', 'x'.repeat(100))));
	rig.socket.send(input);
	assert.ok(rig.socket.isPaused);
	while (rig.socket.waitingCount > 0) rig.socket.take();
	assert.ok(!rig.socket.isPaused);
	assert.equal(rig.socket.text, `$100\r\n${'x'.repeat(100)}\r\n`.repeat(1000));
});

test('a client that does not read is destroyed at the hard limit, with a reason', async () => {
	const rig = new Rig({ takesAtOnce: false, outputSizeSoft: 5_000, outputSizeMax: 10_000 });
	const value = 'x'.repeat(2000);
	rig.socket.send(command('SET', 'a', value));
	rig.socket.send(Buffer.concat(Array.from({ length: 15 }, () => command('GET', 'a'))));
	while (rig.port.waitingCount > 0) await rig.turn();
	assert.ok(rig.socket.isDestroyed);
	assert.match(rig.log.join(), /connection 42: the client does not read: 1\d{4} bytes/);
	assert.equal(rig.port.sinkCount, 0);
});

test('a 16 MiB value in small chunks costs linear time: bytes are not copied again and again', async () => {
	const value = Buffer.alloc(16 * 1024 * 1024, 0x79);
	const rig = new Rig();
	const input = command('SET', 'big', value);
	let copiedSize = 0;
	const set = Uint8Array.prototype.set;
	Uint8Array.prototype.set = function (this: Uint8Array, source: ArrayLike<number>, offset?: number) {
		copiedSize += source.length;
		set.call(this, source, offset);
	};
	try {
		for (let at = 0; at < input.length; at += 4096) rig.socket.send(Buffer.from(input.subarray(at, at + 4096)));
	} finally {
		Uint8Array.prototype.set = set;
	}
	await rig.settle();
	assert.equal(rig.socket.text, '+OK\r\n');
	assert.ok(copiedSize < 3 * value.length, `copied ${copiedSize}`);
	assert.equal((await rig.run('GET big\r\n')).length, '+OK\r\n$16777216\r\n\r\n'.length + value.length);
});

test('what is cut anywhere is neither executed nor answered, and the peer who left gets what he asked', async () => {
	const first = command('SET', 'a', '1');
	const second = command('SET', 'b', 'value');
	for (let cut = 0; cut < second.length; cut++) {
		const rig = new Rig();
		rig.socket.send(Buffer.concat([first, second.subarray(0, cut)]));
		rig.socket.emit('end');
		assert.ok(!rig.socket.isEnded, 'a reply is under way');
		await rig.settle();
		assert.equal(rig.socket.text, '+OK\r\n');
		assert.equal(rig.port.submitCount, 1);
		assert.ok(rig.socket.isEnded);
	}
});

test('draining answers what was read, also what waits for the window or a ring', async () => {
	const rig = new Rig({ windowSizeMax: 2, fullChance: 0.5 });
	const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
	const pairs = keys.flatMap((key) => [key, 'v']);
	rig.socket.send(Buffer.concat([command('MSET', ...pairs), command('EXISTS', ...keys), command('PING')]));
	rig.connection.drain();
	await rig.settle();
	assert.equal(rig.socket.text, '+OK\r\n:20\r\n+PONG\r\n');
	assert.ok(rig.socket.isEnded);
});

test('a connection that goes away in the middle leaves nothing behind', async () => {
	const rig = new Rig({ windowSizeMax: 2, fullChance: 0.5 });
	rig.socket.send(Buffer.concat(Array.from({ length: 50 }, (_, i) => command('MSET', `a${i}`, '1', `b${i}`, '2'))));
	rig.socket.destroy();
	await new Promise((resolve) => setImmediate(resolve));
	assert.equal(rig.port.sinkCount, 0);
	while (rig.port.waitingCount > 0) rig.port.step(5);
	assert.equal(rig.socket.text, '');
});

test('a command of the most arguments is answered as one', async () => {
	const keys = Array.from({ length: 65_535 }, () => 'k');
	const rig = new Rig();
	assert.equal(await rig.run(command('EXISTS', ...keys), () => 997), ':0\r\n');
});

test('values of one reply are bounded: more is an error, not memory', () => {
	const multi = new MultiReply(multiValues, 9);
	const value = Buffer.alloc(16 * 1024 * 1024);
	for (let part = 0; part < 9; part++) multi.onReply(part, 0, 0, value, 0, value.length);
	const target = Buffer.alloc(multi.encodedSizeMax);
	const text = target.toString('latin1', 0, multi.encode(target, 0));
	assert.equal(text, '-ERR MILLRACE_MESSAGE_SIZE reply is longer than 134217728 bytes\r\n');
});
