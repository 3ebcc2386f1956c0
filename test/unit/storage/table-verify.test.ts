import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readU32, readU53, writeU32, writeU53 } from '../../../src/base/bytes.js';
import { hasCode } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { encodeBlockHeader } from '../../../src/storage/lsm/table/block-frame.js';
import * as format from '../../../src/storage/lsm/table/table-format.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import { buildTable, collect, type Entry, MemoryFileSystem, put, rangeTombstone, tombstone } from './table-support.js';

const path = 'db/000005.table';
const prng = new Prng(testSeed('table verify'));
/** Sizes of the first entry's varints and fixed part: its key follows. */
const firstKeyOffset = 3 + format.entryFixedSize;

/** Keys k00aa, k01aa, …; values that do not compress, so that payloads lie in the file as they are. */
const entries: Entry[] = [];
for (let i = 0; i < 100; i++) {
	const value = Buffer.alloc(40);
	prng.fill(value);
	entries.push(put(`k${String(i).padStart(2, '0')}aa`, 100 + i, value));
}
entries.push(tombstone('k99ab', 7));
const ranges = [rangeTombstone('a', 'b', 300), rangeTombstone('a', 'c', 200)];

/** Of them the first two expire at the same time. */
const expiring = entries.map((entry, i) => ({
	...entry,
	expiresAtMs: i < 100 && i % 10 < 2 ? 1000 + 9 * (i - (i % 10)) : 0,
}));

/**
 * A table with one payload edited and its checksum made right again: what a writer with a bug would leave.
 * @param number of the block among those of its kind
 */
function openEdited(
	kind: number,
	number: number,
	edit: (payload: Uint8Array) => void,
	bitsPerKey = 10,
	content: readonly Entry[] = entries,
): TableReader {
	const files = new MemoryFileSystem();
	buildTable(files, path, 5, content, { blockSize: 2048, bitsPerKey }, content === entries ? [] : ranges);
	const bytes = files.files.get(path) ?? assert.fail();
	for (let at = 0; at < bytes.length - format.footerSize; ) {
		const size = readU32(bytes, at + format.blockStoredSizeOffset);
		const start = at + format.blockHeaderSize;
		if (bytes[at + format.blockKindOffset] === kind && number-- === 0) {
			assert.equal(bytes[at + format.blockCodecOffset], format.codecRaw);
			edit(bytes.subarray(start, start + size));
			encodeBlockHeader(bytes, at, kind, format.codecRaw, size, size, 5, at);
		}
		at = start + size;
	}
	return TableReader.open(files, path, 5);
}

function refuses(reader: TableReader, message: RegExp): void {
	assert.throws(
		() => reader.verify(),
		(error) => hasCode(error, 'MILLRACE_CORRUPT') && message.test(error.message),
	);
}

void test('a table as built verifies', () => {
	openEdited(format.blockKindData, 0, () => {}).verify();
});

void test('verify compares every number of the properties with what it counts', () => {
	const fields = [
		[format.propertiesEntryCountOffset, /101 entries, the properties say 102/],
		[format.propertiesTombstoneCountOffset, /1 tombstones/],
		[format.propertiesMinSequenceOffset, /7 as lowest sequence/],
		[format.propertiesMaxSequenceOffset, /199 as highest sequence/],
		[format.propertiesRawSizeOffset, /bytes of data/],
	] as const;
	for (const [field, message] of fields) {
		const reader = openEdited(format.blockKindProperties, 0, (payload) =>
			writeU53(payload, field, readU53(payload, field) + 1),
		);
		refuses(reader, message);
	}
	const fewer = (payload: Uint8Array) => writeU53(payload, format.propertiesKeyCountOffset, 100);
	refuses(openEdited(format.blockKindProperties, 0, fewer), /101 keys/);
	const otherFirst = (payload: Uint8Array) =>
		payload.fill(0x41, format.propertiesHeaderSize, format.propertiesHeaderSize + 4);
	refuses(openEdited(format.blockKindProperties, 0, otherFirst), /first key/);
	const otherLast = (payload: Uint8Array) => payload.fill(0x7a, payload.length - 1);
	refuses(openEdited(format.blockKindProperties, 0, otherLast), /last key/);
});

/** One with expiries and deleted ranges. */
function openEditedExpiring(kind: number, edit: (payload: Uint8Array) => void): TableReader {
	return openEdited(kind, 0, edit, 10, expiring);
}

void test('what the properties, the directory and the rows say of expiries is the truth', () => {
	openEditedExpiring(format.blockKindProperties, () => {}).verify();
	const increment = (field: number) => (payload: Uint8Array) => writeU53(payload, field, readU53(payload, field) + 1);
	const opens = (kind: number, edit: (payload: Uint8Array) => void, message: RegExp) =>
		assert.throws(() => openEditedExpiring(kind, edit), message);
	opens(format.blockKindProperties, increment(format.propertiesExpiryCountOffset), /20 expiry rows for 21/);
	opens(format.blockKindProperties, increment(format.propertiesMinExpiresAtMsOffset), /the first expiry is not/);
	opens(format.blockKindProperties, increment(format.propertiesRangeTombstoneCountOffset), /no properties/);
	const last = openEditedExpiring(format.blockKindProperties, increment(format.propertiesMaxExpiresAtMsOffset));
	refuses(last, /1810 as last expiry/);
	const time = format.expiryDirectoryHeaderSize + format.expiryDirectoryTimeOffset;
	opens(format.blockKindExpiryDirectory, increment(time), /the first expiry is not/);
	const rowCount = format.expiryDirectoryHeaderSize + format.expiryDirectoryRowCountOffset;
	opens(format.blockKindExpiryDirectory, (payload) => writeU32(payload, rowCount, 19), /19 expiry rows/);
});

