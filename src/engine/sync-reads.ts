/**
 * Reads in the calling thread, without a message: getSync and its kin. Keys are checked and routed as everywhere, then the
 * thread's own reader of the partition looks into shared memory and files (src/storage/lsm/shared).
 *
 *   key ─> in hand ─> partition ─> SyncReader ─> value
 *                                      └─ a sliding expiry is due ─> opHas to the partition, unheard: only it can move it on
 */
import type { Bytes } from '../command/checked-bytes.js';
import type { Snapshot, StoreEntry } from '../command/store.js';
import type { SyncReader } from '../command/sync-reader.js';
import type { Calls } from './calls.js';
import type { Session } from './session.js';

export class SyncReads {
	readonly #session: Session;
	readonly #calls: Calls;
	readonly #sequenceAt: (snapshot: Snapshot, partition: number) => number;
	/** Made when first used. */
	readonly #readers: (SyncReader | undefined)[];

	constructor(session: Session, calls: Calls, sequenceAt: (snapshot: Snapshot, partition: number) => number) {
		this.#session = session;
		this.#calls = calls;
		this.#sequenceAt = sequenceAt;
		this.#readers = new Array<SyncReader | undefined>(session.partitionCount).fill(undefined);
	}

	get(key: Bytes, snapshot: Snapshot | undefined): Uint8Array | undefined {
		const calls = this.#calls;
		calls.mustBeOpen();
		calls.key.takeKey(key);
		const partition = calls.partitionInHand();
		const reader = this.#readers[partition] ?? this.#makeReader(partition);
		const { bytes, size } = calls.key;
		if (snapshot !== undefined) return reader.get(bytes, 0, size, this.#sequenceAt(snapshot, partition));
		const value = reader.get(bytes, 0, size);
		if (reader.wantsTouch) calls.touch(partition);
		return value;
	}

	/** Not one moment's view, unless a snapshot is given. */
	getMany(keys: readonly Bytes[], snapshot: Snapshot | undefined): (Uint8Array | undefined)[] {
		this.#calls.mustBeOpen();
		if (!Array.isArray(keys)) throw new TypeError('getManySync takes an array of keys');
		const values = new Array<Uint8Array | undefined>(keys.length);
		for (let i = 0; i < keys.length; i++) values[i] = this.get(keys[i], snapshot);
		return values;
	}

	getEntry(key: Bytes, snapshot: Snapshot | undefined): StoreEntry | undefined {
		const calls = this.#calls;
		calls.mustBeOpen();
		calls.key.takeKey(key);
		const partition = calls.partitionInHand();
		const reader = this.#readers[partition] ?? this.#makeReader(partition);
		const sequence = snapshot === undefined ? undefined : this.#sequenceAt(snapshot, partition);
		const entry = reader.getEntry(calls.key.bytes, 0, calls.key.size, sequence);
		if (sequence === undefined && reader.wantsTouch) calls.touch(partition);
		if (entry === undefined) return undefined;
		const { value, version, expiresAtMs } = entry;
		return { value, version, expiresAtMs: expiresAtMs === 0 ? undefined : expiresAtMs };
	}

	#makeReader(partition: number): SyncReader {
		const reader = this.#session.syncReader(partition);
		this.#readers[partition] = reader;
		return reader;
	}
}
