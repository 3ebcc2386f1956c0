/**
 * The bytes of one command, of the request that carries it over a ring, and of its reply. Both sides of a ring,
 * the write-ahead log and replay use this file; docs/formats/command.md is its page.
 *
 *   command   0 u8 opcode | 1 u8 flags | 2 u16 keySize | 4 u32 valueSize | [f64 argument, if flagArgument]
 *             | [f64 sequence, if flagSequence] | key | value
 *   batch     opBatch's value: u32 count | count commands (writes of one key, or opDeleteRange), end to end
 *   scan      opScan's and opCount's value, empty or: 0 u8 scan flags | 1 u8 0 | 2 u16 lowerSize | 4 u16 upperSize | 6 u16 0
 *             | 8 u32 pageSizeMax (0: our choice) | 12 u32 0 | 16 lower | upper
 *   prepare   opPrepare's value: 16 bytes transaction id | u16 coordinator | u16 1 when this is it, else 0 | as batch
 *   decide    opDecide's value: 16 bytes transaction id | u8 outcome | u24 sequences it takes (in the log; asked with 0)
 *   request   0 u32 sink | 4 u32 sequence | 8 u32 part | 12 u32 channel (24 bits), durability << 24 | 16 command
 *   reply     0 u32 sink | 4 u32 sequence | 8 u32 part | 12 u8 status | 13 u8 kind | 14 u16 reserved (0)
 *             | 16 f64 number | 24 payload
 *
 *   page      opScan's payload: 0 u16 cursorSize | 2 cursor | entries, each: 0 u32 keySize | 4 u32 valueSize | 8 f64 expiresAtMs
 *             | 16 f64 version | 24 key | value
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
/** -> payload = f64 expiresAtMs, then the value; number = version */
export const opGetEntry = 4;
/**
 * A page of live entries in key order, or against it. Key = the cursor, exclusive (empty: from the start of the range);
 * argument = entries at most; value = scan options (layout above); sequence = a pinned snapshot. A page ends at its limit of
 * entries, of bytes, or of versions looked at, so it may be empty before the end.
 * -> payload of cursor and entries (layout above); number = 1 when the range has no more, else 0
 */
export const opScan = 5;

/** value, argument = expiresAtMs when flagArgument; flags below. -> number = version; not found: condition unmet */
export const opPut = 64;
/** sequence = the version it must have. -> ok (was there), number = version of the delete; or not found */
export const opDelete = 65;
/** value = decimal delta (signed 64-bit). -> payload = decimal result; number = version */
export const opIncrement = 66;
/**
 * argument = expiresAtMs; no argument removes the expiry. The new expiry stands still, unless flagSliding says otherwise.
 * -> ok, number = version; or not found (absent, or nothing to remove)
 */
export const opSetExpiry = 67;
/** Drops every entry of the partition. Key empty. */
export const opClear = 68;
/** Puts value behind the stored one (none: as opPut). Keeps the expiry. -> number = version; payload = decimal new size */
export const opAppend = 69;
/** Deletes every key in [key, value); an empty key: from the beginning, an empty value: to the end. -> number = version */
export const opDeleteRange = 70;
/**
 * All of its commands or none: value = batch (layout above), key empty. It takes as many sequence numbers as it has commands.
 * -> number = version of its last command; not found: a condition was unmet, number = that command's index
 */
export const opBatch = 71;
/** Moves a sliding expiry on: argument = the new expiresAtMs. Made by the partition itself when such a key is read. */
export const opTouch = 72;
/**
 * The part of a batch over several partitions that is this one's (layout above; docs/architecture.md, "Batches over partitions").
 * Checks its conditions, and keeps its keys until opDecide. In the log, argument = the time it was evaluated at.
 * -> ok; not found: a condition was unmet, number = that command's index; MILLRACE_BUSY: one of its keys is another such
 * batch's: abort, and try again.
 */
export const opPrepare = 73;
/**
 * What became of a prepared batch. In the coordinator's log it is the decision. -> ok, number = version of the last command
 * (abort:
 * 0); not found: nothing is prepared under this id (it was decided before).
 */
export const opDecide = 74;

/** -> number = exact count of live entries in a range; a scan, done in slices. Key, value, sequence as in opScan. */
export const opCount = 128;
/** -> payload = JSON of partition statistics. Key empty. */
export const opStats = 129;
/** Answered when everything applied before it is as durable as asked for. Key empty. */
export const opBarrier = 130;
/** Flushes the memtable; answered when its table is installed. Key empty. */
export const opFlush = 131;
/** Orderly end: commits, syncs, closes files, answers, and the worker ends. Key empty. */
export const opShutdown = 132;
/**
 * Pins what is stored now, or with an argument (an i32 epoch of database-memory.ts) what was when the partition first knew
 * of that epoch.
 * Key empty. -> number = the snapshot's sequence, to read at and to release
 */
export const opSnapshot = 133;
/** argument = sequence of a snapshot; one release for each opSnapshot. Key empty. -> ok, or not found */
export const opReleaseSnapshot = 134;
/** Compacts [key, value) down to the last level; empty: without that bound. Answered when done. */
export const opCompact = 135;
/** value = path of a directory that does not exist: makes a consistent copy of the partition there by hard links. Key empty. */
export const opCheckpoint = 136;
/** Reads and checks every byte on disk. Key empty. -> payload = JSON: an array of { file, offset, problem } */
export const opVerify = 137;
/** -> payload = JSON: what a read of the key touches, and how long each step took */
export const opExplain = 138;
/**
 * value = transaction ids, end to end: everybody has carried out what was decided here, so that the decisions may be forgotten.
 */
