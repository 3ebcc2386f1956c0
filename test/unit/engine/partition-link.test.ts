/** The mail of a partition, and when a channel is done with. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../src/base/errors.js';
import { type LinkOptions, type OpenProgress, PartitionLink } from '../../../src/engine/partition-link.js';
import type { DatabaseEvent } from '../../../src/engine/session.js';
import { ThreadBell } from '../../../src/ring/bell.js';

const workerUrl = new URL('./link-worker.js', import.meta.url);

/** A link to threads that do as they are told. */
class Rig {
	readonly heard = new EventEmitter();
	readonly events: DatabaseEvent[] = [];
	readonly progress: OpenProgress[] = [];
	finishJob: (outcome: unknown) => void = () => undefined;
	readonly link: PartitionLink;

	constructor() {
		const outcome = new Promise<unknown>((resolve) => {
			this.finishJob = resolve;
		});
		const options: LinkOptions = {
			partition: 3,
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
				this.heard.emit('job', job);
				return outcome;
			},
			onEvent: (event) => {
				this.events.push(event);
				if (event.type === 'note') this.heard.emit('note', event.text);
			},
			onProgress: (progress) => this.progress.push(progress),
		};
		this.link = new PartitionLink(options);
		// Its test's log thread has nothing to do, and ends at once.
		this.link.expectEnd();
	}
}

test('while the end is expected, the outcome of a job still reaches the thread that may wait for it', {
	timeout: 20_000,
}, async () => {
	const rig = new Rig();
	const noted = once(rig.heard, 'note');
	assert.deepEqual(await once(rig.heard, 'job'), ['a flush']);
	rig.finishJob('done');
	assert.deepEqual(await noted, ['{"type":"outcome","id":7,"outcome":"done"}']);
	await rig.link.terminate();
});

test('what a partition says of its state becomes an event, with the error’s code', { timeout: 20_000 }, async () => {
	const rig = new Rig();
	await once(rig.heard, 'job');
	assert.deepEqual(rig.progress, [{ partition: 3, step: 'log', done: 1, total: 2 }]);
	const [poisoned, full] = rig.events;
	assert.ok(poisoned?.type === 'poisoned' && poisoned.error instanceof MillraceError);
	assert.deepEqual([poisoned.partition, poisoned.error.code], [3, 'MILLRACE_POISONED']);
	assert.deepEqual(full, { type: 'diskFull', partition: 3, isFull: true });
	await rig.link.terminate();
});

test('a channel is done with when the log’s thread is past all messages that may name it', {
	timeout: 20_000,
}, async () => {
	const rig = new Rig();
	await once(rig.heard, 'job');
	let isDone = false;
	const detached = rig.link.detach(5).then(() => {
		isDone = true;
	});
	assert.deepEqual(await once(rig.heard, 'note'), ['detached']);
	await sleep(20);
	assert.equal(isDone, false, 'its rings may still be written to');
	rig.finishJob('the log has gone on');
	await detached;
	await rig.link.terminate();
	await rig.link.detach(6);
});
