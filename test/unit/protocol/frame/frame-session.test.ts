/**
 * The session over a fake port and a fake connection: the same replies however the bytes are cut and whatever refuses
 * to take them, replies in any order, limits and broken input, and an orderly end.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr, Unpackr } from 'msgpackr';
import { codeOf, statusNotFound, statusOf, statusOk } from '../../../../src/base/errors.js';
import { frameSizeMax, inFlightPerConnectionMax, valueSizeMax } from '../../../../src/base/limits.js';
import { Prng } from '../../../../src/base/prng.js';
import {
	flagIfAbsent,
	flagReturnOld,
	opClear,
	opCount,
	opDelete,
	opFlush,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opScan,
	opSetExpiry,
	opStats,
} from '../../../../src/command/command-format.js';
import {
	operationGetMany,
	operationPing,
	wireFlagRelativeExpiry,
} from '../../../../src/protocol/frame/frame-format.js';
import { FrameSession } from '../../../../src/protocol/frame/frame-session.js';
import { testSeed } from '../../../support/seed.js';
import { FakeCommandPort } from './fake-command-port.js';
import { FakeConnection } from './fake-connection.js';

const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number' });
const preface = Buffer.from([0xc1, 0x4d, 0x52, 1]);

type Reply = [id: number, status: number, payload: unknown, number: number];

function frame(message: unknown): Buffer {
	const body = packer.pack(message);
	const header = Buffer.alloc(4);
	header.writeUInt32LE(body.length);
	return Buffer.concat([header, body]);
}

/** Replies in a stream, by an independent decoder; the preface is checked and dropped. */
function readReplies(stream: Buffer, hasPreface: boolean): Reply[] {
	let at = 0;
	if (hasPreface) {
		assert.deepEqual(stream.subarray(0, 4), preface);
		at = 4;
	}
	const replies: Reply[] = [];
	while (at < stream.length) {
		const size = stream.readUInt32LE(at);
		const reply = unpacker.unpack(stream.subarray(at + 4, at + 4 + size)) as Reply;
		assert.equal(reply.length, 4);
		replies.push(reply);
		at += 4 + size;
	}
	assert.equal(at, stream.length);
	return replies;
}

class Bench {
	readonly connection = new FakeConnection();
	readonly port: FakeCommandPort;
	readonly session: FrameSession;

	constructor(partitionCount = 3, nowMs = () => 1_000_000) {
		this.port = new FakeCommandPort(partitionCount);
		this.session = new FrameSession(this.connection, this.port, { serverVersion: '1.2.3', nowMs });
	}

	/** A bench past its hello. */
	static opened(partitionCount = 3): Bench {
		const bench = new Bench(partitionCount);
		bench.session.onBytes(preface);
		bench.connection.take();
		return bench;
	}

	ask(...messages: unknown[]): Reply[] {
		this.session.onBytes(Buffer.concat(messages.map(frame)));
		this.settle();
		return readReplies(this.connection.take(), false);
	}

	settle(): void {
		while (this.port.queuedCount > 0) this.port.deliver();
	}
}

const key = Buffer.from('key');
const value = Buffer.from('välue');

test('the server says hello with what a client must know', () => {
	const bench = new Bench();
	bench.session.onBytes(preface);
	const [hello] = readReplies(bench.connection.take(), true);
	assert.equal(hello?.[0], 0);
	assert.equal(hello?.[1], statusOk);
	const fields = hello?.[2] as Record<string, unknown>;
	assert.equal(fields.partitionCount, 3);
	assert.equal(fields.version, '1.2.3');
	assert.equal(fields.frameSizeMax, frameSizeMax);
});

