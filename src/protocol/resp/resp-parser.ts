/**
 * Incremental RESP parser: finds one command at a time in bytes it does not own, as offsets and sizes of its
 * arguments relative to the command's start. No strings, no copies.
 *
 *   bytes: ....|*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhel      cursor and counts survive until the rest is there
 *              start                            cursor
 *
 * `parse` is called with the same command start (the bytes may have moved) until it returns non-zero. What was parsed
 * is not parsed again: a command of n bytes costs O(n) however it is cut. `neededSize` tells how many bytes from the
 * command's start are certainly needed before another call can get further.
 */
import { argumentCountMax, commandSizeMax, inlineSizeMax, valueSizeMax } from '../../base/limits.js';
import {
	byteCarriageReturn,
	byteDollar,
	byteLineFeed,
	byteMinus,
	byteNine,
	byteStar,
	byteZero,
	headerDigitCountMax,
	protocolErrorBulk,
	protocolErrorBulkEnd,
	protocolErrorCommandSize,
	protocolErrorInlineSize,
	protocolErrorMultibulk,
	protocolErrorQuotes,
} from './resp-format.js';
import { splitInline } from './resp-inline.js';

/** `parse` found bytes that are not the protocol; `error` says what. */
export const parseFailed = -1;
/** `parse` needs more bytes. */
export const parsePartial = 0;

const headerPartial = -2;
const headerInvalid = -3;
/** Arguments there is room for at first and between large commands; nearly every command has fewer. */
const capacityMin = 8;
/** Arrays larger than this are let go after use. */
const capacityKept = 1024;

export class RespParser {
	/** Argument offsets from the start of the command. Replaced when growing: read anew after each `parse`. */
	offsets = new Int32Array(capacityMin);
	sizes = new Int32Array(capacityMin);
	/** Arguments found so far; all of them once `parse` returned a size. 0: an empty line or array, to be skipped. */
	argumentCount = 0;
	/** Bytes from the command's start without which parsing cannot get further. */
	neededSize = 1;
	/** What is wrong after `parseFailed`, in Redis' words, without "Protocol error: ". */
	error = '';

	/** Arguments announced by the header; -1: header not read yet. */
	#expectedCount = -1;
	/** Size of the bulk string whose header was read; -1: at a bulk header. */
	#bulkSize = -1;
	/** Where parsing goes on, from the start of the command. */
	#cursor = 0;
	/** End of the last header read: the second result of `#readHeader`. */
	#headerEnd = 0;

	/** Forgets the command parsed or begun: the next `parse` is given the start of another. */
	reset(): void {
		this.argumentCount = 0;
		this.neededSize = 1;
		this.#expectedCount = -1;
		this.#bulkSize = -1;
		this.#cursor = 0;
		if (this.offsets.length > capacityKept) {
			this.offsets = new Int32Array(capacityMin);
			this.sizes = new Int32Array(capacityMin);
		}
	}

	/**
	 * Parses the command at `start` in `bytes[start, end)`, start < end. Inline lines are unescaped in place.
	 * @returns the command's size in bytes, `parsePartial` or `parseFailed`. After a size, call `reset`.
	 */
	parse(bytes: Uint8Array, start: number, end: number): number {
		if (bytes[start] !== byteStar) return this.#parseInline(bytes, start, end);
		let at = start + this.#cursor;
		if (this.#expectedCount < 0) {
			const count = this.#readHeader(bytes, at + 1, end);
			if (count === headerPartial) return this.#needMore(at - start, end - start + 1);
			if (count === headerInvalid || count > argumentCountMax) return this.#fail(protocolErrorMultibulk);
			at = this.#headerEnd;
			this.#expectedCount = Math.max(count, 0);
		}
		while (this.argumentCount < this.#expectedCount) {
			if (this.#bulkSize < 0) {
				if (at >= end) return this.#needMore(at - start, end - start + 1);
				if (bytes[at] !== byteDollar) return this.#failAt(bytes[at] as number);
				const size = this.#readHeader(bytes, at + 1, end);
				if (size === headerPartial) return this.#needMore(at - start, end - start + 1);
				if (size < 0 || size > valueSizeMax) return this.#fail(protocolErrorBulk);
				at = this.#headerEnd;
				if (at - start + size + 2 > commandSizeMax) return this.#fail(protocolErrorCommandSize);
				this.#bulkSize = size;
			}
			const bulkEnd = at + this.#bulkSize;
			if (bulkEnd + 2 > end) return this.#needMore(at - start, bulkEnd + 2 - start);
			if (bytes[bulkEnd] !== byteCarriageReturn || bytes[bulkEnd + 1] !== byteLineFeed)
				return this.#fail(protocolErrorBulkEnd);
			this.addArgument(at - start, this.#bulkSize);
			this.#bulkSize = -1;
			at = bulkEnd + 2;
		}
		return at - start;
	}

	/** Appends an argument. Offsets are from the command's start. */
	addArgument(offset: number, size: number): void {
		const index = this.argumentCount++;
		if (index === this.offsets.length) this.#grow();
		this.offsets[index] = offset;
		this.sizes[index] = size;
	}

	/**
	 * Reads the decimal number and line end after '*' or '$', from `at`.
	 * @returns the number (-1 for any negative one), headerPartial or headerInvalid
	 */
	#readHeader(bytes: Uint8Array, at: number, end: number): number {
		const first = at;
		let value = 0;
		const isNegative = at < end && bytes[at] === byteMinus;
		if (isNegative) at++;
		const digitsStart = at;
		for (; at < end; at++) {
			const byte = bytes[at] as number;
			if (byte < byteZero || byte > byteNine) break;
			value = value * 10 + (byte - byteZero);
			if (at - first >= headerDigitCountMax) return headerInvalid;
		}
		if (at === end) return headerPartial;
		if (at === digitsStart || bytes[at] !== byteCarriageReturn) return headerInvalid;
		if (at + 1 === end) return headerPartial;
		if (bytes[at + 1] !== byteLineFeed) return headerInvalid;
		this.#headerEnd = at + 2;
		return isNegative ? -1 : value;
	}

	#parseInline(bytes: Uint8Array, start: number, end: number): number {
		let at = start + this.#cursor;
		const scanEnd = Math.min(end, start + inlineSizeMax);
		while (at < scanEnd && bytes[at] !== byteLineFeed) at++;
		if (at === scanEnd) {
			if (scanEnd - start >= inlineSizeMax) return this.#fail(protocolErrorInlineSize);
			return this.#needMore(at - start, end - start + 1);
		}
		const lineEnd = at > start && bytes[at - 1] === byteCarriageReturn ? at - 1 : at;
		if (!splitInline(bytes, start, lineEnd, this)) return this.#fail(protocolErrorQuotes);
		return at + 1 - start;
	}

	#needMore(cursor: number, neededSize: number): number {
		this.#cursor = cursor;
		this.neededSize = neededSize;
		return parsePartial;
	}

	#fail(error: string): number {
		this.error = error;
		return parseFailed;
	}

	#failAt(byte: number): number {
		const shown = byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ' ';
		return this.#fail(`expected '$', got '${shown}'`);
	}

	#grow(): void {
		const offsets = new Int32Array(this.offsets.length * 2);
		const sizes = new Int32Array(this.sizes.length * 2);
		offsets.set(this.offsets);
		sizes.set(this.sizes);
		this.offsets = offsets;
		this.sizes = sizes;
	}
}
