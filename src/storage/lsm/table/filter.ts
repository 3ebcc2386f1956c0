/**
 * The bloom filter of a table: a blocked one, every probe of a key within one 64-byte line, so a miss costs one cache
 * miss (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007; the probe sequence by
 * repeated multiplication is that of RocksDB's FastLocalBloom).
 *
 *   payload   u32 lineCount | u8 probeCount | 3 zero bytes | lineCount lines of 64 bytes
 *
 * A key is known by its 32-bit `keyHash`, computed once per read for all tables. Its high part picks the line, the
 * product with odd constants the bits. Immutable once built; any thread may read.
 */
import { assert } from '../../../base/assert.js';
import { readU32, writeU32 } from '../../../base/bytes.js';
import { filterHeaderSize, filterLineCountOffset, filterLineSize, filterProbeCountOffset } from './table-format.js';

const probeMultiplier = 0x9e37_79b9;
const lineBitCount = filterLineSize * 8;
/** Shift that leaves a bit number within a line. */
const probeShift = 32 - Math.log2(lineBitCount);
const probeCountMax = 12;
/** 64 MiB of filter: lineCount times a 32-bit hash stays exact in a double. */
const lineCountMax = 2 ** 20;
const twoTo32 = 0x1_0000_0000;

/**
 * Builds the payload of a filter block.
 * @param hashes `keyHash` of each distinct key in `[0, count)`
 * @param bitsPerKey 10 gives about 1 % false positives; 0 makes a filter that lets every key through
 */
export function encodeFilter(hashes: Uint32Array, count: number, bitsPerKey: number): Uint8Array {
	const lineCount = Math.min(Math.ceil((count * bitsPerKey) / lineBitCount), lineCountMax);
	const probeCount = Math.max(1, Math.min(probeCountMax, Math.round(bitsPerKey * 0.6)));
	const payload = new Uint8Array(filterHeaderSize + lineCount * filterLineSize);
	writeU32(payload, filterLineCountOffset, lineCount);
	payload[filterProbeCountOffset] = probeCount;
	if (lineCount === 0) return payload;
	for (let i = 0; i < count; i++) {
		let hash = hashes[i];
		const line = filterHeaderSize + Math.floor((hash * lineCount) / twoTo32) * filterLineSize;
		for (let probe = 0; probe < probeCount; probe++) {
			hash = Math.imul(hash, probeMultiplier);
			const bit = hash >>> probeShift;
			payload[line + (bit >>> 3)] |= 1 << (bit & 7);
		}
	}
	return payload;
}

export class Filter {
	readonly #lines: Uint8Array;
	readonly #lineCount: number;
	readonly #probeCount: number;

	private constructor(lines: Uint8Array, lineCount: number, probeCount: number) {
		assert(lines.length === lineCount * filterLineSize, 'a filter has all its lines');
		this.#lines = lines;
		this.#lineCount = lineCount;
		this.#probeCount = probeCount;
	}

	/** Bytes of its lines. */
	get byteSize(): number {
		return this.#lines.length;
	}

	/** Copies the lines out of a filter block's payload. @returns undefined when the payload is none */
	static decode(payload: Uint8Array): Filter | undefined {
		if (payload.length < filterHeaderSize) return undefined;
		const lineCount = readU32(payload, filterLineCountOffset);
		const probeCount = payload[filterProbeCountOffset];
		if (payload.length - filterHeaderSize !== lineCount * filterLineSize) return undefined;
		if (lineCount > lineCountMax || probeCount < 1 || probeCount > probeCountMax) return undefined;
		return new Filter(Uint8Array.from(payload.subarray(filterHeaderSize)), lineCount, probeCount);
	}

	/** Lines of 64 bytes; each is for an equal share of all hashes, in order. */
	get lineCount(): number {
		return this.#lineCount;
	}

	/** Bits that a key sets, at most. */
	get probeCount(): number {
		return this.#probeCount;
	}

	/** A word of 32 bits of a line. */
	wordAt(line: number, word: number): number {
		return readU32(this.#lines, line * filterLineSize + word * 4);
	}

	/** True: there is no filter, and every key may be there. */
	get isEmpty(): boolean {
		return this.#lineCount === 0;
	}

	/** False: the key is certainly not in the table. @param keyHash its `keyHash` */
	mayContain(keyHash: number): boolean {
		if (this.#lineCount === 0) return true;
		const lines = this.#lines;
		const line = Math.floor((keyHash * this.#lineCount) / twoTo32) * filterLineSize;
		let hash = keyHash;
		for (let probe = this.#probeCount; probe > 0; probe--) {
			hash = Math.imul(hash, probeMultiplier);
			const bit = hash >>> probeShift;
			if ((lines[line + (bit >>> 3)] & (1 << (bit & 7))) === 0) return false;
		}
		return true;
	}
}
