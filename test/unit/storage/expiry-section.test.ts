import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sequenceMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { LocatedEntry } from '../../../src/storage/lsm/table/located-entry.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import { buildTable, type Entry, MemoryFileSystem, put } from './table-support.js';

const path = 'db/000009.table';

/** Times that hurt: all alike, dense, and with `isWide` years apart and the largest. */
function randomTime(prng: Prng, isWide: boolean): number {
	const shape = prng.below(isWide ? 4 : 2);
	if (shape === 0) return 1.7e12;
	if (shape === 1) return 1.7e12 + prng.below(1e6);
	if (shape === 2) return 1 + prng.below(2 ** 31) * 2 ** 21;
	return sequenceMax - prng.below(3);
}

function readAll(reader: TableReader, fromMs: number): string[] {
	const cursor = reader.expiryCursor(reader.expiryDirectory ?? assert.fail('entries expire'));
	const entry = new LocatedEntry();
	const rows: string[] = [];
	for (cursor.seek(fromMs); cursor.valid; cursor.next()) {
		reader.locate(cursor.blockNumber, cursor.entryNumber, entry);
		const key = Buffer.from(entry.key.subarray(0, entry.keySize)).toString('latin1');
		assert.equal(entry.expiresAtMs, cursor.expiresAtMs);
		rows.push(`${cursor.expiresAtMs} ${key} ${entry.sequence}`);
	}
	assert.equal(cursor.rowNumber, reader.expiryDirectory?.rowCount);
	return rows;
}

void test('every entry that expires has its row, in order of time', () => {
	const prng = new Prng(testSeed('expiry section'));
	for (const [count, isWide] of [
		[1, true],
		[40, true],
		[40, false],
		[9000, true],
		[14_000, false],
	] as const) {
		const entries: Entry[] = [];
		for (let i = 0; i < count; i++) {
			const key = `key${String(i).padStart(6, '0')}${'x'.repeat(prng.below(9))}`;
			const expiresAtMs = i === 0 || prng.chance(0.8) ? randomTime(prng, isWide) : 0;
			entries.push(put(key, 1000 + i, 'v'.repeat(prng.below(20)), expiresAtMs));
		}
		const files = new MemoryFileSystem();
		const meta = buildTable(files, path, 9, entries, { blockSize: 1024 });
		const reader = TableReader.open(files, path, 9);
		reader.verify();
		// Sorting is stable: of one moment, in order of keys.
		const expiring = entries.filter((entry) => entry.expiresAtMs !== 0);
		expiring.sort((a, b) => a.expiresAtMs - b.expiresAtMs);
		const rows = expiring.map((entry) => `${entry.expiresAtMs} ${entry.key.toString('latin1')} ${entry.sequence}`);
		assert.equal(meta.expiryCount, rows.length);
		assert.deepEqual(readAll(reader, 0), rows);
		for (let i = 0; i < 10; i++) {
			const fromMs = i === 0 ? 1.7e12 : expiring[prng.below(expiring.length)].expiresAtMs + prng.below(3) - 1;
			const first = expiring.findIndex((entry) => entry.expiresAtMs >= fromMs);
			assert.deepEqual(readAll(reader, fromMs), first === -1 ? [] : rows.slice(first));
		}
	}
});

void test('a reader holds one small block of the section, and reads the next when its time comes', () => {
	const files = new MemoryFileSystem();
	const entries = Array.from({ length: 30_000 }, (_, i) => put(`k${String(i).padStart(6, '0')}`, 1, '', 1e12 + i * 7));
	buildTable(files, path, 9, entries);
	const reader = TableReader.open(files, path, 9);
	const directory = reader.expiryDirectory ?? assert.fail();
	assert.ok(directory.blockCount > 5, `${directory.blockCount} blocks`);
	files.reads.length = 0;
	const cursor = reader.expiryCursor(directory);
	assert.equal(files.reads.length, 0, 'nothing is read before it is needed');
	cursor.seek(directory.times[3]);
	assert.equal(cursor.rowNumber, directory.rowNumbers[3]);
	while (cursor.rowNumber < directory.rowNumbers[5]) cursor.next();
	assert.ok(files.reads.length <= 4 && Math.max(...files.reads) <= 17_000, `${files.reads}`);
	assert.ok(reader.meta.size < 30_000 * 40, 'a row takes few bytes');
});
