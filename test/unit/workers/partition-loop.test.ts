/** The loop with real rings on a simulated disk: what passes a stalled write, what is refused, and every request of its own. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MillraceError, statusNotFound, statusOf, statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { BatchWriter } from '../../../src/command/batch.js';
import {
	flagArgument,
	flagSequence,
	opAppend,
	opBarrier,
	opBatch,
	opCheckpoint,
	opCompact,
	opCount,
	opDeleteRange,
	opFlush,
	opGet,
	opGetEntry,
	opPut,
	opReleaseSnapshot,
	opScan,
	opShutdown,
	opSnapshot,
	opStats,
	opTouch,
	opVerify,
	pageHeaderSize,
} from '../../../src/command/command-format.js';
import { Partition } from '../../../src/storage/lsm/partition.js';
import { LoopRig, type RigReply } from './loop-rig.js';

const alice = 1;
const bob = 2;
const names = (replies: readonly RigReply[]): string[] => replies.map(({ name }) => name);
const wide = 'v'.repeat(1000);

/** Puts of alice until one finds no room, because no flush gets done. @returns how many were answered */
function stall(rig: LoopRig): number {
	for (let i = 0; i < 1000; i++) {
		rig.send(`put ${i}`, { opcode: opPut, key: `key ${i}`, value: wide, sink: alice });
		rig.settle(['flush']);
		if (rig.takeReplies().length === 0) return i;
	}
	throw new Error('writes never stalled');
}

test('behind a stalled write, reads of other keys and other sinks pass; its own wait, and all end in order', () => {
	const rig = new LoopRig();
	const count = stall(rig);
	rig.send('alice reads what waits', { opcode: opGet, key: `key ${count}`, sink: alice });
	rig.send('alice reads another key', { opcode: opGet, key: 'key 0', sink: alice });
	rig.send('bob reads what waits', { opcode: opGet, key: `key ${count}`, sink: bob });
	rig.send('bob writes', { opcode: opPut, key: `key ${count}`, value: 'of bob', sink: bob });
	rig.send('bob scans', { opcode: opScan, sink: bob });
	rig.send('alice counts', { opcode: opCount, sink: alice });
	rig.settle(['flush']);
	const passed = rig.takeReplies();
	assert.deepEqual(names(passed), ['alice reads another key', 'bob reads what waits']);
	assert.deepEqual([passed[0].status, passed[1].status], [statusOk, statusNotFound]);
	rig.send('statistics', { opcode: opStats, sink: bob });
	rig.settle(['flush']);
	const statistics = JSON.parse(rig.takeReplies()[0].text) as Record<string, unknown>;
	assert.equal(statistics.waitingRequests, 5);
	rig.settle();
	const rest = rig.takeReplies();
	const answer = (name: string): RigReply => rest.find((reply) => reply.name === name) as RigReply;
	assert.equal(answer(`put ${count}`).status, statusOk);
	assert.equal(answer('alice reads what waits').text, wide, 'a connection sees its own write');
	assert.equal(answer('alice counts').number, count + 1);
	assert.ok(answer(`put ${count}`).number < answer('bob writes').number, 'writes keep their order');
	assert.equal(rest.length, 5);
	assert.equal(rig.ask({ opcode: opGet, key: `key ${count}` }).text, 'of bob');
});

test('a write that waits too long is refused with a code; when there is room again, writes go on', () => {
	const rig = new LoopRig({ stallTimeoutMs: 0 }, { stallTimeoutMs: 0 });
	let refused: RigReply | undefined;
	for (let i = 0; refused === undefined && i < 1000; i++) {
		rig.send(`put ${i}`, { opcode: opPut, key: `key ${i}`, value: wide });
		rig.settle(['flush']);
		refused = rig.takeReplies().find(({ status }) => status !== statusOk);
	}
	assert.equal(refused?.status, statusOf('MILLRACE_OVERLOADED'));
	assert.equal(rig.ask({ opcode: opGet, key: 'key 0' }).text, wide);
	rig.settle();
	assert.equal(rig.ask({ opcode: opPut, key: 'later', value: 'x' }).status, statusOk);
});

