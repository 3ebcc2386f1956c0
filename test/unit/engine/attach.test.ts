/** Threads that attach to an open database: together, blocked, gone in the middle, and outliving it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { attach } from '../../../src/attach.js';
import { type ErrorCode, hasCode } from '../../../src/base/errors.js';
import { attachedThreadCountMax } from '../../../src/base/limits.js';
import type { Attachment } from '../../../src/engine/attach-messages.js';
import { Database } from '../../../src/engine/database.js';
import { Engine } from '../../../src/engine/engine.js';
import type { DatabaseEvent } from '../../../src/engine/session.js';
import { engineOptions, type OpenOptions, open } from '../../../src/open.js';
import { logGroup } from '../../../src/storage/lsm/wal/log-message-format.js';
import { TemporaryDirectory } from '../../support/server-process.js';
import type { AttachedTask } from './attached-worker.js';

const workerUrl = new URL('./attached-worker.js', import.meta.url);
const small: OpenOptions = { partitions: 2, durability: 'none', memtableSize: 1 << 22, reserveFileSize: 0 };

const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString();

function makeWords(): Int32Array<SharedArrayBuffer> {
	return new Int32Array(new SharedArrayBuffer(8));
}

/** A thread with a task. `outcome` is what it came to. */
class AttachedThread {
	readonly worker: Worker;
	readonly words: Int32Array<SharedArrayBuffer>;
	readonly outcome: Promise<unknown>;

	constructor(from: Database | Attachment, kind: AttachedTask['kind'], name = kind as string, count = 0) {
		const attachment = 'kind' in from ? from : from.attachment();
		const words = makeWords();
		const workerData: AttachedTask = { attachment, kind, name, count, words };
		this.words = words;
		this.worker = new Worker(workerUrl, { workerData, transferList: attachment.transferList });
		this.outcome = once(this.worker, 'message').then(([message]: { outcome?: unknown; failure?: string }[]) => {
			if (message.failure !== undefined) throw new Error(message.failure);
			return message.outcome;
		});
		this.outcome.catch(() => {});
	}

	/** Resolves when the thread has counted so far. */
	async reached(count: number): Promise<void> {
		while (Atomics.load(this.words, 0) < count) await nextTurn();
	}

	async ended(): Promise<number> {
		return (await once(this.worker, 'exit'))[0] as number;
	}
}

async function mustReject(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
	await assert.rejects(promise, (error) => hasCode(error, code));
}

/** Until everything of threads that are gone is cleaned up. */
async function untilNobodyIsAttached(engine: Engine): Promise<void> {
	while (engine.attachmentStatistics.threadCount > 0 || engine.attachmentStatistics.portCount > 0) await nextTurn();
}

test('an attached database does what the opener’s does; close detaches it, another ticket attaches again', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, small);
	for (let round = 0; round < 3; round++) {
		const other = await attach(db.attachment());
		assert.deepEqual([other.partitionCount, other.durability], [2, 'none']);
		await Promise.all([db.put(`mine ${round}`, 'a'), other.put(`theirs ${round}`, 'b')]);
		assert.equal(text(await other.get(`mine ${round}`)), 'a');
		assert.equal(text(await db.get(`theirs ${round}`)), 'b');
		assert.equal(text(other.getSync(`mine ${round}`)), 'a');
		assert.equal(await other.count(), (round + 1) * 2);
		assert.throws(() => other.attachment(), TypeError);
		await Promise.all([other.close(), other.close()]);
		await mustReject('MILLRACE_CLOSED', other.get('k'));
	}
	assert.equal(await db.count(), 6);
});

test('a ticket is for one attach; what is no ticket, a TypeError', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, small);
	const attachment = db.attachment();
	const first = await attach(attachment);
	await assert.rejects(attach(attachment), TypeError);
	assert.equal((await first.put('k', 'v'))?.version, 1);
	await first.close();
	await assert.rejects(attach(attachment), TypeError);
	const wrong: unknown[] = [
		undefined,
		null,
		1,
		'ticket',
		{},
		{ kind: 'millrace-attachment' },
		{ ...attachment, port: {} },
	];
	for (const bad of wrong) await assert.rejects(attach(bad as Attachment), TypeError);
});

