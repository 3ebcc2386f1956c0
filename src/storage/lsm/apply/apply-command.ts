/**
 * The deterministic heart of a partition: apply(sequence, timestampMs, command) -> result. Reads no clock and no randomness;
 * time comes with the command. The live path and replay both come through here, so a replayed log gives the same state.
 *
 * A command that changes nothing (an unmet condition, an absent key) writes nothing and takes no sequence number. Here are the
 * writes of one key and of a range; apply-batch.ts has batches, apply-read.ts reads. opClear is the tree's own affair.
 */
import { unreachable } from '../../../base/assert.js';
import { compareBytes } from '../../../base/bytes.js';
import { statusNotFound } from '../../../base/errors.js';
import { valueSizeMax } from '../../../base/limits.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	flagSequence,
	flagSliding,
	opAppend,
	opDelete,
	opDeleteRange,
	opIncrement,
	opPut,
	opSetExpiry,
	opTouch,
	readCommandArgument,
	readCommandKeySize,
	readCommandSequence,
	readCommandValueSize,
} from '../../../command/command-format.js';
import { kindPut, kindSlidingPut, kindTombstone, slidingPrefixSize, storedValueSizeMax } from '../entry.js';
import type { CommandResult } from './command-result.js';
import { addDecimals, zeroDecimal } from './decimal.js';
import type { EntryStore } from './entry-store.js';
import { findLive, found, newestSequence } from './find-live.js';
import { joined, storeJoined } from './joined-value.js';

const noBytes = new Uint8Array(0);
/** Digits of a 64-bit integer with its sign. */
const decimalSizeMax = 20;

/** Bytes that a write of one key may store as its value, for which the caller makes room before it applies the write. */
export function storedValueSize(store: EntryStore, hash: number, bytes: Uint8Array, offset: number): number {
	const opcode = bytes[offset];
	const valueSize = readCommandValueSize(bytes, offset);
	const flags = bytes[offset + commandFlagsOffset];
	if (opcode === opPut) {
		return (flags & (flagSliding | flagKeepExpiry)) === 0 ? valueSize : valueSize + slidingPrefixSize;
	}
	// The end of a range takes the place of a value.
	if (opcode === opDeleteRange) return valueSize;
	if (opcode === opIncrement) return slidingPrefixSize + decimalSizeMax;
	if (opcode !== opSetExpiry && opcode !== opAppend && opcode !== opTouch) return 0;
	const keyOffset = offset + commandKeyOffset(flags);
	const isStored = store.get(hash, bytes, keyOffset, readCommandKeySize(bytes, offset), newestSequence, found);
	return Math.min(slidingPrefixSize + valueSize + (isStored ? found.valueSize : 0), storedValueSizeMax);
}

/** Applies a write of one key or of a range. The caller made sure of room in the active memtable. */
export function applyWrite(
	store: EntryStore,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	result.reset();
	const opcode = bytes[offset];
	switch (opcode) {
		case opPut:
			applyPut(store, sequence, nowMs, hash, bytes, offset, result);
			break;
		case opDelete:
			applyDelete(store, sequence, nowMs, hash, bytes, offset, result);
			break;
		case opIncrement:
			applyIncrement(store, sequence, nowMs, hash, bytes, offset, result);
			break;
		case opAppend:
			applyAppend(store, sequence, nowMs, hash, bytes, offset, result);
			break;
		case opSetExpiry:
			applySetExpiry(store, sequence, nowMs, hash, bytes, offset, result);
			break;
		case opTouch:
			applyTouch(store, sequence, nowMs, hash, bytes, offset, result);
			break;
		case opDeleteRange:
			applyDeleteRange(store, sequence, bytes, offset, result);
			break;
		default:
			unreachable(opcode as never, 'write opcode');
	}
}

