import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { pickMerge } from '../../../src/storage/lsm/merge-picker.js';
import { testSeed } from '../../support/seed.js';

test('picks the newest tables of about one size', () => {
	assert.equal(pickMerge([], 8), 0);
	assert.equal(pickMerge([10, 10, 10, 10, 10, 10, 10], 8), 0, 'below the trigger');
	assert.equal(pickMerge([10, 10, 10, 10, 10, 10, 10, 10], 8), 8);
	assert.equal(pickMerge([10, 10, 10, 10, 10, 10, 10, 80], 8), 8, 'as large as all before it');
	assert.equal(pickMerge([10, 10, 10, 10, 10, 10, 10, 200], 8), 7, 'a large old one is left alone');
	assert.equal(pickMerge([10, 10, 10, 100, 100, 100, 100, 100], 8), 0, 'too few small ones are worth nothing');
	const steep = Array.from({ length: 16 }, (_, i) => 4 ** i);
	assert.equal(pickMerge(steep, 8), 16, 'too many tables are merged whatever their sizes');
});

test('with flushes of one size, tables stay few and a byte is rewritten a logarithmic number of times', () => {
	let sizes: number[] = [];
	let rewritten = 0;
	let countMax = 0;
	const flushes = 2000;
	for (let i = 0; i < flushes; i++) {
		sizes = [1, ...sizes];
		const count = pickMerge(sizes, 8);
		if (count > 0) {
			const merged = sizes.slice(0, count).reduce((sum, size) => sum + size, 0);
			rewritten += merged;
			sizes = [merged, ...sizes.slice(count)];
		}
		countMax = Math.max(countMax, sizes.length);
	}
	assert(countMax <= 16, `${countMax} tables`);
	assert(rewritten / flushes <= Math.log2(flushes), `each byte was rewritten ${rewritten / flushes} times`);
});

test('always a number of newest tables that a merge can take, whatever the sizes', () => {
	const prng = new Prng(testSeed('merge-picker'));
	for (let i = 0; i < 5000; i++) {
		const sizes = Array.from({ length: prng.below(26) }, () => 1 + prng.below(10 ** (1 + prng.below(8))));
		const count = pickMerge(sizes, 8);
		assert(count === 0 || (count >= 4 && count <= sizes.length), `${count} of ${sizes}`);
		assert(count > 0 || sizes.length < 16, 'many tables are always merged');
	}
});