test('a closed database makes no tickets, and takes none it made before', async () => {
	using directory = new TemporaryDirectory();
	const db = await open(directory.path, small);
	const [before, another, meanwhile] = [db.attachment(), db.attachment(), db.attachment()];
	const attaching = attach(meanwhile).catch((error: unknown) => error);
	const [, outcome] = await Promise.all([db.close(), attaching]);
	// It may have been in time.
	if (outcome instanceof Database) await mustReject('MILLRACE_CLOSED', outcome.get('k'));
	else assert.ok(hasCode(outcome, 'MILLRACE_CLOSED'));
	await mustReject('MILLRACE_CLOSED', attach(before));
	await assert.rejects(new AttachedThread(another, 'idle').outcome, /MILLRACE_CLOSED/);
	assert.throws(
		() => db.attachment(),
		(error) => hasCode(error, 'MILLRACE_CLOSED'),
	);
});

test('as many threads as may be attach at once; one more is told so, until one of them goes', async () => {
	using directory = new TemporaryDirectory();
	const engine = await Engine.start(engineOptions(directory.path, { ...small, partitions: 1 }));
	await using db = new Database(engine);
	const attached = await Promise.all(Array.from({ length: attachedThreadCountMax }, () => attach(db.attachment())));
	await mustReject('MILLRACE_BUSY', attach(db.attachment()));
	await Promise.all(attached.map((other, i) => other.put(`k${i}`, 'v')));
	assert.equal(await db.count(), attachedThreadCountMax);
	// Who goes makes room for who comes at the same time.
	const [next] = await Promise.all([attach(db.attachment()), ...attached.slice(0, 5).map((other) => other.close())]);
	assert.equal(text(await next.get('k7')), 'v');
	await Promise.all([next, ...attached].map((other) => other.close()));
	await untilNobodyIsAttached(engine);
	assert.equal(engine.attachmentStatistics.channelCount, attachedThreadCountMax);
});

test('threads and the opener add to the same counters: the sums are exact', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { ...small, durability: 'always' });
	const threads = Array.from({ length: 3 }, () => new AttachedThread(db, 'increment', 'n', 40));
	for (let round = 0; round < 40; round++) {
		await Promise.all(Array.from({ length: 10 }, (_, i) => db.increment(`counter ${i}`)));
	}
	assert.deepEqual(await Promise.all(threads.map(({ outcome }) => outcome)), [40, 40, 40]);
	for (let i = 0; i < 10; i++) assert.equal(text(await db.get(`counter ${i}`)), '160');
});

test('values of up to 16 MiB go both ways, from several threads', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, { partitions: 2, durability: 'none' });
	await db.put('big', Buffer.alloc(1 << 24, 7));
	const threads = ['a', 'b'].map((name) => new AttachedThread(db, 'bigValues', name, 4));
	assert.deepEqual(await Promise.all(threads.map(({ outcome }) => outcome)), ['all right', 'all right']);
	assert.equal((await db.get('b 3'))?.[1 << 23], ('b'.charCodeAt(0) + 3) & 0xff);
});

test('while the opener is blocked, an attached thread goes on', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, small);
	const thread = new AttachedThread(db, 'countInWords', 'n', 500);
	await thread.reached(1);
	// Replies for the opener lie there meanwhile, more than its rings hold: nobody waits for it to take them.
	const value = Buffer.alloc(100_000, 1);
	await db.put('mine', value);
	const mine = Promise.all(Array.from({ length: 100 }, () => db.get('mine')));
	await nextTurn();
	for (let at = 1; at < 500; at = Atomics.load(thread.words, 0)) {
		assert.notEqual(Atomics.wait(thread.words, 0, at, 20_000), 'timed-out', `it stands at ${at}`);
	}
	assert.ok((await mine).every((got) => got !== undefined && value.equals(got)));
	assert.equal(await thread.outcome, 'done');
});

