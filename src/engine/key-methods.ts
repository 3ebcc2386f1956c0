/**
 * What a database does with single keys: the part of the Store port that is hot. Checks options, and hands on to Calls, or to
 * SyncReads for what is to be had at once. One asking thread.
 *
 * Without options a method is one call of `callKey` or `callWrite`. With options it is a little more: an object with what they
 * came to, and with a snapshot a closure.
 */
import { type Bytes, mustDelta } from '../command/checked-bytes.js';
import {
	opAppend,
	opDelete,
	opGet,
	opGetEntry,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opSetExpiry,
	wishDefault,
} from '../command/command-format.js';
import {
	type CheckedPutOptions,
	checkReadOptions,
	checkStoreExpiry,
	checkStorePut,
	checkStoreWrite,
	expiresAtMsOf,
	wishOf,
} from '../command/put-options.js';
import type {
	ExpiryOptions,
	ReadOptions,
	Snapshot,
	StoreEntry,
	StorePutOptions,
	StoreWriteOptions,
	WriteOptions,
	Written,
} from '../command/store.js';
import type { Durability } from '../command/worker-boot.js';
import { callEntry, callFound, callNumber, callSize, callSum, callValue, callVersion } from './call-slots.js';
import type { Calls, SequenceOf } from './calls.js';
import type { Session } from './session.js';
import type { Snapshots } from './snapshots.js';
import { SyncReads } from './sync-reads.js';

const noBytes = new Uint8Array(0);

export abstract class KeyMethods {
	/** When a write is acknowledged, unless it says otherwise itself. */
	readonly durability: Durability;
	/** Private, so that a database that is logged or inspected shows none of its buffers. */
	readonly #calls: Calls;
	readonly #snapshots: Snapshots;
	readonly #syncReads: SyncReads;

	constructor(session: Session, calls: Calls, snapshots: Snapshots) {
		this.durability = session.durability;
		this.#calls = calls;
		this.#snapshots = snapshots;
		this.#syncReads = new SyncReads(session, calls, (snapshot, partition) => snapshots.sequenceAt(snapshot, partition));
	}

	// --- reads of keys --------------------------------------------------------------------------------

	/** @returns the value, or undefined when the key is absent or expired @throws MILLRACE_SNAPSHOT */
	get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined> {
		if (options !== undefined) return this.#read('get', callValue, opGet, key, options);
		return this.#calls.callKey(callValue, opGet, key) as Promise<Uint8Array | undefined>;
	}

	/** Values in the order of the keys; undefined where there is none. Without a snapshot, each as it is when it is read. */
	getMany(keys: readonly Bytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
		return attempt(() => {
			const snapshot = this.#snapshotOf('getMany', options);
			const sequenceOf = snapshot === undefined ? undefined : this.#sequenceOf(snapshot);
			return this.#calls.getMany(keys, sequenceOf) as Promise<(Uint8Array | undefined)[]>;
		});
	}

	/** As get, with the entry's version and expiry. */
	getEntry(key: Bytes, options?: ReadOptions): Promise<StoreEntry | undefined> {
		if (options === undefined)
			return this.#calls.callKey(callEntry, opGetEntry, key) as Promise<StoreEntry | undefined>;
		return this.#read('getEntry', callEntry, opGetEntry, key, options);
	}

	has(key: Bytes, options?: ReadOptions): Promise<boolean> {
		if (options === undefined) return this.#calls.callKey(callFound, opHas, key) as Promise<boolean>;
		return this.#read('has', callFound, opHas, key, options);
	}

	/** Milliseconds since the epoch; 0: never; undefined: the key is absent. */
	getExpiry(key: Bytes): Promise<number | undefined> {
		return this.#calls.callKey(callNumber, opGetExpiry, key) as Promise<number | undefined>;
	}

	/**
	 * As get, without waiting: served from shared memory or, where the value is in no memtable and no cached block, by reading
	 * files in this thread. Sees what is as durable as the database promises. Throws what get rejects with.
	 */
	getSync(key: Bytes, options?: ReadOptions): Uint8Array | undefined {
		return this.#syncReads.get(key, options === undefined ? undefined : this.#snapshotOf('getSync', options));
	}

	/** As getMany, without waiting; see getSync. */
	getManySync(keys: readonly Bytes[], options?: ReadOptions): (Uint8Array | undefined)[] {
		return this.#syncReads.getMany(keys, this.#snapshotOf('getManySync', options));
	}

