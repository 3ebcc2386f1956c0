/**
 * The synchronous readers of one thread, one for each partition, made when they are first used. That thread only.
 */
import { MillraceError } from '../base/errors.js';
import type { MakeSyncReader, SyncReader, SyncReaderMemory } from '../command/sync-reader.js';

export class SyncReaders {
	readonly #make: MakeSyncReader | undefined;
	readonly #memoryOf: (partition: number) => SyncReaderMemory;
	readonly #readers: (SyncReader | undefined)[] = [];
	#isClosed = false;

	/** @param make given by the composition root; without it there are none */
	constructor(make: MakeSyncReader | undefined, memoryOf: (partition: number) => SyncReaderMemory) {
		this.#make = make;
		this.#memoryOf = memoryOf;
	}

	/** @throws MILLRACE_CLOSED */
	of(partition: number): SyncReader {
		const reader = this.#readers[partition];
		if (reader !== undefined) return reader;
		if (this.#isClosed) throw new MillraceError('MILLRACE_CLOSED', 'the database is closed');
		if (this.#make === undefined) throw new TypeError('this database was opened without synchronous reads');
		const made = this.#make(this.#memoryOf(partition));
		this.#readers[partition] = made;
		return made;
	}

	/** Closes their files. Idempotent. */
	close(): void {
		this.#isClosed = true;
		for (const reader of this.#readers.splice(0)) reader?.close();
	}
}
