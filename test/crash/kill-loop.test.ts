/** The kill -9 loop, short; and proof that its checker sees what it is there to see. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/client.js';
import { testSeed } from '../support/seed.js';
import { startServer, startToFail, TemporaryDirectory } from '../support/server-process.js';
import { makeValue } from './kill-ledger.js';
import { KillLoop, runKillLoop } from './kill-loop.js';

async function mustHold(cycles: number, durability: string): Promise<void> {
	const result = await runKillLoop({ cycles, durability, seed: testSeed(`kill-loop ${durability}`) });
	console.log(result);
	assert.deepEqual(result.problems, []);
	assert.equal(result.cycles, cycles);
	assert.ok(result.acknowledged > 10 * cycles, 'the writers got something done');
	assert.ok(result.sent > result.acknowledged, 'kills came in the middle of work');
}

test('20 kills with durability always: every acknowledged write is there, nothing is altered or invented', () =>
	mustHold(20, 'always'));

test('kills with interval and none: what the kernel has survives the process', async () => {
	await mustHold(2, 'interval');
	await mustHold(2, 'none');
});

test('the canary, a server that acknowledges before it writes, is caught', async () => {
	const loader = new URL('./canary-loader.js', import.meta.url).href;
	const seed = testSeed('kill-loop canary');
	const result = await runKillLoop({ cycles: 5, durability: 'always', seed, nodeFlags: ['--import', loader] });
	console.log(`the canary: ${result.problems.length} problems after ${result.cycles} kills, ${result.problems[0]}`);
	assert.ok(result.problems.length > 0, 'the loop does not see what it is there to see');
});

/** Where the last byte of the log of partition 0 stands that is not zero. Right for a log that was never recycled. */
function findLogEnd(path: string): { file: string; end: number } {
	const directory = join(path, 'partition-000');
	for (const name of readdirSync(directory).sort().reverse()) {
		if (!name.endsWith('.wal')) continue;
		const file = join(directory, name);
		const descriptor = openSync(file, 'r');
		const bytes = Buffer.alloc(fstatSync(descriptor).size);
		readSync(descriptor, bytes, 0, bytes.length, 0);
		closeSync(descriptor);
		const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
		// A segment nothing was written to holds its 64-byte header only.
		if (end > 64) return { file, end };
	}
	throw new Error('there is no log');
}

function overwrite(file: string, offset: number, bytes: Uint8Array): void {
	const descriptor = openSync(file, 'r+');
	writeSync(descriptor, bytes, 0, bytes.length, offset);
	closeSync(descriptor);
}

test('the checker reports a log whose acknowledged end is gone, and keys and values nobody wrote', async () => {
	await using loop = new KillLoop({ durability: 'always', seed: testSeed('kill-loop tampered') });
	await loop.start();
	await loop.writeAndKill(150);
	assert.equal(loop.ledger.sentCount, loop.ledger.acknowledgedCount, 'the writers were left in peace');
	const { file, end } = findLogEnd(loop.path);
	// The last groups of the log become what a write leaves that never reached the disk.
	overwrite(file, end - 4096, Buffer.alloc(4096));
	await loop.start();
	const lost = await loop.check();
	console.log(`after the tampering: ${lost.length} problems, ${lost[0]}`);
	assert.ok(lost.length > 0, 'a loss of acknowledged writes went unnoticed');
	assert.deepEqual(await loop.check(), [], 'what was found once is what is found again');

	await using client = await connect({ port: loop.port });
	const [first, second, third] = loop.ledger.keys;
	await client.put(first, 'garbage');
	await client.put(second, makeValue(second, 9_999_999, 10));
	await client.put(third, makeValue(first, 1_000_001, 10));
	await client.put('intruder', 'x');
	const problems = await loop.check();
	assert.equal(problems.filter((text) => text.startsWith(`${first} holds an altered value`)).length, 1);
	assert.equal(problems.filter((text) => text.startsWith(`${second} holds generation 9999999`)).length, 1);
	assert.equal(problems.filter((text) => text.startsWith(`${third} holds the value of`)).length, 1);
	assert.equal(problems.filter((text) => text.includes('finds intruder')).length, 1);
	assert.equal(problems.filter((text) => text.startsWith('DBSIZE')).length, 1);
});

test('a log damaged in its middle is refused, with the file and the offset, and left as it is', async () => {
	using directory = new TemporaryDirectory();
	const server = await startServer({ directory: directory.path, extra: ['--partitions', '1'] });
	const client = await connect({ port: server.port });
	// One at a time: each is a group of its own, and the next one says that it was durable.
	for (let i = 0; i < 20; i++) await client.put(`key-${i}`, 'value');
	await client.close();
	await server.kill();
	const { file } = findLogEnd(directory.path);
	overwrite(file, 64 + 60, Buffer.from('damage'));
	const { exit, stderr } = await startToFail({ directory: directory.path });
	assert.deepEqual(exit, { code: 1, signal: null });
	assert.match(stderr, /^millrace: .*\.wal is damaged at offset 64\b.*\(MILLRACE_CORRUPT\)\n$/);
});