	/** As getEntry, without waiting; see getSync. */
	getEntrySync(key: Bytes, options?: ReadOptions): StoreEntry | undefined {
		return this.#syncReads.getEntry(key, this.#snapshotOf('getEntrySync', options));
	}

	// --- writes of keys -------------------------------------------------------------------------------

	/**
	 * @returns the version written, or undefined when a condition of the options was not met
	 * @throws MILLRACE_KEY_SIZE, MILLRACE_VALUE_SIZE, MILLRACE_DISK_FULL, MILLRACE_POISONED, MILLRACE_OVERLOADED
	 */
	put(key: Bytes, value: Bytes, options?: StorePutOptions): Promise<Written | undefined> {
		if (options === undefined) {
			return this.#calls.callWrite(callVersion, opPut, 0, 0, key, value, 0, wishDefault) as Promise<Written>;
		}
		return attempt(() => this.#write(callVersion, opPut, key, value, checkStorePut(options), options));
	}

	/** @returns true when the key was there (and had the version asked for) */
	delete(key: Bytes, options?: StoreWriteOptions): Promise<boolean> {
		if (options === undefined) return this.#calls.callKey(callFound, opDelete, key) as Promise<boolean>;
		return attempt(() => this.#write(callFound, opDelete, key, noBytes, checkStoreWrite('delete', options), options));
	}

	/**
	 * Adds to a decimal counter of 64 bits; an absent key counts as 0, an expiry is kept.
	 * @returns the sum; undefined when `ifVersion` was not met
	 * @throws MILLRACE_NOT_INTEGER, MILLRACE_OVERFLOW
	 */
	increment(key: Bytes, delta: number | bigint = 1, options?: StoreWriteOptions): Promise<bigint | undefined> {
		return attempt(() =>
			this.#write(callSum, opIncrement, key, mustDelta(delta), checkStoreWrite('increment', options), options),
		);
	}

	/** Puts bytes behind the value. @returns the new size in bytes; undefined when `ifVersion` was not met */
	append(key: Bytes, value: Bytes, options?: StoreWriteOptions): Promise<number | undefined> {
		return attempt(() => this.#write(callSize, opAppend, key, value, checkStoreWrite('append', options), options));
	}

	/** Sets, or with no options removes, when a key expires. @returns false when it is absent (or had none to remove) */
	setExpiry(key: Bytes, options?: ExpiryOptions & WriteOptions): Promise<boolean> {
		return attempt(() => this.#write(callFound, opSetExpiry, key, noBytes, checkStoreExpiry(options), options));
	}

	// --- inside ---------------------------------------------------------------------------------------

	protected get calls(): Calls {
		return this.#calls;
	}

	protected get snapshots(): Snapshots {
		return this.#snapshots;
	}

	#read<T>(what: string, kind: number, opcode: number, key: Bytes, options: ReadOptions | undefined): Promise<T> {
		return attempt(() => {
			const snapshot = this.#snapshotOf(what, options);
			const sequenceOf = snapshot === undefined ? undefined : this.#sequenceOf(snapshot);
			return this.#calls.callKey(kind, opcode, key, sequenceOf) as Promise<T>;
		});
	}

	#write<T>(
		kind: number,
		opcode: number,
		key: Bytes,
		value: Bytes,
		checked: CheckedPutOptions,
		options: WriteOptions | undefined,
	): Promise<T> {
		const wish = wishOf(options, this.durability);
		const expiresAtMs = checked.isRelative ? expiresAtMsOf(checked, Date.now()) : checked.expiryMs;
		const { flags, version } = checked;
		return this.#calls.callWrite(kind, opcode, flags, expiresAtMs, key, value, version, wish) as Promise<T>;
	}

	/** @throws TypeError for unknown options and for what is no snapshot of ours */
	#snapshotOf(what: string, options: ReadOptions | undefined): Snapshot | undefined {
		if (options === undefined) return undefined;
		checkReadOptions(what, options);
		return options.snapshot === undefined ? undefined : this.#snapshots.mustBeOurs(options.snapshot);
	}

	#sequenceOf(snapshot: Snapshot): SequenceOf {
		return (partition) => this.#snapshots.sequenceAt(snapshot, partition);
	}
}

/** Misuse rejects like every other error, so that a caller has one place to catch. */
function attempt<T>(start: () => Promise<T>): Promise<T> {
	try {
		return start();
	} catch (error) {
		return Promise.reject(error);
	}
}
