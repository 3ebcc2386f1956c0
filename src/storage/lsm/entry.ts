/**
 * What memtables, tables and merges agree on: an entry is (key, sequence, kind, expiresAtMs, value), and everything
 * ordered is ordered by key ascending, then sequence descending, so the newest version of a key comes first.
 *
 * Views lend memory: the bytes a view names are valid until its owner's next call.
 */

/** Persistent: append, never renumber. */
export const kindPut = 1;
export const kindTombstone = 2;

/** One version of one key, lent by whoever filled it in. Reused call after call: no object per entry. */
export interface EntryView {
	sequence: number;
	kind: number;
	/** Milliseconds since the epoch; 0: never expires. */
	expiresAtMs: number;
	value: Uint8Array;
	valueOffset: number;
	valueSize: number;
}

const noBytes = new Uint8Array(0);

export function makeEntryView(): EntryView {
	return { sequence: 0, kind: 0, expiresAtMs: 0, value: noBytes, valueOffset: 0, valueSize: 0 };
}

/** Walks entries in order. After `seekFirst`, `seek` or `next`, the fields describe the entry when `valid`. */
export interface EntryIterator extends EntryView {
	valid: boolean;
	key: Uint8Array;
	keyOffset: number;
	keySize: number;
	seekFirst(): void;
	/** To the first entry whose key is >= the given one. */
	seek(key: Uint8Array, keyOffset: number, keySize: number): void;
	next(): void;
}

/** True when an entry with this expiry is gone at `nowMs`: expired exactly at its time, not after. */
export function isExpired(expiresAtMs: number, nowMs: number): boolean {
	return expiresAtMs !== 0 && expiresAtMs <= nowMs;
}