test('threads that are terminated in the middle of everything leave nothing behind', { timeout: 120_000 }, async () => {
	using directory = new TemporaryDirectory();
	const engine = await Engine.start(engineOptions(directory.path, { ...small, partitions: 3, durability: 'always' }));
	await using db = new Database(engine);
	const survivor = await attach(db.attachment());
	const portsAtFirst = countPorts();
	let isOver = false;
	const unharmed = (async () => {
		let count = 0;
		for (; !isOver; count++) await Promise.all([survivor.increment('survivor'), db.increment('opener')]);
		return count;
	})();
	for (let round = 0; round < 6; round++) {
		const threads = ['a', 'b', 'c'].map((name) => new AttachedThread(db, 'writeForEver', name));
		// One of them may not even have said hello.
		await Promise.all(threads.slice(0, 2).map((thread) => thread.reached(round % 4)));
		await Promise.all(threads.map(({ worker }) => worker.terminate()));
		for (const name of ['a', 'b', 'c']) {
			using snapshot = await db.snapshot();
			const keys = Array.from({ length: 4 }, (_, part) => `pair ${name} ${part}`);
			const values = new Set((await db.getMany(keys, { snapshot })).map(text));
			assert.equal(values.size, 1, `round ${round}: a batch is there as a whole or not at all: ${[...values]}`);
		}
	}
	while (engine.attachmentStatistics.threadCount > 1 || engine.attachmentStatistics.portCount > 1) await nextTurn();
	isOver = true;
	const count = await unharmed;
	assert.deepEqual([text(await db.get('survivor')), text(await db.get('opener'))], [String(count), String(count)]);
	await survivor.close();
	// Each had taken snapshots, and closed none.
	for (const { snapshots } of await db.stats()) assert.equal((snapshots as { held: number }).held, 0);
	// The rings of one generation at a time, however many came: those that were still held when the next one came count, too.
	const { channelCount } = engine.attachmentStatistics;
	assert.ok(channelCount <= 3 * 7, `${channelCount} channels were made`);
	assert.ok(countPorts() <= portsAtFirst, `${countPorts()} ports, ${portsAtFirst} at first`);
	const all = await Promise.all(Array.from({ length: attachedThreadCountMax }, () => attach(db.attachment())));
	await Promise.all(all.map((other) => other.increment('last')));
	assert.equal(text(await db.get('last')), String(attachedThreadCountMax));
});

test('a thread that is attached and idle ends by itself, and gives everything back', async () => {
	using directory = new TemporaryDirectory();
	const engine = await Engine.start(engineOptions(directory.path, small));
	await using db = new Database(engine);
	const thread = new AttachedThread(db, 'idle');
	const ended = thread.ended();
	assert.equal(await thread.outcome, 'idle');
	assert.equal(await ended, 0);
	await untilNobodyIsAttached(engine);
});

test('close while threads work: their calls are refused with MILLRACE_CLOSED, what was acknowledged is there', async () => {
	using directory = new TemporaryDirectory();
	const db = await open(directory.path, { ...small, durability: 'always' });
	const threads = ['a', 'b'].map((name) => new AttachedThread(db, 'writeUntilRefused', name));
	await Promise.all(threads.map((thread) => thread.reached(200)));
	await db.close();
	type Outcome = { codes: string[]; acknowledged: number; events: string[] };
	const outcomes = (await Promise.all(threads.map(({ outcome }) => outcome))) as Outcome[];
	let acknowledgedCount = 0;
	for (const { codes, acknowledged, events } of outcomes) {
		assert.deepEqual([codes, events], [['MILLRACE_CLOSED'], ['closing']]);
		acknowledgedCount += acknowledged;
	}
	await using again = await open(directory.path, small);
	assert.ok((await again.count()) >= acknowledgedCount);
});

test('a thread that is busy does not hold up the close, and is told afterwards', async () => {
	using directory = new TemporaryDirectory();
	const db = await open(directory.path, small);
	const thread = new AttachedThread(db, 'block');
	await thread.reached(1);
	await db.close();
	await using again = await open(directory.path, small);
	assert.equal(text(await again.get('before')), 'v');
	Atomics.store(thread.words, 1, 1);
	Atomics.notify(thread.words, 1);
	assert.equal(await thread.outcome, 'MILLRACE_CLOSED');
	assert.equal(await again.get('after'), undefined);
});

