import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { keySizeMax, sequenceMax, valueSizeMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { kindPut, makeEntryView } from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { BlockCache } from '../../../src/storage/lsm/table/block-cache.js';
import { TableBuilder } from '../../../src/storage/lsm/table/table-builder.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import {
	addEntry,
	assertSameEntries,
	assertSameEntry,
	buildTable,
	collect,
	copyEntry,
	type Entry,
	getFrom,
	getFromModel,
	MemoryFileSystem,
	put,
	randomEntries,
	randomKey,
	rangeTombstone,
	tombstone,
} from './table-support.js';

const path = 'db/000007.table';

function openTable(entries: readonly Entry[], options: { blockSize?: number; bitsPerKey?: number } = {}): TableReader {
	const files = new MemoryFileSystem();
	const meta = buildTable(files, path, 7, entries, options);
	const reader = TableReader.open(files, path, 7, new BlockCache(1 << 20));
	assert.deepEqual(reader.meta, meta, 'the builder and the file say the same');
	return reader;
}

/** Reads a table in every way and compares with the entries it was built from. */
function checkAll(reader: TableReader, entries: readonly Entry[], prng: Prng): void {
	reader.verify();
	const iterator = reader.iterator();
	iterator.seekFirst();
	assertSameEntries(collect(iterator), entries);
	const byKey = new Map<string, Entry[]>();
	for (const entry of entries) {
		const name = entry.key.toString('latin1');
		const versions = byKey.get(name);
		if (versions === undefined) byKey.set(name, [entry]);
		else versions.push(entry);
	}
	for (const entry of entries) {
		assertSameEntry(getFrom(reader, entry.key, entry.sequence), entry);
		const versions = byKey.get(entry.key.toString('latin1')) ?? [];
		assertSameEntry(getFrom(reader, entry.key, sequenceMax), versions[0]);
		assertSameEntry(
			getFrom(reader, entry.key, entry.sequence - 1),
			getFromModel(versions, entry.key, entry.sequence - 1),
		);
	}
	for (let i = 0; i < 500; i++) {
		const key = randomKey(prng);
		assertSameEntry(getFrom(reader, key, sequenceMax), byKey.get(key.toString('latin1'))?.[0]);
	}
}

function checkSeeks(reader: TableReader, entries: readonly Entry[], prng: Prng): void {
	const iterator = reader.iterator();
	for (let i = 0; i < 300; i++) {
		const key = i % 2 === 0 ? randomKey(prng) : entries[prng.below(entries.length)].key;
		const from = entries.findIndex((entry) => Buffer.compare(entry.key, key) >= 0);
		iterator.seek(Buffer.concat([Buffer.from('x'), key]), 1, key.length);
		assert.equal(iterator.valid, from !== -1);
		for (let at = from; at !== -1 && at < Math.min(from + 40, entries.length); at++) {
			assert.ok(iterator.valid && iterator.sequence === entries[at].sequence);
			iterator.next();
			assert.equal(iterator.valid, at + 1 < entries.length);
		}
	}
}

for (const blockSize of [64, 300, 4096, 16_384]) {
	void test(`tables of ${blockSize}-byte blocks answer like a sorted list`, () => {
		const prng = new Prng(testSeed(`table ${blockSize}`));
		for (const count of [1, 2, 17, 200, 3000]) {
			const entries = randomEntries(prng, count);
			const reader = openTable(entries, { blockSize });
			checkAll(reader, entries, prng);
			checkSeeks(reader, entries, prng);
			reader.close();
		}
	});
}

void test('a table without filter and without cache answers the same', () => {
	const prng = new Prng(testSeed('table bare'));
	const entries = randomEntries(prng, 500);
	const files = new MemoryFileSystem();
	buildTable(files, path, 7, entries, { bitsPerKey: 0, blockSize: 1024 });
	checkAll(TableReader.open(files, path, 7), entries, prng);
});

void test('a table in the codec of the last level is smaller, and answers the same', () => {
	const prng = new Prng(testSeed('table codec'));
	const entries = Array.from({ length: 2000 }, (_, i) =>
		put(`key${10_000 + i}`, i + 1, `${prng.below(1000)}-abcdefgh`),
	);
	const files = new MemoryFileSystem();
	const { size } = buildTable(files, path, 7, entries, { codec: 'zstd' });
	assert.ok(size < buildTable(files, 'lz4', 8, entries).size * 0.9);
	checkAll(TableReader.open(files, path, 7), entries, prng);
});

