/**
 * Decodes one request body into fields: what a session needs to give it to a partition. One object per session,
 * reused for every request; keys and values are offsets into the body, never copies. Main thread only.
 *
 *   [id, op, ...]   get has getExpiry delete: key        put: key, value (, flags (, expiry))     increment: key, delta
 *                   setExpiry: key, expiry (, flags)     scan: partition, cursor, countMax (, range (, pageSize))
 *                   getMany: [key, ...]     count: nothing (, range)     ping clear stats flush: nothing
 *   range           flags, lower, upper
 *
 * Invariant: after `decode` returned statusOk every key, value, flag and number is within its limit and the body is
 * used up, so nothing later in the path has to doubt them.
 */
import { statusNotFound, statusOf, statusOk } from '../../base/errors.js';
import { argumentCountMax, keySizeMax, valueSizeMax } from '../../base/limits.js';
import {
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
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
	scanKeysOnly,
	scanLowerInclusive,
	scanReverse,
	scanUpperInclusive,
} from '../../command/command-format.js';
import { encodeScanOptions } from '../../command/scan-options.js';
import {
	connectionRequestId,
	operationGetMany,
	operationPing,
	putFlagsAllowed,
	requestIdMax,
	wireFlagRelativeExpiry,
	wireScanFlags,
} from './frame-format.js';
import { MessageReader } from './message-reader.js';

/** `decode` could not even read an id: no reply can name this request. */
export const requestUnreadable = -1;

const noBytes = new Uint8Array(0);
const statusArgument = statusOf('MILLRACE_ARGUMENT');
const statusKeySize = statusOf('MILLRACE_KEY_SIZE');
const statusValueSize = statusOf('MILLRACE_VALUE_SIZE');
const statusUnknownCommand = statusOf('MILLRACE_UNKNOWN_COMMAND');

export class FrameRequest {
	readonly reader = new MessageReader();
	/** What is wrong, when `decode` did not return statusOk. */
	message = '';
	id = 0;
	operation = 0;
	/** Command flags: flagArgument is set when there is an argument, wire-only flags are gone. */
	flags = 0;
	/** Expiry in milliseconds, or the most entries of a scan. */
	argument = 0;
	/** The argument is milliseconds from now. */
	isRelative = false;
	partition = 0;
	/** Keys of a getMany; `nextKey` walks them. */
	keyCount = 0;
	keyOffset = 0;
	keySize = 0;
	valueOffset = 0;
	valueSize = 0;
	/** The options of a scan or count, laid out anew: its value. Empty for any other request, and for everything forward. */
	#scanOptions: Uint8Array = noBytes;

	/** What keys are offsets into. */
	get bytes(): Uint8Array {
		return this.reader.bytes;
	}

	/** What the value is an offset into. */
	get valueBytes(): Uint8Array {
		return this.#scanOptions.length > 0 ? this.#scanOptions : this.reader.bytes;
	}

	/**
	 * @returns statusOk, requestUnreadable, or the status of the error to answer
	 */
	decode(bytes: Uint8Array, offset: number, size: number): number {
		const reader = this.reader;
		reader.reset(bytes, offset, size);
		this.flags = 0;
		this.argument = 0;
		this.isRelative = false;
		this.keySize = 0;
		this.valueSize = 0;
		this.#scanOptions = noBytes;
		const count = reader.readArrayCount();
		if (count < 2) return this.#unreadable('a frame is not an array of at least an id and an operation');
		this.id = reader.readNumber();
		if (this.id <= connectionRequestId || this.id > requestIdMax) {
			return this.#unreadable('a request id is not a number from 1 to 2^32-1');
		}
		this.operation = reader.readNumber();
		if (this.operation < 0) return this.#refuse(statusArgument, 'the operation is not a number');
		const status = this.#decodeFields(count);
		if (status !== statusOk) return status;
		// The keys of a getMany are walked again later, so its reader was put back to the first.
		if (this.operation !== operationGetMany && reader.at !== reader.end) {
			return this.#refuse(statusArgument, 'bytes follow the request in its frame');
		}
		return statusOk;
	}

	/** Steps to the next key of a getMany: sets `keyOffset` and `keySize`. */
	nextKey(): void {
		this.reader.readBytes();
		this.keyOffset = this.reader.valueOffset;
		this.keySize = this.reader.valueSize;
	}

