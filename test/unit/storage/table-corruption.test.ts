import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeU32, writeU53 } from '../../../src/base/bytes.js';
import { hasCode, MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { writeChecksum64 } from '../../../src/codec/checksum.js';
import { encodeBlockHeader } from '../../../src/storage/lsm/table/block-frame.js';
import { LocatedEntry } from '../../../src/storage/lsm/table/located-entry.js';
import * as format from '../../../src/storage/lsm/table/table-format.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import {
	assertSameEntries,
	assertSameEntry,
	buildTable,
	collect,
	type Entry,
	getFrom,
	MemoryFileSystem,
	put,
	rangeTombstone,
	tombstone,
} from './table-support.js';

const path = 'db/000003.table';
const entries: Entry[] = [];
for (let i = 0; i < 60; i++) {
	const key = `k${String(i).padStart(3, '0')}`;
	if (i % 9 === 0) entries.push(tombstone(key, 500 + i));
	entries.push(put(key, 100 + i, `value ${i}, value ${i}`, i % 5 === 0 ? 1e12 + (i % 3) * 2 ** 40 : 0));
}
const ranges = [rangeTombstone('', 'a', 7), rangeTombstone('k', 'k030', 90), rangeTombstone('k', 'l', 80)];

function build(): { files: MemoryFileSystem; bytes: Buffer } {
	const files = new MemoryFileSystem();
	buildTable(files, path, 3, entries, { blockSize: 400 }, ranges);
	return { files, bytes: files.files.get(path) ?? assert.fail() };
}

function isDetected(error: unknown): boolean {
	if (!(error instanceof MillraceError)) return false;
	assert.ok(error.message.includes(path), 'the message names the file');
	return error.code === 'MILLRACE_CORRUPT' || error.code === 'MILLRACE_FORMAT_NEWER';
}

function isCorrupt(error: unknown): boolean {
	return hasCode(error, 'MILLRACE_CORRUPT');
}

/** Rows of the expiry section are right, and lead to entries that expire then. */
function checkExpiries(reader: TableReader): void {
	const cursor = reader.expiryCursor(reader.expiryDirectory ?? assert.fail());
	const entry = new LocatedEntry();
	const expected = entries.map((each) => each.expiresAtMs).filter((timeMs) => timeMs !== 0);
	expected.sort((a, b) => a - b);
	let i = 0;
	for (cursor.seekFirst(); cursor.valid; cursor.next()) {
		assert.equal(cursor.expiresAtMs, expected[i++]);
		reader.locate(cursor.blockNumber, cursor.entryNumber, entry);
		assert.equal(entry.expiresAtMs, cursor.expiresAtMs);
	}
	assert.equal(i, expected.length);
}

/** Every answer is right or refused. @returns how many were refused */
function countRefused(files: MemoryFileSystem): number {
	let refusedCount = 0;
	const attempt = (read: () => void) => {
		try {
			read();
		} catch (error) {
			if (!isDetected(error)) throw error;
			refusedCount++;
		}
	};
	attempt(() => {
		const reader = TableReader.open(files, path, 3);
		attempt(() => reader.verify());
		assert.deepEqual(reader.meta.rangeTombstones, ranges);
		attempt(() => checkExpiries(reader));
		attempt(() => {
			const iterator = reader.iterator();
			iterator.seekFirst();
			assertSameEntries(collect(iterator), entries);
		});
		attempt(() => {
			const iterator = reader.iterator();
			iterator.seekLast();
			assert.equal(collect(iterator).length, entries.length);
		});
		for (let i = 0; i < entries.length; i += 7) {
			attempt(() => assertSameEntry(getFrom(reader, entries[i].key, entries[i].sequence), entries[i]));
		}
		attempt(() => assert.equal(getFrom(reader, Buffer.from('nobody'), 1000), undefined));
	});
	return refusedCount;
}

void test('a table unharmed answers everything', () => {
	assert.equal(countRefused(build().files), 0);
});

void test('any byte changed is noticed by open or verify, and gives no wrong answer', () => {
	const prng = new Prng(testSeed('table damage'));
	const { files, bytes } = build();
	assert.ok(bytes.length < 6000, `${bytes.length} bytes`);
	for (let i = 0; i < bytes.length; i++) {
		const original = bytes[i];
		bytes[i] = original ^ (1 << (i & 7));
		assert.notEqual(countRefused(files), 0, `bit ${i & 7} of byte ${i}`);
		bytes[i] = (original + 1 + prng.below(255)) & 0xff;
		assert.throws(() => TableReader.open(files, path, 3).verify(), isDetected, `byte ${i}`);
		bytes[i] = original;
	}
	assert.equal(countRefused(files), 0, 'all is restored');
});

void test('a table cut at any length, or with bytes behind it, does not open', () => {
	const { files, bytes } = build();
	for (let size = 0; size < bytes.length; size++) {
		files.files.set(path, bytes.subarray(0, size));
		assert.throws(() => TableReader.open(files, path, 3), isDetected, `${size} bytes`);
	}
	files.files.set(path, Buffer.concat([bytes, Buffer.alloc(1)]));
	assert.throws(() => TableReader.open(files, path, 3), isDetected);
	files.files.set(path, Buffer.concat([Buffer.alloc(8), bytes]));
	assert.throws(() => TableReader.open(files, path, 3), isDetected, 'shifted as a whole');
	assert.ok(
		files.handles.every((handle) => !handle.isOpen),
		'no file stays open',
	);
});

