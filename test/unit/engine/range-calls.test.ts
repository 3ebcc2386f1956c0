/** Ranges as [start, end): the same keys are in them, however they are said, and however long the bounds are. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { keySizeMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { checkScan } from '../../../src/command/scan-options.js';
import { commandRangeOf } from '../../../src/engine/range-calls.js';
import { isInRange, randomText } from '../../support/scan-world.js';
import { testSeed } from '../../support/seed.js';

/** A few bytes, now and then behind so many others that a key cannot be longer. */
function randomKey(prng: Prng, sizeMin: number): Buffer {
	const few = Buffer.from(randomText(prng, sizeMin), 'latin1');
	if (prng.chance(0.3)) few.fill(0xff, prng.below(few.length + 1));
	if (!prng.chance(0.3)) return few;
	return Buffer.concat([Buffer.alloc(keySizeMax - few.length, prng.chance(0.5) ? 0xff : 0x61), few]);
}

test('a key is in the range that a command gets exactly when it is in the one that was asked for', () => {
	const prng = new Prng(testSeed('command ranges'));
	for (let round = 0; round < 3000; round++) {
		const range: Record<string, Uint8Array> = {};
		if (prng.chance(0.6)) range[prng.chance(0.5) ? 'gt' : 'gte'] = randomKey(prng, 0);
		if (prng.chance(0.6)) range[prng.chance(0.5) ? 'lt' : 'lte'] = randomKey(prng, 0);
		if (prng.chance(0.3)) range.prefix = randomKey(prng, 0);
		const found = commandRangeOf(range);
		const { options } = checkScan(range, true);
		if (found !== undefined) {
			assert.ok(found.start.length <= keySizeMax && found.end.length <= keySizeMax);
			assert.ok(found.end.length === 0 || Buffer.compare(found.start, found.end) < 0);
		}
		const near = Object.values(range).flatMap((bound) => [bound, Buffer.concat([bound, Buffer.alloc(1)])]);
		for (const each of [...near, randomKey(prng, 1), randomKey(prng, 1), Buffer.from([0])]) {
			const key = Buffer.from(each);
			if (key.length === 0 || key.length > keySizeMax) continue;
			const isInside =
				found !== undefined &&
				Buffer.compare(key, found.start) >= 0 &&
				(found.end.length === 0 || Buffer.compare(key, found.end) < 0);
			assert.equal(isInside, isInRange(key, options), JSON.stringify({ range, key }));
		}
	}
});

test('bounds at the edges of all keys', () => {
	const bounds = (range: Parameters<typeof commandRangeOf>[0]): string[] | undefined => {
		const found = commandRangeOf(range);
		return found === undefined ? undefined : [Buffer.from(found.start).toString(), Buffer.from(found.end).toString()];
	};
	assert.deepEqual(bounds(undefined), ['', '']);
	assert.deepEqual(bounds({ gt: '', lte: 'a' }), ['\0', 'a\0']);
	assert.equal(bounds({ lt: '' }), undefined, 'an empty end would mean all keys');
	assert.equal(bounds({ gte: 'b', lt: 'a' }), undefined);
	assert.equal(bounds({ gt: Buffer.alloc(keySizeMax, 0xff) }), undefined, 'no key is above the last');
	assert.deepEqual(bounds({ lte: Buffer.alloc(keySizeMax, 0xff) }), ['', '']);
	for (const bad of [{ limit: 1 }, 5, true, 'a', null]) assert.throws(() => commandRangeOf(bad as object), TypeError);
});