void test('the numbers of a table are those of its entries', () => {
	const entries = [put('a', 12, 'x', 5), tombstone('a', 3), put('b', 40), put('cc', 7, 'y', sequenceMax)];
	const { meta } = openTable(entries);
	assert.equal(meta.entryCount, 4);
	assert.equal(meta.tombstoneCount, 1);
	assert.equal(meta.expiryCount, 2);
	assert.equal(meta.minExpiresAtMs, 5);
	assert.equal(meta.maxExpiresAtMs, sequenceMax);
	assert.equal(meta.keyCount, 3);
	assert.equal(meta.minSequence, 3);
	assert.equal(meta.maxSequence, 40);
	assert.equal(Buffer.from(meta.firstKey).toString(), 'a');
	assert.equal(Buffer.from(meta.lastKey).toString(), 'cc');
});

void test('versions of one key over many blocks are found in one block each', () => {
	const entries: Entry[] = [put('j', 1, 'before')];
	for (let sequence = 20_000; sequence > 10_000; sequence -= 2) entries.push(put('k', sequence, 'v'.repeat(30)));
	entries.push(put('l', 1, 'after'));
	const files = new MemoryFileSystem();
	buildTable(files, path, 7, entries, { blockSize: 512 });
	const reader = TableReader.open(files, path, 7);
	for (let sequence = 20_001; sequence >= 10_002; sequence -= 97) {
		files.reads.length = 0;
		const found = getFrom(reader, Buffer.from('k'), sequence);
		assert.equal(found?.sequence, sequence - (sequence % 2));
		assert.equal(files.reads.length, 1, 'one read');
	}
	assert.equal(getFrom(reader, Buffer.from('k'), 10_001), undefined);
	const iterator = reader.iterator();
	iterator.seek(Buffer.from('k'), 0, 1);
	assert.equal(iterator.sequence, 20_000, 'a seek meets the newest version');
	reader.verify();
});

void test('the largest key and value, empty values and values above the block size fit', () => {
	const prng = new Prng(testSeed('table large'));
	const largest = Buffer.alloc(valueSizeMax);
	prng.fill(largest, 0, valueSizeMax / 4);
	const noise = Buffer.alloc(300_000);
	prng.fill(noise);
	const longKey = Buffer.alloc(keySizeMax, 'k');
	const entries = [
		put('a', 9, ''),
		put('b', 8, largest),
		put('b', 7, noise, 123),
		put('c', 6, Buffer.alloc(20_000, 3)),
		put(longKey.subarray(0, keySizeMax - 1), 5, noise.subarray(0, 17_000)),
		put(longKey, 4, largest),
		put('l', 3, ''),
	];
	const files = new MemoryFileSystem();
	buildTable(files, path, 7, entries);
	const cache = new BlockCache(1 << 20);
	const reader = TableReader.open(files, path, 7, cache);
	for (let round = 0; round < 2; round++) {
		for (const entry of entries) assertSameEntry(getFrom(reader, entry.key, entry.sequence), entry);
	}
	const iterator = reader.iterator();
	iterator.seekFirst();
	assertSameEntries(collect(iterator), entries);
	reader.verify();
	assert.ok(cache.stats.usedBytes <= 1 << 20);
});

void test('keys and values may lie in a SharedArrayBuffer, as those of a memtable do', () => {
	const arena = new Uint8Array(new SharedArrayBuffer(4096));
	arena.fill(0x62, 100, 200);
	arena.fill(0x76, 1000, 3000);
	const files = new MemoryFileSystem();
	const builder = new TableBuilder(files.open(path, 'create'), 7);
	builder.add(arena, 100, 30, 2, kindPut, 0, arena, 1000, 2000);
	builder.add(arena, 100, 40, 1, kindPut, 9, arena, 1000, 5);
	builder.finish();
	const reader = TableReader.open(files, path, 7);
	reader.verify();
	const view = makeEntryView();
	assert.ok(reader.get(arena, 100, 40, keyHash(arena, 100, 40), 5, view));
	assertSameEntry(copyEntry(Buffer.alloc(40, 'b'), view), put(Buffer.alloc(40, 'b'), 1, 'vvvvv', 9));
	assert.ok(!reader.get(arena, 100, 41, keyHash(arena, 100, 41), 5, view));
});

