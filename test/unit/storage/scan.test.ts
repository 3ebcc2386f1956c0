/** Walks and pages over every mixture of versions and deleted ranges, against a model that knows only what they mean. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { hasCode, statusOf } from '../../../src/base/errors.js';
import { frameSizeMax, scanStepCountMax, valueSizeMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { opScan } from '../../../src/command/command-format.js';
import { encodeScanOptions, type ScanOptions, wholeRange } from '../../../src/command/scan-options.js';
import { frameOverheadMax } from '../../../src/protocol/frame/frame-format.js';
import { kindPut, kindTombstone, kindValuePointer } from '../../../src/storage/lsm/entry.js';
import { LiveCursor } from '../../../src/storage/lsm/scan/live-cursor.js';
import type { ArrayIterator } from '../../support/array-iterator.js';
import { countEntries, readAll, readPage, runRead } from '../../support/scan-pages.js';
import { type LiveEntry, randomRange, randomText, randomWorld, ScanWorld } from '../../support/scan-world.js';
import { testSeed } from '../../support/seed.js';

const nowMs = 1000;

function text(bytes: Uint8Array, offset: number, size: number): string {
	return Buffer.from(bytes.subarray(offset, offset + size)).toString('latin1');
}

/** Walks until the end, or for some steps. @returns where to go on, undefined at the end */
function walk(cursor: LiveCursor, options: ScanOptions, found: LiveEntry[], stepCount: number): string | undefined {
	for (let i = 0; !cursor.isAtEnd; i++) {
		if (i >= stepCount && cursor.isBetweenKeys) return text(cursor.resumeKey, 0, cursor.resumeKey.length);
		if (!cursor.step()) continue;
		const { entry } = cursor;
		found.push({
			key: text(entry.key, entry.keyOffset, entry.keySize),
			value: options.isKeysOnly ? '' : text(entry.value, entry.valueOffset, entry.valueSize),
			version: entry.sequence,
			expiresAtMs: entry.expiresAtMs,
		});
		cursor.pass();
	}
	return undefined;
}

test('a walk finds what is live in its range at its sequence, in its order', () => {
	const prng = new Prng(testSeed('scan walk'));
	for (let round = 0; round < 400; round++) {
		const world = randomWorld(prng, 1 + prng.below(300));
		world.isAgeKnown = prng.chance(0.7);
		for (let i = 0; i < 6; i++) {
			const options = randomRange(prng);
			const maxSequence = prng.chance(0.5) ? world.lastSequence : prng.below(world.lastSequence + 1);
			const found: LiveEntry[] = [];
			const cursor = new LiveCursor(world, maxSequence, nowMs);
			const after = prng.chance(0.3) ? randomText(prng, 1) : '';
			cursor.start(Buffer.from(after, 'latin1'), options);
			walk(cursor, options, found, Number.POSITIVE_INFINITY);
			cursor.close();
			const isBehind = ({ key }: LiveEntry): boolean => after === '' || (options.isReverse ? key < after : key > after);
			assert.deepEqual(found, world.live(options, maxSequence, nowMs).filter(isBehind));
		}
		assert.equal(world.pinCount, 0);
	}
});

test('a walk broken off anywhere goes on in another cursor', () => {
	const prng = new Prng(testSeed('scan resume'));
	for (let round = 0; round < 200; round++) {
		const world = randomWorld(prng, 1 + prng.below(300));
		const options = randomRange(prng);
		const maxSequence = prng.chance(0.5) ? world.lastSequence : prng.below(world.lastSequence + 1);
		const found: LiveEntry[] = [];
		let after: string | undefined = '';
		while (after !== undefined) {
			const cursor = new LiveCursor(world, maxSequence, nowMs);
			cursor.start(Buffer.from(after, 'latin1'), options);
			after = walk(cursor, options, found, 1 + prng.below(20));
			cursor.close();
		}
		assert.deepEqual(found, world.live(options, maxSequence, nowMs));
	}
});

test('pages of every size and limit join to the range, and a count agrees', () => {
	const prng = new Prng(testSeed('scan pages'));
	for (let round = 0; round < 200; round++) {
		const world = randomWorld(prng, 1 + prng.below(400));
		const options = { ...randomRange(prng), pageSizeMax: prng.chance(0.7) ? 1 + prng.below(300) : 0 };
		const maxSequence = prng.chance(0.5) ? world.lastSequence : prng.below(world.lastSequence + 1);
		const limit = prng.chance(0.7) ? 1 + prng.below(20) : 0;
		const expected = world.live(options, maxSequence, nowMs);
		const { entries, pages } = readAll(world, maxSequence, nowMs, options, limit);
		assert.deepEqual(entries, expected);
		for (const page of pages) {
			if (limit > 0) assert.ok(page.entries.length <= limit);
			if (options.pageSizeMax > 0 && page.entries.length > 1) assert.ok(page.entriesSize <= options.pageSizeMax);
		}
		assert.equal(countEntries(world, maxSequence, nowMs, options), expected.length);
		assert.equal(world.pinCount, 0);
	}
});

