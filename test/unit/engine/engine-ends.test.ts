/** How an engine ends: an opening that fails, the last thing that its threads said, and the process around it. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasCode } from '../../../src/base/errors.js';
import { Database } from '../../../src/engine/database.js';
import { Engine } from '../../../src/engine/engine.js';
import { engineOptions, type OpenOptions, open } from '../../../src/open.js';
import { logStop } from '../../../src/storage/lsm/wal/log-message-format.js';
import { runProgram } from '../../support/run-program.js';
import { TemporaryDirectory } from '../../support/server-process.js';

const small: OpenOptions = { durability: 'none', memtableSize: 1 << 22, reserveFileSize: 0 };
const sources = new URL('../../../src/', import.meta.url).href;

test('an opening that fails at one partition leaves no files open, though the others were still being started', async () => {
	using directory = new TemporaryDirectory();
	await (await open(directory.path, { ...small, partitions: 3 })).close();
	writeFileSync(join(directory.path, 'partition-000', 'CURRENT'), 'no manifest\n');
	const fail = (): Promise<void> =>
		assert.rejects(open(directory.path, small), (error) => hasCode(error, 'MILLRACE_CORRUPT'));
	await fail();
	const before = readdirSync('/dev/fd').length;
	for (let round = 0; round < 2; round++) await fail();
	assert.ok(readdirSync('/dev/fd').length <= before + 2, 'open files grow with every try');
});

test('a log that fails at the very end: close says so, also when this thread is busy meanwhile', async () => {
	using directory = new TemporaryDirectory();
	using files = new TemporaryDirectory();
	const worker = join(files.path, 'failing-log.mjs');
	writeFileSync(
		worker,
		`import { workerData } from 'node:worker_threads';
		const { writePoison } = await import('${sources}command/poison-note.js');
		const { ThreadBell } = await import('${sources}ring/bell.js');
		const { RingConsumer } = await import('${sources}ring/ring-consumer.js');
		const { memory, logOversizePort } = workerData;
		const messages = new RingConsumer(memory.logRing, undefined, logOversizePort);
		const bell = new ThreadBell(memory.logBell);
		for (let isOver = false; !isOver; ) {
			while (messages.next()) isOver ||= messages.source[messages.offset] === ${logStop};
			messages.release();
			if (!isOver) bell.sleep(() => messages.hasNext());
		}
		writePoison(memory.shared, 'MILLRACE_POISONED', 'failed on purpose');
		new ThreadBell(memory.workerBell).ring();`,
	);
	const options = {
		...engineOptions(directory.path, { ...small, partitions: 1 }),
		logWorkerUrl: new URL(`file://${worker}`),
	};
	const db = new Database(await Engine.start(options));
	const closed = db.close();
	closed.catch(() => undefined);
	for (let turn = 0; turn < 4; turn++) await nextTurn();
	const untilMs = performance.now() + 300;
	while (performance.now() < untilMs);
	await assert.rejects(closed, (error) => hasCode(error, 'MILLRACE_POISONED'));
});

test('a program that waits for nothing but close waits to its end', { timeout: 60_000 }, async () => {
	using directory = new TemporaryDirectory();
	const program = `
		import { open } from '${sources}index.js';
		for (let round = 0; round < 6; round++) {
			const options = { durability: 'none', memtableSize: 1 << 20, partitions: 2, reserveFileSize: 0 };
			const db = await open('${directory.path}/' + round, options);
			await Promise.all(Array.from({ length: 2000 }, (_, i) => db.put('k' + i, Buffer.alloc(1500))));
			await db.close();
		}
		console.log('closed');`;
	const file = join(directory.path, 'program.mjs');
	writeFileSync(file, program);
	const { code, text, stderr } = await runProgram(process.execPath, [file]);
	assert.deepEqual([code, text, stderr], [0, 'closed', '']);
});