void test('verify finds expiry rows that are false, out of order or too many', () => {
	// A row has three bytes here: milliseconds since the one before, block, entry.
	const edits: [(payload: Uint8Array) => void, RegExp][] = [
		[(payload) => payload.fill(1, 3, 4), /not those of the entries/],
		[(payload) => payload.fill(7, 5, 6), /not those of the entries/],
		[(payload) => payload.fill(0, 5, 6), /out of order/],
		[(payload) => payload.fill(99, 4, 5), /does not fit/],
		[(payload) => payload.fill(1, 0, 1), /at the time of its block/],
		[(payload) => payload.fill(0x80, payload.length - 1), /out of order/],
	];
	for (const [edit, message] of edits) refuses(openEditedExpiring(format.blockKindExpiry, edit), message);
});

void test('range tombstones that are empty, out of order or unknown to the properties do not open', () => {
	const first = format.rangeTombstoneHeaderSize;
	const edits: ((payload: Uint8Array) => void)[] = [
		(payload) => writeU53(payload, first, 199),
		(payload) =>
			payload.fill(0x63, first + format.rangeTombstoneKeysOffset, first + format.rangeTombstoneKeysOffset + 1),
		(payload) =>
			payload.fill(9, first + format.rangeTombstoneEndSizeOffset, first + format.rangeTombstoneEndSizeOffset + 1),
		(payload) => writeU32(payload, format.rangeTombstoneCountOffset, 1),
		(payload) => writeU32(payload, format.rangeTombstoneCountOffset, 2 ** 31),
	];
	for (const edit of edits) {
		assert.throws(() => openEditedExpiring(format.blockKindRangeTombstones, edit), /no range tombstones/);
	}
	const newer = openEditedExpiring(format.blockKindRangeTombstones, (payload) => writeU53(payload, first, 301));
	refuses(newer, /301 as highest sequence/);
});

void test('verify asks the filter for every key', () => {
	const reader = openEdited(format.blockKindFilter, 0, (payload) =>
		payload.fill(0, format.filterHeaderSize, format.filterHeaderSize + 1),
	);
	refuses(reader, /filter denies/);
});

void test('verify holds separators and their sequences against the blocks on both sides', () => {
	const rowOffset = format.indexHeaderSize + format.indexRowSize;
	const setFirstSeparator = (text: string) => (payload: Uint8Array) => {
		const keys = format.indexHeaderSize + readU32(payload, 0) * format.indexRowSize;
		const end = readU32(payload, format.indexHeaderSize + format.indexRowKeyEndOffset);
		assert.equal(end, 3, 'separators are short');
		payload.set(Buffer.from(text), keys);
	};
	refuses(openEdited(format.blockKindIndex, 0, setFirstSeparator('k00')), /below its block/);
	refuses(openEdited(format.blockKindIndex, 0, setFirstSeparator('k50')), /not below|not above/);
	const reader = openEdited(format.blockKindIndex, 0, (payload) =>
		writeU53(payload, rowOffset + format.indexRowSequenceOffset, 9),
	);
	refuses(reader, /sequence 9 is indexed/);
});

void test('verify finds restarts that point to no restart', () => {
	const reader = openEdited(format.blockKindData, 1, (payload) => {
		const restart = payload.length - 8;
		writeU32(payload, restart, readU32(payload, restart) + 1);
	});
	refuses(reader, /restart/);
	const zero = openEdited(format.blockKindData, 0, (payload) => writeU32(payload, payload.length - 4, 0));
	refuses(zero, /restarts in/);
	const many = openEdited(format.blockKindData, 0, (payload) => writeU32(payload, payload.length - 4, 0x4000_0001));
	refuses(many, /restarts in/);
});

void test('verify finds entries out of order and tags without meaning', () => {
	const unordered = (payload: Uint8Array) => payload.fill(0x7a, firstKeyOffset, firstKeyOffset + 1);
	refuses(openEdited(format.blockKindData, 1, unordered, 0), /out of order/);
	refuses(openEdited(format.blockKindData, 0, unordered, 0), /first key/);
	const tag = (payload: Uint8Array) => payload.fill(0x23, firstKeyOffset - 1, firstKeyOffset);
	refuses(openEdited(format.blockKindData, 0, tag), /tag 35/);
});

void test('an entry that claims more bytes than its block has is refused by every reader', () => {
	for (const varint of [1, 2]) {
		const reader = openEdited(format.blockKindData, 0, (payload) => {
			payload.fill(0xff, varint, varint + 3);
		});
		refuses(reader, /longer|cut off/);
		const iterator = reader.iterator();
		assert.throws(() => iterator.seekFirst(), /longer|cut off/);
	}
	// The last value of a block grows by one byte, into the restart table.
	const reader = openEdited(format.blockKindData, 0, (payload) => {
		const end = payload.length - 4 - 4 * readU32(payload, payload.length - 4);
		for (let at = 0; at < end; ) {
			const next = at + firstKeyOffset + payload[at + 1] + payload[at + 2];
			if (next === end) payload[at + 2]++;
			at = next;
		}
	});
	refuses(reader, /longer/);
	const iterator = reader.iterator();
	iterator.seekFirst();
	assert.throws(() => collect(iterator), /longer/);
});

void test('a key that shares more than the key before it has is refused', () => {
	const reader = openEdited(format.blockKindData, 0, (payload) => {
		const second = firstKeyOffset + payload[1] + payload[2];
		payload[second] = 6;
	});
	refuses(reader, /takes 6 of 5 bytes/);
	const first = openEdited(format.blockKindData, 0, (payload) => payload.fill(1, 0, 1));
	refuses(first, /takes 1 of 0 bytes/);
});