export const opForget = 139;
/** -> payload = JSON of a TransactionReport (transaction.ts): what is in doubt here, and what was decided. Key empty. */
export const opTransactions = 140;
/** -> number = about how many live entries a range has, from what is known without reading it. Key, value as in opCount. */
export const opEstimate = 141;

export const flagArgument = 1;
/** opPut: only when the key is absent. */
export const flagIfAbsent = 2;
/** opPut: only when the key is present. */
export const flagIfPresent = 4;
/** opPut: the reply's payload is the value before, kind replyNone when there was none. */
export const flagReturnOld = 8;
/** opPut: the key keeps the expiry it has. */
export const flagKeepExpiry = 16;
/** There is a sequence. Writes: the version the key must have (0: it must be absent). Reads: a pinned snapshot to read at. */
export const flagSequence = 32;
/**
 * opPut and opSetExpiry with flagArgument: every get, getEntry and has moves the expiry on, to as far away as it was when it was
 * set.
 */
export const flagSliding = 64;

/** Scan flags. */
export const scanReverse = 1;
export const scanKeysOnly = 2;
export const scanLowerInclusive = 4;
export const scanUpperInclusive = 8;
export const scanHasLower = 16;
export const scanHasUpper = 32;

export const scanLowerSizeOffset = 2;
export const scanUpperSizeOffset = 4;
export const scanPageSizeOffset = 8;
export const scanOptionsHeaderSize = 16;

/** u32 count of commands, which follow end to end. */
export const batchHeaderSize = 4;

/** A transaction id: 16 bytes nobody else has; the first four are the gate slot of the thread that drives it (u32). */
export const transactionIdSize = 16;
export const prepareCoordinatorOffset = 16;
export const prepareIsCoordinatorOffset = 18;
/** Where the batch of a prepare begins. */
export const prepareHeaderSize = 20;
export const decideOutcomeOffset = 16;
export const decideCountOffset = 17;
export const decideSize = 20;

export const outcomeAbort = 0;
export const outcomeCommit = 1;
/** Only in the log: a decision to commit that is known, written down again so that its first record need not be kept. */
export const outcomeKept = 2;

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
export const commandSequenceSize = 8;

/** Where the key starts, from the start of the command. */
export function commandKeyOffset(flags: number): number {
	return commandHeaderSize + (flags & flagArgument) * commandArgumentSize + ((flags & flagSequence) >>> 2);
}

export function commandSize(flags: number, keySize: number, valueSize: number): number {
	return commandKeyOffset(flags) + keySize + valueSize;
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
	sequence = 0,
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
	if ((flags & flagSequence) !== 0) {
		writeF64(target, at, sequence);
		at += commandSequenceSize;
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

/** Bytes of the command at `bytes[offset..]`, from its header alone. */
export function readCommandSize(bytes: Uint8Array, offset: number): number {
	const flags = bytes[offset + commandFlagsOffset] as number;
	return commandSize(flags, readCommandKeySize(bytes, offset), readCommandValueSize(bytes, offset));
}

/**
 * Sequence numbers the command at `bytes[offset..]` takes when it changes anything: a batch one for each of its commands, and so
 * does the decision to commit one, which says in the log how many these are.
 */
export function sequenceCountOf(bytes: Uint8Array, offset: number): number {
	const opcode = bytes[offset];
	if (opcode !== opBatch && opcode !== opDecide) return 1;
	const value = offset + commandKeyOffset(bytes[offset + commandFlagsOffset] as number);
	if (opcode === opBatch) return readU32(bytes, value);
	return Math.max(1, readU32(bytes, value + decideOutcomeOffset) >>> 8);
}

/** The argument, or 0 when the flag says there is none. */
export function readCommandArgument(bytes: Uint8Array, offset: number): number {
	if (((bytes[offset + commandFlagsOffset] as number) & flagArgument) === 0) return 0;
	return readF64(bytes, offset + commandArgumentOffset);
}

/** The sequence, or 0 when the flag says there is none. */
export function readCommandSequence(bytes: Uint8Array, offset: number): number {
	const flags = bytes[offset + commandFlagsOffset] as number;
	if ((flags & flagSequence) === 0) return 0;
	return readF64(bytes, offset + commandHeaderSize + (flags & flagArgument) * commandArgumentSize);
}

// --- request --------------------------------------------------------------------------------------

export const requestSinkOffset = 0;
export const requestSequenceOffset = 4;
export const requestPartOffset = 8;
/** Which of the partition's channels the reply goes to (low 24 bits), and when: a durability wish (high 8 bits). */
export const requestChannelOffset = 12;
export const requestHeaderSize = 16;
export const channelMask = 0xff_ffff;
export const durabilityShift = 24;
/** As the database's durability says. */
export const wishDefault = 0;
/** The reply to a write need not wait for the log: 'none'. */
export const wishNone = 1;
/** The reply to a write waits until the log is synced: 'always'. */
export const wishAlways = 2;

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
export const pageVersionOffset = 16;
export const pageEntryHeaderSize = 24;
/** u16 size of the cursor, which follows, and then the entries. */
export const pageHeaderSize = 2;
