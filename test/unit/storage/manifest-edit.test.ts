import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readU32, writeU32 } from '../../../src/base/bytes.js';
import { Prng } from '../../../src/base/prng.js';
import {
	decodeEdit,
	encodeEdit,
	type ManifestEdit,
	ManifestState,
	maybeRecordSize,
} from '../../../src/storage/lsm/manifest/manifest-edit.js';
import { recordHeaderSize, recordPayloadSizeOffset } from '../../../src/storage/lsm/manifest/manifest-format.js';
import { testSeed } from '../../support/seed.js';

function decode(record: Buffer): ManifestEdit {
	return decodeEdit(record, recordHeaderSize, readU32(record, recordPayloadSizeOffset), 'here');
}

test('edits come back as they were, also with the largest numbers', () => {
	const prng = new Prng(testSeed('manifest-edit'));
	const number = (): number => (prng.chance(0.1) ? Number.MAX_SAFE_INTEGER : prng.nextU32() * (1 + prng.below(1000)));
	const numbers = (): number[] => Array.from({ length: prng.below(5) }, number);
	for (let i = 0; i < 500; i++) {
		const edit = {
			addSegments: numbers(),
			removeSegments: numbers(),
			addTables: numbers().map((id) => ({ id, level: prng.below(7), size: number() })),
			removeTables: numbers(),
			...(prng.chance(0.5) ? { flushedSequence: number() } : {}),
			...(prng.chance(0.5) ? { nextFileId: number() } : {}),
		};
		const record = encodeEdit(edit, i);
		assert.equal(record.length % 8, 0);
		assert.equal(maybeRecordSize(record, 0, record.length), record.length);
		assert.equal(maybeRecordSize(record, 0, record.length - 1), 0, 'cut off');
		assert.deepEqual(decode(record), edit);
	}
});

test('no payload size makes a record reach past its end', () => {
	const record = encodeEdit({ addSegments: [1] }, 0);
	for (const size of [0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0, record.length]) {
		writeU32(record, recordPayloadSizeOffset, size);
		assert.equal(maybeRecordSize(record, 0, record.length), 0, `a payload of ${size} bytes`);
	}
});

test('a state is what its edits add up to, and one edit on nothing gives it again', () => {
	const state = new ManifestState();
	state.apply({ addSegments: [1, 2], nextFileId: 3 });
	state.apply({ addTables: [{ id: 3, level: 0, size: 100 }], flushedSequence: 7, removeSegments: [1], nextFileId: 4 });
	state.apply({ addTables: [{ id: 4, level: 0, size: 50 }], removeTables: [3], nextFileId: 5 });
	assert.deepEqual([...state.segments], [2]);
	assert.deepEqual([...state.tables.keys()], [4]);
	assert.equal(state.flushedSequence, 7);
	const again = new ManifestState();
	again.apply(decode(encodeEdit(state.toEdit(), 0)));
	assert.deepEqual(again, state);
	assert.throws(() => state.apply({ removeSegments: [9] }), /segment 9/);
	assert.throws(() => state.apply({ addTables: [{ id: 4, level: 0, size: 1 }] }), /table 4/);
	assert.throws(() => state.apply({ flushedSequence: 6 }), /only grow/);
});
