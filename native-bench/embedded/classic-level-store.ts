/**
 * classic-level (LevelDB): buffers for keys and values, Snappy as it comes. `sync: true` on each write in the synced phase;
 * otherwise a write's promise means handed to the system. Memory is made equal to ours by the plan (cacheSize, writeBufferSize),
 * or left at its defaults (8 MiB and 4 MiB).
 */
import { ClassicLevel } from 'classic-level';
import type { Phase } from './bench-plan.js';
import type { BenchStore, ScanSum, ThreadStore } from './bench-store.js';
import { packageVersion } from './package-version.js';

const version = packageVersion('classic-level');
const pageCount = 1000;

type Level = ClassicLevel<Buffer, Buffer>;

async function openLevel(directory: string, options: Record<string, unknown>): Promise<Level> {
	const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' };
	const level = new ClassicLevel<Buffer, Buffer>(directory, { ...encodings, multithreading: true, ...options });
	await level.open();
	return level;
}

export async function openStore(
	directory: string,
	phase: Phase,
	options: Record<string, unknown>,
): Promise<BenchStore> {
	const level = await openLevel(directory, options);
	const sync = phase === 'synced';
	const writeOptions = { sync };
	return {
		version,
		settings: `${JSON.stringify(options)}, buffers; sync: ${sync}; own block cache beside the page cache`,
		put: (key, value) => level.put(key, value, writeOptions),
		batch: (keys, values) =>
			level.batch(
				keys.map((key, i) => ({ type: 'put', key, value: values[i] })),
				writeOptions,
			),
		getSync: (key) => level.getSync(key),
		get: (key) => level.get(key),
		getMany: (keys) => level.getMany(keys),
		scan: () => scan(level),
		scanPages: () => scanPages(level),
		ticket: () => ({ data: { directory, options }, transferList: [] }),
		close: () => level.close(),
	};
}

async function scan(level: Level): Promise<ScanSum> {
	let entryCount = 0;
	let byteCount = 0;
	for await (const [key, value] of level.iterator()) {
		entryCount++;
		byteCount += key.length + value.length;
	}
	return { entryCount, byteCount };
}

async function scanPages(level: Level): Promise<ScanSum> {
	const iterator = level.iterator();
	let entryCount = 0;
	let byteCount = 0;
	for (let page = await iterator.nextv(pageCount); page.length > 0; page = await iterator.nextv(pageCount)) {
		entryCount += page.length;
		for (const [key, value] of page) byteCount += key.length + value.length;
	}
	await iterator.close();
	return { entryCount, byteCount };
}

export async function openInThread(data: unknown): Promise<ThreadStore> {
	const { directory, options } = data as { directory: string; options: Record<string, unknown> };
	const level = await openLevel(directory, options);
	return { getSync: (key) => level.getSync(key), close: () => level.close() };
}
