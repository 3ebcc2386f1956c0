/**
 * Reads the expiry section of a table: rows (expiresAtMs, data block, entry in it) in order of time. Layout: table-format.ts.
 *
 *   directory   in memory: for each expiry block its first time, row count and place       16 bytes for some 2,500 rows
 *   cursor      one expiry block at a time, read when its first row is needed
 *
 * The directory is immutable; a cursor belongs to one thread and is valid while the table's file is open.
 */
import { assert } from '../../../base/assert.js';
import { readU32, readU53 } from '../../../base/bytes.js';
import { readVarint, varintSize } from '../../../base/varint.js';
import type { FileHandle } from '../../../env/ports.js';
import { openBlock } from './block-frame.js';
import {
	blockHeaderSize,
	blockKindExpiry,
	expiryBlockSizeMax,
	expiryDirectoryBlockSizeOffset,
	expiryDirectoryCountOffset,
	expiryDirectoryHeaderSize,
	expiryDirectoryRowCountOffset,
	expiryDirectoryRowSize,
	expiryDirectoryTimeOffset,
} from './table-format.js';
import { type TableMeta, tableCorrupt } from './table-meta.js';

export class ExpiryDirectory {
	readonly blockCount: number;
	/** Rows of the whole section. */
	readonly rowCount: number;
	/** Time of each block's first row. */
	readonly times: Float64Array;
	/** Rows before each block; one more entry than blocks. */
	readonly rowNumbers: Float64Array;
	/** Where each block starts in the file; one more entry than blocks. */
	readonly offsets: Float64Array;

	private constructor(times: Float64Array, rowNumbers: Float64Array, offsets: Float64Array) {
		this.blockCount = times.length;
		this.rowCount = rowNumbers[times.length];
		this.times = times;
		this.rowNumbers = rowNumbers;
		this.offsets = offsets;
	}

	/**
	 * Reads the payload of a directory block.
	 * @param offset where the expiry blocks start, and `size` their bytes
	 * @returns what is wrong, when something is
	 */
	static decode(payload: Uint8Array, offset: number, size: number, meta: TableMeta): ExpiryDirectory | string {
		if (payload.length < expiryDirectoryHeaderSize) return 'the expiry directory is cut off';
		const blockCount = readU32(payload, expiryDirectoryCountOffset);
		if (blockCount === 0 || payload.length !== expiryDirectoryHeaderSize + blockCount * expiryDirectoryRowSize) {
			return `the expiry directory cannot have ${blockCount} blocks`;
		}
		const times = new Float64Array(blockCount);
		const rowNumbers = new Float64Array(blockCount + 1);
		const offsets = new Float64Array(blockCount + 1);
		offsets[0] = offset;
		for (let i = 0, row = expiryDirectoryHeaderSize; i < blockCount; i++, row += expiryDirectoryRowSize) {
			const rowCount = readU32(payload, row + expiryDirectoryRowCountOffset);
			const blockSize = readU32(payload, row + expiryDirectoryBlockSizeOffset);
			times[i] = readU53(payload, row + expiryDirectoryTimeOffset);
			if (rowCount === 0) return `expiry block ${i} has no rows`;
			if (blockSize <= blockHeaderSize || blockSize > blockHeaderSize + expiryBlockSizeMax) {
				return `expiry block ${i} has ${blockSize} bytes`;
			}
			if (i > 0 && times[i] < times[i - 1]) return `expiry block ${i} is out of order`;
			rowNumbers[i + 1] = rowNumbers[i] + rowCount;
			offsets[i + 1] = offsets[i] + blockSize;
		}
		const directory = new ExpiryDirectory(times, rowNumbers, offsets);
		if (offsets[blockCount] !== offset + size) return `expiry blocks do not fill their ${size} bytes`;
		if (directory.rowCount !== meta.expiryCount) return `${directory.rowCount} expiry rows for ${meta.expiryCount}`;
		return times[0] === meta.minExpiresAtMs ? directory : `the first expiry is not at ${meta.minExpiresAtMs}`;
	}

	/** Rows that expired at or before a time: exact but for one block, whose rows count as spread evenly over its time. */
	countBefore(timeMs: number, lastMs: number): number {
		if (timeMs >= lastMs) return this.rowCount;
		if (timeMs < this.times[0]) return 0;
		const block = this.find(timeMs + 1);
		const from = this.times[block];
		const to = block + 1 < this.blockCount ? this.times[block + 1] : lastMs;
		const rowCount = this.rowNumbers[block + 1] - this.rowNumbers[block];
		return this.rowNumbers[block] + Math.floor(to > from ? rowCount * ((timeMs - from) / (to - from)) : 0);
	}

