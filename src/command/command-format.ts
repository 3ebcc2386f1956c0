/**
 * The bytes of one command, of the request that carries it over a ring, and of its reply. Both sides of a ring,
 * the write-ahead log and replay use this file; docs/formats/command.md is its page.
 *
 *   command   0 u8 opcode | 1 u8 flags | 2 u16 keySize | 4 u32 valueSize | [8 f64 argument, if flagArgument] | key | value
 *   request   0 u32 sink | 4 u32 sequence | 8 u32 part | 12 u32 reserved (0) | 16 command
 *   reply     0 u32 sink | 4 u32 sequence | 8 u32 part | 12 u8 status | 13 u8 kind | 14 u16 reserved (0)
 *             | 16 f64 number | 24 payload
 *
 *   page      opScan's payload, for each entry: 0 u32 keySize | 4 u32 valueSize | 8 f64 expiresAtMs | 16 key | value
 *
 * `sink`, `sequence` and `part` are the asker's and come back unchanged: which session, which of its commands,
 * which key of a command with many. Opcodes and flags are persistent (the log holds commands): append, never renumber.
 */
import { copyBytes, readF64, readU16, readU32, writeF64, writeU16, writeU32 } from '../base/bytes.js';

// --- opcodes: reads below 64, writes from 64, administration from 128 -----------------------------

/** -> value, number = version */
export const opGet = 1;
/** -> ok or not found */
export const opHas = 2;
/** -> number = expiresAtMs (0: never), or not found */
export const opGetExpiry = 3;
/**
 * A page of live entries in key order. Key = the cursor, exclusive (empty: from the start); argument = entries at most.
 * -> payload of entries (layout above); number = 1 when the partition has no more, else 0
 */
export const opScan = 5;

/** value, argument = expiresAtMs when flagArgument; flags below. -> number = version; not found: condition unmet */
export const opPut = 64;
/** -> ok (was there) or not found */
export const opDelete = 65;
/** value = decimal delta (signed 64-bit). -> payload = decimal result */
export const opIncrement = 66;
/** argument = expiresAtMs; no argument removes the expiry. -> ok, or not found (absent, or nothing to remove) */
export const opSetExpiry = 67;
/** Drops every entry of the partition. Key empty. */
export const opClear = 68;

/** -> number = exact count of live entries; a scan, done in slices. Key empty. */
export const opCount = 128;
/** -> payload = JSON of partition statistics. Key empty. */
export const opStats = 129;
/** Answered when everything applied before it is as durable as asked for. Key empty. */
export const opBarrier = 130;
/** Flushes the memtable; answered when its table is installed. Key empty. */
export const opFlush = 131;
/** Orderly end: commits, syncs, closes files, answers, and the worker ends. Key empty. */
export const opShutdown = 132;

export const flagArgument = 1;
/** opPut: only when the key is absent. */
export const flagIfAbsent = 2;
/** opPut: only when the key is present. */
export const flagIfPresent = 4;
/** opPut: the reply's payload is the value before, kind replyNone when there was none. */
export const flagReturnOld = 8;
/** opPut: the key keeps the expiry it has. */
export const flagKeepExpiry = 16;

export function isRead(opcode: number): boolean {
	return opcode < 64;
}

export function isWrite(opcode: number): boolean {
	return opcode >= 64 && opcode < 128;
}

// --- command --------------------------------------------------------------------------------------

export const commandOpcodeOffset = 0;
export const commandFlagsOffset = 1;
export const commandKeySizeOffset = 2;
export const commandValueSizeOffset = 4;
export const commandArgumentOffset = 8;
export const commandHeaderSize = 8;
export const commandArgumentSize = 8;

export function commandSize(flags: number, keySize: number, valueSize: number): number {
	return commandHeaderSize + ((flags & flagArgument) !== 0 ? commandArgumentSize : 0) + keySize + valueSize;
}

/** Where the key starts, from the start of the command. */
export function commandKeyOffset(flags: number): number {
	return commandHeaderSize + ((flags & flagArgument) !== 0 ? commandArgumentSize : 0);
}

/** Encodes a command at `target[offset..]`; the caller made room for `commandSize`. @returns its size */
export function encodeCommand(
	target: Uint8Array,
	offset: number,
	opcode: number,
	flags: number,
	argument: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
	value: Uint8Array,
	valueOffset: number,
	valueSize: number,
): number {
	target[offset] = opcode;
	target[offset + commandFlagsOffset] = flags;
	writeU16(target, offset + commandKeySizeOffset, keySize);
	writeU32(target, offset + commandValueSizeOffset, valueSize);
	let at = offset + commandHeaderSize;
	if ((flags & flagArgument) !== 0) {
		writeF64(target, at, argument);
		at += commandArgumentSize;
	}
	copyBytes(key, keyOffset, target, at, keySize);
	at += keySize;
	copyBytes(value, valueOffset, target, at, valueSize);
	return at + valueSize - offset;
}

export function readCommandKeySize(bytes: Uint8Array, offset: number): number {
	return readU16(bytes, offset + commandKeySizeOffset);
}

export function readCommandValueSize(bytes: Uint8Array, offset: number): number {
	return readU32(bytes, offset + commandValueSizeOffset);
}

/** The argument, or 0 when the flag says there is none. */
export function readCommandArgument(bytes: Uint8Array, offset: number): number {
	if (((bytes[offset + commandFlagsOffset] as number) & flagArgument) === 0) return 0;
	return readF64(bytes, offset + commandArgumentOffset);
}

// --- request --------------------------------------------------------------------------------------

export const requestSinkOffset = 0;
export const requestSequenceOffset = 4;
export const requestPartOffset = 8;
export const requestHeaderSize = 16;

// --- reply ----------------------------------------------------------------------------------------

export const replySinkOffset = 0;
export const replySequenceOffset = 4;
export const replyPartOffset = 8;
export const replyStatusOffset = 12;
export const replyKindOffset = 13;
export const replyNumberOffset = 16;
export const replyHeaderSize = 24;

/** The payload is empty and means nothing. */
export const replyNone = 0;
/** The payload is a value (perhaps empty). */
export const replyValue = 1;
/** The payload is text for a person: the message of an error status. */
export const replyMessage = 2;

// --- page -----------------------------------------------------------------------------------------

export const pageKeySizeOffset = 0;
export const pageValueSizeOffset = 4;
export const pageExpiryOffset = 8;
export const pageEntryHeaderSize = 16;
