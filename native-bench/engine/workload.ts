/**
 * Keys and values as db_bench (RocksDB) makes them, so that both engines carry the same load.
 *
 *   key    16 bytes: u64 big-endian number, uniform below the key count, then '0' (GenerateKeyFromInt)
 *   value  100 bytes: a slice of 1 MiB of pieces of 50 random printable bytes, each twice (compression_ratio 0.5)
 *
 * And a histogram of durations that costs one addition for each. Nothing here makes an object per operation.
 */
import type { Prng } from '../../src/base/prng.js';

export const keySize = 16;
export const valueSize = 100;
const pieceSize = 50;
const valueBytesCount = 10_486 * valueSize;

/** Writes the key of a number. */
export function encodeKey(number: number, target: Uint8Array, offset: number): void {
	for (let i = 0; i < 4; i++) target[offset + i] = 0;
	target[offset + 4] = number >>> 24;
	target[offset + 5] = number >>> 16;
	target[offset + 6] = number >>> 8;
	target[offset + 7] = number;
	for (let i = 8; i < keySize; i++) target[offset + i] = 0x30;
}

/** Bytes to cut values from: `nextValueOffset` says where. */
export class Values {
	readonly bytes: Uint8Array = new Uint8Array(valueBytesCount);
	#offset = 0;

	constructor(prng: Prng) {
		for (let at = 0; at < valueBytesCount; at += valueSize) {
			for (let i = 0; i < pieceSize; i++) this.bytes[at + i] = 0x20 + prng.below(95);
			this.bytes.copyWithin(at + pieceSize, at, at + pieceSize);
		}
	}

	nextOffset(): number {
		if (this.#offset + valueSize > valueBytesCount) this.#offset = 0;
		const offset = this.#offset;
		this.#offset += valueSize;
		return offset;
	}
}

/** One bit for each key number. */
export class NumberSet {
	readonly #words: Uint32Array;
	count = 0;

	constructor(numberCount: number) {
		this.#words = new Uint32Array((numberCount + 31) >>> 5);
	}

	add(number: number): void {
		const bit = 1 << (number & 31);
		if ((this.#words[number >>> 5] & bit) === 0) this.count++;
		this.#words[number >>> 5] |= bit;
	}

	has(number: number): boolean {
		return (this.#words[number >>> 5] & (1 << (number & 31))) !== 0;
	}
}

const bucketsPerDoubling = 16;

/** Durations in buckets of some 4 % width; exact maximum. */
export class Durations {
	readonly #counts = new Uint32Array(48 * bucketsPerDoubling);
	#count = 0;
	maxMs = 0;

	add(durationMs: number): void {
		if (durationMs > this.maxMs) this.maxMs = durationMs;
		// From 1/64 microsecond up.
		const bucket = Math.floor(Math.log2(Math.max(durationMs * 64_000, 1)) * bucketsPerDoubling);
		this.#counts[Math.min(bucket, this.#counts.length - 1)]++;
		this.#count++;
	}

	/** Microseconds that this share (0..1) of the durations does not exceed. */
	quantileUs(share: number): number {
		let left = this.#count * share;
		for (let bucket = 0; bucket < this.#counts.length; bucket++) {
			left -= this.#counts[bucket];
			if (left <= 0) return 2 ** ((bucket + 1) / bucketsPerDoubling) / 64;
		}
		return this.maxMs * 1000;
	}

	summary(): LatencySummary {
		return { p50Us: this.quantileUs(0.5), p999Us: this.quantileUs(0.999), maxMs: this.maxMs };
	}
}

export interface LatencySummary {
	readonly p50Us: number;
	readonly p999Us: number;
	readonly maxMs: number;
}