	/** The block that has the first row at or after a time, or the one before that block. */
	find(timeMs: number): number {
		let low = 0;
		let high = this.blockCount - 1;
		while (low < high) {
			const middle = (low + high + 1) >>> 1;
			if (this.times[middle] < timeMs) low = middle;
			else high = middle - 1;
		}
		return low;
	}
}

export class ExpiryCursor {
	valid = false;
	expiresAtMs = 0;
	/** The data block of the row's entry, and the entry's number in it. */
	blockNumber = 0;
	entryNumber = 0;

	readonly #file: FileHandle;
	readonly #tableId: number;
	readonly #directory: ExpiryDirectory;
	readonly #dataBlockCount: number;
	#payload: Uint8Array | undefined;
	#expiryBlock = 0;
	/** Rows of the block already shown, and where the next one starts. */
	#shownCount = 0;
	#offset = 0;

	constructor(file: FileHandle, tableId: number, directory: ExpiryDirectory, dataBlockCount: number) {
		this.#file = file;
		this.#tableId = tableId;
		this.#directory = directory;
		this.#dataBlockCount = dataBlockCount;
	}

	/** Rows before the present one; all, when there is none any more. */
	get rowNumber(): number {
		if (!this.valid) return this.#directory.rowCount;
		return this.#directory.rowNumbers[this.#expiryBlock] + this.#shownCount - 1;
	}

	seekFirst(): void {
		this.#enterBlock(0);
		this.#show();
	}

	/** To the first row at or after a time. */
	seek(timeMs: number): void {
		this.#enterBlock(this.#directory.find(timeMs));
		this.#show();
		while (this.valid && this.expiresAtMs < timeMs) this.next();
	}

	next(): void {
		assert(this.valid, 'next() on a valid cursor');
		const directory = this.#directory;
		const rowNumbers = directory.rowNumbers;
		if (this.#shownCount < rowNumbers[this.#expiryBlock + 1] - rowNumbers[this.#expiryBlock]) {
			this.#show();
			return;
		}
		if (this.#offset !== this.#payload?.length) throw this.#corrupt('bytes behind the last row');
		if (this.#expiryBlock + 1 < directory.blockCount) {
			this.#enterBlock(this.#expiryBlock + 1);
			this.#show();
		} else {
			this.valid = false;
			this.#payload = undefined;
		}
	}

	#enterBlock(number: number): void {
		this.valid = false;
		const { offsets, times } = this.#directory;
		const offset = offsets[number];
		const size = offsets[number + 1] - offset;
		const bytes = new Uint8Array(size);
		const readSize = this.#file.read(bytes, 0, size, offset);
		if (readSize !== size) throw tableCorrupt(this.#file.path, offset, `${readSize} bytes where ${size} should be`);
		this.#payload = openBlock(bytes, 0, size, this.#file.path, this.#tableId, offset, blockKindExpiry);
		this.#expiryBlock = number;
		this.#shownCount = 0;
		this.#offset = 0;
		this.expiresAtMs = times[number];
	}

	/** Puts the fields on the row at `#offset`. */
	#show(): void {
		const payload = this.#payload;
		assert(payload !== undefined, 'an expiry block is loaded');
		let at = this.#offset;
		let delta = 0;
		for (let scale = 1, more = true; more && at < payload.length; scale *= 0x80) {
			const byte = payload[at++];
			delta += (byte & 0x7f) * scale;
			more = byte >= 0x80;
		}
		const blockNumber = readVarint(payload, at);
		at += varintSize(blockNumber);
		const entryNumber = readVarint(payload, at);
		at += varintSize(entryNumber);
		if (!(at <= payload.length) || blockNumber >= this.#dataBlockCount) throw this.#corrupt('a row does not fit');
		if (this.#shownCount === 0 && delta !== 0) throw this.#corrupt('the first row is not at the time of its block');
		this.expiresAtMs += delta;
		this.blockNumber = blockNumber;
		this.entryNumber = entryNumber;
		this.#offset = at;
		this.#shownCount++;
		this.valid = true;
	}

	#corrupt(what: string): Error {
		const offset = this.#directory.offsets[this.#expiryBlock];
		return tableCorrupt(this.#file.path, offset, `in the expiry block here: ${what}`);
	}
}
