/** A program that has nothing left to do ends, its databases open or not, and what it wrote is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../../src/open.js';
import { runProgram } from '../support/run-program.js';
import { TemporaryDirectory } from '../support/server-process.js';

const indexUrl = new URL('../../src/index.js', import.meta.url).href;

/** Runs a program that has `open`, `attach` and `directory`. @returns what it printed */
async function run(directory: string, body: string): Promise<string> {
	const head = `import { open, attach } from '${indexUrl}'; const directory = ${JSON.stringify(directory)};`;
	const { code, text, stderr } = await runProgram(process.execPath, ['--input-type=module', '-e', head + body]);
	assert.equal(code, 0, stderr);
	return text;
}

test('writes that nobody awaits, whatever the durability, and a batch over partitions', async () => {
	for (const durability of ['none', 'interval', 'always'] as const) {
		using directory = new TemporaryDirectory();
		await run(
			directory.path,
			`const db = await open(directory, { partitions: 3, durability: '${durability}', memtableSize: 2 ** 20 });
			for (let i = 0; i < 20000; i++) db.put('k' + i, 'x'.repeat(100));
			db.batch([1, 2, 3, 4, 5].map((i) => ({ type: 'put', key: 'batch' + i, value: 'v' })));`,
		);
		// Closed, so the lock is free and nothing is replayed but the logs' ends.
		await using db = await open(directory.path);
		assert.equal(await db.count(), 20_005, durability);
	}
});

test('what is awaited is waited for: compactions, scans, a close; snapshots and scans left open hold nobody up', async () => {
	using directory = new TemporaryDirectory();
	const printed = await run(
		directory.path,
		`const db = await open(directory, { partitions: 2, memtableSize: 2 ** 20 });
		await Promise.all(Array.from({ length: 30000 }, (_, i) => db.put('k' + i, 'x'.repeat(200))));
		await db.compact();
		let count = 0;
		for await (const _ of db.scan()) count++;
		const snapshot = await db.snapshot();
		await db.scan().next();
		globalThis.kept = snapshot;
		console.log(count, (await db.verify()).length);
		if (count === 30000) await db.close();
		console.log('closed');`,
	);
	assert.equal(printed, '30000 0\nclosed');
});

test('a thread that is attached goes on, also while the thread that opened has nothing to do', async () => {
	using directory = new TemporaryDirectory();
	const worker = `import('${indexUrl}').then(async ({ attach }) => {
		const db = await attach((await import('node:worker_threads')).workerData);
		for (let i = 0; i < 200; i++) await db.put('k' + i, 'v');
	})`;
	await run(
		directory.path,
		`import { Worker } from 'node:worker_threads';
		const db = await open(directory, { partitions: 2 });
		const ticket = db.attachment();
		new Worker(${JSON.stringify(worker)}, { eval: true, workerData: ticket, transferList: ticket.transferList });`,
	);
	await using db = await open(directory.path);
	assert.equal(await db.count(), 200);
});
