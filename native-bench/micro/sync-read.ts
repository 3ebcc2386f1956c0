/**
 * Synchronous reads by themselves: PartitionReader from keys as strings to values as bytes, out of a memtable, out of
 * rows kept of a table, and out of files in the page cache, by one thread and by two at once. Nothing is written meanwhile.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { SyncReaderMemory } from '../../src/command/sync-reader.js';
import { sharedDurableLowWord, sharedSize } from '../../src/command/worker-boot.js';
import { NodeFileSystem } from '../../src/env/node-file-system.js';
import { kindPut } from '../../src/storage/lsm/entry.js';
import { keyHash } from '../../src/storage/lsm/key-hash.js';
import { LsmTree } from '../../src/storage/lsm/lsm-tree.js';
import { tableFileName } from '../../src/storage/lsm/manifest/manifest-format.js';
import { partitionOptions } from '../../src/storage/lsm/partition-options.js';
import { createStorageMemory, storageMemorySizes } from '../../src/storage/lsm/shared/storage-memory.js';
import { TableReader } from '../../src/storage/lsm/table/table-reader.js';
import { flushMemtable } from '../../src/storage/lsm/upkeep/jobs.js';
import { isTiny, printHeader, printRounds } from './harness.js';
import { keyText, type ReaderResult, type ReaderWork } from './sync-read-worker.js';

const entryCount = isTiny ? 1000 : 200_000;
const roundCount = isTiny ? 2 : 6;
const valueSize = 100;
const options = partitionOptions({ memtableSize: isTiny ? 1 << 20 : 64 << 20 });
const directory = mkdtempSync(join(tmpdir(), 'millrace-sync-read-'));

function fill(tree: LsmTree): void {
	const value = Buffer.alloc(valueSize);
	for (let i = 0; i < entryCount; i++) {
		const key = Buffer.from(keyText(i));
		for (let at = 0; at < valueSize; at++) value[at] = 32 + ((i * 31 + at * (i % 7)) % 95);
		tree.put(keyHash(key, 0, key.length), key, 0, key.length, i + 1, kindPut, 0, value, 0, valueSize);
	}
}

/** A tree of which everything is in one memtable, or in one table. */
function makeMemory(isInTable: boolean, blockCacheSize: number): SyncReaderMemory {
	const memory = createStorageMemory(storageMemorySizes(options));
	let tree = new LsmTree(options, [], 0, isInTable ? undefined : memory);
	fill(tree);
	if (isInTable) {
		const fileSystem = new NodeFileSystem();
		const path = `${directory}/${tableFileName(1)}`;
		if (!fileSystem.exists(path)) {
			flushMemtable(fileSystem, directory, tree.active.arena, 1, options.blockSize, [], 14);
		}
		tree = new LsmTree(options, [{ table: TableReader.open(fileSystem, path, 1), level: 1 }], 0, memory);
	}
	const shared = new SharedArrayBuffer(sharedSize);
	new Int32Array(shared)[sharedDurableLowWord] = entryCount;
	return { partition: 0, directory, shared, view: memory.view, arenas: memory.arenas, blockCacheSize };
}

/** The rates of each round are those of all threads together. */
async function readBy(threadCount: number, memory: SyncReaderMemory): Promise<ReaderResult> {
	const barrier = new SharedArrayBuffer(4);
	const work: ReaderWork = { memory, entryCount, valueSize, roundCount, threadCount, barrier };
	const results = await Promise.all(
		Array.from({ length: threadCount }, () => {
			const worker = new Worker(new URL('./sync-read-worker.js', import.meta.url), { workerData: work });
			return new Promise<ReaderResult>((resolve, reject) => worker.on('message', resolve).on('error', reject));
		}),
	);
	const rates = results[0].rates.map((_, round) => results.reduce((sum, own) => sum + own.rates[round], 0));
	return { rates, cpuNs: results[0].cpuNs };
}

function median(rates: readonly number[]): number {
	return [...rates].sort((a, b) => a - b)[rates.length >> 1];
}

printHeader(
	'synchronous reads',
	`${entryCount} x (16 B, ${valueSize} B), random keys as strings, ${roundCount} rounds`,
);
try {
	for (const [name, isInTable, cacheSize] of [
		['memtable', false, 0],
		['rows of a table', true, 128 << 20],
		['files', true, 256 << 10],
	] as const) {
		const memory = makeMemory(isInTable, cacheSize);
		const one = await readBy(1, memory);
		const two = await readBy(2, memory);
		printRounds(`${name}: one thread`, one.rates);
		printRounds(`${name}: two threads`, two.rates);
		const cpuNs = `${median(one.cpuNs).toFixed(0)} ns, ${median(two.cpuNs).toFixed(0)} ns when two read at once`;
		console.log(`${name}: two / one ${(median(two.rates) / median(one.rates)).toFixed(2)}; CPU for a read ${cpuNs}`);
	}
} finally {
	rmSync(directory, { recursive: true });
}