void test('what a builder is given wrongly is refused', () => {
	const builderWith = (...entries: Entry[]) => {
		const builder = new TableBuilder(new MemoryFileSystem().open(path, 'create'), 1);
		for (const entry of entries) addEntry(builder, entry);
		return builder;
	};
	assert.throws(() => builderWith(put('b', 1), put('a', 2)), /ascending/);
	assert.throws(() => builderWith(put('bb', 1), put('b', 2)), /ascending/);
	assert.throws(() => builderWith(put('a', 1), put('a', 1)), /newest first/);
	assert.throws(() => builderWith(put('a', 1), put('a', 2)), /newest first/);
	assert.throws(() => builderWith(put('', 1)), /key size/);
	assert.throws(() => builderWith(put(Buffer.alloc(keySizeMax + 1), 1)), /key size/);
	assert.throws(() => builderWith(put('a', sequenceMax + 1)), /sequence/);
	assert.throws(() => builderWith(put('a', 1, '', 1.5)), /expiry/);
	assert.throws(() => builderWith({ ...put('a', 1), kind: 4 }), /kind/);
	assert.throws(() => builderWith().finish(), /has entries/);
});

void test('a builder knows its size closely, and writes big chunks', () => {
	const prng = new Prng(testSeed('table size'));
	const files = new MemoryFileSystem();
	const file = files.open(path, 'create');
	const builder = new TableBuilder(file, 1);
	let size = 0;
	for (let i = 0; i < 20_000; i++) {
		const value = Buffer.alloc(100);
		prng.fill(value);
		addEntry(builder, put(`key:${String(i).padStart(12, '0')}`, i + 1, value));
		assert.ok(builder.size >= size / 2);
		size = builder.size;
	}
	const meta = builder.finish();
	assert.equal(meta.size, files.files.get(path)?.length);
	assert.ok(Math.abs(size - meta.size) < 20_000, `${size} for ${meta.size}`);
});

void test('a closed table gives back its file and its blocks', () => {
	const files = new MemoryFileSystem();
	buildTable(files, path, 7, [put('a', 1, 'x')]);
	const cache = new BlockCache(1 << 20);
	const reader = TableReader.open(files, path, 7, cache);
	getFrom(reader, Buffer.from('a'), 5);
	assert.equal(cache.stats.blockCount, 1);
	reader.close();
	assert.equal(cache.stats.blockCount, 0);
	assert.ok(files.handles.every((handle) => !handle.isOpen));
	assert.throws(() => reader.iterator(), /open/);
	assert.throws(() => getFrom(reader, Buffer.from('a'), 5), /open/);
});

