/**
 * What memtables, tables and merges agree on: an entry is (key, sequence, kind, expiresAtMs, value), and everything
 * ordered is ordered by key ascending, then sequence descending, so the newest version of a key comes first.
 *
 * Views lend memory: the bytes a view names are valid until its owner's next call.
 */
import { valueSizeMax } from '../../base/limits.js';

/** Persistent: append, never renumber. */
export const kindPut = 1;
export const kindTombstone = 2;
/**
 * A put whose expiry slides: its stored value begins with `slidingPrefixSize` bytes, the u53 milliseconds a read extends it by.
 */
export const kindSlidingPut = 3;
/** Taken for values that live in a file of their own; nothing writes it yet, and readers refuse it. */
export const kindValuePointer = 4;

/** Bytes before the user's value in a kindSlidingPut. */
export const slidingPrefixSize = 8;
/** Longest value as it is stored: a largest one that slides. */
export const storedValueSizeMax = valueSizeMax + slidingPrefixSize;

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

/**
 * A deleted range: hides every version below `sequence` of every key in [start, end). Kept beside the entries, never among them.
 * Immutable.
 */
export interface RangeTombstone {
	/** First key of the range; empty: from the beginning. */
	readonly start: Uint8Array;
	/** First key behind the range; empty: to the end. */
	readonly end: Uint8Array;
	readonly sequence: number;
}

/**
 * Walks entries in one of two directions, chosen by the seek: keys ascending, or (after `seekLast`, `seekBackward`) keys
 * descending. The versions of one key come newest first in both. After a seek or `next`, the fields describe the entry when
 * `valid`.
 */
export interface EntryIterator extends EntryView {
	valid: boolean;
	key: Uint8Array;
	keyOffset: number;
	keySize: number;
	seekFirst(): void;
	/** To the first entry whose key is >= the given one. */
	seek(key: Uint8Array, keyOffset: number, keySize: number): void;
	/**
	 * To the newest version of exactly this key, cheaper than by `seek` where there is none. The walk may go on from there,
	 * forward.
	 * @param hash `keyHash` of the key
	 * @returns false when it is not here: then the iterator stands nowhere, and must be sought
	 */
	seekExact?(hash: number, key: Uint8Array, keyOffset: number, keySize: number): boolean;
	/** To the newest version of the last key; walks backward from there. */
	seekLast(): void;
	/** To the newest version of the last key below the given one (or equal to it, if `isInclusive`); walks backward from there. */
	seekBackward(key: Uint8Array, keyOffset: number, keySize: number, isInclusive: boolean): void;
	/** One step in the direction of the last seek. */
	next(): void;
	/** Gives back what it holds, if anything: neither the iterator nor what it lent is used any more. */
	close?(): void;
}

/** True when an entry with this expiry is gone at `nowMs`: expired exactly at its time, not after. */
export function isExpired(expiresAtMs: number, nowMs: number): boolean {
	return expiresAtMs !== 0 && expiresAtMs <= nowMs;
}
