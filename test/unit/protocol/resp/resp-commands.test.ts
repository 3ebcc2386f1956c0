/** Every command's replies, byte-exact, through a session; each script is fed whole, byte by byte and in random pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command, Rig, type RigOptions } from './resp-rig.js';

type Step = [words: string, reply: string];

/** Splits a script line at blanks; `~` stands for an empty argument. */
function encode(words: string): Buffer {
	return command(...words.split(' ').map((word) => (word === '~' ? '' : word)));
}

async function check(steps: readonly Step[], options: RigOptions = {}): Promise<void> {
	const input = Buffer.concat(steps.map(([words]) => encode(words)));
	const expected = steps.map(([, reply]) => reply).join('');
	for (const nextSize of [() => 1 << 30, () => 1, (rig: Rig) => rig.randomSize(7), (rig: Rig) => rig.randomSize(60)]) {
		const rig = new Rig(options);
		assert.equal(await rig.run(input, () => nextSize(rig)), expected);
		const refusing = new Rig({ ...options, fullChance: 0.5, windowSizeMax: 4 });
		assert.equal(await refusing.run(input, () => nextSize(refusing)), expected);
	}
}

const integerError = '-ERR value is not an integer or out of range\r\n';
const syntaxError = '-ERR syntax error\r\n';
const arityError = (name: string) => `-ERR wrong number of arguments for '${name}' command\r\n`;
const expireError = (name: string) => `-ERR invalid expire time in '${name}' command\r\n`;

test('strings: SET, GET, DEL, EXISTS and their relatives', () =>
	check([
		['GET a', '$-1\r\n'],
		['SET a 1', '+OK\r\n'],
		['get a', '$1\r\n1\r\n'],
		['sEt a ~', '+OK\r\n'],
		['GeT a', '$0\r\n\r\n'],
		['SETNX a 2', ':0\r\n'],
		['SETNX b 2', ':1\r\n'],
		['GETSET b 3', '$1\r\n2\r\n'],
		['GETSET c 3', '$-1\r\n'],
		['EXISTS a', ':1\r\n'],
		['EXISTS a b nothing a', ':3\r\n'],
		['DEL a', ':1\r\n'],
		['DEL a', ':0\r\n'],
		['UNLINK a b c', ':2\r\n'],
		['MSET a 1 b 2 c 3 a 4', '+OK\r\n'],
		['MGET a b nothing c', '*4\r\n$1\r\n4\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n'],
		['MGET a', '*1\r\n$1\r\n4\r\n'],
		['DBSIZE', ':3\r\n'],
		['FLUSHALL', '+OK\r\n'],
		['FLUSHDB ASYNC', '+OK\r\n'],
		['FLUSHDB SOON', syntaxError],
		['DBSIZE', ':0\r\n'],
		['GET', arityError('get')],
		['GET a b', arityError('get')],
		['set a', arityError('set')],
		['MSET a', arityError('mset')],
		['MSET a 1 b', arityError('mset')],
		['DEL', arityError('del')],
		['GET ~', '-ERR MILLRACE_KEY_SIZE key is empty\r\n'],
		['MGET a ~', '-ERR MILLRACE_KEY_SIZE key is empty\r\n'],
		['NOPE a b', "-ERR unknown command 'NOPE', with args beginning with: 'a' 'b' \r\n"],
		['no\r\npe', "-ERR unknown command 'no  pe', with args beginning with: \r\n"],
	]));

