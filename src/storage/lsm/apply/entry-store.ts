/**
 * What commands work on: versions of keys and deleted ranges. The tree is one; the plan of a batch is another, laid over the
 * tree, so that a batch sees its own writes before anything of it is stored.
 */
import type { EntryView } from '../entry.js';

export interface EntryStore {
	/** Commands up to this one may be why nothing is stored for a key. What finds nothing depends on all of them. */
	readonly absenceSequence: number;

	/**
	 * Newest version of a key with sequence <= maxSequence, tombstones included; deleted ranges are not looked at.
	 * @param hash `keyHash` of the key
	 */
	get(hash: number, key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number, view: EntryView): boolean;

	/** Newest deletion of a range with sequence <= maxSequence that covers a key; 0: none. */
	coverSequence(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): number;

	/** Adds a version. Sequence numbers only grow; the caller made sure of room. */
	put(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		sequence: number,
		kind: number,
		expiresAtMs: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
	): void;

	/** Hides everything below `sequence` in [start, end); an empty end: to the last key. The caller made sure of room. */
	deleteRange(
		start: Uint8Array,
		startOffset: number,
		startSize: number,
		end: Uint8Array,
		endOffset: number,
		endSize: number,
		sequence: number,
	): void;
}
