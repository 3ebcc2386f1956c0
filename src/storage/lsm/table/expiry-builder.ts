/**
 * Builds the expiry section of a table: a row for every entry that expires, in order of time, so that whoever waits for
 * expiries reads a few kilobytes now and then instead of the table. Layout: table-format.ts; read back by expiry-section.ts.
 *
 *   add (in order of keys) -> flat arrays, 16 bytes a row -> finish: sort by time -> blocks of at most 16 KiB -> directory
 *
 * A row names its entry by data block and place in it; rows of one moment stay in order of keys. Owned by one TableBuilder.
 */
import { assert } from '../../../base/assert.js';
import { writeU32, writeU53 } from '../../../base/bytes.js';
import { writeVarint } from '../../../base/varint.js';
import { GrowingBytes } from './growing-bytes.js';
import {
	expiryBlockSizeMax,
	expiryDirectoryBlockSizeOffset,
	expiryDirectoryCountOffset,
	expiryDirectoryHeaderSize,
	expiryDirectoryRowCountOffset,
	expiryDirectoryRowSize,
	expiryDirectoryTimeOffset,
	expiryRowSizeMax,
} from './table-format.js';

/** What a row takes in the file, about: for estimates. */
const rowSizeUsual = 6;
/** Below it, a quotient's floor is exact: no rounding can carry it to the next integer. */
const packedMax = 2 ** 52;

export class ExpiryBuilder {
	#times = new Float64Array(64);
	#blockNumbers = new Uint32Array(64);
	#entryNumbers = new Uint32Array(64);
	#rowCount = 0;

	get rowCount(): number {
		return this.#rowCount;
	}

	/** Bytes of the section, about. */
	get size(): number {
		return this.#rowCount * rowSizeUsual;
	}

	/** Rows come in order of their entries: block ascending, then entry ascending. */
	add(expiresAtMs: number, blockNumber: number, entryNumber: number): void {
		if (this.#rowCount === this.#times.length) this.#grow();
		this.#times[this.#rowCount] = expiresAtMs;
		this.#blockNumbers[this.#rowCount] = blockNumber;
		this.#entryNumbers[this.#rowCount] = entryNumber;
		this.#rowCount++;
	}

	/**
	 * Sorts the rows and hands out block after block.
	 * @param writeBlock takes `bytes[0, size)`, which are reused; returns the bytes it took in the file, header included
	 * @returns the payload of the directory
	 */
	finish(writeBlock: (bytes: Uint8Array, size: number) => number): Uint8Array {
		assert(this.#rowCount > 0, 'an expiry section has rows');
		const order = this.#order();
		const directory = new GrowingBytes(expiryDirectoryRowSize * 64);
		directory.size = expiryDirectoryHeaderSize;
		const payload = new Uint8Array(expiryBlockSizeMax);
		let blockCount = 0;
		let start = 0;
		while (start < order.length) {
			const firstMs = this.#times[order[start]];
			let at = 0;
			let i = start;
			for (let time = firstMs; i < order.length && at + expiryRowSizeMax <= expiryBlockSizeMax; i++) {
				const row = order[i];
				at = writeTimeDelta(payload, at, this.#times[row] - time);
				at = writeVarint(payload, at, this.#blockNumbers[row]);
				at = writeVarint(payload, at, this.#entryNumbers[row]);
				time = this.#times[row];
			}
			directory.reserve(expiryDirectoryRowSize);
			writeU53(directory.bytes, directory.size + expiryDirectoryTimeOffset, firstMs);
			writeU32(directory.bytes, directory.size + expiryDirectoryRowCountOffset, i - start);
			writeU32(directory.bytes, directory.size + expiryDirectoryBlockSizeOffset, writeBlock(payload, at));
			directory.size += expiryDirectoryRowSize;
			blockCount++;
			start = i;
		}
		writeU32(directory.bytes, expiryDirectoryCountOffset, blockCount);
		return directory.bytes.subarray(0, directory.size);
	}

	/** Row numbers by time, rows of one moment in the order they came. */
	#order(): Uint32Array {
		const count = this.#rowCount;
		const times = this.#times.subarray(0, count);
		let minMs = times[0];
		let maxMs = times[0];
		for (let i = 1; i < count; i++) {
			if (times[i] < minMs) minMs = times[i];
			if (times[i] > maxMs) maxMs = times[i];
		}
		const order = new Uint32Array(count);
		if ((maxMs - minMs + 1) * count < packedMax) {
			// Time and row number in one exact double: the engine's own sort of numbers is ten times faster than one that calls us.
			const packed = new Float64Array(count);
			for (let i = 0; i < count; i++) packed[i] = (times[i] - minMs) * count + i;
			packed.sort();
			for (let i = 0; i < count; i++) order[i] = packed[i] - Math.floor(packed[i] / count) * count;
		} else {
			for (let i = 0; i < count; i++) order[i] = i;
			order.sort((a, b) => times[a] - times[b] || a - b);
		}
		return order;
	}

	#grow(): void {
		const capacity = this.#rowCount * 2;
		const times = new Float64Array(capacity);
		const blockNumbers = new Uint32Array(capacity);
		const entryNumbers = new Uint32Array(capacity);
		times.set(this.#times);
		blockNumbers.set(this.#blockNumbers);
		entryNumbers.set(this.#entryNumbers);
		this.#times = times;
		this.#blockNumbers = blockNumbers;
		this.#entryNumbers = entryNumbers;
	}
}

/** A varint of up to 53 bits. @returns the offset after it */
function writeTimeDelta(target: Uint8Array, offset: number, delta: number): number {
	while (delta >= 0x80) {
		target[offset++] = (delta % 0x80) | 0x80;
		delta = Math.floor(delta / 0x80);
	}
	target[offset++] = delta;
	return offset;
}
