/** What the tests of tables share: files in memory, entries, random ones, and a dumb model to compare with. */
import assert from 'node:assert/strict';
import { compareBytes, copyBytes } from '../../../src/base/bytes.js';
import type { Prng } from '../../../src/base/prng.js';
import type { FileHandle, FileSystem, OpenMode } from '../../../src/env/ports.js';
import {
	type EntryIterator,
	type EntryView,
	kindPut,
	kindTombstone,
	makeEntryView,
	type RangeTombstone,
} from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import type { ReadTrace } from '../../../src/storage/lsm/table/read-trace.js';
import { TableBuilder, type TableBuilderOptions } from '../../../src/storage/lsm/table/table-builder.js';
import type { TableMeta } from '../../../src/storage/lsm/table/table-meta.js';
import type { TableReader } from '../../../src/storage/lsm/table/table-reader.js';

class MemoryFile implements FileHandle {
	syncCount = 0;
	isOpen = true;
	readonly path: string;
	readonly #files: Map<string, Buffer>;
	readonly #reads: number[];

	constructor(path: string, files: Map<string, Buffer>, reads: number[]) {
		this.path = path;
		this.#files = files;
		this.#reads = reads;
	}

	#content(): Buffer {
		assert.ok(this.isOpen, 'the file is open');
		return this.#files.get(this.path) ?? assert.fail(`${this.path} is gone`);
	}

	read(target: Uint8Array, offset: number, size: number, position: number): number {
		const content = this.#content();
		const readSize = Math.max(0, Math.min(size, content.length - position));
		copyBytes(content, position, target, offset, readSize);
		this.#reads.push(readSize);
		return readSize;
	}

	write(source: Uint8Array, offset: number, size: number, position: number): void {
		let content = this.#content();
		if (content.length < position + size) {
			content = Buffer.concat([content, Buffer.alloc(position + size - content.length)]);
			this.#files.set(this.path, content);
		}
		copyBytes(source, offset, content, position, size);
	}

	sync(): void {
		this.syncCount++;
	}

	size(): number {
		return this.#content().length;
	}

	truncate(size: number): void {
		this.#files.set(this.path, this.#content().subarray(0, size));
	}

	close(): void {
		this.isOpen = false;
	}
}

/** Only what tables use. */
export class MemoryFileSystem implements FileSystem {
	readonly files = new Map<string, Buffer>();
	readonly handles: MemoryFile[] = [];
	/** Bytes of each read so far. */
	readonly reads: number[] = [];

	open(path: string, mode: OpenMode): MemoryFile {
		if (mode === 'create') this.files.set(path, Buffer.alloc(0));
		const file = new MemoryFile(path, this.files, this.reads);
		this.handles.push(file);
		return file;
	}

	exists(path: string): boolean {
		return this.files.has(path);
	}

	list(): string[] {
		return [...this.files.keys()];
	}

	makeDirectory(): void {}

	rename(): void {
		assert.fail('tables are not renamed');
	}

	link(): void {
		assert.fail('tables are not linked');
	}

	remove(path: string): void {
		this.files.delete(path);
	}

	removeDirectory(): void {}

	freeBytes(): number {
		return Number.MAX_SAFE_INTEGER;
	}

	syncDirectory(): void {}

	lock(): string {
		return 'nobody';
	}

	lockShared(): string {
		return 'nobody';
	}
}

export interface Entry {
	readonly key: Buffer;
	readonly sequence: number;
	readonly kind: number;
	readonly expiresAtMs: number;
	readonly value: Buffer;
}

export function put(key: Buffer | string, sequence: number, value: Buffer | string = '', expiresAtMs = 0): Entry {
	return { key: Buffer.from(key), sequence, kind: kindPut, expiresAtMs, value: Buffer.from(value) };
}

export function tombstone(key: Buffer | string, sequence: number): Entry {
	return { key: Buffer.from(key), sequence, kind: kindTombstone, expiresAtMs: 0, value: Buffer.alloc(0) };
}

/** The deletion of [start, end); an empty start or end is that of all keys. */
export function rangeTombstone(start: string, end: string, sequence: number): RangeTombstone {
	return { start: Uint8Array.from(Buffer.from(start)), end: Uint8Array.from(Buffer.from(end)), sequence };
}

export function compareEntries(a: Entry, b: Entry): number {
	return Buffer.compare(a.key, b.key) || b.sequence - a.sequence;
}

