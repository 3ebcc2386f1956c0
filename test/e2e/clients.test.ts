/** One server, every way in at once: our client, RESP by hand, nc with inline text, and the command line. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { valueSizeMax } from '../../src/base/limits.js';
import { connect } from '../../src/client/client.js';
import { encodeCommand, RawConnection, type Reply } from '../support/raw-connection.js';
import { type Outcome, runProgram, skipWithout } from '../support/run-program.js';
import { mainPath, type ServerProcess, startServer, TemporaryDirectory } from '../support/server-process.js';

const directory = new TemporaryDirectory();
const files = new TemporaryDirectory();
let server: ServerProcess;

before(async () => {
	server = await startServer({ directory: directory.path, extra: ['--partitions', '3'] });
});
after(async () => {
	await server.kill();
	directory[Symbol.dispose]();
	files[Symbol.dispose]();
});

function millrace(argv: string[], input?: string | Uint8Array): Promise<Outcome> {
	const url = `millrace://127.0.0.1:${server.port}`;
	return runProgram(process.execPath, [mainPath, ...argv, '--url', url], input);
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('unicode and binary keys and values are the same bytes for everybody', async () => {
	await using client = await connect({ port: server.port });
	using raw = await RawConnection.open(server.port);
	const names = ['Mühle', '水車', '🌊{tag}', 'a b\tc', Buffer.from([0, 255, 13, 10, 0]), Buffer.from('\r\n')];
	for (const name of names) {
		const key = Buffer.from(name);
		await client.put(key, Buffer.concat([Buffer.from([0]), key]));
		assert.deepEqual(await raw.command('GET', key), Buffer.concat([Buffer.from([0]), key]));
		assert.equal(await raw.command('SET', key, key), 'OK');
		assert.deepEqual(Buffer.from((await client.get(key)) ?? []), key);
		assert.equal(await raw.command('DEL', key), 1);
		assert.equal(await client.has(key), false);
	}
});

test('values up to the limit go up and come back through the client and RESP, and survive together', async () => {
	await using client = await connect({ port: server.port });
	using raw = await RawConnection.open(server.port);
	for (const size of [0, 1, 65_535, 65_536, 524_288, 1 << 20, valueSizeMax - 1, valueSizeMax]) {
		const value = randomBytes(size);
		await client.put(`big:c:${size % 3}`, value);
		const read = (await raw.command('GET', `big:c:${size % 3}`)) as Buffer;
		assert.equal(digest(read), digest(value), `client to RESP, ${size} bytes`);
		assert.equal(await raw.command('SET', `big:r:${size % 3}`, value), 'OK');
		const back = await client.get(`big:r:${size % 3}`);
		assert.equal(digest(back ?? Buffer.from('?')), digest(value), `RESP to client, ${size} bytes`);
	}
	await client.put('small', 'after the big ones');
	assert.equal(String(await raw.command('GET', 'small')), 'after the big ones');
});

test('a pipeline on one connection sees its own writes in order, whatever the partitions', async () => {
	using raw = await RawConnection.open(server.port);
	const count = 3000;
	const commands: Buffer[] = [];
	const expected: Reply[] = [];
	for (let i = 0; i < count; i++) {
		const key = `pipe:${i % 97}`;
		commands.push(encodeCommand('SET', key, `value ${i}`), encodeCommand('GET', key), encodeCommand('ECHO', i));
		expected.push('OK', Buffer.from(`value ${i}`), Buffer.from(String(i)));
	}
	commands.push(encodeCommand('MGET', 'pipe:0', 'pipe:1', 'pipe:nowhere'), encodeCommand('EXISTS', 'pipe:96'));
	expected.push([Buffer.from('value 2910'), Buffer.from('value 2911'), null], 1);
	void raw.send(Buffer.concat(commands));
	assert.deepEqual(await raw.replies(expected.length), expected);
});

test('the client spreads over all partitions; getMany, increment, count and clear', async () => {
	await using client = await connect({ port: server.port });
	await client.clear();
	const keys = Array.from({ length: 500 }, (_, i) => `spread:${i}`);
	await Promise.all(keys.map((key) => client.put(key, key)));
	assert.deepEqual(
		(await client.getMany(keys)).map((value) => Buffer.from(value ?? []).toString()),
		keys,
	);
	assert.equal(await client.count(), 500);
	const applied = (await client.stats()).map((numbers) => Number(numbers.lastSequence));
	assert.equal(applied.length, 3);
	assert.ok(
		applied.every((count) => count > 50),
		`writes by partition: ${applied.join(', ')}`,
	);
	assert.equal(await client.increment('counter', 2n ** 62n), 2n ** 62n);
	await client.clear();
	assert.equal(await client.count(), 0);
});

test('inline commands by nc', { skip: skipWithout('nc') }, async () => {
	const lines = ['SET telnet "two words"', 'get telnet', 'INCR visits', 'nosuch', 'DEL telnet', 'QUIT'];
	const outcome = await runProgram('nc', ['127.0.0.1', String(server.port)], `${lines.join('\r\n')}\r\n`);
	assert.equal(
		outcome.stdout.toString(),
		"+OK\r\n$9\r\ntwo words\r\n:1\r\n-ERR unknown command 'nosuch', with args beginning with: \r\n:1\r\n+OK\r\n",
	);
});

test('the command line: set, get, del and their exit codes', async () => {
	assert.equal((await millrace(['set', 'cli', 'Ada'])).code, 0);
	const got = await millrace(['get', 'cli']);
	assert.deepEqual([got.code, got.stdout.toString()], [0, 'Ada']);
	const bytes = randomBytes(100_000);
	assert.equal((await millrace(['set', 'cli:bytes', '-'], bytes)).code, 0);
	assert.equal(digest((await millrace(['get', 'cli:bytes'])).stdout), digest(bytes));
	assert.equal((await millrace(['set', 'cli', 'B', '--if-absent'])).code, 3);
	assert.equal((await millrace(['del', 'cli', 'cli:bytes'])).code, 0);
	const gone = await millrace(['get', 'cli']);
	assert.deepEqual([gone.code, gone.stdout.length], [3, 0]);
	assert.match(gone.stderr, /key not found: cli/);
	assert.equal((await millrace(['get'])).code, 2);
});

test('export and import give back the same bytes', async () => {
	await using client = await connect({ port: server.port });
	await client.clear();
	const expiresAtMs = Date.now() + 3_600_000;
	for (let i = 0; i < 3000; i++)
		await (i % 500 === 0 ? client.put(`row:${i}`, `ß ${i}`) : void client.put(`row:${i}`, `ß ${i}`));
	await client.put(Buffer.from([0xff, 0]), Buffer.from([0x80]), { expiresAtMs });
	const path = `${files.path}/dump.jsonl`;
	assert.equal((await millrace(['export', path])).code, 0);
	const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
	assert.equal(lines.length, 3001);
	await client.clear();
	assert.equal((await millrace(['import', path])).code, 0);
	assert.equal(await client.count(), 3001);
	assert.equal(await client.getExpiry(Buffer.from([0xff, 0])), expiresAtMs);
	const again = (await millrace(['export'])).stdout.toString().trimEnd().split('\n');
	assert.deepEqual(again.sort(), lines.sort());
	writeFileSync(path, '{"key":"good","value":"1"}\n{"key":1}\n{"key":"also","value":"2"}\n');
	const bad = await millrace(['import', path]);
	assert.equal(bad.code, 1);
	assert.match(bad.stderr, /line 2: .*MILLRACE_ARGUMENT/s);
});

test('a command without a server says so in one line', async () => {
	const outcome = await runProgram(process.execPath, [mainPath, 'get', 'k', '--url', 'millrace://127.0.0.1:1']);
	assert.equal(outcome.code, 1);
	assert.match(outcome.stderr, /^millrace: .*MILLRACE_CONNECTION.*\n$/);
});