test('a flush that finds no room waits as a write does, and no longer', () => {
	for (const [stallTimeoutMs, expected] of [
		[0, 'MILLRACE_OVERLOADED'],
		[60_000, undefined],
	] as const) {
		const rig = new LoopRig({}, { stallTimeoutMs });
		// Two memtables: while the first waits for its flush, the second cannot be flushed.
		rig.ask({ opcode: opPut, key: 'a', value: wide });
		rig.send('first', { opcode: opFlush });
		rig.settle(['flush']);
		rig.send('put', { opcode: opPut, key: 'b', value: wide });
		rig.send('second', { opcode: opFlush });
		rig.settle(['flush']);
		const refused = rig.takeReplies().find(({ name }) => name === 'second');
		assert.equal(refused?.status, expected === undefined ? undefined : statusOf(expected));
		rig.settle();
		const names = rig.takeReplies().map(({ name, status }) => `${name} ${status}`);
		assert.deepEqual(names, expected === undefined ? ['first 0', 'second 0'] : ['first 0']);
	}
});

test('when level 0 is full, writes wait for compaction, are refused in the end, and statistics say why', () => {
	const marks = { levelZeroCountTrigger: 2, levelZeroSlowCount: 3, levelZeroStopCount: 4 };
	const rig = new LoopRig({ ...marks, stallTimeoutMs: 1000 });
	let count = 0;
	for (let isWaiting = false; !isWaiting && count < 2000; count++) {
		rig.send(`put ${count}`, { opcode: opPut, key: `key ${count % 100}`, value: wide });
		for (let i = 0; i < 20; i++) rig.settle(['compact']);
		isWaiting = rig.takeReplies().length === 0;
	}
	const statistics = JSON.parse(rig.ask({ opcode: opStats, sink: bob }, ['compact']).text) as Record<string, unknown>;
	assert.deepEqual(statistics.writes, { ...(statistics.writes as object), state: 'stopped', reason: 'level-0' });
	rig.nowMs += 1000;
	rig.settle(['compact']);
	const [refused] = rig.takeReplies();
	assert.equal(refused.status, statusOf('MILLRACE_OVERLOADED'));
	assert.match(refused.text, /level-0/);
	rig.settle();
	assert.equal(rig.ask({ opcode: opPut, key: 'k', value: 'v' }).status, statusOk);
});

test('slowed writes are held back, reads are not', () => {
	const rig = new LoopRig();
	rig.ask({ opcode: opPut, key: 'settled', value: 'old' });
	const { maintenance } = rig.host.partition;
	let delayMs = 3;
	const asked: number[] = [];
	maintenance.writeDelayMs = (bytes) => {
		asked.push(bytes);
		return delayMs;
	};
	rig.send('first', { opcode: opPut, key: 'a', value: '12345678' });
	rig.settle();
	rig.send('second', { opcode: opPut, key: 'b', value: '1' });
	rig.send('read', { opcode: opGet, key: 'settled' });
	rig.settle();
	assert.deepEqual(names(rig.takeReplies()), ['read', 'first']);
	assert.equal(asked[0], 8 + 1 + 8, 'told the bytes of the command');
	assert.deepEqual([...new Set(asked.slice(1))], [0], 'and asked again meanwhile');
	delayMs = 0;
	rig.settle();
	assert.deepEqual(names(rig.takeReplies()), ['second']);
});

test('a shutdown comes after what waits', () => {
	const rig = new LoopRig();
	const count = stall(rig);
	rig.send('shutdown', { opcode: opShutdown, sink: bob });
	rig.settle(['flush']);
	assert.deepEqual(rig.takeReplies(), []);
	rig.settle();
	assert.deepEqual(names(rig.takeReplies()).sort(), [`put ${count}`, 'shutdown']);
});

test('snapshots: read, counted and scanned at, released once for each', () => {
	const rig = new LoopRig();
	rig.ask({ opcode: opPut, key: 'k', value: 'before' });
	const { number: sequence } = rig.ask({ opcode: opSnapshot });
	rig.ask({ opcode: opPut, key: 'k', value: 'after' });
	rig.ask({ opcode: opPut, key: 'l', value: 'new' });
	const at = { flags: flagSequence, sequence };
	assert.equal(rig.ask({ opcode: opGet, key: 'k', ...at }).text, 'before');
	assert.equal(rig.ask({ opcode: opGet, key: 'k' }).text, 'after');
	assert.equal(rig.ask({ opcode: opCount, ...at }).number, 1);
	assert.equal(rig.ask({ opcode: opCount }).number, 2);
	assert.match(rig.ask({ opcode: opScan, ...at }).text, /before$/);
	const release = { opcode: opReleaseSnapshot, flags: flagArgument, argument: sequence };
	assert.equal(rig.ask(release).status, statusOk);
	assert.equal(rig.ask(release).status, statusNotFound);
	for (const opcode of [opGet, opScan, opCount]) {
		assert.equal(rig.ask({ opcode, key: 'k', ...at }).status, statusOf('MILLRACE_SNAPSHOT'), `opcode ${opcode}`);
	}
});

