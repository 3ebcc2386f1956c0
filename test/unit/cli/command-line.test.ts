/**
 * The command line in this process, with streams of the test's own, against a real session with a fake port: results,
 * exit codes, and that an export imports back to the same bytes.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { runCommandLine } from '../../../src/cli/command-line.js';
import { formatLine, parseLine, readLines } from '../../../src/cli/json-lines.js';
import { Listener } from '../../../src/net/listener.js';
import { FrameSession } from '../../../src/protocol/frame/frame-session.js';
import { testSeed } from '../../support/seed.js';
import { FakeCommandPort } from '../protocol/frame/fake-command-port.js';

interface Outcome {
	readonly code: number;
	readonly stdout: Buffer;
	readonly stderr: string;
}

async function run(argv: string[], input: Iterable<Uint8Array> = []): Promise<Outcome> {
	const stdout = new PassThrough({ highWaterMark: 2 ** 28 });
	const stderr = new PassThrough({ highWaterMark: 2 ** 28 });
	const code = await runCommandLine(argv, { stdin: Readable.from(input), stdout, stderr });
	return { code, stdout: stdout.read() ?? Buffer.alloc(0), stderr: String(stderr.read() ?? '') };
}

async function withServer(work: (url: string[], port: FakeCommandPort, directory: string) => Promise<void>) {
	const port = new FakeCommandPort(3);
	port.isAutomatic = true;
	const listener = await Listener.listen({
		host: '127.0.0.1',
		port: 0,
		makeSession: (_, connection) => new FrameSession(connection, port),
	});
	const directory = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
	try {
		await work(['--url', `millrace://127.0.0.1:${listener.port}`], port, directory);
	} finally {
		await rm(directory, { recursive: true });
		await listener.close(100);
	}
}

test('get, set and del say what they did by output and exit code', async () => {
	await withServer(async (url) => {
		assert.equal((await run(['get', 'a', ...url])).code, 3);
		assert.equal((await run(['set', 'a', 'välue', ...url])).code, 0);
		const got = await run(['get', 'a', ...url]);
		assert.deepEqual([got.code, got.stdout.toString(), got.stderr], [0, 'välue', '']);
		assert.equal((await run(['set', 'a', 'x', '--if-absent', ...url])).code, 3);
		assert.equal((await run(['set', 'b', 'x', '--if-present', ...url])).code, 3);
		assert.equal((await run(['set', 'b', '-', '--ttl-ms', '50000', ...url], [Buffer.from([0, 255])])).code, 0);
		assert.deepEqual((await run(['get', 'b', ...url])).stdout, Buffer.from([0, 255]));
		const deleted = await run(['del', 'a', 'b', 'c', ...url]);
		assert.deepEqual([deleted.code, deleted.stderr], [0, 'deleted 2 of 3\n']);
		assert.equal((await run(['del', 'a', ...url])).code, 3);
		const tooLong = await run(['get', 'k'.repeat(20_000), ...url]);
		assert.equal(tooLong.code, 1);
		assert.match(tooLong.stderr, /MILLRACE_KEY_SIZE/);
	});
});

test('wrong command lines exit with 2 and help teaches', async () => {
	const wrong = [
		[],
		['frobnicate'],
		['get'],
		['get', 'a', '--url', 'redis://x'],
		['set', 'a', 'b', '--ttl-ms', 'soon'],
		['set', 'a', 'b', '--if-absent', '--if-present'],
		['serve', '--port', '70000'],
		['serve', '--durability', 'maybe'],
		['serve', '--partitions', '0'],
	];
	for (const argv of wrong) assert.equal((await run(argv)).code, 2, argv.join(' '));
	for (const argv of [['--help'], ['serve', '--help'], ['import', '--help'], ['export', '--help']]) {
		const help = await run(argv);
		assert.equal(help.code, 0);
		assert.match(help.stdout.toString(), /Examples:/);
	}
	const unreachable = await run(['get', 'a', '--url', 'millrace://127.0.0.1:1']);
	assert.equal(unreachable.code, 1);
	assert.match(unreachable.stderr, /^millrace: nothing listens on 127.0.0.1:1.*MILLRACE_CONNECTION/);
	assert.equal(unreachable.stderr.trimEnd().split('\n').length, 1);
});

test('an export imports back to the same bytes, and exports the same again', async () => {
	const prng = new Prng(testSeed('cli'));
	await withServer(async (url, port, directory) => {
		const lines: string[] = [];
		const values = new Map<string, Buffer>();
		for (let i = 0; i < 3_000; i++) {
			const key = Buffer.concat([Buffer.from(`k${i}-`), Buffer.alloc(prng.below(8))]);
			const value = Buffer.alloc(prng.below(200));
			if (prng.chance(0.3)) prng.fill(value);
			else value.fill('é\u2028"\ufeff');
			values.set(key.toString('latin1'), value);
			lines.push(formatLine({ key, value, expiresAtMs: prng.chance(0.1) ? 9_000_000_000_000 + i : 0 }));
		}
		const first = join(directory, 'first.jsonl');
		const second = join(directory, 'second.jsonl');
		await writeFile(first, lines.join(''));
		const imported = await run(['import', first, ...url]);
		assert.equal(imported.code, 0, imported.stderr);
		assert.match(imported.stderr, /^imported 3000 records/);
		for (const [name, value] of values) {
			assert.deepEqual(port.data.find((map) => map.has(name))?.get(name)?.value, value);
		}
		assert.equal((await run(['export', second, ...url])).code, 0);
		const exported = await readFile(second, 'utf8');
		assert.deepEqual(exported.trimEnd().split('\n').sort(), lines.map((line) => line.trimEnd()).sort());
		for (const map of port.data) map.clear();
		const piped = await run(['import', '-', ...url], [Buffer.from(exported)]);
		assert.equal(piped.code, 0, piped.stderr);
		const again = await run(['export', ...url]);
		assert.deepEqual(again.stdout.toString(), exported);
		assert.deepEqual((await readdir(directory)).sort(), ['first.jsonl', 'second.jsonl']);
	});
});

test('a bad line stops an import with its number, or is passed over when asked', async () => {
	await withServer(async (url, port) => {
		const input = [
			Buffer.from('{"key":"a","value":"1"}\r\n\n{"key":"b"}\nnot json\n{"key":"","value":""}\n'),
			Buffer.from('{"key":"c","value":"3"}'),
		];
		const stopped = await run(['import', '-', ...url], input);
		assert.equal(stopped.code, 1);
		assert.match(stopped.stderr, /line 3: .*MILLRACE_ARGUMENT/);
		for (const map of port.data) map.clear();
		const passed = await run(['import', '-', '--continue-on-error', ...url], input);
		assert.equal(passed.code, 1);
		assert.match(passed.stderr, /line 3: .*line 4: .*line 5: .*imported 2 records .* 3 bad/s);
		assert.equal((await run(['get', 'c', ...url])).stdout.toString(), '3');
		assert.equal((await run(['import', '/does/not/exist', ...url])).code, 1);
	});
});

test('lines are cut the same however the stream is, and bad fields are named', async () => {
	const whole = Buffer.from('one\ntwo\n\nthrée');
	for (const size of [1, 2, 3, 100]) {
		const chunks: Buffer[] = [];
		for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size));
		const lines: string[] = [];
		for await (const line of readLines(Readable.from(chunks))) lines.push(line.toString());
		assert.deepEqual(lines, ['one', 'two', '', 'thrée']);
	}
	const bad = [
		'[]',
		'7',
		'{"key":1,"value":"x"}',
		'{"key":"a","keyBase64":"YQ==","value":"x"}',
		'{"keyBase64":"YQ","value":"x"}',
		'{"keyBase64":"Y*Q=","value":"x"}',
		'{"key":"\\ud800","value":"x"}',
		'{"key":"a","value":"x","expiresAtMs":-1}',
		'{"key":"a","value":"x","ttl":5}',
	];
	for (const line of bad) assert.throws(() => parseLine(Buffer.from(line)), { code: 'MILLRACE_ARGUMENT' }, line);
	assert.throws(() => parseLine(Buffer.from([0xff])), { code: 'MILLRACE_ARGUMENT' });
});
