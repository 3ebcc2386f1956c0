/**
 * Reads that touch many entries (a count, a page of a scan), done in slices between drains, so that they delay nobody for
 * longer than a slice. Each sees the sequence at which it began; what it walks over may be replaced between its slices, and then
 * it lets go of that and goes on over what took its place (read-session.ts).
 *
 *   scan options ─decode─> cursor.start ─> slice of steps ─> … ─> count, or page: cursor size | cursor | entries
 *
 * A page stands alone: the next one is asked for with its cursor, and the partition keeps nothing in between. It ends before the
 * entry that would make it too long (but never without one), at its limit of entries, and between two keys once it has looked at
 * `scanStepCountMax` versions, so where nearly all are dead it may be empty and yet not the last.
 */
import { copyBytes, writeF64, writeU16, writeU32 } from '../src/base/bytes.js';
import { keySizeMax, scanPageSizeDefault, scanStepCountMax, valueSizeMax } from '../src/base/limits.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	opCount,
	pageEntryHeaderSize,
	pageExpiryOffset,
	pageHeaderSize,
	pageKeySizeOffset,
	pageValueSizeOffset,
	pageVersionOffset,
	readCommandArgument,
	readCommandKeySize,
	readCommandValueSize,
	requestHeaderSize,
} from '../src/command/command-format.js';
import { decodeScanOptions, type ScanOptions } from '../src/command/scan-options.js';
import type { CommandResult } from '../src/storage/lsm/apply/command-result.js';
import type { LiveCursor } from '../src/storage/lsm/scan/live-cursor.js';
import type { ReadSource } from '../src/storage/lsm/scan/read-session.js';

/** Versions looked at in one slice: some 1 ms. */
const sliceStepCount = 2000;
/** Bytes of keys and values passed by in one slice: with large ones, blocks are what takes the time. */
const sliceSizeMax = 512 * 1024;
/** Entries are gathered behind room for the longest cursor there can be, so that none has to move when it is known. */
const entriesOffset = pageHeaderSize + keySizeMax;
/** The first allocation of a page has room for this many bytes of entries. */
const pageSizeFirst = 4096;
const noBytes = new Uint8Array(0);

export class LongRead {
	/** The request's envelope, kept for the reply. */
	readonly envelope: Buffer;
	readonly #source: ReadSource;
	#cursor: LiveCursor;
	#isOver = false;
	readonly #isCount: boolean;
	readonly #entryCountMax: number;
	readonly #pageSizeMax: number;
	/** undefined: the request's are not what they should be. */
	readonly #options: ScanOptions | undefined;
	/** What comes after this key is to be read yet, when the cursor has not begun. */
	#startKey: Buffer;
	#isBegun = false;
	#stepCount = 0;
	#entryCount = 0;
	#page = Buffer.alloc(0);
	/** Bytes of the entries gathered. */
	#pageSize = 0;

	/**
	 * @param source belongs to this read from now on; the reply may not leave before its sequence is durable
	 */
	constructor(request: Uint8Array, offset: number, source: ReadSource) {
		const command = offset + requestHeaderSize;
		this.envelope = Buffer.from(request.subarray(offset, command));
		this.#isCount = request[command] === opCount;
		this.#source = source;
		const entryCountMax = this.#isCount ? 0 : readCommandArgument(request, command);
		this.#entryCountMax = entryCountMax >= 1 ? entryCountMax : Number.POSITIVE_INFINITY;
		const keyOffset = command + commandKeyOffset(request[command + commandFlagsOffset]);
		const keySize = readCommandKeySize(request, command);
		this.#startKey = Buffer.from(request.subarray(keyOffset, keyOffset + keySize));
		this.#options = decodeScanOptions(request, keyOffset + keySize, readCommandValueSize(request, command));
		this.#pageSizeMax = Math.min(this.#options?.pageSizeMax || scanPageSizeDefault, valueSizeMax);
		// At once: a clear may come before the first slice.
		this.#cursor = source.open();
	}

	/**
	 * Goes on for a slice.
	 * @returns true when `result` is filled in and the read is over
	 * @throws MILLRACE_CORRUPT when it met a damaged block; the caller closes it
	 */
	step(result: CommandResult): boolean {
		if (!this.#isBegun) {
			if (this.#options === undefined) {
				result.reset();
				result.setError('MILLRACE_ARGUMENT', 'the options of a scan are not laid out as they should be');
				this.close();
				return true;
			}
			this.#cursor.start(this.#startKey, this.#options);
			this.#isBegun = true;
		}
		return this.#isCount ? this.#stepCounting(result) : this.#stepPage(result);
	}

