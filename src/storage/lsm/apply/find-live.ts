/**
 * How a command looks a key up: the newest version it may see, unless that is a tombstone, lies under a deleted range, or has
 * expired. What was found is described by `found` until the next look-up of this thread; its value is lent by the store.
 */
import { readU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { isExpired, kindPut, kindSlidingPut, kindTombstone, makeEntryView, slidingPrefixSize } from '../entry.js';
import type { CommandResult } from './command-result.js';
import type { EntryStore } from './entry-store.js';

export const newestSequence = Number.MAX_SAFE_INTEGER;

/** The entry that was found: its value without the prefix of a sliding one. */
export const found = Object.assign(makeEntryView(), {
	/** Milliseconds that a read extends the entry by; 0: its expiry stands still. */
	slidingMs: 0,
});

/**
 * @param hash `keyHash` of the key
 * @param maxSequence versions above it are not seen
 * @param result notes in `observedSequence` what the answer depends on, found or not
 * @returns true when the key is there and live; `found` then describes it
 */
export function findLive(
	store: EntryStore,
	nowMs: number,
	hash: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
	maxSequence: number,
	result: CommandResult,
): boolean {
	const isStored = store.get(hash, key, keyOffset, keySize, maxSequence, found);
	const coverSequence = store.coverSequence(key, keyOffset, keySize, maxSequence);
	if (!isStored) {
		result.observedSequence = Math.max(Math.min(store.absenceSequence, maxSequence), coverSequence);
		return false;
	}
	if (found.sequence < coverSequence) {
		result.observedSequence = coverSequence;
		return false;
	}
	result.observedSequence = found.sequence;
	if (found.kind === kindPut) {
		found.slidingMs = 0;
		return !isExpired(found.expiresAtMs, nowMs);
	}
	return found.kind !== kindTombstone && showSliding() && !isExpired(found.expiresAtMs, nowMs);
}

/** Takes the prefix off. @throws MILLRACE_CORRUPT for an entry that nothing of ours writes */
function showSliding(): boolean {
	if (found.kind !== kindSlidingPut || found.valueSize < slidingPrefixSize) {
		throw new MillraceError(
			'MILLRACE_CORRUPT',
			`an entry of kind ${found.kind} with ${found.valueSize} bytes cannot be read`,
		);
	}
	found.slidingMs = readU53(found.value, found.valueOffset);
	found.valueOffset += slidingPrefixSize;
	found.valueSize -= slidingPrefixSize;
	return true;
}
