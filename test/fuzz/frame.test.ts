/**
 * Feeds the frame session valid, mutated and random streams in random pieces (MILLRACE_FUZZ_RUNS of them, 500 by
 * default). It must never throw, must write only whole frames, must end in order, and a session made after it must
 * work.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr, Unpackr } from 'msgpackr';
import { Prng } from '../../src/base/prng.js';
import { opGet, opPut } from '../../src/command/command-format.js';
import { operationGetMany, operationPing } from '../../src/protocol/frame/frame-format.js';
import { FrameSession } from '../../src/protocol/frame/frame-session.js';
import { testSeed } from '../support/seed.js';
import { FakeCommandPort } from '../unit/protocol/frame/fake-command-port.js';
import { FakeConnection } from '../unit/protocol/frame/fake-connection.js';

const runCount = Number(process.env.MILLRACE_FUZZ_RUNS ?? 500);
const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number' });
const preface = Buffer.from([0xc1, 0x4d, 0x52, 1]);
const operations = [1, 2, 3, 5, 64, 65, 66, 67, 68, 128, 129, 131, 192, 193, 7, 255];

function frame(message: unknown): Buffer {
	const body = packer.pack(message);
	const header = Buffer.alloc(4);
	header.writeUInt32LE(body.length);
	return Buffer.concat([header, body]);
}

function randomField(prng: Prng): unknown {
	const pick = prng.below(8);
	if (pick < 3) return `key-${prng.below(9)}`;
	if (pick === 3) return Buffer.alloc(prng.below(300), prng.below(256));
	if (pick === 4) return prng.below(1_000);
	if (pick === 5) return null;
	if (pick === 6) return ['a', `key-${prng.below(9)}`];
	return -prng.nextU32() * prng.below(1_000);
}

function randomRequest(prng: Prng, id: number): unknown[] {
	if (prng.chance(0.3)) return [id, opPut, `key-${prng.below(9)}`, Buffer.alloc(prng.below(100))];
	if (prng.chance(0.3)) return [id, opGet, `key-${prng.below(9)}`];
	if (prng.chance(0.2)) return [id, operationGetMany, ['key-1', 'key-2', 'none']];
	const fields = Array.from({ length: prng.below(5) }, () => randomField(prng));
	return [id, operations[prng.below(operations.length)], ...fields];
}

function randomStream(prng: Prng): Buffer {
	const parts: Buffer[] = [preface];
	for (let id = 1 + prng.below(12); id > 0; id--) parts.push(frame(randomRequest(prng, id)));
	const stream = Buffer.concat(parts);
	for (let i = prng.chance(0.7) ? prng.below(6) : 0; i > 0; i--) {
		const at = prng.chance(0.1) ? prng.below(4) : prng.below(stream.length);
		stream[at] = prng.chance(0.5) ? prng.below(256) : (stream[at] as number) ^ (1 << prng.below(8));
	}
	if (prng.chance(0.1)) prng.fill(stream, 4);
	return prng.chance(0.3) ? stream.subarray(0, prng.below(stream.length)) : stream;
}

/** @returns the replies; fails when what was written is not a preface and whole frames */
function readOutput(output: Buffer): unknown[][] {
	if (output.length === 0) return [];
	assert.deepEqual(output.subarray(0, 4), preface);
	const replies: unknown[][] = [];
	let at = 4;
	while (at < output.length) {
		const end = at + 4 + output.readUInt32LE(at);
		assert.ok(end <= output.length);
		const reply = unpacker.unpack(output.subarray(at + 4, end)) as unknown[];
		assert.equal(reply.length, 4);
		replies.push(reply);
		at = end;
	}
	return replies;
}

/** Plays a stream in random pieces and returns the replies but for the hello, by id. */
function play(stream: Buffer, prng: Prng): unknown[][] {
	const port = new FakeCommandPort(1 + prng.below(4));
	port.roomMax = prng.chance(0.5) ? 1 + prng.below(4) : Number.POSITIVE_INFINITY;
	const connection = new FakeConnection();
	const session = new FrameSession(connection, port, { nowMs: () => 1_000 });
	for (let at = 0; at < stream.length; ) {
		const size = prng.chance(0.3) ? 1 : 1 + prng.below(64);
		session.onBytes(Buffer.from(stream.subarray(at, at + size)));
		at += size;
		if (prng.chance(0.2)) port.deliver();
	}
	session.onDrain();
	while (port.queuedCount > 0) port.deliver();
	assert.equal(connection.isEnded, true);
	assert.equal(port.sinks.size, 0);
	return readOutput(connection.take());
}

test(`the session survives ${runCount} streams of valid, mutated and random bytes`, () => {
	const prng = new Prng(testSeed('fuzz-frame'));
	let replyCount = 0;
	let brokenCount = 0;
	for (let run = 0; run < runCount; run++) {
		const replies = play(randomStream(prng), prng);
		replyCount += replies.length;
		if (replies.some(([id, status]) => id === 0 && status !== 0)) brokenCount++;
		const after = play(Buffer.concat([preface, frame([7, operationPing])]), prng);
		assert.deepEqual(after[1], [7, 0, null, 0]);
	}
	assert.ok(replyCount > runCount && brokenCount > 0, 'both kinds of stream were met');
});
