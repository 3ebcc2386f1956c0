/** The mail of a partition whose end is expected: what it waits for still reaches it. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { PartitionLink } from '../../../src/engine/partition-link.js';
import { ThreadBell } from '../../../src/ring/bell.js';

const workerUrl = new URL('./link-worker.js', import.meta.url);

test('while the end is expected, the outcome of a job still reaches the thread that may wait for it', {
	timeout: 20_000,
}, async () => {
	let finishJob: (outcome: unknown) => void = () => undefined;
	const outcome = new Promise<unknown>((resolve) => {
		finishJob = resolve;
	});
	const mail = new EventEmitter();
	const asked = once(mail, 'job');
	const noted = once(mail, 'note');
	const link = new PartitionLink({
		partition: 0,
		directory: '',
		isNew: false,
		durability: 'none',
		syncIntervalMs: 1000,
		storageOptions: {},
		partitionWorkerUrl: workerUrl,
		logWorkerUrl: workerUrl,
		databaseMemory: new SharedArrayBuffer(1024),
		storageMemory: { view: new SharedArrayBuffer(0), arenas: [] },
		mainBell: ThreadBell.create(),
		onBell: () => undefined,
		runJob: ({ job }) => {
			mail.emit('job', job);
			return outcome;
		},
		onEvent: (event) => {
			if (event.type === 'note') mail.emit('note', event.text);
		},
	});
	link.expectEnd();
	assert.deepEqual(await asked, ['a flush']);
	finishJob('done');
	assert.deepEqual(await noted, ['{"type":"outcome","id":7,"outcome":"done"}']);
	await link.terminate();
});
