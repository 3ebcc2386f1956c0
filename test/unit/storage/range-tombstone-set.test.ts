/** The set against a list that is asked one tombstone after the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import type { RangeTombstone } from '../../../src/storage/lsm/entry.js';
import { RangeTombstoneSet } from '../../../src/storage/lsm/scan/range-tombstone-set.js';
import { testSeed } from '../../support/seed.js';

function randomKey(prng: Prng, sizeMin: number): Buffer {
	const key = Buffer.alloc(sizeMin + prng.below(3));
	for (let i = 0; i < key.length; i++) key[i] = prng.chance(0.1) ? 255 : prng.below(6);
	return key;
}

/** Ranges of every kind: unbounded, of one key, upside down (which are empty). */
function randomTombstone(prng: Prng, sequence: number): RangeTombstone {
	return { start: randomKey(prng, 0), end: randomKey(prng, 0), sequence };
}

function covers({ start, end }: RangeTombstone, key: Buffer): boolean {
	return Buffer.compare(start, key) <= 0 && (end.length === 0 || Buffer.compare(key, end) < 0);
}

function coverInList(tombstones: readonly RangeTombstone[], key: Buffer, maxSequence: number): number {
	const hits = tombstones.filter((each) => each.sequence <= maxSequence && covers(each, key));
	return Math.max(0, ...hits.map((each) => each.sequence));
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('a set built at once or bit by bit answers as a list does', () => {
	const prng = new Prng(testSeed('range-tombstone-set'));
	for (let round = 0; round < 60; round++) {
		const tombstones: RangeTombstone[] = [];
		const grown = new RangeTombstoneSet();
		const count = prng.below(40);
		for (let i = 0; i < count; i++) {
			const tombstone = randomTombstone(prng, 1 + prng.below(50));
			tombstones.push(tombstone);
			grown.add(tombstone);
		}
		const built = RangeTombstoneSet.build(tombstones);
		assert.equal(built.fragmentCount, grown.fragmentCount);
		assert.equal(built.newestSequence, grown.newestSequence);
		for (let i = 0; i < 300; i++) {
			const key = randomKey(prng, 1);
			const maxSequence = prng.below(60);
			const expected = coverInList(tombstones, key, maxSequence);
			const padded = Buffer.concat([Buffer.from('..'), key, Buffer.from('..')]);
			assert.equal(built.coverSequence(padded, 2, key.length, maxSequence), expected);
			assert.equal(grown.coverSequence(padded, 2, key.length, maxSequence), expected);
		}
	}
});

test('those of one command, added at once, hide what they hide one by one, and are one copy', () => {
	const prng = new Prng(testSeed('range-tombstone-set batches'));
	for (let round = 0; round < 60; round++) {
		const tombstones: RangeTombstone[] = [];
		const reads: number[] = [];
		const set = new RangeTombstoneSet();
		while (tombstones.length < 60) {
			const count = 1 + prng.below(12);
			const added = Array.from({ length: count }, (_, i) => randomTombstone(prng, tombstones.length + i + 1));
			set.addAll(added, reads);
			tombstones.push(...added);
			if (prng.chance(0.5)) reads.push(tombstones.length);
			for (let i = 0; i < 60; i++) {
				const key = randomKey(prng, 1);
				for (const maxSequence of [...reads, 1000]) {
					const expected = coverInList(tombstones, key, maxSequence);
					assert.equal(set.coverSequence(key, 0, key.length, maxSequence), expected);
				}
			}
		}
		assert.equal(set.fragmentCount, RangeTombstoneSet.build(tombstones, reads).fragmentCount);
	}
});

test('what no read can ask for is left out, and nothing else', () => {
	const prng = new Prng(testSeed('range-tombstone-set reads'));
	for (let round = 0; round < 60; round++) {
		const tombstones = Array.from({ length: prng.below(60) }, (_, i) => randomTombstone(prng, i + 1));
		const reads = Array.from({ length: prng.below(4) }, () => prng.below(60)).sort((a, b) => a - b);
		const grown = new RangeTombstoneSet();
		for (const tombstone of tombstones) grown.add(tombstone, reads);
		const built = RangeTombstoneSet.build(tombstones, reads);
		assert.equal(built.fragmentCount, grown.fragmentCount);
		for (let i = 0; i < 200; i++) {
			const key = randomKey(prng, 1);
			for (const maxSequence of [...reads, 1000]) {
				const expected = coverInList(tombstones, key, maxSequence);
				assert.equal(built.coverSequence(key, 0, key.length, maxSequence), expected);
				assert.equal(grown.coverSequence(key, 0, key.length, maxSequence), expected);
			}
		}
	}
	// A log trimmed from its start ten thousand times is one fragment.
	const trimmed = new RangeTombstoneSet();
	for (let i = 1; i <= 10_000; i++) {
		trimmed.add({ start: Buffer.alloc(0), end: Buffer.from(String(i).padStart(6, '0')), sequence: i }, []);
	}
	assert.equal(trimmed.fragmentCount, 2, 'the covered stretch and what is behind it');
});

test('a cursor goes either way, knows where its fragment ends, and sees the set it began with', () => {
	const prng = new Prng(testSeed('range-tombstone-set cursor'));
	for (let round = 0; round < 60; round++) {
		const tombstones = Array.from({ length: prng.below(30) }, (_, i) => randomTombstone(prng, i + 1));
		const set = RangeTombstoneSet.build(tombstones);
		const maxSequence = prng.below(35);
		const cursor = set.cursor(maxSequence);
		set.add({ start: Buffer.alloc(0), end: Buffer.alloc(0), sequence: 20 });
		assert.equal(cursor.isEmpty, tombstones.length === 0 || RangeTombstoneSet.build(tombstones).isEmpty);
		const keys = Array.from({ length: 200 }, () => randomKey(prng, 1)).sort(Buffer.compare);
		if (round % 3 === 1) keys.reverse();
		if (round % 3 === 2) keys.sort(() => prng.below(3) - 1);
		for (const key of keys) {
			const cover = cursor.coverSequence(key, 0, key.length);
			assert.equal(cover, coverInList(tombstones, key, maxSequence), text(key));
			if (cover === 0) continue;
			const { fragmentStart } = cursor;
			assert.ok(Buffer.compare(fragmentStart, key) <= 0);
			if (fragmentStart.length > 0) {
				assert.equal(coverInList(tombstones, Buffer.from(fragmentStart), maxSequence), cover);
			}
			if (!cursor.hasEnd) continue;
			assert.ok(Buffer.compare(key, cursor.fragmentEnd) < 0);
			const between = keys.filter(
				(each) => Buffer.compare(fragmentStart, each) <= 0 && Buffer.compare(each, cursor.fragmentEnd) < 0,
			);
			for (const each of between) assert.equal(coverInList(tombstones, each, maxSequence), cover);
		}
	}
});
