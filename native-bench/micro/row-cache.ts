/**
 * What the rows a reading thread keeps of tables are worth, and what they cost where nothing is hot: CPU time of
 * `PartitionReader.get` for keys drawn at random from so many of 2,000,000 that lie in ten tables. Shares of the cache take
 * turns, so that what disturbs one disturbs the others.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rowCacheShare, syncCacheSizeDefault } from '../../src/base/limits.js';
import { Prng } from '../../src/base/prng.js';
import type { SyncReaderMemory } from '../../src/command/sync-reader.js';
import { sharedDurableLowWord, sharedSize } from '../../src/command/worker-boot.js';
import { NodeFileSystem } from '../../src/env/node-file-system.js';
import { kindPut } from '../../src/storage/lsm/entry.js';
import { keyHash } from '../../src/storage/lsm/key-hash.js';
import { LsmTree } from '../../src/storage/lsm/lsm-tree.js';
import { tableFileName } from '../../src/storage/lsm/manifest/manifest-format.js';
import { partitionOptions } from '../../src/storage/lsm/partition-options.js';
import { PartitionReader } from '../../src/storage/lsm/shared/partition-reader.js';
import { createStorageMemory, storageMemorySizes } from '../../src/storage/lsm/shared/storage-memory.js';
import { TableReader } from '../../src/storage/lsm/table/table-reader.js';
import { flushMemtable } from '../../src/storage/lsm/upkeep/jobs.js';
import { isTiny, printHeader, printRounds } from './harness.js';
import { keyText } from './sync-read-worker.js';

const tableCount = 10;
const entriesPerTable = isTiny ? 200 : 200_000;
const entryCount = tableCount * entriesPerTable;
const readCount = isTiny ? 500 : 200_000;
const roundCount = isTiny ? 2 : 6;
const valueSize = 100;
const options = partitionOptions({ memtableSize: isTiny ? 1 << 20 : 64 << 20 });
const directory = mkdtempSync(join(tmpdir(), 'millrace-row-cache-'));
const prng = new Prng(1);

function makeMemory(): SyncReaderMemory {
	const fileSystem = new NodeFileSystem();
	const value = Buffer.alloc(valueSize);
	const tables = [];
	for (let id = 1; id <= tableCount; id++) {
		const tree = new LsmTree(options, [], 0, undefined);
		for (let i = (id - 1) * entriesPerTable; i < id * entriesPerTable; i++) {
			const key = Buffer.from(keyText(i));
			for (let at = 0; at < valueSize; at++) value[at] = 32 + ((i * 31 + at * (i % 7)) % 95);
			tree.put(keyHash(key, 0, key.length), key, 0, key.length, i + 1, kindPut, 0, value, 0, valueSize);
		}
		flushMemtable(fileSystem, directory, tree.active.arena, id, options.blockSize, [], 14);
		tables.push({ table: TableReader.open(fileSystem, `${directory}/${tableFileName(id)}`, id), level: 1 });
	}
	const storage = createStorageMemory(storageMemorySizes(options));
	new LsmTree(options, tables, 0, storage);
	const shared = new SharedArrayBuffer(sharedSize);
	new Int32Array(shared)[sharedDurableLowWord] = entryCount;
	return { partition: 0, directory, shared, ...storage, blockCacheSize: syncCacheSizeDefault };
}

/** Keys as bytes, back to back: what making them costs is not measured. */
function drawKeys(hotCount: number): Uint8Array {
	const keys = new Uint8Array(readCount * 16);
	const stride = Math.floor(entryCount / hotCount);
	for (let i = 0; i < readCount; i++) keys.set(Buffer.from(keyText(prng.below(hotCount) * stride)), i * 16);
	return keys;
}

/** @returns nanoseconds of CPU for a read */
function readAll(reader: PartitionReader, keys: Uint8Array): number {
	const start = process.cpuUsage();
	for (let i = 0; i < readCount; i++) {
		if (reader.get(keys, i * 16, 16)?.length !== valueSize) throw new Error('lost');
	}
	const { user, system } = process.cpuUsage(start);
	return ((user + system) * 1000) / readCount;
}

printHeader(
	'rows of tables, CPU time',
	`${entryCount} x (16 B, ${valueSize} B) in ${tableCount} tables, cache of ${syncCacheSizeDefault}`,
);
try {
	const memory = makeMemory();
	for (const hotCount of [entryCount / 200, entryCount / 20, entryCount]) {
		const shares = [0, 0.25, 0.5, rowCacheShare];
		const readers = shares.map((share) => new PartitionReader(new NodeFileSystem(), memory, { rowCacheShare: share }));
		const rounds: number[][] = shares.map(() => []);
		// The first three warm up.
		for (let round = -3; round < roundCount; round++) {
			const keys = drawKeys(hotCount);
			for (const [i, reader] of readers.entries()) {
				const tookNs = readAll(reader, keys);
				if (round >= 0) rounds[i].push(tookNs);
			}
		}
		for (const [i, share] of shares.entries()) {
			printRounds(
				`of ${hotCount} keys, share of rows ${share}`,
				rounds[i].map((tookNs) => 1e9 / tookNs),
			);
			readers[i].close();
		}
	}
} finally {
	rmSync(directory, { recursive: true });
}
