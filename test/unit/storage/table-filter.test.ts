import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xxh32 } from '../../../src/base/xxh32.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { encodeFilter, Filter } from '../../../src/storage/lsm/table/filter.js';

function hashOf(text: string): number {
	const key = Buffer.from(text);
	return keyHash(key, 0, key.length);
}

function filterOf(count: number, bitsPerKey: number, hash = hashOf): Filter {
	const hashes = new Uint32Array(count);
	for (let i = 0; i < count; i++) hashes[i] = hash(`user:${i}`);
	const filter = Filter.decode(encodeFilter(hashes, count, bitsPerKey));
	assert.ok(filter !== undefined);
	for (let i = 0; i < count; i++) assert.ok(filter.mayContain(hashes[i]), 'a key is never denied');
	return filter;
}

function falsePositiveRate(filter: Filter, count: number): number {
	let positives = 0;
	for (let i = 0; i < count; i++) if (filter.mayContain(hashOf(`other:${i}`))) positives++;
	return positives / count;
}

void test('filters never deny a key, and 10 bits a key let about 1 % of others through', () => {
	for (const count of [1000, 30_000, 300_000]) {
		const rate = falsePositiveRate(filterOf(count, 10), 100_000);
		assert.ok(rate < 0.014, `${rate} with ${count} keys`);
	}
	assert.ok(falsePositiveRate(filterOf(30_000, 16), 100_000) < 0.003);
	assert.ok(falsePositiveRate(filterOf(30_000, 4), 100_000) < 0.2);
	for (const count of [1, 2, 3, 50]) filterOf(count, 10);
});

void test('keys that routing has already chosen by their plain hash spread over the filter all the same', () => {
	const hashes: number[] = [];
	for (let i = 0; hashes.length < 20_000; i++) {
		const key = Buffer.from(`user:${i}`);
		if (xxh32(key, 0, key.length) < 2 ** 32 / 16) hashes.push(keyHash(key, 0, key.length));
	}
	const filter = Filter.decode(encodeFilter(Uint32Array.from(hashes), hashes.length, 10));
	assert.ok(filter !== undefined && falsePositiveRate(filter, 100_000) < 0.014);
});

void test('no bits: everything may be there', () => {
	assert.equal(falsePositiveRate(filterOf(100, 0), 100), 1);
});

void test('payloads that are no filter are refused', () => {
	const payload = encodeFilter(Uint32Array.of(1, 2, 3), 3, 10);
	assert.equal(Filter.decode(payload.subarray(0, payload.length - 1)), undefined);
	assert.equal(Filter.decode(payload.subarray(0, 7)), undefined);
	const many = Uint8Array.from(payload);
	many[0] = 2;
	assert.equal(Filter.decode(many), undefined, 'more lines than bytes');
	const zero = Uint8Array.from(payload);
	zero[4] = 0;
	assert.equal(Filter.decode(zero), undefined, 'no probes');
});
