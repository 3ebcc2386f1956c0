/**
 * Reads of one key: the newest version, or (flagSequence) the one that a snapshot sees. Expiry is judged by now in both.
 *
 * A read changes nothing. When the entry's expiry slides and a good part of its time has gone, the result says so, and whoever
 * writes may move the expiry on with opTouch: no read waits for that.
 */
import { writeF64 } from '../../../base/bytes.js';
import { statusNotFound } from '../../../base/errors.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	flagSequence,
	opGet,
	opGetEntry,
	opGetExpiry,
	opHas,
	readCommandKeySize,
	readCommandSequence,
} from '../../../command/command-format.js';
import { kindSlidingPut, slidingPrefixSize } from '../entry.js';
import type { CommandResult } from './command-result.js';
import type { EntryStore } from './entry-store.js';
import { findLive, found, newestSequence } from './find-live.js';
import { scratchFor } from './scratch.js';

/** Of an entry's span this many sixteenths may be left before a read moves its expiry on: at most 16 new versions a span. */
const touchSixteenths = 15;

/** True when so much of a sliding entry's time has gone that a read should move its expiry on. */
export function isTouchDue(expiresAtMs: number, slidingMs: number, nowMs: number): boolean {
	return (expiresAtMs - nowMs) * 16 < slidingMs * touchSixteenths;
}

/** Answers opGet, opHas, opGetExpiry or opGetEntry. @param hash `keyHash` of the key */
export function applyRead(
	store: EntryStore,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	result.reset();
	const opcode = bytes[offset];
	const flags = bytes[offset + commandFlagsOffset];
	const isAtSnapshot = (flags & flagSequence) !== 0;
	const maxSequence = isAtSnapshot ? readCommandSequence(bytes, offset) : newestSequence;
	const keyOffset = offset + commandKeyOffset(flags);
	const keySize = readCommandKeySize(bytes, offset);
	if (!findLive(store, nowMs, hash, bytes, keyOffset, keySize, maxSequence, result)) {
		result.status = statusNotFound;
		return;
	}
	if (opcode === opGet) {
		result.number = found.sequence;
		result.setValue(found.value, found.valueOffset, found.valueSize);
	} else if (opcode === opGetExpiry) {
		result.number = found.expiresAtMs;
		return;
	} else if (opcode === opGetEntry) {
		showEntry(result);
	} else if (opcode !== opHas) {
		result.setError('MILLRACE_UNKNOWN_COMMAND', `opcode ${opcode} is not a read`);
		return;
	}
	const { slidingMs } = found;
	if (slidingMs === 0 || isAtSnapshot) return;
	if (isTouchDue(found.expiresAtMs, slidingMs, nowMs)) result.wantedExpiryMs = nowMs + slidingMs;
}

/** Expiry and value in one payload. */
function showEntry(result: CommandResult): void {
	const size = 8 + found.valueSize;
	const bytes = scratchFor(size);
	writeF64(bytes, 0, found.expiresAtMs);
	bytes.set(found.value.subarray(found.valueOffset, found.valueOffset + found.valueSize), 8);
	result.number = found.sequence;
	result.setValue(bytes, 0, size);
}

/** Bytes of the entry that the last read found, as stored. */
export function foundStoredSize(): number {
	return found.valueSize + (found.slidingMs === 0 ? 0 : slidingPrefixSize);
}

/**
 * Moves the expiry of the sliding entry that the last read found, with nothing looked up in between: what applying an opTouch
 * with the same expiry does, without looking again.
 */
export function touchFound(
	store: EntryStore,
	sequence: number,
	expiresAtMs: number,
	hash: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
): void {
	const { value, valueOffset, valueSize } = found;
	store.put(
		hash,
		key,
		keyOffset,
		keySize,
		sequence,
		kindSlidingPut,
		expiresAtMs,
		value,
		valueOffset - slidingPrefixSize,
		valueSize + slidingPrefixSize,
	);
}
