/** The server as users of Redis meet it: redis-cli, command by command, over three partitions. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runProgram, skipWithout } from '../support/run-program.js';
import { type ServerProcess, startServer, TemporaryDirectory } from '../support/server-process.js';

const skip = skipWithout('redis-cli');
const directory = new TemporaryDirectory();
let server: ServerProcess;

before(async () => {
	server = await startServer({ directory: directory.path, extra: ['--partitions', '3'] });
});
after(async () => {
	await server.kill();
	directory[Symbol.dispose]();
});

/** What redis-cli prints; without a terminal it prints values bare, nil as an empty line, and lists line by line. */
async function redis(...words: string[]): Promise<string> {
	const { text, stderr } = await runProgram('redis-cli', ['-p', String(server.port), ...words]);
	assert.equal(stderr, '');
	return text;
}

test('SET and GET with their options', { skip }, async () => {
	assert.equal(await redis('SET', 's', 'one'), 'OK');
	assert.equal(await redis('GET', 's'), 'one');
	assert.equal(await redis('SET', 's', 'two', 'NX'), '');
	assert.equal(await redis('SET', 's', 'two', 'XX', 'GET'), 'one');
	assert.equal(await redis('SET', 'absent', 'two', 'XX'), '');
	assert.equal(await redis('GET', 'absent'), '');
	assert.equal(await redis('SET', 'fresh', 'f', 'NX', 'GET'), '');
	assert.equal(await redis('GET', 'fresh'), 'f');
	assert.equal(await redis('SETNX', 'fresh', 'g'), '0');
	assert.equal(await redis('GETSET', 'fresh', 'h'), 'f');
	assert.match(await redis('SET', 's', 'v', 'NX', 'XX'), /^ERR syntax error/);
	assert.match(await redis('SET', 's', 'v', 'EX', '0'), /^ERR invalid expire time in 'set' command/);
	assert.match(await redis('SET', 's', 'v', 'EX', 'soon'), /^ERR value is not an integer/);
	assert.equal(await redis('GET', 's'), 'two');
});

test('expiry: EX, PX, KEEPTTL, TTL, PTTL, EXPIRE, PERSIST', { skip }, async () => {
	await redis('SET', 'e', 'v', 'EX', '100');
	assert.match(await redis('TTL', 'e'), /^(99|100)$/);
	await redis('SET', 'e', 'w', 'KEEPTTL');
	assert.match(await redis('TTL', 'e'), /^(9\d|100)$/);
	await redis('SET', 'e', 'w');
	assert.equal(await redis('TTL', 'e'), '-1');
	assert.equal(await redis('TTL', 'nowhere'), '-2');
	assert.equal(await redis('EXPIRE', 'e', '50'), '1');
	assert.match(await redis('PTTL', 'e'), /^(4\d{4}|50000)$/);
	assert.equal(await redis('PERSIST', 'e'), '1');
	assert.equal(await redis('PERSIST', 'e'), '0');
	assert.equal(await redis('EXPIRE', 'nowhere', '50'), '0');
	await redis('SET', 'brief', 'v', 'PX', '1');
	let value = 'v';
	while (value !== '') value = await redis('GET', 'brief');
	assert.equal(await redis('EXISTS', 'brief'), '0');
	assert.equal(await redis('EXPIRE', 'e', '-1'), '1');
	assert.equal(await redis('EXISTS', 'e'), '0');
});

test('counters over the whole 64-bit range', { skip }, async () => {
	assert.equal(await redis('APPEND', 'joined', 'ab'), '2');
	assert.equal(await redis('APPEND', 'joined', 'cde'), '5');
	assert.equal(await redis('GET', 'joined'), 'abcde');
	assert.equal(await redis('INCR', 'n'), '1');
	assert.equal(await redis('INCRBY', 'n', '41'), '42');
	assert.equal(await redis('DECR', 'n'), '41');
	assert.equal(await redis('DECRBY', 'n', '50'), '-9');
	await redis('SET', 'n', '9223372036854775806');
	assert.equal(await redis('INCR', 'n'), '9223372036854775807');
	assert.match(await redis('INCR', 'n'), /^ERR increment or decrement would overflow/);
	assert.equal(await redis('GET', 'n'), '9223372036854775807');
	await redis('SET', 'word', 'many');
	assert.match(await redis('INCR', 'word'), /^ERR value is not an integer or out of range/);
});

test('many keys over all partitions; DBSIZE; FLUSHALL', { skip }, async () => {
	await redis('FLUSHALL');
	const keys = Array.from({ length: 60 }, (_, i) => `many:${i}`);
	assert.equal(await redis('MSET', ...keys.flatMap((key) => [key, `value of ${key}`])), 'OK');
	assert.equal(await redis('DBSIZE'), '60');
	const values = await redis('MGET', ...keys, 'many:absent');
	assert.deepEqual(values.split('\n'), [...keys.map((key) => `value of ${key}`), '']);
	assert.equal(await redis('EXISTS', ...keys, keys[0], 'many:absent'), '61');
	assert.equal(await redis('DEL', ...keys.slice(0, 20), 'many:absent'), '20');
	assert.equal(await redis('DBSIZE'), '40');
	assert.equal(await redis('FLUSHALL'), 'OK');
	assert.equal(await redis('DBSIZE'), '0');
	assert.equal(await redis('GET', keys[30]), '');
	assert.match(await redis('MSET', 'a', '1', 'b'), /^ERR wrong number of arguments for 'mset' command/);
});

test('INFO, CONFIG GET, PING, ECHO, COMMAND, SELECT, HELLO', { skip }, async () => {
	const info = await redis('INFO');
	for (const name of ['millrace_version', 'process_id', 'connected_clients', 'durability', 'writes_applied']) {
		assert.match(info, new RegExp(`^${name}:\\S+\\r$`, 'm'));
	}
	assert.match(info, new RegExp(`^process_id:${server.pid}\\r$`, 'm'));
	assert.match(info, /^partitions:3\r$/m);
	assert.doesNotMatch(await redis('INFO', 'clients'), /# Server/);
	assert.equal(await redis('CONFIG', 'GET', 'appendfsync'), 'appendfsync\nalways');
	assert.equal(await redis('CONFIG', 'GET', 'save'), 'save\n');
	assert.match(await redis('CONFIG', 'SET', 'save', ''), /^ERR CONFIG SET is not supported/);
	assert.equal(await redis('PING'), 'PONG');
	assert.equal(await redis('ECHO', 'Grüße'), 'Grüße');
	assert.match(await redis('COMMAND', 'COUNT'), /^\d+$/);
	assert.equal(await redis('SELECT', '0'), 'OK');
	assert.match(await redis('SELECT', '1'), /^ERR DB index is out of range/);
	assert.match(await redis('HELLO', '2'), /millrace/);
	assert.match(await redis('NOSUCH', 'x'), /^ERR unknown command 'NOSUCH'/);
	assert.match(await redis('GET'), /^ERR wrong number of arguments for 'get' command/);
});
