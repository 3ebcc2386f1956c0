import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { copyShared, maybeRegisterGuest, registerShared, unregisterGuest } from '../../../src/base/word-copy.js';
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

test('guests come and go, more than there are places for; what is copied is the same for all', () => {
	const prng = new Prng(testSeed('word-copy guests'));
	const guests = Array.from({ length: 40 }, () => new Uint8Array(new SharedArrayBuffer(256)));
	for (let i = 0; i < 2000; i++) {
		const guest = guests[prng.below(guests.length)];
		if (prng.chance(0.5)) maybeRegisterGuest(guest);
		else unregisterGuest(guest);
		const [source, target] = [guests[prng.below(guests.length)], guests[prng.below(guests.length)]];
		if (source === target) continue;
		prng.fill(source, 0, 256);
		copyShared(source, 8, target, 16, 100);
		assert.deepEqual(Buffer.from(target.subarray(16, 116)), Buffer.from(source.subarray(8, 108)));
	}
	for (const guest of guests) for (let i = 0; i < 50; i++) unregisterGuest(guest);
});
