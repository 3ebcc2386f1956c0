import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readVarint, varintSize, varintSizeMax, writeVarint } from '../../../src/base/varint.js';

void test('varints round trip at every change of size, and their size is what a reader skips', () => {
	const bytes = new Uint8Array(varintSizeMax + 2);
	for (const edge of [0, 2 ** 7, 2 ** 14, 2 ** 21, 2 ** 28, 2 ** 31, 2 ** 32 - 2]) {
		for (const value of [edge - 1, edge, edge + 1]) {
			if (value < 0) continue;
			bytes.fill(0xff);
			const end = writeVarint(bytes, 1, value);
			assert.equal(end - 1, varintSize(value), `size of ${value}`);
			assert.equal(readVarint(bytes, 1), value);
			assert.equal(bytes[end], 0xff, 'nothing is written behind it');
		}
	}
});

void test('a varint that never ends is read for five bytes only, and one cut off gives a number', () => {
	assert.equal(readVarint(new Uint8Array(9).fill(0xff), 0), 2 ** 35 - 1);
	assert.equal(readVarint(Uint8Array.of(0x81), 0), 1);
});