test('every operation answers as its page says', () => {
	const bench = Bench.opened();
	assert.deepEqual(bench.ask([1, opPut, key, value]), [[1, statusOk, null, 1]]);
	assert.deepEqual(bench.ask([2, opGet, 'key']), [[2, statusOk, value, 1]]);
	assert.deepEqual(bench.ask([3, opGet, 'none']), [[3, statusNotFound, null, 0]]);
	assert.deepEqual(bench.ask([4, opHas, key]), [[4, statusOk, null, 0]]);
	assert.deepEqual(bench.ask([5, opPut, key, 'x', flagIfAbsent]), [[5, statusNotFound, null, 0]]);
	assert.deepEqual(bench.ask([6, opPut, key, 'x', flagReturnOld, 5_000_000]), [[6, statusOk, value, 2]]);
	assert.deepEqual(bench.ask([7, opGetExpiry, key]), [[7, statusOk, null, 5_000_000]]);
	assert.deepEqual(bench.ask([8, opSetExpiry, key, null]), [[8, statusOk, null, 0]]);
	assert.deepEqual(bench.ask([9, opSetExpiry, key, 500, wireFlagRelativeExpiry]), [[9, statusOk, null, 0]]);
	assert.equal(bench.port.lastArgument, 1_000_500);
	assert.deepEqual(bench.ask([10, opIncrement, 'n', '-9007199254740993']), [[10, statusOk, '-9007199254740993', 0]]);
	const [refused] = bench.ask([11, opIncrement, key, '1']);
	assert.equal(refused?.[1], statusOf('MILLRACE_NOT_INTEGER'));
	assert.equal(typeof refused?.[2], 'string');
	assert.deepEqual(bench.ask([12, opCount]), [[12, statusOk, null, 2]]);
	const [stats] = bench.ask([13, opStats]);
	assert.deepEqual(
		stats?.[2],
		[0, 1, 2].map((partition) => ({ partition, keys: bench.port.data[partition]?.size })),
	);
	assert.deepEqual(bench.ask([14, opFlush]), [[14, statusOk, null, 0]]);
	assert.deepEqual(bench.ask([15, operationPing]), [[15, statusOk, null, 0]]);
	assert.deepEqual(bench.ask([16, opDelete, key]), [[16, statusOk, null, 0]]);
	assert.deepEqual(bench.ask([17, opClear]), [[17, statusOk, null, 0]]);
	assert.deepEqual(bench.ask([18, opCount]), [[18, statusOk, null, 0]]);
	assert.deepEqual(bench.ask([19, operationGetMany, []]), [[19, statusOk, [], 0]]);
	const [scan] = bench.ask([20, opScan, 2, '', 10]);
	assert.equal(scan?.[3], 1);
	const [noPartition] = bench.ask([21, opScan, 3, '', 10]);
	assert.equal(noPartition?.[1], statusOf('MILLRACE_ARGUMENT'));
});

test('getMany answers once, in the order of its keys, with room refused on the way', () => {
	const bench = Bench.opened();
	const keys = Array.from({ length: 700 }, (_, i) => `key-${i}`);
	for (let i = 0; i < 700; i += 2) bench.ask([i + 1, opPut, `key-${i}`, i === 4 ? '' : `value-${i}`]);
	bench.port.roomMax = 37;
	bench.port.shuffle = new Prng(1);
	const replies = bench.ask([5, operationGetMany, keys], [6, opGet, 'key-2']);
	assert.ok(bench.port.refusedCount > 10);
	const many = replies.find(([id]) => id === 5)?.[2];
	const expected = keys.map((_, i) => (i % 2 === 1 ? null : Buffer.from(i === 4 ? '' : `value-${i}`)));
	assert.deepEqual(many, expected);
	assert.deepEqual(replies.find(([id]) => id === 6)?.[2], Buffer.from('value-2'));
	assert.equal(bench.connection.isPaused, false);
});

test('a getMany whose values do not fit a frame is refused, and the next works', () => {
	const bench = Bench.opened(1);
	bench.ask([1, opPut, 'big', Buffer.alloc(valueSizeMax, 1)]);
	const [refused, got] = bench.ask([2, operationGetMany, ['big', 'big']], [3, operationGetMany, ['big']]);
	assert.equal(codeOf(refused?.[1] as number), 'MILLRACE_MESSAGE_SIZE');
	const values = got?.[2] as Buffer[] | undefined;
	assert.equal(values?.[0]?.length, valueSizeMax);
});

test('the same replies for a stream whole, byte by byte and in random pieces, with every obstacle', () => {
	const prng = new Prng(testSeed('frame-session'));
	const messages: unknown[] = [];
	for (let id = 1; id <= 400; id++) {
		const name = `key-${prng.below(40)}`;
		const pick = prng.below(9);
		if (pick < 3) messages.push([id, opPut, name, Buffer.alloc(prng.below(300), id)]);
		else if (pick < 6) messages.push([id, opGet, name]);
		else if (pick === 6) messages.push([id, opDelete, name]);
		else if (pick === 7) messages.push([id, operationGetMany, ['key-1', name, 'none']]);
		else messages.push([id, prng.chance(0.5) ? opHas : 99, name]);
	}
	const stream = Buffer.concat([preface, ...messages.map(frame)]);
	const play = (nextSize: () => number, roomMax: number, congestion: number): Reply[] => {
		const bench = new Bench();
		bench.port.roomMax = roomMax;
		for (let at = 0; at < stream.length; ) {
			if (bench.connection.isPaused) {
				bench.settle();
				if (bench.connection.isCongested) {
					bench.connection.isCongested = false;
					bench.session.onWritable();
				}
				continue;
			}
			const size = Math.min(nextSize(), stream.length - at);
			bench.connection.isCongested = prng.chance(congestion);
			bench.session.onBytes(Buffer.from(stream.subarray(at, at + size)));
			at += size;
		}
		bench.connection.isCongested = false;
		bench.session.onWritable();
		bench.session.onDrain();
		bench.settle();
		assert.equal(bench.connection.isEnded, true);
		assert.equal(bench.port.sinks.size, 0);
		const [, ...replies] = readReplies(bench.connection.take(), true);
		return replies.sort((a, b) => a[0] - b[0]);
	};
	const expected = play(() => stream.length, Number.POSITIVE_INFINITY, 0);
	assert.equal(expected.length, 400);
	assert.deepEqual(
		play(() => 1, Number.POSITIVE_INFINITY, 0),
		expected,
	);
	for (let round = 0; round < 15; round++) {
		assert.deepEqual(
			play(() => 1 + prng.below(500), 1 + prng.below(20), 0.3),
			expected,
		);
	}
});

