/**
 * One call of a client: what is sent, and what its promise becomes. A call is one object from the moment it is made
 * until it settles; the connection keeps it in its queue, then in a slot. Keys and values belong to the caller and
 * must not change before the promise settles, because a call may wait before it is encoded.
 */
import { unreachable } from '../base/assert.js';
import { codeOf, MillraceError, statusNotFound, statusOk } from '../base/errors.js';
import { unpackMessage } from '../codec/message-pack.js';
import {
	opClear,
	opCount,
	opDelete,
	opFlush,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opScan,
	opSetExpiry,
	opStats,
} from '../command/command-format.js';
import type { ScanPage } from '../command/ordered-scan.js';
import type { ScanOptions } from '../command/scan-options.js';
import {
	bytesHeaderSizeMax,
	frameOverheadMax,
	operationGetMany,
	operationPing,
} from '../protocol/frame/frame-format.js';
import {
	encodeBareRequest,
	encodeCountRequest,
	encodeGetManyRequest,
	encodeIncrementRequest,
	encodeKeyRequest,
	encodePutRequest,
	encodeScanRequest,
	encodeSetExpiryRequest,
} from '../protocol/frame/frame-writer.js';
import type { MessageReader } from '../protocol/frame/message-reader.js';

const keyOperations = [opGet, opHas, opGetExpiry, opDelete] as const;
const bareOperations = [operationPing, opStats, opFlush, opClear] as const;

/** Every operation a client sends. */
export type Operation =
	| (typeof keyOperations)[number]
	| (typeof bareOperations)[number]
	| typeof opPut
	| typeof opIncrement
	| typeof opSetExpiry
	| typeof opScan
	| typeof opCount
	| typeof operationGetMany;

export interface Call {
	readonly operation: Operation;
	readonly key: Uint8Array;
	readonly value: Uint8Array;
	readonly flags: number;
	/** Expiry in milliseconds, or the partition of a scan. */
	readonly number: number;
	/** The most entries of a scan. */
	readonly countMax: number;
	/** The range of a scan or count. */
	readonly options: ScanOptions;
	readonly keys: readonly Uint8Array[];
	/** Bytes its frame takes at most. */
	readonly size: number;
	/** When the call gives up, on the clock of `performance.now()`; Infinity: never. */
	readonly deadlineMs: number;
	/** The promise is settled already; the slot waits for the late reply. */
	isAbandoned: boolean;
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: unknown) => void;
}

/** Bytes the frame of a call takes at most. */
export function callSize(
	key: Uint8Array,
	value: Uint8Array,
	options: ScanOptions,
	keys: readonly Uint8Array[],
): number {
	let size = frameOverheadMax + bytesHeaderSizeMax * (4 + keys.length) + key.length + value.length;
	size += (options.lower?.length ?? 0) + (options.upper?.length ?? 0);
	for (const each of keys) size += each.length;
	return size;
}

/** Encodes a call's frame at `target[offset..]`, which has room for `call.size`. @returns the offset after it */
export function encodeCall(target: Uint8Array, offset: number, id: number, call: Call): number {
	const { operation } = call;
	switch (operation) {
		case opGet:
		case opHas:
		case opGetExpiry:
		case opDelete:
			return encodeKeyRequest(target, offset, id, operation, call.key);
		case opPut:
			return encodePutRequest(target, offset, id, call.key, call.value, call.flags, call.number);
		case opIncrement:
			return encodeIncrementRequest(target, offset, id, call.key, call.value);
		case opSetExpiry:
			return encodeSetExpiryRequest(target, offset, id, call.key, call.number, call.flags);
		case opScan:
			return encodeScanRequest(target, offset, id, call.number, call.key, call.countMax, call.options);
		case opCount:
			return encodeCountRequest(target, offset, id, call.options);
		case operationGetMany:
			return encodeGetManyRequest(target, offset, id, call.keys);
		case operationPing:
		case opStats:
		case opFlush:
		case opClear:
			return encodeBareRequest(target, offset, id, operation);
		default:
			return unreachable(operation, 'operation');
	}
}

/**
 * Settles a call with its reply. `reader` stands at the payload; nothing given out aliases its bytes.
 * @throws MillraceError MILLRACE_PROTOCOL when the reply does not have the shape its operation calls for
 */
export function settleCall(call: Call, status: number, reader: MessageReader): void {
	if (status > statusNotFound) {
		const message = reader.readBytes() ? readText(reader) : 'the server gave no reason';
		if (!call.isAbandoned) call.reject(new MillraceError(codeOf(status), message));
		return;
	}
	const value = readResult(call.operation, status, reader);
	if (!call.isAbandoned) call.resolve(value);
}

function readResult(operation: Operation, status: number, reader: MessageReader): unknown {
	const isFound = status === statusOk;
	switch (operation) {
		case opGet:
			return isFound ? mustBytes(reader) : undefined;
		case opHas:
		case opDelete:
		case opSetExpiry:
			return isFound;
		case opGetExpiry:
			return isFound ? mustNumberAfterNil(reader) : undefined;
		case opPut:
			return isFound ? { version: mustNumberAfterNil(reader) } : undefined;
		case opIncrement:
			return BigInt(mustText(reader));
		case opScan:
			return readPage(reader);
		case operationGetMany:
			return readValues(reader);
		case opCount:
			return mustNumberAfterNil(reader);
		case opStats:
			return unpackPayload(reader);
		case operationPing:
		case opFlush:
		case opClear:
			return undefined;
		default:
			return unreachable(operation, 'operation');
	}
}

function readText(reader: MessageReader): string {
	const end = reader.valueOffset + reader.valueSize;
	return Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset, reader.bytes.length).toString(
		'utf8',
		reader.valueOffset,
		end,
	);
}

function copyValue(reader: MessageReader): Uint8Array {
	const copy = new Uint8Array(reader.valueSize);
	copy.set(reader.bytes.subarray(reader.valueOffset, reader.valueOffset + reader.valueSize));
	return copy;
}

function mustBytes(reader: MessageReader): Uint8Array {
	if (!reader.readBytes()) throw badReply('bytes');
	return copyValue(reader);
}

function mustText(reader: MessageReader): string {
	if (!reader.readBytes()) throw badReply('text');
	return readText(reader);
}

function mustNumberAfterNil(reader: MessageReader): number {
	if (!reader.maybeReadNil()) throw badReply('nil');
	const number = reader.readNumber();
	if (number < 0) throw badReply('a number');
	return number;
}

function readPage(reader: MessageReader): ScanPage {
	const bytes = reader.maybeReadNil() ? new Uint8Array(0) : mustBytes(reader);
	return { bytes, isLast: reader.readNumber() === 1 };
}

function readValues(reader: MessageReader): (Uint8Array | undefined)[] {
	const count = reader.readArrayCount();
	if (count < 0 || count > reader.end) throw badReply('an array');
	const values: (Uint8Array | undefined)[] = [];
	for (let i = 0; i < count; i++) values.push(reader.maybeReadNil() ? undefined : mustBytes(reader));
	return values;
}

/** A structured payload, which is followed by a one-byte 0. */
export function unpackPayload(reader: MessageReader): unknown {
	return unpackMessage(reader.bytes, reader.at, reader.end - reader.at - 1);
}

function badReply(wanted: string): MillraceError {
	return new MillraceError('MILLRACE_PROTOCOL', `the server's reply does not hold ${wanted} where it should`);
}
