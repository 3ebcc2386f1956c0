/**
 * Ours, as an application opens it: the package's own `open` and `attach`. Bytes in, bytes out; a value that comes back is the
 * caller's own copy.
 */
import { readFileSync } from 'node:fs';
import { type Attachment, attach, type OpenOptions, open } from '../../src/index.js';
import type { Phase } from './bench-plan.js';
import type { BenchStore, ThreadStore } from './bench-store.js';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
	version: string;
};

export async function openStore(directory: string, phase: Phase, given: Record<string, unknown>): Promise<BenchStore> {
	const options: OpenOptions = { durability: phase === 'synced' ? 'always' : 'none', ...given };
	const db = await open(directory, options);
	return {
		version,
		settings: `${JSON.stringify(options)}, partitions: ${db.partitionCount}; own block cache beside the page cache, memtables`,
		put: (key, value) => db.put(key, value),
		batch: (keys, values) => db.batch(keys.map((key, i) => ({ type: 'put' as const, key, value: values[i] }))),
		getSync: (key) => db.getSync(key),
		get: (key) => db.get(key),
		getMany: (keys) => db.getMany(keys),
		getManySync: (keys) => db.getManySync(keys),
		scan: async () => {
			let entryCount = 0;
			let byteCount = 0;
			for await (const [key, value] of db.scan()) {
				entryCount++;
				byteCount += key.length + value.length;
			}
			return { entryCount, byteCount };
		},
		ticket: () => {
			const attachment = db.attachment();
			return { data: attachment, transferList: attachment.transferList };
		},
		close: () => db.close(),
	};
}

export async function openInThread(data: unknown): Promise<ThreadStore> {
	const db = await attach(data as Attachment);
	return { getSync: (key) => db.getSync(key), close: () => db.close() };
}