test('the window bounds what is in flight, and reading goes on when replies come', () => {
	const bench = Bench.opened();
	const count = inFlightPerConnectionMax * 2 + 100;
	const requests = Array.from({ length: count }, (_, i) => frame([i + 1, opPut, `k${i}`, 'v']));
	bench.session.onBytes(Buffer.concat(requests));
	const startCount = bench.port.queuedCount;
	assert.ok(startCount < inFlightPerConnectionMax, 'the window begins small: nobody knows yet how large replies are');
	assert.equal(bench.connection.isPaused, true);
	bench.port.deliver();
	assert.ok(bench.port.queuedCount > startCount, 'and grows with every reply');
	bench.settle();
	assert.equal(bench.connection.isPaused, false);
	assert.equal(bench.port.queuedMax, inFlightPerConnectionMax);
	const ids = readReplies(bench.connection.take(), false).map(([id]) => id);
	assert.equal(new Set(ids).size, count);
});

test('a congested connection is not read from', () => {
	const bench = Bench.opened();
	bench.connection.isCongested = true;
	bench.session.onBytes(frame([1, operationPing]));
	assert.equal(bench.connection.isPaused, true);
	assert.equal(bench.connection.take().length, 0);
	bench.connection.isCongested = false;
	bench.session.onWritable();
	assert.equal(bench.connection.isPaused, false);
	assert.deepEqual(readReplies(bench.connection.take(), false), [[1, statusOk, null, 0]]);
});

test('what cannot be understood gets a protocol error; requests before it are still answered; then the end', () => {
	const oversize = Buffer.alloc(4);
	oversize.writeUInt32LE(frameSizeMax + 1);
	for (const garbage of [oversize, Buffer.alloc(4), frame('text'), frame([]), frame([0, opGet, 'k'])]) {
		const bench = Bench.opened();
		bench.session.onBytes(Buffer.concat([frame([1, opPut, key, value]), garbage, frame([2, opGet, key])]));
		assert.equal(bench.connection.isEnded, false, 'one request is in flight');
		bench.session.onBytes(frame([3, opGet, key]));
		bench.settle();
		assert.equal(bench.connection.isEnded, true);
		const replies = readReplies(bench.connection.take(), false);
		assert.equal(replies.length, 2);
		assert.equal(replies[0]?.[0], 0);
		assert.match(codeOf(replies[0]?.[1] as number), /PROTOCOL|MESSAGE_SIZE/);
		assert.deepEqual(replies[1], [1, statusOk, null, 1]);
		const next = Bench.opened();
		assert.deepEqual(next.ask([1, operationPing]), [[1, statusOk, null, 0]]);
	}
});

test('a foreign preface or version gets ours, an error and the end', () => {
	for (const start of [Buffer.from([0xc1, 0x4d, 0x52, 2]), Buffer.from('\xc1GET', 'latin1')]) {
		const bench = new Bench();
		bench.session.onBytes(Buffer.concat([start, frame([1, operationPing])]));
		const replies = readReplies(bench.connection.take(), true);
		assert.equal(replies.length, 1);
		assert.equal(replies[0]?.[1], statusOf('MILLRACE_PROTOCOL'));
		assert.equal(bench.connection.isEnded, true);
	}
});

test('draining answers what was read; closing lets go', () => {
	const bench = Bench.opened();
	bench.port.roomMax = 1;
	bench.session.onBytes(Buffer.concat([frame([1, opPut, key, value]), frame([2, opGet, key]), Buffer.from([9])]));
	bench.session.onDrain();
	assert.equal(bench.connection.isEnded, false);
	bench.settle();
	assert.equal(bench.connection.isEnded, true);
	assert.equal(readReplies(bench.connection.take(), false).length, 2);
	const closed = Bench.opened();
	closed.session.onBytes(frame([1, opCount]));
	closed.session.onClose();
	closed.session.onClose();
	assert.equal(closed.port.sinks.size, 0);
	closed.settle();
});
