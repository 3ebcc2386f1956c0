/**
 * RESP fuzzer: mutations of valid streams. Nothing throws; the connection is either closed after an error or still
 * answers; whole and cut inputs give the same output. MILLRACE_FUZZ_RUNS says how many streams, MILLRACE_SEED which.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.js';
import { command, Rig, seed } from '../unit/protocol/resp/resp-rig.js';

const runCount = Number(process.env.MILLRACE_FUZZ_RUNS ?? 400);
const marker = '$21\r\nstill-here-after-that\r\n';

const words = [
	...['GET', 'SET', 'DEL', 'MGET', 'MSET', 'EXISTS', 'INCR', 'INCRBY', 'DECRBY', 'EXPIRE', 'PEXPIREAT', 'TTL'],
	...['PTTL', 'PERSIST', 'DBSIZE', 'FLUSHALL', 'PING', 'ECHO', 'HELLO', 'CLIENT', 'CONFIG', 'INFO', 'COMMAND'],
	...['EX', 'PX', 'NX', 'XX', 'KEEPTTL', 'a', 'b', 'c', '', '0', '-1', '10', '9223372036854775807', 'SETNAME', '*'],
	...['\0\r\n$', '"', "'", 'key with spaces', '\xff\xfe', 'x'.repeat(300), 'SETEX', 'GETSET', 'SELECT', '2', '3'],
];
const splices = ['\r\n', '\n', '$', '*', '-1', '$-1\r\n', '*3\r\n', '"', '\\x4', '\0', '99999999999', ':', ' '];

function makeStream(prng: Prng): Buffer {
	const parts: Buffer[] = [];
	const count = 1 + prng.below(12);
	for (let i = 0; i < count; i++) {
		const picked = Array.from({ length: 1 + prng.below(6) }, () => words[prng.below(words.length)] as string);
		if (prng.chance(0.25)) parts.push(Buffer.from(`${picked.join(' ')}\r\n`, 'latin1'));
		else parts.push(command(...picked));
	}
	let bytes = Buffer.concat(parts);
	for (let i = prng.below(4); i > 0; i--) bytes = mutate(prng, bytes);
	return bytes;
}

function mutate(prng: Prng, bytes: Buffer): Buffer<ArrayBuffer> {
	const at = prng.below(bytes.length + 1);
	const size = prng.below(8);
	const head = bytes.subarray(0, at);
	switch (prng.below(4)) {
		case 0:
			return Buffer.concat([head, bytes.subarray(at + size)]);
		case 1:
			return Buffer.concat([head, Buffer.from(splices[prng.below(splices.length)] as string), bytes.subarray(at)]);
		case 2:
			return Buffer.concat([head, bytes.subarray(Math.max(0, at - size))]);
		default: {
			const noise = Buffer.alloc(size);
			prng.fill(noise);
			return Buffer.concat([head, noise, bytes.subarray(at + size)]);
		}
	}
}

/** Ends an open inline line, then asks for a sign of life. */
const closing = Buffer.concat([Buffer.from('\r\n'), command('ECHO', 'still-here-after-that')]);

test('mutated streams are answered or closed, the same however they are cut', async () => {
	let closedCount = 0;
	let answeredCount = 0;
	for (let run = 0; run < runCount; run++) {
		const prng = new Prng(seed + run);
		const isCutShort = prng.chance(0.5);
		const stream = isCutShort ? makeStream(prng) : Buffer.concat([makeStream(prng), closing]);
		const whole = new Rig({ seed: run });
		const output = await whole.run(stream);
		for (const bound of [1, 5, 100]) {
			const cut = new Rig({ seed: run, fullChance: 0.2, windowSizeMax: 8 });
			const cutOutput = await cut.run(stream, () => cut.randomSize(bound));
			assert.equal(cutOutput, output, `MILLRACE_SEED=${seed + run} MILLRACE_FUZZ_RUNS=1`);
			assert.equal(cut.socket.isEnded, whole.socket.isEnded);
		}
		if (whole.socket.isEnded || whole.socket.isDestroyed) closedCount++;
		else if (output.endsWith(marker)) answeredCount++;
		whole.socket.emit('end');
		await whole.settle();
		assert.ok(whole.socket.isEnded || whole.socket.isDestroyed, 'the connection ends with its peer');
		assert.equal(whole.port.sinkCount, 0);
	}
	console.log(`${runCount} streams: ${closedCount} closed after an error, ${answeredCount} went on after the mutation`);
	assert.ok(runCount < 100 || (closedCount > 0 && answeredCount > 0), 'both ends are reached');
});