test('a snapshot that is held for too long is warned of and released, also when nobody asks for anything', () => {
	const rig = new LoopRig({ snapshotAgeMaxMs: 10_000 });
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	const { number: sequence } = rig.ask({ opcode: opSnapshot });
	assert.equal(rig.host.partition.tickDelayMs(rig.nowMs) !== undefined, true, 'the loop does not sleep for ever');
	rig.nowMs += 6000;
	rig.settle();
	assert.match(rig.notes.join('\n'), /a snapshot at \d+ is held for/);
	assert.equal(rig.ask({ opcode: opGet, key: 'k', flags: flagSequence, sequence }).text, 'v');
	rig.nowMs += 6000;
	rig.settle();
	assert.match(rig.notes.join('\n'), /is released: reads there are refused/);
	const late = rig.ask({ opcode: opGet, key: 'k', flags: flagSequence, sequence });
	assert.equal(late.status, statusOf('MILLRACE_SNAPSHOT'));
});

test('append, batch, deleted ranges and whole entries go through', () => {
	const rig = new LoopRig();
	const batch = new BatchWriter();
	for (const key of ['a', 'b', 'c', 'd']) batch.add(opPut, 0, 0, Buffer.from(key), Buffer.from(`value of ${key}`));
	const { number: version } = rig.ask({ opcode: opBatch, value: batch.value });
	assert.equal(version, 4);
	assert.equal(rig.ask({ opcode: opAppend, key: 'a', value: '!' }).text, '11');
	assert.equal(rig.ask({ opcode: opDeleteRange, key: 'b', value: 'd' }).status, statusOk);
	assert.equal(rig.ask({ opcode: opCount }).number, 2);
	const entry = rig.ask({ opcode: opGetEntry, key: 'a' });
	assert.deepEqual([entry.number, entry.text.slice(8)], [5, 'value of a!']);
});

test('flush, compact, verify, checkpoint and barrier are answered when they are done', () => {
	const rig = new LoopRig();
	for (let i = 0; i < 200; i++) rig.ask({ opcode: opPut, key: `key ${i % 50}`, value: wide });
	rig.send('compact', { opcode: opCompact });
	rig.settle(['compact']);
	assert.deepEqual(names(rig.takeReplies()), [], 'not before its jobs are done');
	rig.settle();
	assert.deepEqual(names(rig.takeReplies()), ['compact']);
	assert.equal(rig.host.partition.statistics().tables, 1);
	rig.ask({ opcode: opPut, key: 'only in the log', value: 'yet' });
	assert.equal(rig.ask({ opcode: opBarrier }).status, statusOk);
	assert.deepEqual(JSON.parse(rig.ask({ opcode: opVerify }).text), []);
	rig.send('checkpoint', { opcode: opCheckpoint, value: '/copy' });
	rig.settle(['checkpoint']);
	assert.deepEqual(names(rig.takeReplies()), []);
	rig.settle();
	assert.deepEqual(names(rig.takeReplies()), ['checkpoint']);
	const copy = new Partition(rig.disk, '/copy', rig.host, { reserveFileSize: 0 });
	assert.equal(copy.statistics().lastSequence, rig.host.partition.lastSequence);
	copy.close();
	assert.equal(rig.ask({ opcode: opFlush }).status, statusOk);
	assert.equal(rig.host.partition.flushedSequence, rig.host.partition.lastSequence);
});

test('after the log has failed, a verification is answered all the same, and writes with the reason', () => {
	const rig = new LoopRig();
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	rig.ask({ opcode: opFlush });
	rig.failLog();
	assert.equal(rig.ask({ opcode: opPut, key: 'k', value: 'v' }).status, statusOf('MILLRACE_POISONED'));
	const answer = rig.ask({ opcode: opVerify });
	assert.deepEqual([answer.status, JSON.parse(answer.text)], [statusOk, []]);
});

