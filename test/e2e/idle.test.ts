/** An idle server uses next to no processor: every thread sleeps. Counted in CPU time, not in elapsed time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/client/client.js';
import { startServer, TemporaryDirectory } from '../support/server-process.js';

test('an idle server with a connected client uses less than 5 % of a core', async () => {
	using directory = new TemporaryDirectory();
	await using server = await startServer({ directory: directory.path, extra: ['--partitions', '2'] });
	await using client = await connect({ port: server.port });
	for (let i = 0; i < 100; i++) await client.put(`k${i}`, 'v');
	await sleep(1000);
	const seconds = 4;
	const before = server.cpuTicks();
	await sleep(seconds * 1000);
	const used = (server.cpuTicks() - before) / (seconds * 100);
	console.log(`idle: ${(used * 100).toFixed(1)} % of a core`);
	assert.ok(used < 0.05, `${used * 100} % of a core`);
});
