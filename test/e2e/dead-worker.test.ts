/**
 * A thread that dies takes the server with it, and no acknowledged data: one line, an exit code, everything there after
 * the restart. A file loaded before the server keeps the workers it makes, and ends one of them on a signal.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/client.js';
import { encodeCommand, RawConnection } from '../support/raw-connection.js';
import { type ServerProcess, startServer, TemporaryDirectory } from '../support/server-process.js';

/** Ends the thread with this entry point on SIGUSR2. */
function terminator(name: string): string {
	return `
		const threads = require('node:worker_threads');
		if (threads.isMainThread) {
			const made = [];
			threads.Worker = class extends threads.Worker {
				constructor(url, ...rest) {
					super(url, ...rest);
					if (String(url).includes('${name}')) made.push(this);
				}
			};
			require('node:module').syncBuiltinESMExports();
			process.on('SIGUSR2', () => made[0].terminate());
		}
	`;
}

async function startWithTerminator(directory: string, files: string, name: string): Promise<ServerProcess> {
	const loader = join(files, `end-${name}.cjs`);
	writeFileSync(loader, terminator(name));
	return startServer({ directory, extra: ['--partitions', '1'], nodeFlags: ['--require', loader] });
}

test('a worker or log worker that dies ends the server in one line; acknowledged data stays', async () => {
	using directory = new TemporaryDirectory();
	using files = new TemporaryDirectory();
	const acknowledged: string[] = [];
	for (const name of ['partition-worker', 'log-worker', 'partition-worker']) {
		await using server = await startWithTerminator(directory.path, files.path, name);
		using raw = await RawConnection.open(server.port);
		const keys = Array.from({ length: 50_000 }, (_, i) => `${acknowledged.length}:${i}`);
		const sending = raw.send(Buffer.concat(keys.map((key) => encodeCommand('SET', key, `v${key}`))));
		await raw.replies(500);
		server.signal('SIGUSR2');
		await sending;
		const rest = (await raw.untilEnd()).toString('latin1');
		assert.match(rest, /^(\+OK\r\n)*(-[^\r\n]*\r\n)*$/);
		assert.deepEqual(await server.exited, { code: 1, signal: null });
		acknowledged.push(...keys.slice(0, 500 + (rest.match(/\+OK/g)?.length ?? 0)));
		const who = name === 'log-worker' ? 'log worker' : 'worker';
		const line = `^millrace: the ${who} of partition 0 died \\(exit 1\\): [^\\n]*nothing acknowledged is lost\n$`;
		assert.match(server.stderr, new RegExp(line));
	}
	assert.ok(acknowledged.length < 150_000, 'the threads died in the middle of work');
	await using server = await startServer({ directory: directory.path });
	await using client = await connect({ port: server.port });
	const values = (await client.getMany(acknowledged)).map((value) => Buffer.from(value ?? []).toString());
	assert.deepEqual(
		values,
		acknowledged.map((key) => `v${key}`),
	);
});
