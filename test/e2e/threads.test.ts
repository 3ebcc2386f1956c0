/** Programs with attached threads end by themselves, when they are done: nobody has to call process.exit. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { open } from '../../src/open.js';
import { runProgram } from '../support/run-program.js';
import { TemporaryDirectory } from '../support/server-process.js';

const packageUrl = new URL('../../src/index.js', import.meta.url).href;

/** Writes one batch after the other, each over all partitions, from two threads. */
const batches = `
	const write = async (db, name) => {
		for (let i = 0; ; i++) {
			const lane = i % 10;
			await Promise.all(Array.from({ length: 5 }, (_, j) => {
				const keys = Array.from({ length: 6 }, (_, part) => [name, lane, j, part].join(' '));
				return db.batch(keys.map((key) => ({ type: 'put', key, value: String(i) })));
			}));
		}
	};
`;

/** Runs a program of an opener and a worker; `worker` is the body of a module in which `db` is attached. */
async function run(
	opener: string,
	worker: string,
	directory?: string,
): Promise<{ code: number | null; text: string; stderr: string }> {
	using files = new TemporaryDirectory();
	const attached = `
		import { workerData, parentPort } from 'node:worker_threads';
		import { attach } from '${packageUrl}';
		const db = await attach(workerData.attachment);
		${worker}
	`;
	const main = `
		import { once } from 'node:events';
		import { Worker } from 'node:worker_threads';
		import { open } from '${packageUrl}';
		const db = await open(${JSON.stringify(directory ?? join(files.path, 'data'))}, { partitions: 3, memtableSize: 1 << 22 });
		const attachment = db.attachment();
		const workerData = { attachment };
		const transferList = attachment.transferList;
		const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData, transferList });
		${opener}
	`;
	writeFileSync(join(files.path, 'worker.mjs'), attached);
	writeFileSync(join(files.path, 'main.mjs'), main);
	return await runProgram(process.execPath, [join(files.path, 'main.mjs')]);
}

test('both close: the process ends', async () => {
	const { code, text, stderr } = await run(
		`await once(worker, 'exit'); console.log(String(await db.count())); await db.close();`,
		`await db.put('k', 'v'); await db.close();`,
	);
	assert.deepEqual([code, text, stderr], [0, '1', '']);
});

test('a worker that is attached and idle ends, with its work done; one that waits for a call goes on', async () => {
	const { code, text, stderr } = await run(
		`await once(worker, 'exit'); console.log(Buffer.from(await db.get('k')).toString()); await db.close();`,
		`db.put('k', 'last word');`,
	);
	assert.deepEqual([code, stderr], [0, '']);
	assert.equal(text, 'last word');
});

test('the opener closes while a worker is attached: the worker ends, and with it the process', async () => {
	const { code, text, stderr } = await run(
		`await once(worker, 'message'); await db.close(); console.log('closed');`,
		`db.on('closing', () => console.log('told')); await db.put('k', 'v'); parentPort.postMessage('attached');
		await db.put('k', 'w').catch(() => {});`,
	);
	assert.deepEqual([code, stderr], [0, '']);
	assert.match(text, /closed/);
});

test('a process that exits in the middle of everything leaves what was acknowledged', async () => {
	const { code, text, stderr } = await run(
		`const [count] = await once(worker, 'message'); console.log(String(count)); process.exit(3);`,
		`for (let i = 0; ; i++) {
			const pair = ['a', 'b'].map((name) => ({ type: 'put', key: name + i, value: '' }));
			await Promise.all([db.put('k' + i, 'v'), db.batch(pair)]);
			if (i === 50) parentPort.postMessage(i);
		}`,
	);
	assert.deepEqual([code, text, stderr], [3, '50', '']);
});

test('killed amid batches over partitions, in two threads: each batch is there as a whole or not at all', async () => {
	using directory = new TemporaryDirectory();
	for (let round = 0; round < 4; round++) {
		const opener = `${batches} write(db, 'opener'); await once(worker, 'message'); process.kill(process.pid, 'SIGKILL');`;
		const worker = `${batches} write(db, 'worker'); setTimeout(() => parentPort.postMessage('now'), ${30 + 40 * round});`;
		const { code, stderr } = await run(opener, worker, directory.path);
		assert.deepEqual([code, stderr], [null, '']);
		await using db = await open(directory.path);
		const seen = new Map<string, Set<string>>();
		for await (const [key, value] of db.scan()) {
			const batch = Buffer.from(key).toString().replace(/ \d+$/, '');
			seen.set(batch, (seen.get(batch) ?? new Set()).add(Buffer.from(value).toString()));
		}
		for (const [batch, values] of seen) assert.equal(values.size, 1, `${batch}: ${[...values].join(' and ')}`);
		assert.equal(await db.count(), seen.size * 6);
		assert.ok(seen.size > 0);
	}
});