test('a thread that is blocked in a batch does not hold up the close, nor who waits for the batch', async () => {
	using directory = new TemporaryDirectory();
	const db = await open(directory.path, small);
	const thread = new AttachedThread(db, 'blockInBatch');
	await thread.reached(1);
	const snapshot = mustReject('MILLRACE_CLOSED', db.snapshot());
	await db.close();
	await snapshot;
	Atomics.store(thread.words, 1, 1);
	Atomics.notify(thread.words, 1);
	assert.equal(await thread.outcome, 'MILLRACE_CLOSED');
	await using again = await open(directory.path, small);
	const count = await again.count();
	assert.ok(count === 0 || count === 20, `${count} of 20`);
});

test('a ticket whose port is closed attaches nobody; those never used keep nothing of a closed database', async () => {
	using directory = new TemporaryDirectory();
	const engine = await Engine.start(engineOptions(directory.path, small));
	const db = new Database(engine);
	const closed = db.attachment();
	closed.port.close();
	await once(closed.port, 'close');
	await mustReject('MILLRACE_CLOSED', attach(closed));
	const unused = [db.attachment(), db.attachment()];
	await db.close();
	assert.deepEqual(engine.attachmentStatistics, { threadCount: 0, portCount: 0, channelCount: 0 });
	for (const ticket of unused) await mustReject('MILLRACE_CLOSED', attach(ticket));
});

test('a thread of the database that dies: attached threads hear of it, and close still ends', async () => {
	using directory = new TemporaryDirectory();
	using files = new TemporaryDirectory();
	const real = engineOptions(directory.path, { ...small, partitions: 1 });
	const bad = join(files.path, 'bad.mjs');
	const ring = new URL('../../../src/ring/', import.meta.url).href;
	writeFileSync(
		bad,
		`import { workerData } from 'node:worker_threads';
		const { ThreadBell } = await import('${ring}bell.js');
		const { RingConsumer } = await import('${ring}ring-consumer.js');
		const messages = new RingConsumer(workerData.memory.logRing, undefined, workerData.logOversizePort);
		const bell = new ThreadBell(workerData.memory.logBell);
		for (;;) {
			while (messages.next()) if (messages.source[messages.offset] === ${logGroup}) throw new Error('broken on purpose');
			messages.release();
			bell.sleep(() => messages.hasNext());
		}`,
	);
	const db = new Database(await Engine.start({ ...real, logWorkerUrl: new URL(`file://${bad}`) }));
	const other = await attach(db.attachment());
	const unused = db.attachment();
	const deaths: DatabaseEvent[] = [];
	other.on('died', (event) => deaths.push(event));
	await mustReject('MILLRACE_WORKER_DIED', other.put('k', 'v'));
	await mustReject('MILLRACE_WORKER_DIED', other.get('k'));
	await mustReject('MILLRACE_WORKER_DIED', attach(unused));
	assert.throws(
		() => db.attachment(),
		(error) => hasCode(error, 'MILLRACE_WORKER_DIED'),
	);
	assert.equal(deaths.length, 1);
	await Promise.all([db.close(), other.close()]);
});

test('the thread that opened the database ends without closing it: attached threads hear of that', async () => {
	using directory = new TemporaryDirectory();
	const opener = new Worker(new URL('./opening-worker.js', import.meta.url), { workerData: directory.path });
	const [attachment] = (await once(opener, 'message')) as [Attachment];
	const db = await attach(attachment);
	await db.put('k', 'v');
	const died = new Promise((resolve) => db.on('died', resolve));
	const calls = Promise.allSettled(Array.from({ length: 100 }, (_, i) => db.put(`k${i}`, 'v')));
	await opener.terminate();
	await died;
	await mustReject('MILLRACE_WORKER_DIED', db.put('k', 'w'));
	for (const call of await calls) {
		assert.ok(call.status === 'fulfilled' || hasCode(call.reason, 'MILLRACE_WORKER_DIED'));
	}
	await db.close();
	await using again = await open(directory.path, small);
	assert.equal(text(await again.get('k')), 'v');
});

function countPorts(): number {
	return process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
}
