/**
 * Key to partition: XXH32 of the key, or of its tag, and one look into the slot table.
 *
 * The tag is Redis Cluster's rule (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/): from
 * the first '{' to the first '}' after it, when at least one byte is between them. Keys with one tag share a partition.
 *
 * Immutable after construction; borrows the key's bytes for the call only.
 */
import { xxh32 } from '../base/xxh32.js';
import { buildSlotTable, slotBits } from './slot-table.js';

const tagOpen = 0x7b;
const tagClose = 0x7d;
const slotShift = 32 - slotBits;

export class Router {
	readonly partitionCount: number;
	readonly #table: Uint8Array;

	/** @param partitionCount 1..partitionCountMax */
	constructor(partitionCount: number) {
		this.partitionCount = partitionCount;
		this.#table = buildSlotTable(partitionCount);
	}

	/** The partition that owns the key `key[offset, offset + size)`: 0..partitionCount - 1. */
	partitionOf(key: Uint8Array, offset: number, size: number): number {
		if (this.partitionCount === 1) return 0;
		const end = offset + size;
		for (let open = offset; open < end; open++) {
			if (key[open] !== tagOpen) continue;
			const close = closeOf(key, open + 1, end);
			if (close > open + 1) return this.#ownerOf(key, open + 1, close - open - 1);
			break;
		}
		return this.#ownerOf(key, offset, size);
	}

	#ownerOf(bytes: Uint8Array, offset: number, size: number): number {
		return this.#table[xxh32(bytes, offset, size) >>> slotShift] as number;
	}
}

/** Offset of the first '}' in `key[from, end)`, or -1. */
function closeOf(key: Uint8Array, from: number, end: number): number {
	for (let at = from; at < end; at++) {
		if (key[at] === tagClose) return at;
	}
	return -1;
}
