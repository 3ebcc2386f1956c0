/**
 * The Store port: what every store of ours can do, wherever it runs: the embedded database, an attached thread, the model in the
 * conformance suite, and (as they come) the client and the cluster. One set of methods, one set of errors.
 *
 * Keys and values are strings (stored as UTF-8) or bytes; bytes given may be changed as soon as a method has returned, bytes that
 * come back are the caller's own. Keys are ordered bytewise. Misuse (wrong types, unknown options) rejects with TypeError, what
 * goes wrong in operation with MillraceError and a stable code (docs/errors.md); in both cases nothing was written.
 * Every method may reject with MILLRACE_CLOSED, MILLRACE_WORKER_DIED, MILLRACE_CORRUPT or MILLRACE_BUSY, every write also with
 * MILLRACE_POISONED, MILLRACE_DISK_FULL or MILLRACE_OVERLOADED.
 */
import type { Bytes } from './checked-bytes.js';
import type { ScanSelection } from './scan-options.js';
import type { Durability } from './worker-boot.js';

/** A consistent cut of everything stored: `using snapshot = await store.snapshot()`. */
export interface Snapshot extends Disposable {
	readonly isClosed: boolean;
	/** Lets go of what it keeps on disk. Closing again does nothing. */
	close(): void;
}

export interface ReadOptions {
	/** Read what this snapshot sees. @throws MILLRACE_SNAPSHOT when it was closed or held for too long */
	readonly snapshot?: Snapshot | undefined;
}