	/** Between two slices: lets go of memtables and files that were replaced, if the walk can be broken off where it stands. */
	maybeLetGo(): void {
		if (!this.#source.isOutdated) return;
		if (this.#isBegun) {
			if (!this.#cursor.isBetweenKeys) return;
			this.#startKey = Buffer.from(this.#cursor.resumeKey);
			this.#isBegun = false;
		}
		this.#cursor.close();
		// At once, too. What it pins is in use anyway, and the seek is left to the next slice.
		this.#cursor = this.#source.open();
	}

	/** Closing again does nothing. */
	close(): void {
		if (this.#isOver) return;
		this.#isOver = true;
		this.#cursor.close();
		this.#source.end();
	}

	#stepCounting(result: CommandResult): boolean {
		const cursor = this.#cursor;
		let size = 0;
		for (let i = 0; i < sliceStepCount && size < sliceSizeMax; i++) {
			if (cursor.isAtEnd) {
				result.reset();
				result.observedSequence = this.#source.sequence;
				result.number = this.#entryCount;
				this.close();
				return true;
			}
			size += cursor.entry.keySize + cursor.entry.valueSize;
			if (!cursor.step()) continue;
			this.#entryCount++;
			cursor.pass();
		}
		return false;
	}

	#stepPage(result: CommandResult): boolean {
		const cursor = this.#cursor;
		let size = 0;
		for (let i = 0; i < sliceStepCount && size < sliceSizeMax; i++) {
			if (cursor.isAtEnd) return this.#finishPage(result, true, noBytes);
			const isTired = this.#stepCount >= scanStepCountMax && cursor.isBetweenKeys;
			if (isTired || this.#entryCount >= this.#entryCountMax) {
				return this.#finishPage(result, false, cursor.resumeKey);
			}
			this.#stepCount++;
			size += cursor.entry.keySize + cursor.entry.valueSize;
			if (!cursor.step()) continue;
			if (!this.#maybeAppend()) return this.#finishPage(result, false, cursor.keyBefore);
			cursor.pass();
		}
		return false;
	}

	/** @returns false when the page is long enough without the cursor's entry */
	#maybeAppend(): boolean {
		const { entry } = this.#cursor;
		const valueSize = this.#options?.isKeysOnly === true ? 0 : entry.valueSize;
		const size = pageEntryHeaderSize + entry.keySize + valueSize;
		if (this.#entryCount > 0 && this.#pageSize + size > this.#pageSizeMax) return false;
		this.#reserve(size);
		const page = this.#page;
		const at = entriesOffset + this.#pageSize;
		writeU32(page, at + pageKeySizeOffset, entry.keySize);
		writeU32(page, at + pageValueSizeOffset, valueSize);
		writeF64(page, at + pageExpiryOffset, entry.expiresAtMs);
		writeF64(page, at + pageVersionOffset, entry.sequence);
		copyBytes(entry.key, entry.keyOffset, page, at + pageEntryHeaderSize, entry.keySize);
		copyBytes(entry.value, entry.valueOffset, page, at + pageEntryHeaderSize + entry.keySize, valueSize);
		this.#pageSize += size;
		this.#entryCount++;
		return true;
	}

	/** Makes room for `size` more bytes of entries. */
	#reserve(size: number): void {
		const needed = entriesOffset + this.#pageSize + size;
		if (needed <= this.#page.length) return;
		const larger = Buffer.allocUnsafe(Math.max(entriesOffset + pageSizeFirst, this.#page.length * 4, needed));
		this.#page.copy(larger, 0, 0, entriesOffset + this.#pageSize);
		this.#page = larger;
	}

	/** @returns true, as `step` does */
	#finishPage(result: CommandResult, isLast: boolean, cursorKey: Uint8Array): true {
		this.#reserve(0);
		const start = entriesOffset - cursorKey.length - pageHeaderSize;
		writeU16(this.#page, start, cursorKey.length);
		copyBytes(cursorKey, 0, this.#page, start + pageHeaderSize, cursorKey.length);
		result.reset();
		result.observedSequence = this.#source.sequence;
		result.number = Number(isLast);
		result.setValue(this.#page, start, pageHeaderSize + cursorKey.length + this.#pageSize);
		this.close();
		return true;
	}
}
