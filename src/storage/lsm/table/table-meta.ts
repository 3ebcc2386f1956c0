/**
 * What is known of a table without reading its data: the manifest and the choice of compactions go by it. Immutable.
 *
 * A table covers the keys from `lowerBound` to `upperBound`: those of its entries, and the ranges its tombstones delete. Both
 * bounds count as inside when tables are tested for overlap. An upper bound above `lastKey` is the end of a deleted range, so
 * nothing at that very key is in the table; `reachesKey` knows.
 */
import { compareBytes } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import type { RangeTombstone } from '../entry.js';

export interface TableMeta {
	readonly id: number;
	/** Bytes of the file. */
	readonly size: number;
	/** Versions, tombstones included. */
	readonly entryCount: number;
	readonly tombstoneCount: number;
	/** Distinct keys. */
	readonly keyCount: number;
	/** Bytes of all data blocks before compression. */
	readonly rawSize: number;
	/** Of the entries. */
	readonly firstKey: Uint8Array;
	readonly lastKey: Uint8Array;
	/** Of entries and range tombstones. Empty: from the beginning. */
	readonly lowerBound: Uint8Array;
	/** undefined: to the end. */
	readonly upperBound: Uint8Array | undefined;
	/** Of entries and range tombstones. */
	readonly minSequence: number;
	readonly maxSequence: number;
	/** Entries that have an expiry. */
	readonly expiryCount: number;
	/** No entry expires before this; 0: none expires at all. */
	readonly minExpiresAtMs: number;
	/** No entry expires after this; 0: none expires at all. Files of format 1 do not say, and get the largest number. */
	readonly maxExpiresAtMs: number;
	/** Start ascending, then sequence descending. */
	readonly rangeTombstones: readonly RangeTombstone[];
}

/** Bounds of entries `firstKey` … `lastKey` and range tombstones together. */
export function boundsOf(
	firstKey: Uint8Array,
	lastKey: Uint8Array,
	rangeTombstones: readonly RangeTombstone[],
): { lowerBound: Uint8Array; upperBound: Uint8Array | undefined } {
	let lowerBound = firstKey;
	let upperBound: Uint8Array | undefined = lastKey;
	for (const { start, end } of rangeTombstones) {
		if (compareKeys(start, lowerBound) < 0) lowerBound = start;
		if (upperBound === undefined || end.length === 0) upperBound = undefined;
		else if (compareKeys(end, upperBound) > 0) upperBound = end;
	}
	return { lowerBound, upperBound };
}

/** False when everything in the table lies below `key`: its tombstones' ends are exclusive, its last key is not. */
export function reachesKey(meta: Pick<TableMeta, 'upperBound' | 'lastKey'>, key: Uint8Array): boolean {
	if (meta.upperBound === undefined) return true;
	const order = compareKeys(meta.upperBound, key);
	return order > 0 || (order === 0 && compareKeys(meta.lastKey, key) === 0);
}

/** Order of two whole keys. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
	return compareBytes(a, 0, a.length, b, 0, b.length);
}

/** The error of a table whose bytes do not hold: names the file, where in it, and what. */
export function tableCorrupt(path: string, offset: number, what: string, cause?: unknown): MillraceError {
	return new MillraceError('MILLRACE_CORRUPT', `${path}: at byte ${offset}: ${what}`, { cause });
}