test('SET options and their conflicts', () =>
	check([
		['SET a 1 XX', '$-1\r\n'],
		['SET a 1 NX', '+OK\r\n'],
		['SET a 2 nx', '$-1\r\n'],
		['SET a 2 NX GET', '$1\r\n1\r\n'],
		['SET a 2 XX GET', '$1\r\n1\r\n'],
		['SET b 2 GET', '$-1\r\n'],
		['SET a 3 NX XX', syntaxError],
		['SET a 3 EX', syntaxError],
		['SET a 3 EX 10 PX 10', syntaxError],
		['SET a 3 EX 10 KEEPTTL', syntaxError],
		['SET a 3 WHAT', syntaxError],
		['SET a 3 EX x', integerError],
		['SET a 3 EX 0', expireError('set')],
		['SET a 3 PX -1', expireError('set')],
		['SET a 3 EX 9223372036854775807', expireError('set')],
		['SET a 3 EX 9223372036854775808', integerError],
		['GET a', '$1\r\n2\r\n'],
		['SET a 4 EX 100', '+OK\r\n'],
		['TTL a', ':100\r\n'],
		['SET a 5 KEEPTTL', '+OK\r\n'],
		['PTTL a', ':100000\r\n'],
		['SET a 5 PX 1500 XX', '+OK\r\n'],
		['TTL a', ':2\r\n'],
		['SET a 5 EXAT 1700000007', '+OK\r\n'],
		['PTTL a', ':7000\r\n'],
		['SET a 5 PXAT 1700000000400', '+OK\r\n'],
		['TTL a', ':0\r\n'],
		['SET a 5', '+OK\r\n'],
		['TTL a', ':-1\r\n'],
		['SETEX a 5 v', '+OK\r\n'],
		['PTTL a', ':5000\r\n'],
		['PSETEX a 5 v', '+OK\r\n'],
		['PTTL a', ':5\r\n'],
		['SETEX a 0 v', expireError('setex')],
		['PSETEX a x v', integerError],
	]));

test('expiry', () =>
	check([
		['TTL a', ':-2\r\n'],
		['EXPIRE a 10', ':0\r\n'],
		['PERSIST a', ':0\r\n'],
		['MSET a 1 b 1', '+OK\r\n'],
		['PERSIST a', ':0\r\n'],
		['EXPIRE a 10', ':1\r\n'],
		['TTL a', ':10\r\n'],
		['PERSIST a', ':1\r\n'],
		['PTTL a', ':-1\r\n'],
		['PEXPIRE a 10', ':1\r\n'],
		['PTTL a', ':10\r\n'],
		['EXPIREAT a 1700000002', ':1\r\n'],
		['PTTL a', ':2000\r\n'],
		['PEXPIREAT a 1700000000003', ':1\r\n'],
		['PTTL a', ':3\r\n'],
		['EXPIRE a -1', ':1\r\n'],
		['GET a', '$-1\r\n'],
		['EXPIREAT b 0', ':1\r\n'],
		['EXISTS b', ':0\r\n'],
		['EXPIRE a 9223372036854775807', expireError('expire')],
		['EXPIRE a x', integerError],
		['EXPIRE a 1 NX', '-ERR Unsupported option NX\r\n'],
	]));

test('counters', () =>
	check([
		['APPEND joined ab', ':2\r\n'],
		['APPEND joined cde', ':5\r\n'],
		['GET joined', '$5\r\nabcde\r\n'],
		['APPEND joined', "-ERR wrong number of arguments for 'append' command\r\n"],
		['INCR n', ':1\r\n'],
		['INCRBY n 41', ':42\r\n'],
		['DECR n', ':41\r\n'],
		['DECRBY n 1', ':40\r\n'],
		['DECRBY n -2', ':42\r\n'],
		['DECRBY n 0', ':42\r\n'],
		['INCRBY n 9223372036854775000', ':9223372036854775042\r\n'],
		['INCRBY n 9223372036854775000', '-ERR increment or decrement would overflow\r\n'],
		['INCRBY n 9223372036854775808', integerError],
		['INCRBY n 01', integerError],
		['INCRBY n +1', integerError],
		['INCRBY n -0', integerError],
		['INCRBY n ~', integerError],
		['INCRBY n 1.5', integerError],
		['DECRBY n -9223372036854775808', '-ERR decrement would overflow\r\n'],
		['INCRBY m -9223372036854775808', ':-9223372036854775808\r\n'],
		['SET s text', '+OK\r\n'],
		['INCR s', integerError],
	]));

const hello =
	'*14\r\n$6\r\nserver\r\n$8\r\nmillrace\r\n$7\r\nversion\r\n$5\r\n1.2.3\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:42\r\n' +
	'$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n';