function applyPut(
	store: EntryStore,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	const flags = bytes[offset + commandFlagsOffset];
	const keyOffset = offset + commandKeyOffset(flags);
	const keySize = readCommandKeySize(bytes, offset);
	let expiresAtMs = readCommandArgument(bytes, offset);
	if (!isExpiry(expiresAtMs, result)) return;
	let slidingMs = spanOf(flags, expiresAtMs, nowMs);
	const needsOld = flagIfAbsent | flagIfPresent | flagReturnOld | flagKeepExpiry | flagSequence;
	if ((flags & needsOld) !== 0) {
		const isLive = findLive(store, nowMs, hash, bytes, keyOffset, keySize, newestSequence, result);
		if (isLive && (flags & flagReturnOld) !== 0) {
			result.setValue(found.value, found.valueOffset, found.valueSize);
		}
		if ((flags & (isLive ? flagIfAbsent : flagIfPresent)) !== 0 || !isVersionMet(bytes, offset, isLive)) {
			result.setUnmet();
			return;
		}
		if (isLive && (flags & flagKeepExpiry) !== 0) {
			expiresAtMs = found.expiresAtMs;
			slidingMs = found.slidingMs;
		}
	}
	const valueOffset = keyOffset + keySize;
	const valueSize = readCommandValueSize(bytes, offset);
	if (slidingMs === 0) {
		store.put(hash, bytes, keyOffset, keySize, sequence, kindPut, expiresAtMs, bytes, valueOffset, valueSize);
	} else {
		const value = joined(slidingMs, bytes, valueOffset, valueSize, noBytes, 0, 0);
		const storedSize = slidingPrefixSize + valueSize;
		store.put(hash, bytes, keyOffset, keySize, sequence, kindSlidingPut, expiresAtMs, value, 0, storedSize);
	}
	noteWritten(sequence, result);
}

function applyDelete(
	store: EntryStore,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	const keyOffset = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]);
	const keySize = readCommandKeySize(bytes, offset);
	const isLive = findLive(store, nowMs, hash, bytes, keyOffset, keySize, newestSequence, result);
	if (!isVersionMet(bytes, offset, isLive)) {
		result.setUnmet();
	} else if (!isLive) {
		result.status = statusNotFound;
	} else {
		store.put(hash, bytes, keyOffset, keySize, sequence, kindTombstone, 0, noBytes, 0, 0);
		noteWritten(sequence, result);
	}
}

function applyIncrement(
	store: EntryStore,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	const keyOffset = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]);
	const keySize = readCommandKeySize(bytes, offset);
	const isLive = findLive(store, nowMs, hash, bytes, keyOffset, keySize, newestSequence, result);
	if (!isVersionMet(bytes, offset, isLive)) {
		result.setUnmet();
		return;
	}
	const sum = addDecimals(
		isLive ? found.value : zeroDecimal,
		isLive ? found.valueOffset : 0,
		isLive ? found.valueSize : zeroDecimal.length,
		bytes,
		keyOffset + keySize,
		readCommandValueSize(bytes, offset),
	);
	if (sum === 'not a number') result.setError('MILLRACE_NOT_INTEGER', 'the value is not a 64-bit integer');
	else if (sum === 'overflow') result.setError('MILLRACE_OVERFLOW', 'the result would leave the 64-bit range');
	else {
		const slidingMs = isLive ? found.slidingMs : 0;
		const expiresAtMs = isLive ? found.expiresAtMs : 0;
		storeJoined(
			store,
			hash,
			bytes,
			keyOffset,
			keySize,
			sequence,
			expiresAtMs,
			slidingMs,
			sum,
			0,
			sum.length,
			noBytes,
			0,
			0,
		);
		noteWritten(sequence, result);
		result.setValue(sum, 0, sum.length);
	}
}

function applyAppend(
	store: EntryStore,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	const keyOffset = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]);
	const keySize = readCommandKeySize(bytes, offset);
	const tailSize = readCommandValueSize(bytes, offset);
	const isLive = findLive(store, nowMs, hash, bytes, keyOffset, keySize, newestSequence, result);
	const size = tailSize + (isLive ? found.valueSize : 0);
	if (!isVersionMet(bytes, offset, isLive)) {
		result.setUnmet();
		return;
	}
	if (size > valueSizeMax) {
		result.setError('MILLRACE_VALUE_SIZE', `the value would have ${size} bytes, more than ${valueSizeMax}`);
		return;
	}
	const { value, valueOffset, valueSize } = found;
	const slidingMs = isLive ? found.slidingMs : 0;
	const expiresAtMs = isLive ? found.expiresAtMs : 0;
	storeJoined(
		store,
		hash,
		bytes,
		keyOffset,
		keySize,
		sequence,
		expiresAtMs,
		slidingMs,
		isLive ? value : noBytes,
		isLive ? valueOffset : 0,
		isLive ? valueSize : 0,
		bytes,
		keyOffset + keySize,
		tailSize,
	);
	noteWritten(sequence, result);
	const text = Buffer.from(String(size), 'latin1');
	result.setValue(text, 0, text.length);
}

