/**
 * Reads that touch many entries (count, a page of a scan), done in slices between drains, so that they delay nobody for
 * longer than a slice. Each works on the view, sequence and time at which it began.
 */
import { copyBytes, writeF64, writeU32 } from '../src/base/bytes.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	opCount,
	pageEntryHeaderSize,
	pageExpiryOffset,
	pageKeySizeOffset,
	pageValueSizeOffset,
	readCommandArgument,
	readCommandKeySize,
	requestHeaderSize,
} from '../src/command/command-format.js';
import type { CommandResult } from '../src/storage/lsm/command-result.js';
import type { LiveCursor } from '../src/storage/lsm/live-cursor.js';

/** Versions looked at in one slice: some 1 ms. */
const sliceStepCount = 2000;
/** A page ends at this size, after at least one entry. */
const pageSizeMax = 256 * 1024;

export class LongRead {
	/** The request's envelope, kept for the reply. */
	readonly envelope: Buffer;
	readonly #cursor: LiveCursor;
	readonly #isCount: boolean;
	readonly #sequence: number;
	readonly #entryCountMax: number;
	/** Where to begin; undefined once begun. */
	#startKey: Buffer | undefined;
	#entryCount = 0;
	#page = Buffer.alloc(0);
	#pageSize = 0;

	/** @param sequence the newest sequence it sees: its reply may not leave before that is durable */
	constructor(request: Uint8Array, offset: number, cursor: LiveCursor, sequence: number) {
		const command = offset + requestHeaderSize;
		this.envelope = Buffer.from(request.subarray(offset, command));
		this.#isCount = request[command] === opCount;
		this.#cursor = cursor;
		this.#sequence = sequence;
		this.#entryCountMax = this.#isCount ? Number.POSITIVE_INFINITY : Math.max(1, readCommandArgument(request, command));
		const keyOffset = command + commandKeyOffset(request[command + commandFlagsOffset]);
		const keySize = readCommandKeySize(request, command);
		this.#startKey = Buffer.from(request.subarray(keyOffset, keyOffset + keySize));
	}

	/**
	 * Goes on for a slice.
	 * @returns true when `result` is filled in and the read is over
	 * @throws MILLRACE_CORRUPT when it met a damaged block; the caller closes it
	 */
	step(result: CommandResult): boolean {
		if (this.#startKey !== undefined) this.#cursor.start(this.#startKey);
		this.#startKey = undefined;
		for (let i = 0; i < sliceStepCount; i++) {
			const isFull = this.#entryCount >= this.#entryCountMax || this.#pageSize >= pageSizeMax;
			if (this.#cursor.isAtEnd || isFull) {
				this.#finish(result, this.#cursor.isAtEnd);
				return true;
			}
			if (!this.#cursor.step()) continue;
			this.#entryCount++;
			if (!this.#isCount) this.#append();
			this.#cursor.pass();
		}
		return false;
	}

	close(): void {
		this.#cursor.close();
	}

	#finish(result: CommandResult, isAtEnd: boolean): void {
		result.reset();
		result.observedSequence = this.#sequence;
		result.number = this.#isCount ? this.#entryCount : Number(isAtEnd);
		if (!this.#isCount) result.setValue(this.#page, 0, this.#pageSize);
		this.close();
	}

	#append(): void {
		const { entry } = this.#cursor;
		const size = pageEntryHeaderSize + entry.keySize + entry.valueSize;
		if (this.#pageSize + size > this.#page.length) {
			const larger = Buffer.alloc(Math.max(64 * 1024, this.#page.length * 2, this.#pageSize + size));
			this.#page.copy(larger, 0, 0, this.#pageSize);
			this.#page = larger;
		}
		const at = this.#pageSize;
		writeU32(this.#page, at + pageKeySizeOffset, entry.keySize);
		writeU32(this.#page, at + pageValueSizeOffset, entry.valueSize);
		writeF64(this.#page, at + pageExpiryOffset, entry.expiresAtMs);
		copyBytes(entry.key, entry.keyOffset, this.#page, at + pageEntryHeaderSize, entry.keySize);
		const valueAt = at + pageEntryHeaderSize + entry.keySize;
		copyBytes(entry.value, entry.valueOffset, this.#page, valueAt, entry.valueSize);
		this.#pageSize += size;
	}
}
