/**
 * Values that a command puts together: an old value and what is appended to it, the prefix of a sliding entry before either. They
 * are built in memory that the next command uses again, and copied by whoever stores them.
 *
 *   [u53 slidingMs] | head | tail
 */
import { copyBytes, writeU53 } from '../../../base/bytes.js';
import { kindPut, kindSlidingPut, slidingPrefixSize } from '../entry.js';
import type { EntryStore } from './entry-store.js';
import { scratchFor } from './scratch.js';

/** Stores head and tail as one value, and how far reads move its expiry. */
export function storeJoined(
	store: EntryStore,
	hash: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
	sequence: number,
	expiresAtMs: number,
	slidingMs: number,
	head: Uint8Array,
	headOffset: number,
	headSize: number,
	tail: Uint8Array,
	tailOffset: number,
	tailSize: number,
): void {
	if (slidingMs === 0 && tailSize === 0) {
		store.put(hash, key, keyOffset, keySize, sequence, kindPut, expiresAtMs, head, headOffset, headSize);
		return;
	}
	const value = joined(slidingMs, head, headOffset, headSize, tail, tailOffset, tailSize);
	const valueSize = (slidingMs === 0 ? 0 : slidingPrefixSize) + headSize + tailSize;
	const kind = slidingMs === 0 ? kindPut : kindSlidingPut;
	store.put(hash, key, keyOffset, keySize, sequence, kind, expiresAtMs, value, 0, valueSize);
}

/** The prefix (if the entry slides), head and tail, in memory that the next command overwrites. */
export function joined(
	slidingMs: number,
	head: Uint8Array,
	headOffset: number,
	headSize: number,
	tail: Uint8Array,
	tailOffset: number,
	tailSize: number,
): Uint8Array {
	const prefixSize = slidingMs === 0 ? 0 : slidingPrefixSize;
	const bytes = scratchFor(prefixSize + headSize + tailSize);
	if (slidingMs !== 0) writeU53(bytes, 0, slidingMs);
	copyBytes(head, headOffset, bytes, prefixSize, headSize);
	copyBytes(tail, tailOffset, bytes, prefixSize + headSize, tailSize);
	return bytes;
}