void test('a block read from another place or another table is refused', () => {
	const { files, bytes } = build();
	assert.throws(() => TableReader.open(files, path, 4), /table 3, not 4/);
	const other = new MemoryFileSystem();
	buildTable(other, path, 4, entries, { blockSize: 400 }, ranges);
	const otherBytes = other.files.get(path) ?? assert.fail();
	assert.equal(otherBytes.length, bytes.length);
	const mixed = Buffer.from(bytes);
	otherBytes.copy(mixed, 0, 0, 300);
	files.files.set(path, mixed);
	const reader = TableReader.open(files, path, 3);
	assert.throws(() => getFrom(reader, entries[0].key, 1000), isCorrupt);
	assert.throws(() => reader.verify(), isCorrupt);
});

/** A lone footer with right checksum and the fields given. */
function footerWith(edit: (footer: Uint8Array) => void, bytes: Buffer): Buffer {
	const changed = Buffer.from(bytes);
	const footer = changed.subarray(changed.length - format.footerSize);
	edit(footer);
	writeChecksum64(footer, 0, format.footerChecksumOffset, footer, format.footerChecksumOffset);
	return changed;
}

void test('a newer format is told from damage', () => {
	const { files, bytes } = build();
	files.files.set(
		path,
		footerWith((footer) => writeU32(footer, format.footerVersionOffset, format.tableFormatVersion + 1), bytes),
	);
	assert.throws(
		() => TableReader.open(files, path, 3),
		(error) => hasCode(error, 'MILLRACE_FORMAT_NEWER'),
	);
	files.files.set(
		path,
		footerWith((footer) => writeU32(footer, format.footerVersionOffset, 0), bytes),
	);
	assert.throws(() => TableReader.open(files, path, 3), isCorrupt);
});

void test('sizes that lie under a right checksum are refused without allocating by them', () => {
	const { files, bytes } = build();
	const lies = [0, 1, 40, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 53 - 1];
	const fields = [
		format.footerFileOffsetOffset,
		format.footerFilterOffsetOffset,
		format.footerFilterSizeOffset,
		format.footerIndexSizeOffset,
		format.footerPropertiesSizeOffset,
		format.footerExpirySizeOffset,
		format.footerRangeTombstonesSizeOffset,
		format.footerExpiryDirectorySizeOffset,
	];
	for (const field of fields) {
		for (const lie of lies) {
			files.files.set(
				path,
				footerWith((footer) => writeU53(footer, field, lie), bytes),
			);
			assert.throws(() => TableReader.open(files, path, 3), isCorrupt, `${lie} at ${field}`);
		}
	}
});

void test('random payloads under right checksums end in an error or in entries, never in a hang', () => {
	const prng = new Prng(testSeed('table payloads'));
	const { bytes } = build();
	const files = new MemoryFileSystem();
	let refusedCount = 0;
	for (let round = 0; round < 1500; round++) {
		const changed = Buffer.from(bytes);
		rewriteSomeBlock(prng, changed);
		files.files.set(path, changed);
		try {
			const reader = TableReader.open(files, path, 3);
			const iterator = reader.iterator();
			iterator.seekFirst();
			assert.ok(collect(iterator).length <= changed.length);
			iterator.seekLast();
			assert.ok(collect(iterator).length <= changed.length);
			getFrom(reader, entries[prng.below(entries.length)].key, 1000);
			walkExpiries(reader, changed.length);
			reader.verify();
		} catch (error) {
			assert.ok(isDetected(error), String(error));
			refusedCount++;
		}
	}
	assert.ok(refusedCount > 700, `${refusedCount} refused`);
});

function walkExpiries(reader: TableReader, countMax: number): void {
	if (reader.expiryDirectory === undefined) return;
	const cursor = reader.expiryCursor(reader.expiryDirectory);
	const entry = new LocatedEntry();
	for (cursor.seekFirst(); cursor.valid; cursor.next()) {
		assert.ok(cursor.rowNumber < countMax);
		reader.locate(cursor.blockNumber, cursor.entryNumber, entry);
	}
}

/** Picks a block, changes some bytes of its raw payload, and makes its checksum right again. */
function rewriteSomeBlock(prng: Prng, bytes: Buffer): void {
	const starts: number[] = [];
	for (let at = 0; at < bytes.length - format.footerSize; ) {
		starts.push(at);
		at += format.blockHeaderSize + bytes.readUInt32LE(at + format.blockStoredSizeOffset);
	}
	const last = starts.length - 1;
	const start = starts[prng.chance(0.5) ? last - prng.below(6) : prng.below(last + 1)];
	const storedSize = bytes.readUInt32LE(start + format.blockStoredSizeOffset);
	const rawSize = bytes.readUInt32LE(start + format.blockRawSizeOffset);
	const payload = start + format.blockHeaderSize;
	for (let i = prng.below(4); i >= 0; i--) {
		const near = prng.chance(0.5) ? prng.below(Math.min(16, storedSize)) : prng.below(storedSize);
		bytes[payload + near] = prng.chance(0.3) ? 0xff : prng.below(256);
	}
	const kind = bytes[start + format.blockKindOffset];
	const codec = bytes[start + format.blockCodecOffset];
	encodeBlockHeader(bytes, start, kind, codec, storedSize, rawSize, 3, start);
}

void test('a read cut short is an error, not a shorter answer', () => {
	const { files, bytes } = build();
	const reader = TableReader.open(files, path, 3);
	files.files.set(path, bytes.subarray(0, 100));
	assert.throws(() => getFrom(reader, entries[0].key, 1000), isCorrupt);
	assert.throws(() => reader.iterator().seekFirst(), isCorrupt);
});
