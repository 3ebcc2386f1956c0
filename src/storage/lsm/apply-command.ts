/**
 * The deterministic heart of a partition: apply(sequence, timestampMs, command) -> result. Reads no clock and no randomness;
 * time comes with the command. The live path and replay both come through here, so a replayed log gives the same state.
 *
 * A command that changes nothing (an unmet condition, an absent key) writes nothing and takes no sequence number.
 */
import { unreachable } from '../../base/assert.js';
import { statusNotFound } from '../../base/errors.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	opClear,
	opDelete,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opSetExpiry,
	readCommandArgument,
	readCommandKeySize,
	readCommandValueSize,
} from '../../command/command-format.js';
import type { CommandResult } from './command-result.js';
import { addDecimals, zeroDecimal } from './decimal.js';
import { isExpired, kindPut, kindTombstone, makeEntryView } from './entry.js';
import type { LsmTree } from './lsm-tree.js';

const found = makeEntryView();
const noBytes = new Uint8Array(0);

/** Looks a key up. @returns true when it is there and live; `found` then describes it. Notes what the answer depends on. */
function findLive(
	tree: LsmTree,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	keyOffset: number,
	keySize: number,
	result: CommandResult,
): boolean {
	if (!tree.get(hash, bytes, keyOffset, keySize, found)) {
		result.observedSequence = tree.absenceSequence;
		return false;
	}
	result.observedSequence = found.sequence;
	return found.kind === kindPut && !isExpired(found.expiresAtMs, nowMs);
}

/** Answers a read of one key: opGet, opHas, opGetExpiry. @param hash `keyHash` of the key */
export function applyRead(
	tree: LsmTree,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	result.reset();
	const opcode = bytes[offset];
	const keyOffset = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]);
	if (!findLive(tree, nowMs, hash, bytes, keyOffset, readCommandKeySize(bytes, offset), result)) {
		result.status = statusNotFound;
	} else if (opcode === opGet) {
		result.number = found.sequence;
		result.setValue(found.value, found.valueOffset, found.valueSize);
	} else if (opcode === opGetExpiry) {
		result.number = found.expiresAtMs;
	} else if (opcode !== opHas) {
		result.setError('MILLRACE_UNKNOWN_COMMAND', `opcode ${opcode} is not a read`);
	}
}

/** Size of the value a write will store, for which the caller makes room before it applies the write. */
export function storedValueSize(tree: LsmTree, hash: number, bytes: Uint8Array, offset: number): number {
	const opcode = bytes[offset];
	if (opcode === opIncrement) return 20;
	if (opcode !== opSetExpiry) return readCommandValueSize(bytes, offset);
	const keyOffset = offset + commandKeyOffset(bytes[offset + commandFlagsOffset]);
	return tree.get(hash, bytes, keyOffset, readCommandKeySize(bytes, offset), found) ? found.valueSize : 0;
}

/** Applies a write. The caller made sure of room in the active memtable (for opClear: of a free arena). */
export function applyWrite(
	tree: LsmTree,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	result.reset();
	const opcode = bytes[offset];
	const flags = bytes[offset + commandFlagsOffset];
	const keyOffset = offset + commandKeyOffset(flags);
	const keySize = readCommandKeySize(bytes, offset);
	switch (opcode) {
		case opPut:
			applyPut(tree, sequence, nowMs, hash, bytes, offset, flags, keyOffset, keySize, result);
			break;
		case opDelete:
			if (!findLive(tree, nowMs, hash, bytes, keyOffset, keySize, result)) result.status = statusNotFound;
			else store(tree, hash, bytes, keyOffset, keySize, sequence, kindTombstone, 0, noBytes, 0, 0, result);
			break;
		case opIncrement:
			applyIncrement(tree, sequence, nowMs, hash, bytes, offset, keyOffset, keySize, result);
			break;
		case opSetExpiry: {
			const expiresAtMs = readCommandArgument(bytes, offset);
			const isLive = findLive(tree, nowMs, hash, bytes, keyOffset, keySize, result);
			if (!isExpiry(expiresAtMs)) {
				result.setError('MILLRACE_ARGUMENT', `an expiry is a whole number of milliseconds, not ${expiresAtMs}`);
			} else if (!isLive || (expiresAtMs === 0 && found.expiresAtMs === 0)) result.status = statusNotFound;
			else {
				const { value, valueOffset, valueSize } = found;
				store(
					tree,
					hash,
					bytes,
					keyOffset,
					keySize,
					sequence,
					kindPut,
					expiresAtMs,
					value,
					valueOffset,
					valueSize,
					result,
				);
			}
			break;
		}
		case opClear:
			break;
		default:
			unreachable(opcode as never, 'write opcode');
	}
}

function applyPut(
	tree: LsmTree,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	flags: number,
	keyOffset: number,
	keySize: number,
	result: CommandResult,
): void {
	let expiresAtMs = (flags & flagArgument) !== 0 ? readCommandArgument(bytes, offset) : 0;
	if (!isExpiry(expiresAtMs)) {
		result.setError('MILLRACE_ARGUMENT', `an expiry is a whole number of milliseconds, not ${expiresAtMs}`);
		return;
	}
	const needsOld = flagIfAbsent | flagIfPresent | flagReturnOld | flagKeepExpiry;
	if ((flags & needsOld) !== 0) {
		const isLive = findLive(tree, nowMs, hash, bytes, keyOffset, keySize, result);
		if (isLive && (flags & flagReturnOld) !== 0) {
			result.setValue(found.value, found.valueOffset, found.valueSize);
		}
		if (isLive ? (flags & flagIfAbsent) !== 0 : (flags & flagIfPresent) !== 0) {
			result.status = statusNotFound;
			return;
		}
		if (isLive && (flags & flagKeepExpiry) !== 0) expiresAtMs = found.expiresAtMs;
	}
	const valueSize = readCommandValueSize(bytes, offset);
	store(
		tree,
		hash,
		bytes,
		keyOffset,
		keySize,
		sequence,
		kindPut,
		expiresAtMs,
		bytes,
		keyOffset + keySize,
		valueSize,
		result,
	);
}

function applyIncrement(
	tree: LsmTree,
	sequence: number,
	nowMs: number,
	hash: number,
	bytes: Uint8Array,
	offset: number,
	keyOffset: number,
	keySize: number,
	result: CommandResult,
): void {
	const isLive = findLive(tree, nowMs, hash, bytes, keyOffset, keySize, result);
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
		const expiresAtMs = isLive ? found.expiresAtMs : 0;
		store(tree, hash, bytes, keyOffset, keySize, sequence, kindPut, expiresAtMs, sum, 0, sum.length, result);
		result.setValue(sum, 0, sum.length);
	}
}

/** Entries keep whole, non-negative times only; 0 is none. */
function isExpiry(expiresAtMs: number): boolean {
	return Number.isSafeInteger(expiresAtMs) && expiresAtMs >= 0;
}

function store(
	tree: LsmTree,
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
	result: CommandResult,
): void {
	tree.active.put(hash, key, keyOffset, keySize, sequence, kind, expiresAtMs, value, valueOffset, valueSize);
	result.hasWritten = true;
	result.number = sequence;
	result.observedSequence = sequence;
}
