import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksum64, checksum64Matches, writeChecksum64 } from '../../../src/codec/checksum.js';

void test('the checksum is XXH3-64 in its canonical form', () => {
	const text = Buffer.from('millrace');
	assert.equal(Buffer.from(checksum64(text, 0, 0)).toString('hex'), '2d06800538d394c2', 'of nothing');
	assert.equal(Buffer.from(checksum64(new Uint8Array(100), 0, 100)).toString('hex'), '801fedc74ccd608c');
	assert.deepEqual(checksum64(text, 2, 3), checksum64(Buffer.from('llr'), 0, 3), 'of a range');
});

void test('bytes in a SharedArrayBuffer have the same checksum', () => {
	const shared = new Uint8Array(new SharedArrayBuffer(64), 8, 40);
	for (let i = 0; i < shared.length; i++) shared[i] = i * 7;
	assert.deepEqual(checksum64(shared, 3, 30), checksum64(Uint8Array.from(shared), 3, 30));
});

void test('a written checksum matches, and no longer after a change of any byte of it or of the data', () => {
	const bytes = new Uint8Array(32).fill(9);
	const target = new Uint8Array(12);
	writeChecksum64(bytes, 4, 20, target, 2);
	assert.ok(checksum64Matches(bytes, 4, 20, target, 2));
	for (let i = 0; i < 8; i++) {
		target[2 + i] ^= 1;
		assert.ok(!checksum64Matches(bytes, 4, 20, target, 2));
		target[2 + i] ^= 1;
	}
	for (let i = 4; i < 24; i++) {
		bytes[i] ^= 0x80;
		assert.ok(!checksum64Matches(bytes, 4, 20, target, 2));
		bytes[i] ^= 0x80;
	}
	bytes[3] = 0;
	bytes[24] = 0;
	assert.ok(checksum64Matches(bytes, 4, 20, target, 2), 'bytes outside do not count');
});