test('connection and server commands', () =>
	check([
		['PING', '+PONG\r\n'],
		['PING hello', '$5\r\nhello\r\n'],
		['PING a b', arityError('ping')],
		['ECHO x', '$1\r\nx\r\n'],
		['HELLO', hello],
		['HELLO 2 SETNAME me', hello],
		['CLIENT GETNAME', '$2\r\nme\r\n'],
		['HELLO 3', '-NOPROTO unsupported protocol version\r\n'],
		['HELLO x', '-ERR Protocol version is not an integer or out of range\r\n'],
		['HELLO 2 AUTH a b', "-ERR Syntax error in HELLO option 'AUTH'\r\n"],
		['SELECT 0', '+OK\r\n'],
		['SELECT 1', '-ERR DB index is out of range\r\n'],
		['SELECT x', integerError],
		['COMMAND', '*0\r\n'],
		['COMMAND DOCS', '*0\r\n'],
		['COMMAND COUNT', ':36\r\n'],
		['COMMAND NOPE', "-ERR unknown subcommand 'NOPE'. Try COMMAND HELP.\r\n"],
		['INFO', '$12\r\n# all\r\nx:1\r\n\r\n'],
		['INFO Server', '$15\r\n# server\r\nx:1\r\n\r\n'],
		['CONFIG GET save', '*2\r\n$4\r\nsave\r\n$0\r\n\r\n'],
		['CONFIG GET A*', '*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n'],
		['CONFIG GET [ms]a* none', '*4\r\n$4\r\nsave\r\n$0\r\n\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n'],
		['CONFIG SET save x', '-ERR CONFIG SET is not supported: options are given when the server starts\r\n'],
		['CONFIG GET', arityError('config|get')],
		['CLIENT SETNAME you', '+OK\r\n'],
		['CLIENT GETNAME', '$3\r\nyou\r\n'],
		['CLIENT SETNAME \u00e9', '-ERR Client names cannot contain spaces, newlines or special characters.\r\n'],
		['CLIENT SETNAME ~', '+OK\r\n'],
		['CLIENT GETNAME', '$-1\r\n'],
		['CLIENT ID', ':42\r\n'],
		['CLIENT SETINFO lib-name x', '+OK\r\n'],
		['CLIENT KILL', "-ERR unknown subcommand 'KILL'. Try CLIENT HELP.\r\n"],
		['SHUTDOWN NOW', syntaxError],
		['QUIT', '+OK\r\n'],
	]));

test('error statuses name their word and code, on one line; of many parts the first answers', async () => {
	const rig = new Rig();
	rig.port.errorStatus = 8;
	const line = '-MISCONF MILLRACE_POISONED it  failed\r\n';
	const input = ['SET a 1', 'GET a', 'MGET a b c', 'MSET a 1 b 2', 'INCR a', 'DEL a b', 'TTL a'].map(encode);
	assert.equal(await rig.run(Buffer.concat(input)), line.repeat(7));
});

test('a key may have keySizeMax bytes and not one more', async () => {
	const rig = new Rig();
	const longest = 'k'.repeat(16 * 1024);
	const output = await rig.run(Buffer.concat([command('SET', longest, '1'), command('SET', `${longest}k`, '1')]));
	assert.equal(output, '+OK\r\n-ERR MILLRACE_KEY_SIZE key of 16385 bytes is longer than 16384\r\n');
});

test('QUIT and SHUTDOWN answer what came before, ignore what comes after, and end', async () => {
	const rig = new Rig();
	assert.equal(await rig.run('SET a 1\r\nGET a\r\nQUIT\r\nPING\r\n'), '+OK\r\n$1\r\n1\r\n+OK\r\n');
	assert.ok(rig.socket.isEnded);
	assert.equal(rig.port.sinkCount, 0);
	const other = new Rig();
	assert.equal(await other.run('SET a 1\r\nSHUTDOWN NOSAVE\r\nPING\r\n'), '+OK\r\n');
	assert.ok(other.socket.isEnded);
	assert.equal(other.shutdownCount, 1);
});

test('HTTP is not answered but closed, with a reason', async () => {
	const rig = new Rig();
	assert.equal(await rig.run('POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n'), '');
	assert.ok(rig.socket.isDestroyed);
	assert.match(rig.log.join(), /cross-protocol/);
	assert.equal(rig.port.submitCount, 0);
});
