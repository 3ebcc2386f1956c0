/** What is known of a table without reading its data: the manifest and the choice of merges go by it. Immutable. */
import { MillraceError } from '../../../base/errors.js';

export interface TableMeta {
	readonly id: number;
	/** Bytes of the file. */
	readonly size: number;
	/** Versions, tombstones included. */
	readonly entryCount: number;
	readonly tombstoneCount: number;
	readonly firstKey: Uint8Array;
	readonly lastKey: Uint8Array;
	readonly minSequence: number;
	readonly maxSequence: number;
	/** Entries that have an expiry. */
	readonly expiryCount: number;
}

/** The error of a table whose bytes do not hold: names the file, where in it, and what. */
export function tableCorrupt(path: string, offset: number, what: string, cause?: unknown): MillraceError {
	return new MillraceError('MILLRACE_CORRUPT', `${path}: at byte ${offset}: ${what}`, { cause });
}
