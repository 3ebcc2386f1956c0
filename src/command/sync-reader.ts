/**
 * Reads without a message: what a thread that knows nothing of storage sees of it. Made by the composition root, one for each
 * thread and partition; used by that thread only. docs/architecture.md, "Synchronous reads", says how it can be safe.
 */

/** An entry as a synchronous read returns it: the caller's own copy. */
export interface SyncEntry {
	readonly value: Uint8Array;
	readonly version: number;
	/** Milliseconds since the epoch; 0: never. */
	readonly expiresAtMs: number;
}

export interface SyncReader {
	/**
	 * The newest version that is as durable as the database promises, copied.
	 * @param snapshot a pinned sequence of this partition to read at; undefined: now
	 * @returns undefined when the key is absent or expired
	 * @throws MillraceError MILLRACE_CORRUPT, MILLRACE_SNAPSHOT, MILLRACE_POISONED, MILLRACE_CLOSED; MILLRACE_BUSY when the
	 * partition has more tables than its view holds, the process has too many files open, or the log takes too long with what
	 * was found; MILLRACE_WORKER_DIED
	 */
	get(key: Uint8Array, keyOffset: number, keySize: number, snapshot?: number): Uint8Array | undefined;
	getEntry(key: Uint8Array, keyOffset: number, keySize: number, snapshot?: number): SyncEntry | undefined;
	/**
	 * The entry last read slides, and its expiry is due to be moved on (as `wantedExpiryMs` of a read in the partition): whoever
	 * reads tells the partition by an opHas. False for reads at a snapshot.
	 */
	readonly wantsTouch: boolean;
	/** Counters, for statistics: reads from memtables, from kept rows, from cached blocks, from files; retries. */
	statistics(): Record<string, number>;
	/** Closes files. */
	close(): void;
}

/** What the opener hands to whoever makes a SyncReader: all of it crosses threads. */
export interface SyncReaderMemory {
	readonly partition: number;
	readonly directory: string;
	/** The words of worker-boot.ts. */
	readonly shared: SharedArrayBuffer;
	/** Where the partition says what a reader has to look at. */
	readonly view: SharedArrayBuffer;
	readonly arenas: readonly SharedArrayBuffer[];
	/** Bytes of rows and decompressed blocks each thread may keep of this partition. */
	readonly blockCacheSize: number;
}

export type MakeSyncReader = (memory: SyncReaderMemory) => SyncReader;
