/**
 * The view of a partition in shared memory: which arenas and tables hold what is stored, for readers in other threads. Int32
 * words in the order of the machine, in one SharedArrayBuffer for each partition. docs/formats/shared-view.md is its page.
 *
 *   header   0 version | 1 flags | 2 tables (-1: more than fit) | 3 version of the rows | 4,5 base sequence | 6,7 absence
 * sequence
 *            | 8,9 snapshot floor | 10 arenas | 11 promised sequence, low word | 12 dropped snapshots
 *            | 16.. arenas: index, generation | 64.. dropped snapshots
 *   rows     from word 128: one for each table, level 0 newest first, then level by level in order of keys
 *   row      0,1 table id | 2 level, flags << 8, size of the first key << 16, size of the last << 24 | 3 zero
 *            | 4.. first key, its first 56 bytes | 18.. last key, likewise
 *
 * Written by the partition's thread alone. Word 11 is stored by itself; all else between two changes of the version, which is odd
 * meanwhile. Sequences are two words: low, high.
 */
export const viewVersionWord = 0;
export const viewFlagsWord = 1;
export const viewTableCountWord = 2;
export const viewRowsVersionWord = 3;
export const viewBaseWord = 4;
export const viewAbsenceWord = 6;
export const viewSnapshotFloorWord = 8;
export const viewArenaCountWord = 10;
export const viewPromisedWord = 11;
export const viewDroppedCountWord = 12;
export const viewArenasWord = 16;
export const viewDroppedWord = 64;
export const viewRowsWord = 128;

/** Nothing is read any more: the partition was closed. */
export const viewFlagClosed = 1;

/** Arenas of a partition at most: what `memtableCountMax` may be. */
export const viewArenaCountMax = 16;
export const viewArenaWords = 2;

/** Dropped snapshots that are named; when there are more, the floor rises over the oldest. */
export const viewDroppedCountMax = 32;

export const rowWords = 32;
export const rowIdWord = 0;
export const rowShapeWord = 2;
export const rowFirstKeyWord = 4;
export const rowLastKeyWord = 18;
/** Bytes of a bound that a row holds. Longer keys with more than that in common make readers ask more tables. */
export const rowKeySizeMax = 56;
/** The table has range tombstones, which concern keys that its bounds do not hold. */
export const rowFlagRanges = 1;

/** A count of tables that says: there are more than the view holds. */
export const tablesUncounted = -1;

/**
 * The durable sequence is at most so far behind the newest that is stored, and at most so far ahead of the one a view was
 * published with: so the base, this much below the newest, and 32 bits tell it whole.
 */
export const baseDistance = 2 ** 31;

/** Bytes of a view that holds so many tables. */
export function viewSizeFor(tableCount: number): number {
	return (viewRowsWord + tableCount * rowWords) * 4;
}

/** Tables a view of so many bytes holds. */
export function tableCountMaxOf(viewSize: number): number {
	return Math.floor((viewSize / 4 - viewRowsWord) / rowWords);
}

/** A sequence in two words. */
export function readSequence(words: Int32Array, word: number): number {
	return (words[word] >>> 0) + words[word + 1] * 0x1_0000_0000;
}

export function writeSequence(words: Int32Array, word: number, sequence: number): void {
	words[word] = sequence;
	words[word + 1] = Math.floor(sequence / 0x1_0000_0000);
}