/** Keys that hurt: prefixes of each other, long shared runs, every byte, short and long. */
export function randomKey(prng: Prng): Buffer {
	const shape = prng.below(6);
	if (shape === 0) return Buffer.alloc(1 + prng.below(60), 'a');
	if (shape === 1) return Buffer.from(`key:${String(prng.below(5000)).padStart(12, '0')}`);
	if (shape === 2) return Buffer.from([prng.below(256), prng.below(256)]);
	if (shape === 3 && prng.chance(0.05)) return Buffer.alloc(1 + prng.below(2000), prng.below(256));
	const key = Buffer.alloc(1 + prng.below(shape === 4 ? 4 : 30));
	for (let i = 0; i < key.length; i++) key[i] = prng.chance(0.5) ? 254 + prng.below(2) : prng.below(256);
	return key;
}

/** Distinct entries in order: many keys, some with many versions. */
export function randomEntries(prng: Prng, count: number, valueSizeMax = 80): Entry[] {
	const entries: Entry[] = [];
	let sequence = prng.below(1000) * 2 ** 30;
	while (entries.length < count) {
		const key = randomKey(prng);
		const versionCount = prng.chance(0.05) ? prng.below(60) : 1;
		for (let i = 0; i <= versionCount; i++) {
			sequence += 1 + prng.below(3);
			if (prng.chance(0.15)) {
				entries.push(tombstone(key, sequence));
				continue;
			}
			const value = Buffer.alloc(prng.below(valueSizeMax + 1), prng.below(256));
			if (prng.chance(0.5)) prng.fill(value);
			entries.push(put(key, sequence, value, prng.chance(0.2) ? 1.7e12 + prng.below(1e9) : 0));
		}
	}
	return entries.sort(compareEntries);
}

export function addEntry(builder: TableBuilder, entry: Entry): void {
	const { key, sequence, kind, expiresAtMs, value } = entry;
	// Not at offset 0, so that a forgotten offset shows.
	const keyBytes = Buffer.concat([Buffer.from('~~~'), key, Buffer.from('~')]);
	builder.add(keyBytes, 3, key.length, sequence, kind, expiresAtMs, value, 0, value.length);
}

export function buildTable(
	files: MemoryFileSystem,
	path: string,
	id: number,
	entries: readonly Entry[],
	options: TableBuilderOptions = {},
	rangeTombstones: readonly RangeTombstone[] = [],
): TableMeta {
	const file = files.open(path, 'create');
	const builder = new TableBuilder(file, id, options);
	for (const entry of entries) addEntry(builder, entry);
	builder.setRangeTombstones(rangeTombstones);
	const meta = builder.finish();
	assert.equal(file.syncCount, 1, 'finish syncs the file');
	file.close();
	return meta;
}

/** The entry a view or iterator lends, copied. */
export function copyEntry(key: Buffer, view: EntryView): Entry {
	const value = Buffer.from(view.value.slice(view.valueOffset, view.valueOffset + view.valueSize));
	return { key, sequence: view.sequence, kind: view.kind, expiresAtMs: view.expiresAtMs, value };
}

/** Everything from the iterator's present position on. */
export function collect(iterator: EntryIterator): Entry[] {
	const entries: Entry[] = [];
	for (; iterator.valid; iterator.next()) {
		const key = Buffer.from(iterator.key.slice(iterator.keyOffset, iterator.keyOffset + iterator.keySize));
		entries.push(copyEntry(key, iterator));
	}
	return entries;
}

export function getFrom(reader: TableReader, key: Buffer, maxSequence: number, trace?: ReadTrace): Entry | undefined {
	const view = makeEntryView();
	const around = Buffer.concat([Buffer.from([1, 2]), key, Buffer.from([3])]);
	const hash = keyHash(around, 2, key.length);
	return reader.get(around, 2, key.length, hash, maxSequence, view, trace) ? copyEntry(key, view) : undefined;
}

/** The right answer, found the dumb way. */
export function getFromModel(entries: readonly Entry[], key: Buffer, maxSequence: number): Entry | undefined {
	return entries.find((entry) => entry.sequence <= maxSequence && entry.key.equals(key));
}

/** Much faster than deepEqual, which takes Buffers byte by byte. */
export function assertSameEntries(actual: readonly Entry[], expected: readonly Entry[]): void {
	assert.equal(actual.length, expected.length);
	for (let i = 0; i < actual.length; i++) assertSameEntry(actual[i], expected[i]);
}

export function assertSameEntry(a: Entry | undefined, b: Entry | undefined): void {
	const isSame =
		a === undefined || b === undefined
			? a === b
			: compareBytes(a.key, 0, a.key.length, b.key, 0, b.key.length) === 0 &&
				a.sequence === b.sequence &&
				a.kind === b.kind &&
				a.expiresAtMs === b.expiresAtMs &&
				a.value.equals(b.value);
	if (!isSame) assert.deepEqual(a, b);
}
