/**
 * The Store port in the plainest words: a map from keys to entries, and a copy of it for every snapshot. Nothing is fast, nothing
 * is durable, everything happens at once; so what it answers is what every store must answer.
 *
 *   entries: key as latin1 text ──> { value, version, expiresAtMs, slidingMs }       latin1: the order of text is that of bytes
 *
 * Options are checked here in its own words (memory-options.ts), not with what the database checks with. Any thread.
 */
import { MillraceError } from '../../src/base/errors.js';
import { valueSizeMax } from '../../src/base/limits.js';
import { type Bytes, mustDelta, mustKey, mustValue } from '../../src/command/checked-bytes.js';
import { checkScan, type ScanRange, type ScanSelection } from '../../src/command/scan-options.js';
import type {
	AbortOptions,
	BatchOperation,
	CheckpointInfo,
	CountOptions,
	ExpiryOptions,
	FileProblem,
	KeyRange,
	ReadOptions,
	Snapshot,
	Store,
	StoreEntry,
	StorePutOptions,
	StoreScanOptions,
	StoreWriteOptions,
	WriteOptions,
	Written,
} from '../../src/command/store.js';
import {
	checkNames,
	checkPut,
	checkRead,
	checkSignal,
	checkWrite,
	expiryOf,
	operationNames,
	sumOf,
} from './memory-options.js';

interface Stored {
	readonly value: Uint8Array;
	readonly version: number;
	/** 0: never. */
	readonly expiresAtMs: number;
	/** How far a read moves the expiry; 0: not at all. */
	readonly slidingMs: number;
}

type Entries = Map<string, Stored>;

class MemorySnapshot implements Snapshot {
	readonly owner: MemoryStore;
	readonly entries: Entries;
	isClosed = false;

	constructor(owner: MemoryStore, entries: Entries) {
		this.owner = owner;
		this.entries = entries;
	}

	close(): void {
		this.isClosed = true;
	}

	[Symbol.dispose](): void {
		this.close();
	}
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

export class MemoryStore implements Store {
	/** Copies made by `checkpoint`, by directory. */
	readonly checkpoints = new Map<string, MemoryStore>();
	readonly #nowMs: () => number;
	#entries: Entries = new Map();
	#version = 0;
	#isClosed = false;

	/** @param nowMs the clock that expiry goes by */
	constructor(nowMs: () => number = Date.now) {
		this.#nowMs = nowMs;
	}