	#decodeFields(count: number): number {
		switch (this.operation) {
			case opGet:
			case opHas:
			case opGetExpiry:
			case opDelete:
				return count === 3 ? this.#decodeKey() : this.#wrongCount();
			case opPut:
				return count >= 4 && count <= 6 ? this.#decodePut(count) : this.#wrongCount();
			case opIncrement:
				return count === 4 ? this.#decodeIncrement() : this.#wrongCount();
			case opSetExpiry:
				return count === 4 || count === 5 ? this.#decodeSetExpiry(count) : this.#wrongCount();
			case opScan:
				return count === 5 || count === 8 || count === 9 ? this.#decodeScan(count) : this.#wrongCount();
			case operationGetMany:
				return count === 3 ? this.#decodeKeys() : this.#wrongCount();
			case opCount:
				return count === 2 ? statusOk : count === 5 ? this.#decodeRange(false) : this.#wrongCount();
			case operationPing:
			case opClear:
			case opStats:
			case opFlush:
				return count === 2 ? statusOk : this.#wrongCount();
			default:
				return this.#refuse(statusUnknownCommand, `there is no operation ${this.operation}`);
		}
	}

	#decodeKey(): number {
		if (!this.reader.readBytes()) return this.#refuse(statusArgument, 'the key is not bytes or text');
		this.keyOffset = this.reader.valueOffset;
		this.keySize = this.reader.valueSize;
		if (this.keySize === 0) return this.#refuse(statusKeySize, 'the key is empty');
		if (this.keySize > keySizeMax) return this.#refuse(statusKeySize, tooLong('key', this.keySize, keySizeMax));
		return statusOk;
	}

	#decodePut(count: number): number {
		const status = this.#decodeKey();
		if (status !== statusOk) return status;
		if (!this.reader.readBytes()) return this.#refuse(statusArgument, 'the value is not bytes or text');
		this.valueOffset = this.reader.valueOffset;
		this.valueSize = this.reader.valueSize;
		if (this.valueSize > valueSizeMax) {
			return this.#refuse(statusValueSize, tooLong('value', this.valueSize, valueSizeMax));
		}
		if (count === 4) return statusOk;
		const flags = this.reader.readNumber();
		if (flags < 0 || (flags & ~putFlagsAllowed) !== 0 || flags > putFlagsAllowed) {
			return this.#refuse(statusArgument, 'put has a flag it does not know');
		}
		const both = flagIfAbsent | flagIfPresent;
		if ((flags & both) === both) {
			return this.#refuse(statusArgument, 'put cannot be both if-absent and if-present');
		}
		this.flags = flags & ~wireFlagRelativeExpiry;
		return this.#decodeExpiry(count === 6, flags);
	}

	#decodeSetExpiry(count: number): number {
		const status = this.#decodeKey();
		if (status !== statusOk) return status;
		// Flags come after the expiry, so that most senders can leave them out; they say how to take it.
		const expiry = this.#readExpiry();
		if (expiry < 0) return this.#refuse(statusArgument, 'the expiry is neither nil nor a number below 2^53');
		const flags = count === 5 ? this.reader.readNumber() : 0;
		if (flags !== 0 && flags !== wireFlagRelativeExpiry) {
			return this.#refuse(statusArgument, 'setExpiry has a flag it does not know');
		}
		return this.#takeExpiry(expiry, flags);
	}

	#decodeExpiry(isGiven: boolean, flags: number): number {
		const expiry = isGiven ? this.#readExpiry() : 0;
		if (expiry < 0) return this.#refuse(statusArgument, 'the expiry is neither nil nor a number below 2^53');
		return this.#takeExpiry(expiry, flags);
	}

	#readExpiry(): number {
		return this.reader.maybeReadNil() ? 0 : this.reader.readNumber();
	}

	#takeExpiry(expiry: number, flags: number): number {
		if (expiry === 0) {
			if ((flags & wireFlagRelativeExpiry) === 0) return statusOk;
			return this.#refuse(statusArgument, 'a relative expiry is at least 1 millisecond');
		}
		if ((flags & flagKeepExpiry) !== 0) {
			return this.#refuse(statusArgument, 'put cannot both keep the expiry and set one');
		}
		this.flags |= flagArgument;
		this.argument = expiry;
		this.isRelative = (flags & wireFlagRelativeExpiry) !== 0;
		return statusOk;
	}

	#decodeIncrement(): number {
		const status = this.#decodeKey();
		if (status !== statusOk) return status;
		const reader = this.reader;
		if (!reader.readBytes() || !isDecimal64(reader.bytes, reader.valueOffset, reader.valueSize)) {
			return this.#refuse(statusArgument, 'the delta is not the decimal text of a signed 64-bit integer');
		}
		this.valueOffset = reader.valueOffset;
		this.valueSize = reader.valueSize;
		return statusOk;
	}

	#decodeScan(count: number): number {
		this.partition = this.reader.readNumber();
		if (this.partition < 0) return this.#refuse(statusArgument, 'the partition is not a number');
		const status = this.#decodeKey();
		if (status !== statusOk && !(status === statusKeySize && this.keySize === 0)) return status;
		this.argument = this.reader.readNumber();
		if (this.argument < 1 || this.argument > argumentCountMax) {
			return this.#refuse(statusArgument, `a scan returns from 1 to ${argumentCountMax} entries at once`);
		}
		this.flags = flagArgument;
		return count === 5 ? statusOk : this.#decodeRange(count === 9);
	}

	/** Flags, lower, upper and perhaps the size of a page. */
	#decodeRange(hasPageSize: boolean): number {
		const { reader } = this;
		const flags = reader.readNumber();
		if (flags < 0 || flags > wireScanFlags || (flags & ~wireScanFlags) !== 0) {
			return this.#refuse(statusArgument, 'the range has a flag it does not know');
		}
		const bounds: (Uint8Array | undefined)[] = [];
		for (let i = 0; i < 2; i++) {
			if (reader.maybeReadNil()) {
				bounds.push(undefined);
				continue;
			}
			if (!reader.readBytes()) return this.#refuse(statusArgument, 'a bound is neither nil nor bytes or text');
			const size = reader.valueSize;
			if (size > keySizeMax) return this.#refuse(statusKeySize, tooLong('bound', size, keySizeMax));
			bounds.push(reader.bytes.subarray(reader.valueOffset, reader.valueOffset + size));
		}
		const pageSizeMax = hasPageSize ? reader.readNumber() : 0;
		if (pageSizeMax < 0 || pageSizeMax > valueSizeMax) {
			return this.#refuse(statusArgument, `a page has at most ${valueSizeMax} bytes`);
		}
		this.#scanOptions = encodeScanOptions({
			isReverse: (flags & scanReverse) !== 0,
			isKeysOnly: (flags & scanKeysOnly) !== 0,
			lower: bounds[0],
			isLowerInclusive: (flags & scanLowerInclusive) !== 0,
			upper: bounds[1],
			isUpperInclusive: (flags & scanUpperInclusive) !== 0,
			pageSizeMax,
		});
		this.valueOffset = 0;
		this.valueSize = this.#scanOptions.length;
		return statusOk;
	}

	#decodeKeys(): number {
		const reader = this.reader;
		this.keyCount = reader.readArrayCount();
		if (this.keyCount < 0) return this.#refuse(statusArgument, 'getMany takes an array of keys');
		if (this.keyCount > argumentCountMax) {
			return this.#refuse(statusArgument, `getMany takes at most ${argumentCountMax} keys`);
		}
		const first = reader.at;
		for (let i = 0; i < this.keyCount; i++) {
			const status = this.#decodeKey();
			if (status !== statusOk) return status;
		}
		if (reader.at !== reader.end) {
			return this.#refuse(statusArgument, 'bytes follow the request in its frame');
		}
		reader.at = first;
		return statusOk;
	}

	#wrongCount(): number {
		return this.#refuse(statusArgument, `operation ${this.operation} has the wrong number of fields`);
	}

	#unreadable(message: string): number {
		this.message = message;
		return requestUnreadable;
	}

	#refuse(status: number, message: string): number {
		this.message = message;
		return status > statusNotFound ? status : statusArgument;
	}
}

function tooLong(what: string, size: number, sizeMax: number): string {
	return `the ${what} has ${size} bytes, at most ${sizeMax} are allowed`;
}

const int64Digits = Buffer.from('9223372036854775807', 'latin1');

/** True for an optional minus and digits within the signed 64-bit range, without leading zeros beyond 19 digits. */
function isDecimal64(bytes: Uint8Array, offset: number, size: number): boolean {
	const isNegative = size > 0 && bytes[offset] === 0x2d;
	const start = isNegative ? offset + 1 : offset;
	const digitCount = offset + size - start;
	if (digitCount < 1 || digitCount > int64Digits.length) return false;
	for (let i = start; i < start + digitCount; i++) {
		const digit = (bytes[i] as number) - 0x30;
		if (digit < 0 || digit > 9) return false;
	}
	if (digitCount < int64Digits.length) return true;
	for (let i = 0; i < digitCount; i++) {
		const difference = (bytes[start + i] as number) - (int64Digits[i] as number);
		// Only -2^63 is one further from zero than the largest positive number.
		if (difference !== 0) return difference < 0 || (isNegative && i === digitCount - 1 && difference === 1);
	}
	return true;
}
