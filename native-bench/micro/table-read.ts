/**
 * Reading tables by themselves, for block sizes of 4, 8 and 16 KiB: points that miss the cache (files in the page cache) and that
 * hit it, short seeks, scans both ways, and rewriting a table as a compaction does. Values are half compressible, as db_bench's.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Prng } from '../../src/base/prng.js';
import { NodeFileSystem } from '../../src/env/node-file-system.js';
import { kindPut, makeEntryView } from '../../src/storage/lsm/entry.js';
import { keyHash } from '../../src/storage/lsm/key-hash.js';
import { BlockCache } from '../../src/storage/lsm/table/block-cache.js';
import { TableBuilder } from '../../src/storage/lsm/table/table-builder.js';
import { TableReader } from '../../src/storage/lsm/table/table-reader.js';
import { isTiny, printHeader, printRounds } from './harness.js';

const entryCount = isTiny ? 2000 : 400_000;
const readCount = isTiny ? 500 : 100_000;
const roundCount = isTiny ? 2 : 5;
const keySize = 16;
const valueSize = 100;
const missCacheSize = 512 * 1024;
const hitCacheSize = 128 * 1024 * 1024;

const fileSystem = new NodeFileSystem();
const directory = mkdtempSync(join(tmpdir(), 'millrace-table-read-'));
const path = join(directory, 'table');
const prng = new Prng(1);
const view = makeEntryView();
const key = Buffer.alloc(keySize);
const copied = new Uint8Array(valueSize);

function setKey(number: number): void {
	for (let i = keySize - 1; i >= 0; i--) {
		key[i] = 0x30 + (number % 10);
		number = Math.floor(number / 10);
	}
}

function buildTable(blockSize: number): void {
	const value = new Uint8Array(valueSize);
	const file = fileSystem.open(path, 'create');
	const builder = new TableBuilder(file, 1, { blockSize });
	for (let i = 0; i < entryCount; i++) {
		setKey(i);
		for (let at = 0; at < valueSize / 2; at++) value[at] = 32 + prng.below(95);
		value.copyWithin(valueSize / 2, 0, valueSize / 2);
		builder.add(key, 0, keySize, i + 1, kindPut, 0, value, 0, valueSize);
	}
	builder.finish();
	file.close();
}

function rate(count: number, work: () => void): number {
	const start = process.hrtime.bigint();
	work();
	return count / (Number(process.hrtime.bigint() - start) / 1e9);
}

function getRandom(reader: TableReader): void {
	for (let i = 0; i < readCount; i++) {
		setKey(prng.below(entryCount));
		if (!reader.get(key, 0, keySize, keyHash(key, 0, keySize), Number.MAX_SAFE_INTEGER, view)) throw new Error('lost');
		for (let at = 0; at < valueSize; at++) copied[at] = view.value[view.valueOffset + at];
	}
}

function getAbsent(reader: TableReader): void {
	for (let i = 0; i < readCount; i++) {
		setKey(prng.below(entryCount) + entryCount);
		reader.get(key, 0, keySize, keyHash(key, 0, keySize), Number.MAX_SAFE_INTEGER, view);
	}
}

function seekRandom(reader: TableReader): void {
	for (let i = 0; i < readCount; i++) {
		const iterator = reader.iterator();
		setKey(prng.below(entryCount));
		iterator.seek(key, 0, keySize);
		for (let step = 0; step < 10 && iterator.valid; step++) iterator.next();
		iterator.close();
	}
}

function scan(reader: TableReader, isBackward: boolean): void {
	const iterator = reader.iterator();
	if (isBackward) iterator.seekLast();
	else iterator.seekFirst();
	let count = 0;
	for (; iterator.valid; iterator.next()) count++;
	if (count !== entryCount) throw new Error(`${count} entries`);
	iterator.close();
}

function rewrite(reader: TableReader, blockSize: number): void {
	const target = `${path}.rewritten`;
	const file = fileSystem.open(target, 'create');
	const builder = new TableBuilder(file, 2, { blockSize });
	const it = reader.iterator();
	for (it.seekFirst(); it.valid; it.next()) {
		builder.add(it.key, 0, it.keySize, it.sequence, it.kind, 0, it.value, it.valueOffset, it.valueSize);
	}
	it.close();
	builder.finish();
	file.close();
	fileSystem.remove(target);
}

function measure(blockSize: number): void {
	buildTable(blockSize);
	const open = (cacheSize: number): TableReader => {
		const cache = cacheSize === 0 ? undefined : new BlockCache(cacheSize, blockSize);
		return TableReader.open(fileSystem, path, 1, cache);
	};
	const missing = open(missCacheSize);
	const hitting = open(hitCacheSize);
	const plain = open(0);
	getRandom(hitting);
	const cases: [string, number, () => void][] = [
		['get, not cached', readCount, () => getRandom(missing)],
		['get, cached', readCount, () => getRandom(hitting)],
		['get, denied by the filter', readCount, () => getAbsent(hitting)],
		['seek and 10 steps, not cached', readCount, () => seekRandom(missing)],
		['seek and 10 steps, cached', readCount, () => seekRandom(hitting)],
		['scan', entryCount, () => scan(plain, false)],
		['scan backward', entryCount, () => scan(plain, true)],
		['rewrite', entryCount, () => rewrite(plain, blockSize)],
	];
	for (const [name, count, work] of cases) {
		const rates: number[] = [];
		for (let round = 0; round < roundCount; round++) rates.push(rate(count, work));
		printRounds(`${blockSize / 1024} KiB: ${name}`, rates);
	}
	console.log(`${blockSize / 1024} KiB: ${(missing.meta.size / entryCount).toFixed(1)} B an entry in the file`);
	for (const reader of [missing, hitting, plain]) reader.close();
	fileSystem.remove(path);
}

printHeader('tables', `${entryCount} x (${keySize} B, ${valueSize} B half compressible), ${roundCount} rounds`);
try {
	for (const blockSize of [4096, 8192, 16_384]) measure(blockSize);
} finally {
	rmSync(directory, { recursive: true });
}