	/** Closed and opened again: what a store on disk would be. */
	reopened(): MemoryStore {
		const store = new MemoryStore(this.#nowMs);
		store.#entries = new Map(this.#entries);
		store.#version = this.#version;
		return store;
	}

	getSync(key: Bytes, options?: ReadOptions): Uint8Array | undefined {
		const entry = this.#live(this.#seen(options), textOf(mustKey(key)));
		return entry && new Uint8Array(entry.value);
	}

	async get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined> {
		return (await this.getEntry(key, options))?.value;
	}

	async getMany(keys: readonly Bytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
		if (!Array.isArray(keys)) throw new TypeError('getMany takes an array of keys');
		const copies = keys.map((key) => new Uint8Array(mustKey(key)));
		this.#seen(options);
		return Promise.all(copies.map((key) => this.get(key, options)));
	}

	async getEntry(key: Bytes, options?: ReadOptions): Promise<StoreEntry | undefined> {
		const text = textOf(mustKey(key));
		const entry = this.#live(this.#seen(options), text);
		if (entry === undefined) return undefined;
		if (options?.snapshot === undefined) this.#slide(text, entry);
		const { value, version, expiresAtMs } = entry;
		return { value: new Uint8Array(value), version, expiresAtMs: expiresAtMs === 0 ? undefined : expiresAtMs };
	}

	async has(key: Bytes, options?: ReadOptions): Promise<boolean> {
		return (await this.getEntry(key, options)) !== undefined;
	}

	async put(key: Bytes, value: Bytes, options: StorePutOptions = {}): Promise<Written | undefined> {
		const text = textOf(mustKey(key));
		const bytes = new Uint8Array(mustValue(value));
		checkPut(options);
		this.#mustBeOpen();
		return this.#put(text, bytes, options);
	}

	async delete(key: Bytes, options: StoreWriteOptions = {}): Promise<boolean> {
		const text = textOf(mustKey(key));
		checkWrite(options);
		this.#mustBeOpen();
		return this.#isMet(text, options.ifVersion) && this.#delete(text);
	}

	async increment(
		key: Bytes,
		delta: number | bigint = 1,
		options: StoreWriteOptions = {},
	): Promise<bigint | undefined> {
		const text = textOf(mustKey(key));
		const step = BigInt(mustDelta(delta));
		checkWrite(options);
		this.#mustBeOpen();
		return this.#isMet(text, options.ifVersion) ? this.#increment(text, step) : undefined;
	}

	async append(key: Bytes, value: Bytes, options: StoreWriteOptions = {}): Promise<number | undefined> {
		const text = textOf(mustKey(key));
		const tail = new Uint8Array(mustValue(value));
		checkWrite(options);
		this.#mustBeOpen();
		return this.#isMet(text, options.ifVersion) ? this.#append(text, tail) : undefined;
	}

	async setExpiry(key: Bytes, options: ExpiryOptions & WriteOptions = {}): Promise<boolean> {
		const text = textOf(mustKey(key));
		checkNames(options, ['ttlMs', 'expiresAtMs', 'sliding', 'durability']);
		const times = expiryOf(options, this.#nowMs());
		this.#mustBeOpen();
		const entry = this.#live(this.#entries, text);
		if (entry === undefined || (times.expiresAtMs === 0 && entry.expiresAtMs === 0)) return false;
		this.#store(text, entry.value, times);
		return true;
	}

	async getExpiry(key: Bytes): Promise<number | undefined> {
		const text = textOf(mustKey(key));
		this.#mustBeOpen();
		return this.#live(this.#entries, text)?.expiresAtMs;
	}

	async batch(
		operations: readonly BatchOperation[],
		options: WriteOptions = {},
	): Promise<{ readonly count: number } | undefined> {
		if (!Array.isArray(operations)) throw new TypeError('batch takes an array of operations');
		const steps = operations.map((operation) => this.#stepOf(operation));
		checkNames(options, ['durability']);
		this.#mustBeOpen();
		const before = new Map(this.#entries);
		let isMet = steps.length > 0;
		try {
			for (const step of steps) isMet &&= step();
		} catch (error) {
			this.#entries = before;
			throw error;
		}
		if (!isMet) this.#entries = before;
		return isMet ? { count: steps.length } : undefined;
	}

	async *scan(options: StoreScanOptions = {}): AsyncGenerator<[Uint8Array, Uint8Array], undefined, undefined> {
		const { snapshot, signal, ...selection } = options;
		const { options: range, limit } = checkScan(selection);
		checkSignal(signal);
		const entries = new Map(this.#seen(snapshot && { snapshot }));
		let left = limit;
		for (const [key, entry] of this.#range(entries, range)) {
			if (left-- === 0) return;
			this.#mustBeOpen();
			signal?.throwIfAborted();
			yield [bytesOf(key), range.isKeysOnly ? new Uint8Array(0) : new Uint8Array(entry.value)];
		}
	}

	async count(options: CountOptions = {}): Promise<number> {
		const { snapshot, signal, estimate, ...range } = options;
		checkSignal(signal);
		if (estimate !== undefined && typeof estimate !== 'boolean') throw new TypeError('estimate is true or false');
		const { options: checked } = checkScan(range as ScanSelection, true);
		return this.#range(this.#seen(snapshot && { snapshot }), checked).length;
	}

	async deleteRange(range: KeyRange = {}, options: WriteOptions = {}): Promise<void> {
		const { options: checked } = checkScan(range as ScanSelection, true);
		checkNames(options, ['durability']);
		this.#mustBeOpen();
		for (const [key] of this.#range(this.#entries, checked)) this.#entries.delete(key);
	}

	async snapshot(): Promise<Snapshot> {
		this.#mustBeOpen();
		return new MemorySnapshot(this, new Map(this.#entries));
	}

	async flush(options: AbortOptions = {}): Promise<void> {
		this.#mustDoNothing(options);
	}

	async compact(range: KeyRange = {}, options: AbortOptions = {}): Promise<void> {
		checkScan(range as ScanSelection, true);
		this.#mustDoNothing(options);
	}

	async stats(): Promise<Record<string, unknown>[]> {
		this.#mustBeOpen();
		return [{ entries: this.#entries.size }];
	}

	async explain(key: Bytes): Promise<Record<string, unknown>> {
		const text = textOf(mustKey(key));
		this.#mustBeOpen();
		return { isFound: this.#live(this.#entries, text) !== undefined };
	}

	async checkpoint(directory: string, options: AbortOptions = {}): Promise<CheckpointInfo> {
		if (typeof directory !== 'string' || directory === '') throw new TypeError('a directory is a path');
		this.#mustDoNothing(options);
		if (this.checkpoints.has(directory)) throw new MillraceError('MILLRACE_DIRECTORY', `${directory} is there`);
		this.checkpoints.set(directory, this.reopened());
		return { directory };
	}

	async verify(options: AbortOptions = {}): Promise<FileProblem[]> {
		this.#mustDoNothing(options);
		return [];
	}

	async close(): Promise<void> {
		this.#isClosed = true;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close();
	}

	/** Checks one operation of a batch. @returns what carries it out, and says whether its condition was met */
	#stepOf(operation: BatchOperation): () => boolean {
		if (typeof operation !== 'object' || operation === null) throw new TypeError('an operation is an object');
		const names = operationNames(operation.type);
		checkNames(operation, names);
		const text = textOf(mustKey(operation.key));
		switch (operation.type) {
			case 'put': {
				const { type: _, key: __, value, ...options } = operation;
				const bytes = new Uint8Array(mustValue(value));
				checkPut(options);
				return () => this.#put(text, bytes, options) !== undefined;
			}
			case 'delete': {
				checkWrite({ ifVersion: operation.ifVersion });
				return () => {
					const isMet = this.#isMet(text, operation.ifVersion);
					if (isMet) this.#delete(text);
					return isMet;
				};
			}
			case 'increment': {
				checkWrite({ ifVersion: operation.ifVersion });
				const delta = BigInt(mustDelta(operation.delta ?? 1));
				return () => this.#isMet(text, operation.ifVersion) && this.#increment(text, delta) !== undefined;
			}
			case 'append': {
				checkWrite({ ifVersion: operation.ifVersion });
				const tail = new Uint8Array(mustValue(operation.value));
				return () => this.#isMet(text, operation.ifVersion) && this.#append(text, tail) >= 0;
			}
		}
	}

	#put(key: string, value: Uint8Array, options: Omit<StorePutOptions, 'durability'>): Written | undefined {
		const old = this.#live(this.#entries, key);
		if (!this.#isMet(key, options.ifVersion)) return undefined;
		if (old === undefined ? options.ifPresent : options.ifAbsent) return undefined;
		const times = options.keepExpiry && old !== undefined ? old : expiryOf(options, this.#nowMs());
		return { version: this.#store(key, value, times) };
	}

	#delete(key: string): boolean {
		const isThere = this.#live(this.#entries, key) !== undefined;
		this.#entries.delete(key);
		return isThere;
	}

	#increment(key: string, delta: bigint): bigint {
		const old = this.#live(this.#entries, key);
		const sum = sumOf(old === undefined ? '0' : textOf(old.value), delta);
		this.#store(key, bytesOf(String(sum)), old);
		return sum;
	}

	#append(key: string, tail: Uint8Array): number {
		const old = this.#live(this.#entries, key);
		const value = new Uint8Array(Buffer.concat([old?.value ?? new Uint8Array(0), tail]));
		if (value.length > valueSizeMax) throw new MillraceError('MILLRACE_VALUE_SIZE', `${value.length} bytes`);
		this.#store(key, value, old);
		return value.length;
	}

	/** @param times of the entry; undefined: none */
	#store(key: string, value: Uint8Array, times?: Pick<Stored, 'expiresAtMs' | 'slidingMs'>): number {
		const { expiresAtMs = 0, slidingMs = 0 } = times ?? {};
		this.#entries.set(key, { value, version: ++this.#version, expiresAtMs, slidingMs });
		return this.#version;
	}

	/** A read moves a sliding expiry on, once a sixteenth of it has gone. */
	#slide(key: string, { value, expiresAtMs, slidingMs }: Stored): void {
		const nowMs = this.#nowMs();
		if (slidingMs === 0 || (expiresAtMs - nowMs) * 16 >= slidingMs * 15) return;
		this.#store(key, value, { expiresAtMs: nowMs + slidingMs, slidingMs });
	}

	#isMet(key: string, ifVersion: number | undefined): boolean {
		return ifVersion === undefined || ifVersion === (this.#live(this.#entries, key)?.version ?? 0);
	}

	#isLive({ expiresAtMs }: Stored): boolean {
		return expiresAtMs === 0 || expiresAtMs > this.#nowMs();
	}

	#live(entries: Entries, key: string): Stored | undefined {
		const entry = entries.get(key);
		return entry !== undefined && this.#isLive(entry) ? entry : undefined;
	}

	/** What a read with these options sees. */
	#seen(options?: ReadOptions): Entries {
		checkRead(options);
		this.#mustBeOpen();
		const snapshot = options?.snapshot;
		if (snapshot === undefined) return this.#entries;
		if (!(snapshot instanceof MemorySnapshot) || snapshot.owner !== this) throw new TypeError('a snapshot of ours');
		if (snapshot.isClosed) throw new MillraceError('MILLRACE_SNAPSHOT', 'the snapshot is closed');
		return snapshot.entries;
	}

	/** Live entries of a range, in its order. */
	#range(entries: Entries, range: ScanRange): [string, Stored][] {
		const lower = range.lower && textOf(range.lower);
		const upper = range.upper && textOf(range.upper);
		const found = [...entries]
			.filter(([, entry]) => this.#isLive(entry))
			.filter(([key]) => lower === undefined || key > lower || (range.isLowerInclusive && key === lower))
			.filter(([key]) => upper === undefined || key < upper || (range.isUpperInclusive && key === upper))
			.sort(([a], [b]) => (a < b ? -1 : 1));
		return range.isReverse ? found.reverse() : found;
	}

	#mustBeOpen(): void {
		if (this.#isClosed) throw new MillraceError('MILLRACE_CLOSED', 'the store is closed');
	}

	#mustDoNothing(options: AbortOptions): void {
		checkNames(options, ['signal']);
		checkSignal(options.signal);
		this.#mustBeOpen();
	}
}
