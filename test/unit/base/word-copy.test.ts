import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { copyShared, registerShared } from '../../../src/base/word-copy.js';
import { testSeed } from '../../support/seed.js';

test('copyShared copies any run between any arrays, and at most 3 bytes more', () => {
	const prng = new Prng(testSeed('word-copy'));
	const arrays = [1, 2, 3].map((index) => {
		const bytes = index === 3 ? new Uint8Array(4099) : new Uint8Array(new SharedArrayBuffer(4096));
		if (index !== 3) registerShared(bytes);
		return bytes;
	});
	for (let i = 0; i < 20_000; i++) {
		const source = arrays[prng.below(3)];
		const target = arrays[prng.below(3)];
		if (source === target) continue;
		const size = prng.below(prng.chance(0.1) ? 1000 : 160);
		const unit = prng.chance(0.7) ? 4 : 1;
		const sourceOffset = Math.floor(prng.below(source.length - size) / unit) * unit;
		const targetOffset = Math.floor(prng.below(target.length - size) / unit) * unit;
		prng.fill(source, sourceOffset, size);
		const before = Buffer.from(target);
		copyShared(source, sourceOffset, target, targetOffset, size);
		const run = source.subarray(sourceOffset, sourceOffset + size);
		assert.deepEqual(Buffer.from(target.subarray(targetOffset, targetOffset + size)), Buffer.from(run));
		assert.deepEqual(Buffer.from(target.subarray(0, targetOffset)), before.subarray(0, targetOffset));
		const after = Math.min(target.length, targetOffset + size + 3);
		assert.deepEqual(Buffer.from(target.subarray(after)), before.subarray(after));
	}
});
