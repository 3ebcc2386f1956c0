/**
 * The jobs that write tables: outputs are split and checked, a job that fails leaves nothing, and what it wrote is not believed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import type { Clock, FileHandle, FileSystem } from '../../../src/env/ports.js';
import { Pace } from '../../../src/storage/lsm/compaction/pace.js';
import { type CompactionJob, compactTables, flushMemtable } from '../../../src/storage/lsm/compaction/table-jobs.js';
import { kindPut } from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../../src/storage/lsm/memtable/memtable.js';
import { TableReader } from '../../../src/storage/lsm/table/table-reader.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const directory = '/data';

function keyOf(number: number): Buffer {
	return Buffer.from(`key${String(number).padStart(4, '0')}`);
}

/** Writes a table of these keys, sequences from `sequence` on. */
function flush(disk: FileSystem, id: number, keys: readonly number[], sequence: number): void {
	const memtable = new Memtable(new SharedArrayBuffer(256 * 1024));
	for (const number of keys) {
		const key = keyOf(number);
		const value = Buffer.from(`value ${sequence} `.repeat(4));
		memtable.put(keyHash(key, 0, key.length), key, 0, key.length, sequence, kindPut, 0, value, 0, value.length);
		sequence++;
	}
	assert(flushMemtable(disk, directory, memtable.arena, id, 512) !== undefined);
}

function jobOf(more: Partial<CompactionJob> = {}): CompactionJob {
	return {
		kind: 'compact',
		inputs: [
			{ id: 2, level: 0 },
			{ id: 1, level: 0 },
		],
		outputLevel: 6,
		firstTableId: 10,
		tableCountMax: 50,
		blockSize: 512,
		tableFileSize: 4096,
		grandparents: [],
		keepSequences: [],
		isBottom: true,
		expiredBeforeMs: 0,
		codec: 'lz4',
		bitsPerKey: 10,
		bytesPerSecond: 0,
		...more,
	};
}

function fresh(): SimulatedDisk {
	const disk = new SimulatedDisk({ directories: [directory] });
	const numbers = Array.from({ length: 600 }, (_, i) => i);
	flush(disk, 1, numbers, 1);
	flush(
		disk,
		2,
		numbers.filter((number) => number % 3 === 0),
		1001,
	);
	return disk;
}

function tablesOn(disk: SimulatedDisk): string[] {
	return Object.keys(disk.snapshot()).filter((path) => path.endsWith('.sst'));
}

test('outputs are split by size, share no key, and hold the newest version of each key', () => {
	const disk = fresh();
	const { tables, counts } = compactTables(disk, directory, jobOf(), undefined);
	assert(tables.length > 3, `${tables.length} tables`);
	assert.deepEqual(counts, {
		tableCount: tables.length,
		writtenCount: 600,
		shadowedCount: 200,
		tombstoneCount: 0,
		expiredCount: 0,
		rangeDeletedCount: 0,
	});
	let number = 0;
	for (const { id, size } of tables) {
		const table = TableReader.open(disk, `${directory}/${String(id).padStart(8, '0')}.sst`, id);
		assert.equal(table.meta.size, size);
		assert(size < 3 * 4096);
		const walk = table.iterator();
		for (walk.seekFirst(); walk.valid; walk.next()) {
			assert.equal(Buffer.compare(walk.key.subarray(walk.keyOffset, walk.keyOffset + walk.keySize), keyOf(number)), 0);
			assert.equal(walk.sequence > 1000, number % 3 === 0);
			number++;
		}
		table.close();
	}
	assert.equal(number, 600);
});

test('a compaction that fails at any write, sync or read leaves its inputs and nothing else', () => {
	let failures = 0;
	for (const operation of ['write', 'sync', 'read', 'open'] as const) {
		for (let after = 0; after < 24; after += 1 + (after >> 2)) {
			const disk = fresh();
			const before = tablesOn(disk);
			disk.failNext({ operation, path: /sst$/, after, error: 'EIO' });
			try {
				compactTables(disk, directory, jobOf(), undefined);
			} catch (error) {
				failures++;
				assert.match(String(error), /EIO/);
				assert.deepEqual(tablesOn(disk), before, `${operation} ${after}`);
			}
		}
	}
	assert(failures > 15, `${failures} failures`);
});

