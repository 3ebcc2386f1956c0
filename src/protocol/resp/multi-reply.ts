/**
 * The reply of one command that was split over keys or partitions (MGET, MSET, DEL, DBSIZE, ...), being gathered.
 * Parts come in any order; the reply is ready when all have come. The only object the protocol makes per command,
 * and only for such commands. Values are copied into one growing buffer that belongs to this object.
 *
 *   values: offsets[part], sizes[part] (-1: nil) --> #bytes [value of whichever part came first | next | ...]
 *
 * If any part failed, the whole reply is the error of the first part, by number, that did.
 */
import { assert } from '../../base/assert.js';
import { copyBytes } from '../../base/bytes.js';
import { statusNotFound, statusOf, statusOk } from '../../base/errors.js';
import { outputSizeMax } from '../../base/limits.js';
import { replyNil, replyOk, replyOverheadMax } from './resp-format.js';
import {
	encodeArrayHeader,
	encodeBulk,
	encodeErrorStatus,
	encodeInteger,
	encodeRaw,
	errorSizeOf,
} from './resp-writer.js';

/** An array of values and nils, by part: MGET. */
export const multiValues = 1;
/** +OK when all parts are: MSET, FLUSHALL. */
export const multiOk = 2;
/** How many parts have status ok: DEL, EXISTS. */
export const multiCountOk = 3;
/** The sum of the parts' numbers: DBSIZE. */
export const multiSum = 4;

/** Values of one reply; twice that must fit what may wait in a connection. */
const multiSizeMax = outputSizeMax / 2;
const sizeMessage = Buffer.from(`reply is longer than ${multiSizeMax} bytes`, 'latin1');

export class MultiReply {
	readonly partCount: number;
	readonly #shape: number;
	#remainingCount: number;
	#total = 0;
	#offsets: Int32Array | undefined;
	#sizes: Int32Array | undefined;
	#bytes: Buffer = Buffer.alloc(0);
	#used = 0;
	#errorPart = -1;
	#errorStatus = statusOk;
	#errorMessage: Buffer = Buffer.alloc(0);

	constructor(shape: number, partCount: number) {
		assert(partCount > 0, 'a command has parts');
		this.partCount = partCount;
		this.#shape = shape;
		this.#remainingCount = partCount;
		if (shape === multiValues) {
			this.#offsets = new Int32Array(partCount);
			this.#sizes = new Int32Array(partCount).fill(-1);
		}
	}

	/** All parts have come. */
	get isReady(): boolean {
		return this.#remainingCount === 0;
	}

	/** Bytes of values held. */
	get heldSize(): number {
		return this.#used;
	}

	/** Takes the reply of one part; the bytes are copied. */
	onReply(part: number, status: number, number: number, bytes: Uint8Array, offset: number, size: number): void {
		assert(part < this.partCount && this.#remainingCount > 0, 'a part answers once');
		this.#remainingCount--;
		if (status !== statusOk && status !== statusNotFound) {
			this.#onError(part, status, Buffer.from(bytes.subarray(offset, offset + size)));
		} else if (this.#shape === multiSum) {
			this.#total += number;
		} else if (status === statusOk) {
			this.#total++;
			if (this.#shape === multiValues) this.#keep(part, bytes, offset, size);
		}
	}

	/** Most bytes `encode` writes. */
	get encodedSizeMax(): number {
		if (this.#errorPart >= 0) return errorSizeOf(this.#errorMessage.length);
		if (this.#shape !== multiValues) return replyOverheadMax;
		return this.#used + (this.partCount + 1) * replyOverheadMax;
	}

	/** Encodes the whole reply at `at`. @returns the offset after it */
	encode(target: Uint8Array, at: number): number {
		assert(this.isReady, 'all parts have come');
		if (this.#errorPart >= 0) {
			const message = this.#errorMessage;
			return encodeErrorStatus(target, at, this.#errorStatus, message, 0, message.length);
		}
		if (this.#shape === multiOk) return encodeRaw(target, at, replyOk);
		if (this.#offsets === undefined || this.#sizes === undefined) return encodeInteger(target, at, this.#total);
		at = encodeArrayHeader(target, at, this.partCount);
		for (let part = 0; part < this.partCount; part++) {
			const size = this.#sizes[part] as number;
			if (size < 0) at = encodeRaw(target, at, replyNil);
			else at = encodeBulk(target, at, this.#bytes, this.#offsets[part] as number, size);
		}
		return at;
	}

	#onError(part: number, status: number, message: Buffer): void {
		if (this.#errorPart >= 0 && this.#errorPart < part) return;
		this.#errorPart = part;
		this.#errorStatus = status;
		this.#errorMessage = message;
	}

	#keep(part: number, bytes: Uint8Array, offset: number, size: number): void {
		if (this.#used + size > multiSizeMax) {
			this.#onError(part, statusOf('MILLRACE_MESSAGE_SIZE'), sizeMessage);
			return;
		}
		if (this.#used + size > this.#bytes.length) {
			const larger = Buffer.allocUnsafeSlow(Math.max(1024, this.#bytes.length * 2, this.#used + size));
			copyBytes(this.#bytes, 0, larger, 0, this.#used);
			this.#bytes = larger;
		}
		copyBytes(bytes, offset, this.#bytes, this.#used, size);
		if (this.#offsets !== undefined) this.#offsets[part] = this.#used;
		if (this.#sizes !== undefined) this.#sizes[part] = size;
		this.#used += size;
	}
}