/** A whole file, base64. */
const goldenTable = [
	'/D6CLYtSBdnrAQAAyAMAAAcAAAABAAAAAAAAAAAAAAABAQAAAAAAAMgDAAAxAAsAAQChAQAAAnVzZXI6MAEAUQsAAOgDGQDjABEA',
	'aOXPiwEAAAoBAekUAHQBM20KAQLqDgB0Nm1pCgED6w8AhDltaWwJAgTsEACkMTJtaWxsCgEF7RIAEDURAFRtCgEG7hIAETgSAFNp',
	'CQIH7xMAIxEHeAAiMjEcAFNsCgEI8B0AIwE0FABUbAoBCfEVABQ3FQBQbQkCAAq/AADXAGQzMAsACvIkAAUjAFRpCgEL8xYAFjMX',
	'AFRsCgEM9BgAFzYYAFRsCgEN9RkAAOQAFWwdAEMACw72GgAjEQ63AAVOARE0/wAFLABTaQoBD/ctAAMJAQZLAEQKARD4HAADEwEG',
	'OwBECQIR+R0AFDUVAQY+AEQKARL6HwAFHwEGQABECgET+x8ABikBBkEARAkCABQzAWQ2MAsAFPwuAAZEAAZQAEMKARX9IAAjERXy',
	'AAhFAQZaAEMKARb+KgAKTwEGTwBECgEX/yMAClkBBkkAUAkCGAAEoABLAAABN1IBBkwARAoBGQEmAAxcAQZOAEQKARoCJgANZgEG',
	'TwBFCQIbAycADnABBlIAQwoBHAQpACMRHA0BD4IBAAZcAEMACx0FMQAVASgCHziWAQEGZwBBCQIAHv4AUAAAAjkwCgDARgEAAHYD',
	'AAADAAAAt1om0NqCe0KxAAAA+AEAAAcAAAABAAAAEwIAAAAAAAABAQAAAAAAAPgBAABhAAseBgQAAQD/AQF1c2VyOjAwMDA5MG1p',
	'bGwEAAdECgEfBzUAHzMnAAcBQwBECgEgCCwAEzYUAA9bAAZECgEhCS0AHzktAA1UbQgDIgouAD8xMDIwAA5TaQoBIwsxAK8RI2jl',
	'z4sBAAA1NwAPU2wKASQMOAAvATgwABBUbAkCJQ0xAC8xMTIAEVRtCgEmDjMAHzQyABJUaQoBJw8zAB83MwATkGwAAAAAAQAAABbJ',
	'ksjQPQJ/SAAAAEgAAAAHAAAAAQAAAOwCAAAAAAAAAAIAAAAAAAABAAAABgAAAAAW2ALZwlV+MhHdIJiscepkgZxgqy+A4BVKZAAy',
	'wHsERPviIGKQxsFJLwEIAIi0LAoi9MwVPNaSQkwKHBgFSHIz5pSkxFSS0zoAAAA6AAAABwAAAAEAAABcAwAAAAAAAAADAAAAAAAA',
	'AgAAABMCAAALAAAAHgAAAAABAADZAAAAFgAAAA8EAAAAAAAAdXNlcjowMDAwOTB1c2VyOjAwMDExN0+Ue+lUBf+KXgAAAF4AAAAH',
	'AAAAAQAAAL4DAAAAAAAAAAQAAAAAAAABAAAAAAQAACwAAAAAAAAABAAAAAAAAAAGAAAAAAAAAOgDAAAAAAAAHgAAAAABAAAoAAAA',
	'AAAAAMAFAAAAAAAACwALAAAAAAB1c2VyOjAwMDAwMHVzZXI6MDAwMTE3BwAAAAEAAABEBAAAAAAAAOwCAAAAAAAAcAAAAAAAAABi',
	'AAAAAAAAAIYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAABI8y9/9iVM/01SVEFCTEUK',
].join('');

/** Entries that stay the same for ever; `makeValue` decides whether they compress. */
function goldenEntries(makeValue: (i: number) => Buffer): Entry[] {
	const entries: Entry[] = [];
	for (let i = 0; i < 40; i++) {
		const key = `user:${String(i * 3).padStart(6, '0')}`;
		if (i % 10 === 0) entries.push(tombstone(key, 2 ** 40 + i));
		entries.push(put(key, 1000 + i, makeValue(i), i % 7 === 0 ? 1.7e12 + i : 0));
	}
	return entries;
}

void test('the bytes of a table do not change unnoticed', () => {
	const prng = new Prng(1);
	const entries = goldenEntries((i) => {
		// Random bytes do not compress, so the hash does not depend on the LZ4 library.
		const value = Buffer.alloc(60 + i);
		prng.fill(value);
		return value;
	});
	const files = new MemoryFileSystem();
	buildTable(files, path, 2 ** 32 + 7, entries, { blockSize: 1024 }, [rangeTombstone('a', 'user:', 9)]);
	const bytes = files.files.get(path) ?? assert.fail();
	const hash = createHash('sha256').update(bytes).digest('hex');
	assert.equal(`${bytes.length} ${hash}`, '4738 e637ddf45cc5e121fdf74fc55b22ada001b6198dd24208200257d03be77c0154');
});

void test('a compressed table written by the first version is still read', () => {
	const files = new MemoryFileSystem();
	files.files.set(path, Buffer.from(goldenTable, 'base64'));
	const reader = TableReader.open(files, path, 2 ** 32 + 7);
	reader.verify();
	// It does not say when its entries expire, nor could it delete ranges.
	const { expiryCount, minExpiresAtMs, maxExpiresAtMs, rangeTombstones, lowerBound, firstKey } = reader.meta;
	assert.equal(reader.expiryDirectory, undefined);
	assert.deepEqual([expiryCount, minExpiresAtMs, maxExpiresAtMs], [6, 1, Number.MAX_SAFE_INTEGER]);
	assert.deepEqual([rangeTombstones, lowerBound], [[], firstKey]);
	const iterator = reader.iterator();
	iterator.seekFirst();
	assertSameEntries(
		collect(iterator),
		goldenEntries((i) => Buffer.alloc(i, 'mill')),
	);
});
