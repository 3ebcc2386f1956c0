/**
 * The parser finds the same bodies however a stream is cut, takes linear time, and says no to lengths it must not
 * believe.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeU32 } from '../../../../src/base/bytes.js';
import { frameSizeMax } from '../../../../src/base/limits.js';
import { Prng } from '../../../../src/base/prng.js';
import { prefaceSize } from '../../../../src/protocol/frame/frame-format.js';
import {
	FrameParser,
	foundBadPreface,
	foundBadSize,
	foundFrame,
	foundNothing,
	foundPreface,
} from '../../../../src/protocol/frame/frame-parser.js';
import { encodePreface } from '../../../../src/protocol/frame/frame-writer.js';
import { testSeed } from '../../../support/seed.js';

function preface(): Buffer {
	const bytes = Buffer.alloc(prefaceSize);
	encodePreface(bytes, 0);
	return bytes;
}

function frame(body: Uint8Array): Buffer {
	const header = Buffer.alloc(4);
	writeU32(header, 0, body.length);
	return Buffer.concat([header, body]);
}

/** Feeds a stream in pieces and gathers what is found, bodies kept by reference until the end. */
function parse(stream: Buffer, nextSize: () => number): string[] {
	const parser = new FrameParser();
	const found: { bytes: Uint8Array; offset: number; size: number }[] = [];
	let sawPreface = false;
	for (let at = 0; at < stream.length; ) {
		const size = Math.min(nextSize(), stream.length - at);
		parser.push(Buffer.from(stream.subarray(at, at + size)));
		at += size;
		for (let what = parser.next(); what !== foundNothing; what = parser.next()) {
			if (what === foundPreface) {
				assert.equal(sawPreface, false);
				assert.equal(parser.size, 1);
				sawPreface = true;
			} else {
				assert.equal(what, foundFrame);
				found.push({ bytes: parser.bytes, offset: parser.offset, size: parser.size });
			}
		}
	}
	assert.equal(sawPreface, true);
	assert.equal(parser.leftoverSize, 0);
	return found.map(({ bytes, offset, size }) => Buffer.from(bytes.subarray(offset, offset + size)).toString('hex'));
}

test('a stream gives the same frames whole, byte by byte and in random pieces', () => {
	const prng = new Prng(testSeed('frame-parser'));
	const bodies: Buffer[] = [];
	for (let i = 0; i < 200; i++) {
		const body = Buffer.alloc(1 + prng.below(prng.chance(0.1) ? 5_000 : 60));
		prng.fill(body);
		bodies.push(body);
	}
	const stream = Buffer.concat([preface(), ...bodies.map(frame)]);
	const expected = bodies.map((body) => body.toString('hex'));
	assert.deepEqual(
		parse(stream, () => stream.length),
		expected,
	);
	assert.deepEqual(
		parse(stream, () => 1),
		expected,
	);
	for (let round = 0; round < 20; round++) {
		assert.deepEqual(
			parse(stream, () => 1 + prng.below(prng.chance(0.2) ? 4_000 : 30)),
			expected,
		);
	}
});

test('a 16 MiB frame in small chunks is copied a bounded number of times', () => {
	const body = Buffer.alloc(frameSizeMax, 7);
	const stream = frame(body);
	const parser = new FrameParser();
	parser.push(preface());
	assert.equal(parser.next(), foundPreface);
	const { set } = Uint8Array.prototype;
	let copiedSize = 0;
	let frameCount = 0;
	Uint8Array.prototype.set = function (source, offset) {
		copiedSize += source.length;
		set.call(this, source, offset);
	};
	try {
		for (let at = 0; at < stream.length; at += 4096) {
			parser.push(stream.subarray(at, at + 4096));
			if (parser.next() === foundFrame) frameCount++;
		}
	} finally {
		Uint8Array.prototype.set = set;
	}
	assert.equal(frameCount, 1);
	assert.ok(copiedSize < 4 * stream.length, `${copiedSize} bytes were copied`);
	assert.equal(parser.size, frameSizeMax);
	assert.equal(parser.bytes.length, frameSizeMax + 4, 'the last growth is exactly the frame');
});

test('a lying length allocates nothing near what it says', () => {
	const parser = new FrameParser();
	parser.push(preface());
	parser.next();
	const header = Buffer.alloc(4);
	writeU32(header, 0, frameSizeMax);
	const before = process.memoryUsage().arrayBuffers;
	parser.push(header);
	assert.equal(parser.next(), foundNothing);
	parser.push(Buffer.from([1]));
	assert.equal(parser.next(), foundNothing);
	assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
});

test('lengths over the limit, empty frames and foreign prefaces are refused, for good', () => {
	for (const size of [0, frameSizeMax + 1, 0xffff_ffff]) {
		const parser = new FrameParser();
		parser.push(preface());
		assert.equal(parser.next(), foundPreface);
		const header = Buffer.alloc(4);
		writeU32(header, 0, size);
		parser.push(header);
		assert.equal(parser.next(), foundBadSize);
		assert.equal(parser.size, size);
		assert.equal(parser.next(), foundBadSize);
	}
	for (const start of ['*1\r\n$4\r\nPING\r\n', 'G', '\xc1X', '\xc1M\r']) {
		const parser = new FrameParser();
		parser.push(Buffer.from(start, 'latin1'));
		assert.equal(parser.next(), foundBadPreface);
		assert.equal(parser.next(), foundBadPreface);
	}
});
