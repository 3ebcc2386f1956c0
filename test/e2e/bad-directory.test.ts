/** A start that must not succeed: one sentence with a code, exit 1, and the data as it was. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { xxh32 } from '../../src/base/xxh32.js';
import { connect } from '../../src/client/client.js';
import { runProgram } from '../support/run-program.js';
import {
	mainPath,
	type ServerProcess,
	startServer,
	startToFail,
	TemporaryDirectory,
} from '../support/server-process.js';

const directory = new TemporaryDirectory();
let server: ServerProcess;

before(async () => {
	server = await startServer({ directory: directory.path, extra: ['--partitions', '2'] });
	await using client = await connect({ port: server.port });
	await client.put('precious', 'data');
});
after(async () => {
	await server.kill();
	directory[Symbol.dispose]();
});

/** The start fails with this code, and says it in one line. @returns that line */
async function mustRefuse(code: string, path: string, extra: string[] = [], port = 0): Promise<string> {
	const { exit, stderr } = await startToFail({ directory: path, extra, port });
	assert.deepEqual(exit, { code: 1, signal: null }, stderr);
	assert.match(stderr, new RegExp(`^millrace: .*\\(${code}\\)[^\\n]*\\n$`));
	return stderr;
}

/** Every file of a directory with its size and time of change. */
function fingerprint(path: string): string[] {
	return readdirSync(path, { recursive: true, encoding: 'utf8' })
		.sort()
		.map((name) => {
			const { size, mtimeMs } = statSync(join(path, name));
			return `${name} ${size} ${mtimeMs}`;
		});
}

function headText(fields: Record<string, unknown>): string {
	const line = JSON.stringify(fields);
	const bytes = Buffer.from(line);
	return `${line}\n${xxh32(bytes, 0, bytes.length).toString(16).padStart(8, '0')}\n`;
}

test('a second process on one directory is told who has it', async () => {
	const line = await mustRefuse('MILLRACE_LOCKED', directory.path);
	assert.match(line, new RegExp(`process ${server.pid}\\b`));
	await using client = await connect({ port: server.port });
	assert.equal(Buffer.from((await client.get('precious')) ?? []).toString(), 'data');
});

test('a port in use', async () => {
	using other = new TemporaryDirectory();
	const line = await mustRefuse('MILLRACE_LISTEN', other.path, [], server.port);
	assert.match(line, /the port is taken/);
	// It let go of everything: the same directory can be served at once.
	await using next = await startServer({ directory: other.path });
	await using client = await connect({ port: next.port });
	await client.ping();
	await client.close();
	assert.deepEqual(await next.stop(), { code: 0, signal: null });
});

test('what cannot be a data directory: a file, below a file, /proc, not writable', async () => {
	using other = new TemporaryDirectory();
	const file = join(other.path, 'file');
	writeFileSync(file, 'text');
	await mustRefuse('MILLRACE_DIRECTORY', file);
	await mustRefuse('MILLRACE_DIRECTORY', join(file, 'below'));
	await mustRefuse('MILLRACE_DIRECTORY', '/proc');
	const headIsDirectory = join(other.path, 'head');
	mkdirSync(join(headIsDirectory, 'MILLRACE'), { recursive: true });
	await mustRefuse('MILLRACE_DIRECTORY', headIsDirectory);
	const lockIsDirectory = join(other.path, 'locked');
	mkdirSync(join(lockIsDirectory, 'LOCK'), { recursive: true });
	await mustRefuse('MILLRACE_DIRECTORY', lockIsDirectory);
	if (process.getuid?.() !== 0) {
		const closed = join(other.path, 'closed');
		mkdirSync(closed);
		chmodSync(closed, 0o500);
		await mustRefuse('MILLRACE_DIRECTORY', closed);
	}
	assert.equal(readFileSync(file, 'utf8'), 'text');
});

test('a foreign directory is left as it is', async () => {
	using other = new TemporaryDirectory();
	writeFileSync(join(other.path, 'thesis.txt'), 'years of work');
	const line = await mustRefuse('MILLRACE_DIRECTORY', other.path);
	assert.match(line, /thesis\.txt/);
	assert.equal(readFileSync(join(other.path, 'thesis.txt'), 'utf8'), 'years of work');
	assert.deepEqual(readdirSync(other.path), ['thesis.txt']);
});

test('heads that are newer, damaged, or name no count', async () => {
	using other = new TemporaryDirectory();
	const path = join(other.path, 'MILLRACE');
	const good = { format: 1, partitions: 2, hash: 'xxh32' };
	const cases: [string, string][] = [
		['MILLRACE_FORMAT_NEWER', headText({ ...good, format: 2 })],
		['MILLRACE_CORRUPT', headText(good).replace('2', '3')],
		['MILLRACE_CORRUPT', ''],
		['MILLRACE_CORRUPT', headText(good).slice(0, 20)],
		['MILLRACE_CORRUPT', headText({ ...good, partitions: 0 })],
		['MILLRACE_CORRUPT', headText({ ...good, partitions: 65 })],
		['MILLRACE_CORRUPT', headText({ ...good, hash: 'md5' })],
		['MILLRACE_CORRUPT', headText({ ...good, format: 'one' })],
	];
	for (const [code, text] of cases) {
		writeFileSync(path, text);
		await mustRefuse(code, other.path);
		assert.equal(readFileSync(path, 'utf8'), text);
	}
});

test('another partition count, and partitions that are gone, harm nothing', async () => {
	using other = new TemporaryDirectory();
	await using first = await startServer({ directory: other.path, extra: ['--partitions', '2'] });
	await using client = await connect({ port: first.port });
	await client.put('k', 'v');
	await client.close();
	await first.stop();
	const before = fingerprint(join(other.path, 'partition-000'));
	const line = await mustRefuse('MILLRACE_PARTITION_COUNT', other.path, ['--partitions', '3']);
	assert.match(line, /has 2 partitions, not 3/);
	assert.deepEqual(fingerprint(join(other.path, 'partition-000')), before);
	await using again = await startServer({ directory: other.path });
	assert.match(again.stdout, /2 partitions/);
});

test('options out of range are refused by the command line', async () => {
	const outcome = await runProgram(process.execPath, [mainPath, 'serve', '--partitions', '65', '--dir', '/dev/null']);
	assert.equal(outcome.code, 2);
	assert.match(outcome.stderr, /from 1 to 64/);
});
