/** Realistic keys spread evenly, tags keep keys together, and known keys stay where they have always been. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { partitionCountMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { Router } from '../../../src/routing/router.js';
import { testSeed } from '../../support/seed.js';

const encoder = new TextEncoder();

function partitionOf(router: Router, key: string): number {
	const bytes = encoder.encode(key);
	return router.partitionOf(bytes, 0, bytes.length);
}

/** Keys of one kind, end to end in one array. */
function packKeys(count: number, makeKey: (index: number) => string): { bytes: Uint8Array; ends: Uint32Array } {
	const ends = new Uint32Array(count);
	const keys: string[] = [];
	let end = 0;
	for (let index = 0; index < count; index++) {
		const key = makeKey(index);
		keys.push(key);
		end += key.length;
		ends[index] = end;
	}
	return { bytes: encoder.encode(keys.join('')), ends };
}

function uuid(prng: Prng): string {
	const hex = (): string => prng.nextU32().toString(16).padStart(8, '0');
	const text = hex() + hex() + hex() + hex();
	return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-a${text.slice(17, 20)}-${text.slice(20)}`;
}

void test('realistic keys spread evenly over 2..64 partitions', () => {
	const prng = new Prng(testSeed('router balance'));
	const count = 200_000;
	const sets = [
		packKeys(count, (index) => `user:${index}`),
		packKeys(count, (index) => `key:${String(index).padStart(12, '0')}`),
		packKeys(count, () => `session/${prng.nextU32().toString(36)}/${prng.below(1000)}`),
		packKeys(count, () => uuid(prng)),
	];
	// The test of the slot table looks at every count; here the point is how keys fall into slots.
	for (const partitionCount of [2, 3, 4, 6, 8, 12, 16, 24, 35, 48, 55, partitionCountMax]) {
		const router = new Router(partitionCount);
		for (const { bytes, ends } of sets) {
			const counts = new Uint32Array(partitionCount);
			let offset = 0;
			for (let index = 0; index < count; index++) {
				const end = ends[index] as number;
				counts[router.partitionOf(bytes, offset, end - offset)] += 1;
				offset = end;
			}
			const ratio = Math.max(...counts) / (count / partitionCount);
			assert.ok(ratio <= 1.15, `max/mean ${ratio} over ${partitionCount} partitions`);
		}
	}
});

void test('a tag decides, by the rule of Redis Cluster', () => {
	const router = new Router(64);
	const same = (key: string, hashed: string): void => {
		const bytes = encoder.encode(hashed);
		// A key without '{' is hashed whole, so it stands for the bytes that count.
		assert.ok(!hashed.includes('{') || key === hashed);
		assert.equal(partitionOf(router, key), router.partitionOf(bytes, 0, bytes.length), key);
	};
	for (let index = 0; index < 200; index++) {
		const tag = `tag${index}`;
		same(`{${tag}}:name`, tag);
		same(`user:{${tag}}`, tag);
		same(`a{${tag}}b{other}c`, tag);
		same(`}{${tag}}`, tag);
		same(`x{${tag}`.replace('{', '<'), `x<${tag}`);
	}
	const differs = (make: (index: number) => [string, string]): void => {
		let count = 0;
		for (let index = 0; index < 200; index++) {
			const [a, b] = make(index);
			if (partitionOf(router, a) !== partitionOf(router, b)) count++;
		}
		assert.ok(count > 150, `hashed whole: ${count} of 200 differ`);
	};
	// '{}', '{' alone and '}' before '{' are no tags: what follows still counts.
	differs((index) => [`{}a${index}`, `{}b${index}`]);
	differs((index) => [`{}{tag}${index}`, `{}{tag}b${index}`]);
	differs((index) => [`{a${index}`, `{b${index}`]);
	differs((index) => [`}a${index}{`, `}b${index}{`]);
	// The tag of '{{a}}' is '{a'.
	for (let index = 0; index < 50; index++) {
		assert.equal(partitionOf(router, `{{a${index}}}x`), partitionOf(router, `{{a${index}}y`));
	}
});

void test('a key is the bytes of its range only', () => {
	const router = new Router(64);
	const bytes = encoder.encode('{aa}key{tag}zz');
	for (let offset = 4; offset < bytes.length; offset++) {
		for (let size = 0; offset + size <= bytes.length; size++) {
			const copy = bytes.slice(offset, offset + size);
			assert.equal(router.partitionOf(bytes, offset, size), router.partitionOf(copy, 0, size));
		}
	}
});

void test('one partition owns everything', () => {
	assert.equal(partitionOf(new Router(1), 'anything'), 0);
});

void test('known keys stay where they are', () => {
	const keys = ['', 'a', 'foo', 'user:1', 'user:2', 'user:{42}:name', '{}', 'ключ', 'x'.repeat(300)];
	const golden: [number, number[]][] = [
		[2, [1, 1, 1, 1, 0, 1, 0, 0, 1]],
		[4, [3, 1, 3, 1, 0, 1, 0, 0, 1]],
		[64, [3, 26, 36, 30, 45, 57, 37, 29, 62]],
	];
	for (const [partitionCount, partitions] of golden) {
		const router = new Router(partitionCount);
		assert.deepEqual(
			keys.map((key) => partitionOf(router, key)),
			partitions,
			`${partitionCount} partitions`,
		);
	}
});