function applySetExpiry(
	store: EntryStore,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	const flags = bytes[offset + commandFlagsOffset];
	const keyOffset = offset + commandKeyOffset(flags);
	const keySize = readCommandKeySize(bytes, offset);
	const expiresAtMs = readCommandArgument(bytes, offset);
	const isLive = findLive(store, nowMs, hash, bytes, keyOffset, keySize, newestSequence, result);
	if (!isExpiry(expiresAtMs, result)) return;
	if (!isVersionMet(bytes, offset, isLive)) {
		result.setUnmet();
	} else if (!isLive || (expiresAtMs === 0 && found.expiresAtMs === 0)) {
		result.status = statusNotFound;
	} else {
		const { value, valueOffset, valueSize } = found;
		const slidingMs = spanOf(flags, expiresAtMs, nowMs);
		storeJoined(
			store,
			hash,
			bytes,
			keyOffset,
			keySize,
			sequence,
			expiresAtMs,
			slidingMs,
			value,
			valueOffset,
			valueSize,
			noBytes,
			0,
			0,
		);
		noteWritten(sequence, result);
	}
}

/** The partition asks for it when it has just seen the entry, so that it is there; a replay sees the same. */
function applyTouch(
	store: EntryStore,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	const keyOffset = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]);
	const keySize = readCommandKeySize(bytes, offset);
	const isLive = findLive(store, nowMs, hash, bytes, keyOffset, keySize, newestSequence, result);
	if (!isLive || found.slidingMs === 0) {
		result.status = statusNotFound;
		return;
	}
	const expiresAtMs = readCommandArgument(bytes, offset);
	const { value, valueOffset, valueSize } = found;
	const at = valueOffset - slidingPrefixSize;
	const storedSize = valueSize + slidingPrefixSize;
	store.put(hash, bytes, keyOffset, keySize, sequence, kindSlidingPut, expiresAtMs, value, at, storedSize);
	noteWritten(sequence, result);
}

/** An empty range deletes nothing, and is nothing to keep. */
function applyDeleteRange(
	store: EntryStore,
	sequence: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	const startOffset = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]);
	const startSize = readCommandKeySize(bytes, offset);
	const endOffset = startOffset + startSize;
	const endSize = readCommandValueSize(bytes, offset);
	if (endSize > 0 && compareBytes(bytes, startOffset, startSize, bytes, endOffset, endSize) >= 0) return;
	store.deleteRange(bytes, startOffset, startSize, bytes, endOffset, endSize, sequence);
	noteWritten(sequence, result);
}

/** Entries keep whole, non-negative times only; 0 is none. */
function isExpiry(expiresAtMs: number, result: CommandResult): boolean {
	if (Number.isSafeInteger(expiresAtMs) && expiresAtMs >= 0) return true;
	result.setError('MILLRACE_ARGUMENT', `an expiry is a whole number of milliseconds, not ${expiresAtMs}`);
	return false;
}

/** What a read of the entry will move its expiry by; 0: it stands still. */
function spanOf(flags: number, expiresAtMs: number, nowMs: number): number {
	return (flags & flagSliding) === 0 ? 0 : Math.max(0, expiresAtMs - nowMs);
}

/** True when the key has the version the command asks for, if it asks for one; 0 is the version of an absent key. */
function isVersionMet(bytes: Uint8Array, offset: number, isLive: boolean): boolean {
	if ((bytes[offset + commandFlagsOffset] & flagSequence) === 0) return true;
	return readCommandSequence(bytes, offset) === (isLive ? found.sequence : 0);
}

function noteWritten(sequence: number, result: CommandResult): void {
	result.hasWritten = true;
	result.number = sequence;
	result.observedSequence = sequence;
}