test('a page ends before an entry that would make it too long, and holds one of any size', () => {
	const world = new ScanWorld(0);
	world.add('a', kindPut, 'small');
	world.add('b', kindPut, 'x'.repeat(valueSizeMax));
	world.add('c', kindPut, 'small');
	world.add('d', kindPut, 'small');
	for (const isReverse of [false, true]) {
		const { pages } = readAll(world, world.lastSequence, nowMs, { ...wholeRange, isReverse }, 0);
		const names = pages.map((page) => page.entries.map((entry) => entry.key).join(''));
		assert.deepEqual(names, isReverse ? ['dc', 'b', 'a'] : ['a', 'b', 'cd']);
		for (const { bytesSize } of pages) assert.ok(frameOverheadMax + bytesSize <= frameSizeMax);
	}
});

test('options that are no options are refused', () => {
	const world = new ScanWorld(0);
	const options = encodeScanOptions({ ...wholeRange, lower: Buffer.from('a') });
	const result = runRead(world, 0, nowMs, opScan, 1, Buffer.alloc(0), options.subarray(0, 16));
	assert.equal(result.status, statusOf('MILLRACE_ARGUMENT'));
	assert.equal(world.pinCount, 0);
});

function key(i: number): string {
	return String(i).padStart(8, '0');
}

function movesOf(world: ScanWorld): number {
	return world.iterators.reduce((sum, each) => sum + (each as ArrayIterator).moveCount, 0);
}

for (const isReverse of [false, true]) {
	const direction = isReverse ? 'backward' : 'forward';

	test(`300,000 deletes in a row: each page is bounded, and they come to the right end, ${direction}`, () => {
		const world = new ScanWorld(0);
		world.add('0', kindPut, 'first');
		for (let i = 0; i < 300_000; i++) world.add(key(i), kindTombstone);
		world.add('9', kindPut, 'last');
		const options = { ...wholeRange, isReverse };
		let after: Uint8Array = Buffer.alloc(0);
		const found: LiveEntry[] = [];
		let pageCount = 0;
		for (let isLast = false; !isLast; ) {
			const page = readPage(world, world.lastSequence, nowMs, options, 0, after);
			assert.ok(movesOf(world) <= scanStepCountMax);
			found.push(...page.entries);
			pageCount++;
			isLast = page.isLast;
			after = page.cursor;
		}
		assert.equal(pageCount, 4);
		assert.deepEqual(found, world.live(options, world.lastSequence, nowMs));
		assert.equal(found.length, 2);
	});

	test(`a deleted range of 300,000 older entries is skipped, ${direction}`, () => {
		const world = new ScanWorld(0);
		for (let i = 0; i < 300_000; i++) world.add(key(i), kindPut, 'v');
		world.cut();
		world.deleteRange(key(10), key(299_990));
		world.add(key(150_000), kindPut, 'newer');
		const options = { ...wholeRange, isReverse };
		const page = readPage(world, world.lastSequence, nowMs, options, 0);
		assert.equal(page.isLast, true);
		assert.equal(page.entries.length, 21);
		assert.deepEqual(page.entries, world.live(options, world.lastSequence, nowMs));
		assert.ok(movesOf(world) < 200, `${movesOf(world)} moves`);
	});

	test(`keys with more versions than a page looks at do not hold a scan up, ${direction}`, () => {
		const world = new ScanWorld(0);
		world.add('a', kindPut, 'old');
		world.add('b', kindPut, 'old');
		const snapshot = world.lastSequence;
		for (let i = 0; i < scanStepCountMax * 2; i++) world.add(i % 2 === 0 ? 'a' : 'b', kindPut, '');
		for (let i = 0; i < scanStepCountMax + 10; i++) world.add(key(i), kindPut, 'too new');
		for (const maxSequence of [snapshot, world.lastSequence]) {
			const options = { ...wholeRange, isReverse };
			const { entries, pages } = readAll(world, maxSequence, nowMs, options, 0);
			assert.deepEqual(entries, world.live(options, maxSequence, nowMs));
			assert.ok(pages.length >= 2);
		}
	});
}

test('a cursor closes once, refuses what it cannot read, and one that is lost is let go with a warning', async () => {
	const world = new ScanWorld(0);
	world.add('a', kindValuePointer, 'where');
	const cursor = new LiveCursor(world, 1, nowMs);
	cursor.start();
	assert.throws(
		() => cursor.step(),
		(error) => hasCode(error, 'MILLRACE_CORRUPT'),
	);
	assert.equal(world.pinCount, 1);
	cursor.close();
	cursor.close();
	assert.equal(world.pinCount, 0);
	assert.equal(cursor.isAtEnd, true);
	assert.equal(cursor.resumeKey.length, 0);
	const warnings: string[] = [];
	const lose = (): void => {
		new LiveCursor(world, 1, nowMs, (warning) => warnings.push(warning)).start();
	};
	lose();
	assert.equal(world.pinCount, 1);
	setFlagsFromString('--expose-gc');
	const collect = runInNewContext('gc') as () => void;
	for (let i = 0; i < 50 && world.pinCount > 0; i++) {
		collect();
		await new Promise((resolve) => setImmediate(resolve));
	}
	assert.equal(world.pinCount, 0);
	assert.equal(warnings.length, 1);
	assert.match(warnings[0], /without being closed/);
});
