/** Keys between abstract-level and the store: one to one, onto, and in the same order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatted, levelKey, storedKey } from '../../src/level/level-bytes.js';
import { testSeed } from '../support/seed.js';

const key = fc.uint8Array({ maxLength: 6, max: 3 });
const bytesOf = (given: string | Uint8Array): Buffer => Buffer.from(given as string);

test('every level key has a stored key, in the same order, and every stored key a level key', () => {
	const seed = testSeed('level-bytes') | 0;
	fc.assert(
		fc.property(key, key, (a, b) => {
			const [storedA, storedB] = [bytesOf(storedKey(a)), bytesOf(storedKey(b))];
			assert.ok(storedA.length > 0);
			assert.deepEqual(bytesOf(levelKey(storedA)), bytesOf(a));
			assert.equal(Buffer.compare(storedA, storedB), Buffer.compare(a, b));
			if (a.length > 0) assert.deepEqual(bytesOf(storedKey(levelKey(a))), bytesOf(a));
		}),
		{ seed, numRuns: 2000 },
	);
});

test('text and bytes have the same stored key; most keys are stored as they are', () => {
	for (const text of ['', '\0', '\0\0a', 'a', 'a\0', 'ä☃🙂']) {
		assert.deepEqual(bytesOf(storedKey(text)), bytesOf(storedKey(Buffer.from(text))));
	}
	assert.equal(storedKey('user:1'), 'user:1');
	assert.equal(storedKey(''), '\0');
});

test('formats', () => {
	const bytes = new Uint8Array([0, 0xe2, 0x98, 0x83]).subarray(1);
	assert.equal(formatted(bytes, 'utf8'), '☃');
	assert.ok(Buffer.isBuffer(formatted(bytes, 'buffer')));
	assert.deepEqual(formatted(bytes, 'buffer'), Buffer.from('☃'));
	assert.equal(formatted(bytes, 'view'), bytes);
});
