/**
 * lmdb: bytes in, bytes out, no compression, everything else as it comes. It has no cache of its own: it maps the file, and the
 * system's page cache is what it reads from. Its sorted pages are the memory of the process as far as they were touched.
 *
 * By default a put's promise resolves when the transaction is committed, which is before it is synced; `flushed` is the promise
 * that means on the disk, so that is what the synced phase waits for.
 */
import { open, type RootDatabase } from 'lmdb';
import type { Phase } from './bench-plan.js';
import type { BenchStore, ScanSum, ThreadStore } from './bench-store.js';
import { packageVersion } from './package-version.js';

const version = packageVersion('lmdb');

type Environment = RootDatabase<Buffer, Buffer>;

function openEnvironment(directory: string, options: Record<string, unknown>): Environment {
	return open<Buffer, Buffer>({ path: directory, encoding: 'binary', keyEncoding: 'binary', ...options });
}

interface WithFlushed {
	readonly flushed: Promise<unknown>;
}

export async function openStore(directory: string, phase: Phase, given: Record<string, unknown>): Promise<BenchStore> {
	const isSynced = phase === 'synced';
	const options = { ...(isSynced ? { separateFlushed: true } : { noSync: true }), ...given };
	const db = openEnvironment(directory, options);
	return {
		version,
		settings:
			`${JSON.stringify(options)}, binary keys and values; ` +
			`${isSynced ? 'put(…).flushed is awaited' : 'nothing is synced'}; no cache of its own, the file is mapped`,
		put: isSynced
			? (key, value) => (db.put(key, value) as unknown as WithFlushed).flushed
			: (key, value) => db.put(key, value),
		batch: (keys, values) =>
			db.batch(() => {
				for (let i = 0; i < keys.length; i++) void db.put(keys[i], values[i]);
			}),
		getSync: (key) => db.getBinary(key),
		getSyncVolatile: (key) => db.getBinaryFast(key),
		getMany: (keys) => db.getMany(keys),
		scan: async () => scan(db),
		ticket: () => ({ data: { directory, options }, transferList: [] }),
		close: () => db.close(),
	};
}

function scan(db: Environment): ScanSum {
	let entryCount = 0;
	let byteCount = 0;
	for (const { key, value } of db.getRange()) {
		entryCount++;
		byteCount += key.length + value.length;
	}
	return { entryCount, byteCount };
}

export async function openInThread(data: unknown): Promise<ThreadStore> {
	const { directory, options } = data as { directory: string; options: Record<string, unknown> };
	const db = openEnvironment(directory, options);
	return { getSync: (key) => db.getBinary(key), close: () => db.close() };
}
