/** Reads never wait for an fsync: with every fdatasync of the server slowed down by strace, GETs overtake a SET. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { RawConnection } from '../support/raw-connection.js';
import { skipWithout } from '../support/run-program.js';
import { type ServerProcess, startServer, TemporaryDirectory } from '../support/server-process.js';

const delayUs = 1_000_000;

function whyNot(): string | false {
	const missing = skipWithout('strace');
	if (missing !== false) return missing;
	const inject = ['-o', '/dev/null', '-e', 'inject=fdatasync:delay_enter=1', 'true'];
	return spawnSync('strace', inject).status === 0 ? false : 'strace cannot attach to a process here';
}

const skip = whyNot();
const directory = new TemporaryDirectory();
let server: ServerProcess;

before(async () => {
	if (skip !== false) return;
	// -D keeps node the child of this test, so that its process id is the server's.
	const trace = ['-D', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync'];
	server = await startServer({
		directory: directory.path,
		extra: ['--partitions', '1'],
		under: ['strace', ...trace, '-e', `inject=fdatasync:delay_enter=${delayUs}`],
	});
});
after(async () => {
	if (skip === false) await server.kill();
	directory[Symbol.dispose]();
});

test('while one SET waits for its fsync, a hundred GETs of settled keys are answered', { skip }, async () => {
	using writer = await RawConnection.open(server.port);
	using reader = await RawConnection.open(server.port);
	assert.equal(await writer.command('SET', 'settled', 'old'), 'OK');
	for (let round = 0; round < 3; round++) {
		let isAcknowledged = false;
		const writing = writer.command('SET', `new:${round}`, 'v').then((reply) => {
			isAcknowledged = true;
			return reply;
		});
		let readCount = 0;
		while (!isAcknowledged) {
			assert.equal(String(await reader.command('GET', 'settled')), 'old');
			readCount++;
		}
		assert.equal(await writing, 'OK');
		assert.ok(readCount >= 100, `${readCount} GETs during one SET`);
	}
});

test('a GET of a value that is not durable yet waits until it is: what was seen is never lost', { skip }, async () => {
	using writer = await RawConnection.open(server.port);
	using reader = await RawConnection.open(server.port);
	const order: string[] = [];
	const writing = writer.command('SET', 'fresh', 'v').then(() => order.push('set'));
	let value = await reader.command('GET', 'settled');
	while (order.length === 0 && value !== null) {
		value = await reader.command('GET', 'fresh');
		if (value !== null) order.push('get');
		else value = await reader.command('GET', 'settled');
	}
	await writing;
	assert.equal(order[0] === 'get' && order.length === 1, false, 'the GET saw the value before the SET was durable');
	assert.equal(String(await reader.command('GET', 'fresh')), 'v');
});