export interface AbortOptions {
	/** Rejects with the signal's reason when it is aborted. What was begun may go on to its end unseen. */
	readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions {
	/** When the promise resolves: as the database's `durability` (the default), or as this says for this write alone. */
	readonly durability?: Durability | undefined;
}

export interface ConditionOptions {
	/** Only when the key has this version (of `getEntry`, of a write); 0: only when it is absent. */
	readonly ifVersion?: number | undefined;
}

export interface ExpiryOptions {
	/** Expires so many milliseconds from now: a positive whole number. */
	readonly ttlMs?: number | undefined;
	/** Expires at this time, in milliseconds since the epoch: a positive whole number. */
	readonly expiresAtMs?: number | undefined;
	/** Every get, getEntry and has moves the expiry on, to as far away as it was when it was set. */
	readonly sliding?: boolean | undefined;
}

export interface StorePutOptions extends ExpiryOptions, ConditionOptions, WriteOptions {
	/** Only when the key is absent. */
	readonly ifAbsent?: boolean | undefined;
	/** Only when the key is present. */
	readonly ifPresent?: boolean | undefined;
	/** The key keeps the expiry it has. */
	readonly keepExpiry?: boolean | undefined;
}

export interface StoreWriteOptions extends ConditionOptions, WriteOptions {}

/** What a write that happened came to. */
export interface Written {
	/** The sequence number of this version in its partition; greater than that of the version before. */
	readonly version: number;
}

export interface StoreEntry {
	readonly value: Uint8Array;
	readonly version: number;
	/** Milliseconds since the epoch; undefined: it does not expire. */
	readonly expiresAtMs: number | undefined;
}

/** One operation of a batch; the options are those of the method of that name. */
export type BatchOperation =
	| ({ readonly type: 'put'; readonly key: Bytes; readonly value: Bytes } & Omit<StorePutOptions, 'durability'>)
	| ({ readonly type: 'delete'; readonly key: Bytes } & ConditionOptions)
	| ({ readonly type: 'increment'; readonly key: Bytes; readonly delta?: number | bigint } & ConditionOptions)
	| ({ readonly type: 'append'; readonly key: Bytes; readonly value: Bytes } & ConditionOptions);

/** A range of keys: bounds, or a prefix, or both. Nothing: every key. */
export type KeyRange = Pick<ScanSelection, 'gt' | 'gte' | 'lt' | 'lte' | 'prefix'>;

export interface StoreScanOptions extends ScanSelection, ReadOptions, AbortOptions {}

export interface CountOptions extends KeyRange, ReadOptions, AbortOptions {
	/** Answer at once from what is known about the files and memtables, without reading them. Not exact. */
	readonly estimate?: boolean | undefined;
}

/** Something wrong in a file. */
export interface FileProblem {
	readonly file: string;
	readonly offset: number;
	readonly problem: string;
}

export interface CheckpointInfo {
	readonly directory: string;
}

export interface Store extends AsyncDisposable {
	/** @returns the value, or undefined when the key is absent or expired */
	get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined>;
	/** Values in the order of the keys; undefined where there is none. */
	getMany(keys: readonly Bytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]>;
	getEntry(key: Bytes, options?: ReadOptions): Promise<StoreEntry | undefined>;
	has(key: Bytes, options?: ReadOptions): Promise<boolean>;
	/** @returns undefined when a condition of the options was not met: nothing was written */
	put(key: Bytes, value: Bytes, options?: StorePutOptions): Promise<Written | undefined>;
	/** @returns true when the key was there (and had the version asked for) */
	delete(key: Bytes, options?: StoreWriteOptions): Promise<boolean>;
	/**
	 * Adds to a decimal counter of 64 bits; an absent key counts as 0, an expiry is kept.
	 * @returns the sum; undefined when `ifVersion` was not met
	 * @throws MILLRACE_NOT_INTEGER, MILLRACE_OVERFLOW
	 */
	increment(key: Bytes, delta?: number | bigint, options?: StoreWriteOptions): Promise<bigint | undefined>;
	/** Puts bytes behind the value. @returns the new size in bytes; undefined when `ifVersion` was not met */
	append(key: Bytes, value: Bytes, options?: StoreWriteOptions): Promise<number | undefined>;
	/** Sets, or with no options removes, when a key expires. @returns false when it is absent (or had none to remove) */
	setExpiry(key: Bytes, options?: ExpiryOptions & WriteOptions): Promise<boolean>;
	/** Milliseconds since the epoch; 0: never; undefined: the key is absent. */
	getExpiry(key: Bytes): Promise<number | undefined>;
	/**
	 * All operations or none, also over partitions and through crashes; each sees what those before it did.
	 * @returns undefined when a condition was not met, and for an empty batch: nothing was written
	 */
	batch(operations: readonly BatchOperation[], options?: WriteOptions): Promise<{ readonly count: number } | undefined>;
	/**
	 * Entries in the order of their keys, as stored when the iteration began: one consistent cut, unless a snapshot is given.
	 * Values are empty with `keysOnly`. Stopping early (break, return) lets everything go.
	 */
	scan(options?: StoreScanOptions): AsyncIterableIterator<[key: Uint8Array, value: Uint8Array]>;
	/** Live entries of a range: counted at one cut, or estimated. */
	count(options?: CountOptions): Promise<number>;
	/** Deletes every key of a range: at one moment in each partition. */
	deleteRange(range?: KeyRange, options?: WriteOptions): Promise<void>;
	/** One consistent cut over all partitions, also while other threads write. Keeps on disk what it sees: close it soon. */
	snapshot(): Promise<Snapshot>;
	/** Writes all memtables to tables: a following open has little to replay. */
	flush(options?: AbortOptions): Promise<void>;
	/** Compacts a range down to the last level. */
	compact(range?: KeyRange, options?: AbortOptions): Promise<void>;
	/** Numbers of each partition, by partition. */
	stats(): Promise<Record<string, unknown>[]>;
	/** What a read of this key touches, and how long each step takes. */
	explain(key: Bytes): Promise<Record<string, unknown>>;
	/** A copy in a directory that does not exist yet, which opens like any other, made while the store goes on. */
	checkpoint(directory: string, options?: AbortOptions): Promise<CheckpointInfo>;
	/** Reads and checks every byte on disk. @returns what is wrong; empty: nothing */
	verify(options?: AbortOptions): Promise<FileProblem[]>;
	/** Waits for calls under way, makes everything durable, lets go. Idempotent. */
	close(): Promise<void>;
}
