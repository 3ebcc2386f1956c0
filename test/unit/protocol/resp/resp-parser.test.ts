/** The parts below the session: parser, integers, patterns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../../src/base/prng.js';
import { matchesGlob } from '../../../../src/protocol/resp/glob.js';
import { RespInput } from '../../../../src/protocol/resp/resp-input.js';
import { isInt64Min, negateInteger, parseInteger } from '../../../../src/protocol/resp/resp-integer.js';
import { parsePartial, RespParser } from '../../../../src/protocol/resp/resp-parser.js';
import { encodeInteger } from '../../../../src/protocol/resp/resp-writer.js';
import { command, seed } from './resp-rig.js';

test('a command is parsed once however it is cut, and neededSize never asks too much', () => {
	const bytes = command('SET', 'key', Buffer.alloc(1000, 0x61), '', 'x'.repeat(20));
	const parser = new RespParser();
	for (let end = 1; end < bytes.length; end++) {
		assert.equal(parser.parse(bytes, 0, end), parsePartial);
		assert.ok(parser.neededSize > end && parser.neededSize <= bytes.length);
	}
	// The start may move between calls.
	const moved = Buffer.concat([Buffer.from('before'), bytes]);
	assert.equal(parser.parse(moved, 6, moved.length), bytes.length);
	assert.equal(parser.argumentCount, 5);
	assert.deepEqual([...parser.sizes.subarray(0, 5)], [3, 3, 1000, 0, 20]);
	assert.equal(moved.toString('latin1', 6 + parser.offsets[1], 6 + parser.offsets[1] + 3), 'key');
	parser.reset();
	assert.equal(parser.parse(Buffer.from('PING\r\n'), 0, 6), 6);
});

test('what was parsed is not looked at again', () => {
	const words = Array.from({ length: 100 }, (_, i) => `word${i}`);
	const bytes = command(...words);
	const whole = Buffer.from(bytes);
	const parser = new RespParser();
	for (let end = 1; end < bytes.length; end++) {
		assert.equal(parser.parse(bytes, 0, end), parsePartial);
		const lastEnd = bytes.lastIndexOf('\r\n$', end - 1);
		if (lastEnd > 0 && lastEnd + 2 <= end) bytes.fill('!', 1, lastEnd + 2);
	}
	assert.equal(parser.parse(bytes, 0, bytes.length), bytes.length);
	words.forEach((word, i) => {
		assert.equal(whole.toString('latin1', parser.offsets[i], parser.offsets[i] + parser.sizes[i]), word);
	});
});

test('a bulk string that is under way is not looked at before it is whole', () => {
	const parser = new RespParser();
	const head = Buffer.from('*2\r\n$3\r\nGET\r\n$1000\r\n');
	assert.equal(parser.parse(head, 0, head.length), parsePartial);
	assert.equal(parser.neededSize, head.length + 1002);
});

test('arguments grow to the limit and large arrays are let go', () => {
	const parser = new RespParser();
	const bytes = command(...Array.from({ length: 65_536 }, (_, i) => `${i}`));
	assert.equal(parser.parse(bytes, 0, bytes.length), bytes.length);
	assert.equal(parser.argumentCount, 65_536);
	parser.reset();
	assert.ok(parser.offsets.length < 100);
});

test('integers as strict as Redis', () => {
	const parse = (text: string) => parseInteger(Buffer.from(`junk${text}junk`), 4, text.length);
	for (const text of ['0', '1', '-1', '10', '123456789012345', '9007199254740993', '9223372036854775807'])
		assert.equal(parse(text), Number(text), text);
	assert.equal(parse('-9223372036854775808'), -(2 ** 63));
	for (const text of ['', '-', '+1', '01', '-0', '-01', ' 1', '1 ', '1.0', '1e3', 'x', '0x1', '1\0'])
		assert.ok(Number.isNaN(parse(text)), text);
	for (const text of ['9223372036854775808', '-9223372036854775809', '99999999999999999999'])
		assert.ok(Number.isNaN(parse(text)), text);
	assert.ok(isInt64Min(Buffer.from('-9223372036854775808'), 0, 20));
	assert.ok(!isInt64Min(Buffer.from('-9223372036854775807'), 0, 20));
	for (const [text, negated] of [
		['5', '-5'],
		['-5', '5'],
		['0', '0'],
	] as const) {
		const target = Buffer.alloc(24);
		const size = negateInteger(Buffer.from(text), 0, text.length, target);
		assert.equal(target.toString('latin1', 0, size), negated);
	}
});

test('integers are written exactly up to 2^53', () => {
	const target = Buffer.alloc(32);
	for (const value of [0, 9, 10, 99, 100, 12_345, -1, -2, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER])
		assert.equal(target.toString('latin1', 0, encodeInteger(target, 0, value)), `:${value}\r\n`);
});

test('patterns', () => {
	const yes = [
		['*', ''],
		['*', 'abc'],
		['a*c', 'abbbc'],
		['a?c', 'abc'],
		['[a-c]x', 'bx'],
		['[^a]x', 'bx'],
		['\\*', '*'],
		['*a*b*', 'xaxbx'],
		['[c-a]', 'b'],
	] as const;
	const no = [
		['', 'a'],
		['a*c', 'abd'],
		['a?c', 'ac'],
		['[a-c]x', 'dx'],
		['[^a]x', 'ax'],
		['\\*', 'a'],
		['abc', 'ab'],
	] as const;
	for (const [pattern, text] of yes) assert.ok(matchesGlob(pattern, text), `${pattern} ${text}`);
	for (const [pattern, text] of no) assert.ok(!matchesGlob(pattern, text), `${pattern} ${text}`);
	assert.ok(!matchesGlob(`${'*a'.repeat(500)}b`, 'a'.repeat(2000)), 'and quickly');
});

test('input keeps every byte in order, also when several share the pool of join buffers', () => {
	const prng = new Prng(seed);
	const inputs = [0, 1, 2].map(() => ({ input: new RespInput(), given: 0, taken: 0 }));
	for (let round = 0; round < 3000; round++) {
		const one = inputs[prng.below(3)] as (typeof inputs)[0];
		const chunk = Buffer.alloc(1 + prng.below(prng.chance(0.3) ? 65_536 : 50));
		for (let i = 0; i < chunk.length; i++) chunk[i] = (one.given + i) % 251;
		one.given += chunk.length;
		one.input.append(chunk, 1 + prng.below(200_000));
		const { input } = one;
		const leftSize = prng.chance(0.1) ? 0 : Math.min(input.end - input.start, prng.below(300));
		for (let at = input.start; at < input.end; at++)
			if (input.bytes[at] !== (one.taken + at - input.start) % 251) assert.fail(`round ${round}: wrong byte`);
		one.taken += input.end - input.start - leftSize;
		if (input.end > input.start + leftSize) input.consume(input.end - input.start - leftSize);
		assert.equal(input.end - input.start, one.given - one.taken);
	}
});

test('what is announced is not allocated', () => {
	const input = new RespInput();
	input.append(Buffer.alloc(10), 1);
	input.append(Buffer.alloc(10), 16 * 1024 * 1024);
	assert.ok(input.bytes.length <= 100);
});