test('what is told to somebody begins no stall', () => {
	const rig = new LoopRig({ stallTimeoutMs: 0 });
	const refused = (): unknown => {
		const { writes } = JSON.parse(rig.ask({ opcode: opStats }).text) as { writes: { refused: number } };
		return writes.refused;
	};
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	rig.host.partition.maintenance.refuseWrites(new MillraceError('MILLRACE_POISONED', 'a table is damaged'));
	const flush = rig.ask({ opcode: opFlush });
	assert.deepEqual([flush.status, flush.text], [statusOf('MILLRACE_POISONED'), 'a table is damaged']);
	assert.equal(refused(), 0);
});

test('a flush that found no room in time says so', () => {
	const rig = new LoopRig({ stallTimeoutMs: 0 });
	rig.ask({ opcode: opPut, key: 'a', value: 'v' });
	rig.send('first', { opcode: opFlush });
	rig.settle(['flush']);
	rig.ask({ opcode: opPut, key: 'b', value: 'v' }, ['flush']);
	const second = rig.ask({ opcode: opFlush }, ['flush']);
	assert.equal(second.status, statusOf('MILLRACE_OVERLOADED'), second.text);
});

test('what makes no sense is answered with a code, and changes nothing', () => {
	const rig = new LoopRig();
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	const refusals: [string, Parameters<LoopRig['ask']>[0]][] = [
		['MILLRACE_UNKNOWN_COMMAND', { opcode: 0, key: 'k' }],
		['MILLRACE_UNKNOWN_COMMAND', { opcode: 63, key: 'k' }],
		['MILLRACE_UNKNOWN_COMMAND', { opcode: opTouch, key: 'k', flags: flagArgument, argument: 1 }],
		['MILLRACE_UNKNOWN_COMMAND', { opcode: 127, key: 'k' }],
		['MILLRACE_UNKNOWN_COMMAND', { opcode: 200 }],
		['MILLRACE_ARGUMENT', { opcode: opBatch, value: 'no batch' }],
		['MILLRACE_ARGUMENT', { opcode: opScan, value: 'no options' }],
		['MILLRACE_ARGUMENT', { opcode: opCheckpoint }],
		['MILLRACE_ARGUMENT', { opcode: opCheckpoint, value: 'a\0b' }],
		['MILLRACE_DIRECTORY', { opcode: opCheckpoint, value: '/data' }],
		['MILLRACE_SNAPSHOT', { opcode: opGet, key: 'k', flags: flagSequence, sequence: Number.NaN }],
	];
	for (const [code, request] of refusals) {
		const { status, text } = rig.ask(request);
		const expected = statusOf(code as MillraceError['code']);
		assert.equal(status, expected, `opcode ${request.opcode}, ${String(request.value)}: ${status} ${text}`);
		assert.ok(text.length > 10, 'with words');
	}
	const notFound = rig.ask({ opcode: opReleaseSnapshot, flags: flagArgument, argument: Number.NaN });
	assert.equal(notFound.status, statusNotFound);
	assert.equal(rig.host.partition.lastSequence, 1);
	assert.equal(rig.ask({ opcode: opScan }).text.length, pageHeaderSize + 24 + 2);
});

test('main hears that puts are refused for want of space, and that they are taken again, once for each change', () => {
	const rig = new LoopRig({ diskBudget: 600 * 1024 });
	/** Every other time that there is no space, and in between that there is. */
	const isFullAsTold = (): boolean => {
		const told = rig.mail.flatMap((mail) => (mail.type === 'diskFull' ? [mail.isFull] : []));
		for (const [index, isFull] of told.entries()) assert.equal(isFull, index % 2 === 0);
		return told.at(-1) === true;
	};
	// Tables take as many bytes as were written.
	const prng = new Prng(1);
	const put = (key: string): RigReply => {
		const value = new Uint8Array(1000);
		prng.fill(value, 0, value.length);
		return rig.ask({ opcode: opPut, key, value });
	};
	let status: number = statusOk;
	for (let i = 0; status === statusOk && i < 2000; i++) status = put(`key ${i}`).status;
	assert.equal(status, statusOf('MILLRACE_DISK_FULL'));
	assert.equal(isFullAsTold(), true);
	assert.equal(rig.ask({ opcode: opDeleteRange }).status, statusOk);
	rig.ask({ opcode: opCompact });
	for (let i = 0; i < 5; i++) rig.settle();
	assert.equal(isFullAsTold(), false);
	assert.equal(rig.ask({ opcode: opPut, key: 'k', value: 'v' }).status, statusOk);
});
