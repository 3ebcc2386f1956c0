/**
 * The memory a partition shares with the threads that read it without a message: its view and the arenas of all its memtables.
 * Whoever opens the database makes it, so that every thread can have it from the start; pages that nobody touches take no memory.
 */
import { sharedViewTableCountMax } from '../../../base/limits.js';
import type { PartitionOptions } from '../partition-options.js';
import { partitionOptions } from '../partition-options.js';
import { viewSizeFor } from './shared-view-format.js';

/** What a partition is given. A view of 0 bytes: nobody reads it from outside. Without arenas it makes its own. */
export interface StorageMemory {
	readonly view: SharedArrayBuffer;
	readonly arenas: readonly SharedArrayBuffer[];
}

export interface StorageMemorySizes {
	/** Bytes. */
	readonly viewSize: number;
	readonly arenaCount: number;
	/** Bytes of each. */
	readonly arenaSize: number;
}

/** What one partition with these options needs. @throws MillraceError MILLRACE_OPTION when they do not go together */
export function storageMemorySizes(options: Partial<PartitionOptions> = {}): StorageMemorySizes {
	const { memtableCountMax, memtableSize } = partitionOptions(options);
	return { viewSize: viewSizeFor(sharedViewTableCountMax), arenaCount: memtableCountMax, arenaSize: memtableSize };
}

/** Makes it, all zero. */
export function createStorageMemory({ viewSize, arenaCount, arenaSize }: StorageMemorySizes): StorageMemory {
	return {
		view: new SharedArrayBuffer(viewSize),
		arenas: Array.from({ length: arenaCount }, () => new SharedArrayBuffer(arenaSize)),
	};
}