/** Flips a bit of what is written, once. */
class DamagingDisk {
	readonly fileSystem: FileSystem;
	isDamaged = false;

	constructor(disk: SimulatedDisk, after: number) {
		let count = 0;
		const open = (path: string, mode: 'read' | 'write' | 'create'): FileHandle => {
			const file = disk.open(path, mode);
			if (mode !== 'create') return file;
			const write = file.write.bind(file);
			file.write = (source, offset, size, position) => {
				const copy = new Uint8Array(source.subarray(offset, offset + size));
				if (count++ === after) {
					copy[size >> 1] ^= 4;
					this.isDamaged = true;
				}
				write(copy, 0, size, position);
			};
			return file;
		};
		this.fileSystem = new Proxy(disk, {
			get: (target, name) => {
				if (name === 'open') return open;
				const member = Reflect.get(target, name) as unknown;
				return typeof member === 'function' ? member.bind(target) : member;
			},
		});
	}
}

test('what was not written as it should be is found before anybody hears of it', () => {
	let damagedCount = 0;
	for (let after = 0; after < 10; after++) {
		const disk = fresh();
		const before = tablesOn(disk);
		const damaging = new DamagingDisk(disk, after);
		const run = (): unknown => compactTables(damaging.fileSystem, directory, jobOf(), undefined);
		try {
			run();
			assert(!damaging.isDamaged, `write ${after} was damaged`);
		} catch (error) {
			damagedCount++;
			assert.match(String(error), /sst: at byte|corrupt|Corrupt/);
			assert.deepEqual(tablesOn(disk), before);
		}
	}
	assert(damagedCount > 5, `${damagedCount} damaged`);
});

test('tables of one deeper level are walked as one, whatever is merged with them', () => {
	const prng = new Prng(testSeed('table-jobs'));
	const disk = fresh();
	const lower = compactTables(disk, directory, jobOf(), undefined).tables;
	const numbers = Array.from({ length: 700 }, (_, i) => i).filter(() => prng.chance(0.2));
	flush(disk, 5, numbers, 5000);
	const inputs = [{ id: 5, level: 0 }, ...lower.map(({ id }) => ({ id, level: 6 }))];
	const { counts } = compactTables(disk, directory, jobOf({ inputs, firstTableId: 100 }), undefined);
	const added = numbers.filter((number) => number >= 600).length;
	assert.equal(counts?.writtenCount, 600 + added);
	assert.equal(counts?.shadowedCount, numbers.length - added);
});

test('a pace is kept on average, in short sleeps, and a clock that was put back does not stop it', () => {
	let nowMs = 1_000_000;
	let sleptMs = 0;
	let longestMs = 0;
	const clock: Clock = { nowMs: () => Math.floor(nowMs) };
	const sleep = (ms: number): void => {
		nowMs += ms;
		sleptMs += ms;
		longestMs = Math.max(longestMs, ms);
	};
	const pace = new Pace(1_000_000, clock, sleep);
	for (let i = 0; i < 100; i++) {
		// Each write takes 20 ms, of the 50 ms that it may.
		nowMs += 20;
		pace.spend(50_000);
	}
	assert(sleptMs > 2600 && sleptMs < 3100, `slept ${sleptMs} ms`);
	sleptMs = 0;
	pace.spend(1_000_000);
	assert(sleptMs > 900 && longestMs <= 100, `slept ${sleptMs} ms, ${longestMs} at once`);
	nowMs -= 500_000;
	sleptMs = 0;
	pace.spend(20_000);
	assert(sleptMs <= 200, `slept ${sleptMs} ms`);
	sleptMs = 0;
	new Pace(0, clock, sleep).spend(1e12);
	new Pace(1, undefined, sleep).spend(1e12);
	assert.equal(sleptMs, 0);
});
