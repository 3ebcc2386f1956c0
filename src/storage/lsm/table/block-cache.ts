/**
 * Decompressed blocks, by (table id, file offset), within a strict budget of bytes. One per partition, used only on
 * the partition's thread.
 *
 * Replacement is CLOCK: a hit sets the block's bit; the hand clears bits until it meets a block without one. A new
 * block starts without its bit, so blocks read once pass through and leave the ones in use alone.
 *
 * Flat arrays by slot, hash chains through `#next`: no object per block besides its Buffer. A Buffer handed out stays
 * valid after eviction (the collector keeps it), so a lent value can never change under its reader.
 *
 *   buckets[hash] -> slot -> next slot …      free slots are chained the same way
 */
import { assert } from '../../../base/assert.js';

/** What a block costs besides its bytes: the Buffer, its backing store, the slot. Counted, so tiny blocks cannot hide. */
export const cachedBlockOverhead = 192;
/** One block may take this fraction of the budget; a larger one would drive out everything else. */
const blockFraction = 8;
const none = -1;

export interface BlockCacheStats {
	readonly capacityBytes: number;
	/** Never above `capacityBytes`. */
	readonly usedBytes: number;
	readonly blockCount: number;
	readonly hitCount: number;
	readonly missCount: number;
	readonly evictionCount: number;
}

export class BlockCache {
	readonly #capacityBytes: number;
	#usedBytes = 0;
	#blockCount = 0;
	#hitCount = 0;
	#missCount = 0;
	#evictionCount = 0;

	#slotCount = 256;
	#buckets = new Int32Array(this.#slotCount).fill(none);
	#next = new Int32Array(this.#slotCount);
	#tableIds = new Float64Array(this.#slotCount);
	#offsets = new Float64Array(this.#slotCount);
	#isReferenced = new Uint8Array(this.#slotCount);
	readonly #blocks: (Buffer | undefined)[] = [];
	#free = none;
	#hand = 0;

	/** @param capacityBytes budget for all blocks together; 0 caches nothing */
	constructor(capacityBytes: number) {
		assert(Number.isSafeInteger(capacityBytes) && capacityBytes >= 0, `a cache of ${capacityBytes} bytes`);
		this.#capacityBytes = capacityBytes;
		this.#addFreeSlots(0);
	}

	get stats(): BlockCacheStats {
		return {
			capacityBytes: this.#capacityBytes,
			usedBytes: this.#usedBytes,
			blockCount: this.#blockCount,
			hitCount: this.#hitCount,
			missCount: this.#missCount,
			evictionCount: this.#evictionCount,
		};
	}

	get(tableId: number, offset: number): Buffer | undefined {
		const slot = this.#find(tableId, offset);
		if (slot === none) {
			this.#missCount++;
			return undefined;
		}
		this.#hitCount++;
		this.#isReferenced[slot] = 1;
		return this.#blocks[slot];
	}

	/** Keeps `block`, whose memory must be its own, unless it is too large. The key must not be there yet. */
	put(tableId: number, offset: number, block: Buffer): void {
		const cost = block.length + cachedBlockOverhead;
		if (cost > this.#capacityBytes / blockFraction) return;
		assert(this.#find(tableId, offset) === none, `block ${offset} of table ${tableId} is cached once`);
		while (this.#usedBytes + cost > this.#capacityBytes) this.#evictOne();
		if (this.#free === none) this.#grow();
		const slot = this.#free;
		this.#free = this.#next[slot];
		this.#tableIds[slot] = tableId;
		this.#offsets[slot] = offset;
		this.#isReferenced[slot] = 0;
		this.#blocks[slot] = block;
		this.#link(slot);
		this.#usedBytes += cost;
		this.#blockCount++;
	}

	/** Forgets every block of a table. */
	drop(tableId: number): void {
		for (let slot = 0; slot < this.#slotCount; slot++) {
			if (this.#blocks[slot] !== undefined && this.#tableIds[slot] === tableId) this.#remove(slot);
		}
	}

	#evictOne(): void {
		assert(this.#blockCount > 0, 'a full cache has blocks');
		for (;;) {
			const slot = this.#hand;
			this.#hand = slot + 1 === this.#slotCount ? 0 : slot + 1;
			if (this.#blocks[slot] === undefined) continue;
			if (this.#isReferenced[slot] === 0) {
				this.#remove(slot);
				this.#evictionCount++;
				return;
			}
			this.#isReferenced[slot] = 0;
		}
	}

	#find(tableId: number, offset: number): number {
		let slot = this.#buckets[this.#bucketOf(tableId, offset)];
		while (slot !== none && (this.#offsets[slot] !== offset || this.#tableIds[slot] !== tableId)) {
			slot = this.#next[slot];
		}
		return slot;
	}

	#bucketOf(tableId: number, offset: number): number {
		let hash = Math.imul(tableId | 0, 0x9e3779b1) ^ Math.imul(offset | 0, 0x85ebca77);
		hash ^= Math.floor(offset / 0x1_0000_0000);
		hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae3d);
		return (hash ^ (hash >>> 13)) & (this.#slotCount - 1);
	}

	#link(slot: number): void {
		const bucket = this.#bucketOf(this.#tableIds[slot], this.#offsets[slot]);
		this.#next[slot] = this.#buckets[bucket];
		this.#buckets[bucket] = slot;
	}

	#remove(slot: number): void {
		const block = this.#blocks[slot];
		assert(block !== undefined, 'the slot holds a block');
		const bucket = this.#bucketOf(this.#tableIds[slot], this.#offsets[slot]);
		if (this.#buckets[bucket] === slot) this.#buckets[bucket] = this.#next[slot];
		else {
			let before = this.#buckets[bucket];
			while (this.#next[before] !== slot) before = this.#next[before];
			this.#next[before] = this.#next[slot];
		}
		this.#blocks[slot] = undefined;
		this.#next[slot] = this.#free;
		this.#free = slot;
		this.#usedBytes -= block.length + cachedBlockOverhead;
		this.#blockCount--;
	}

	#addFreeSlots(first: number): void {
		for (let slot = this.#slotCount - 1; slot >= first; slot--) {
			this.#blocks[slot] = undefined;
			this.#next[slot] = this.#free;
			this.#free = slot;
		}
	}

	/** Doubles the slots and links every block anew. */
	#grow(): void {
		const first = this.#slotCount;
		this.#slotCount = first * 2;
		const tableIds = new Float64Array(this.#slotCount);
		tableIds.set(this.#tableIds);
		this.#tableIds = tableIds;
		const offsets = new Float64Array(this.#slotCount);
		offsets.set(this.#offsets);
		this.#offsets = offsets;
		const isReferenced = new Uint8Array(this.#slotCount);
		isReferenced.set(this.#isReferenced);
		this.#isReferenced = isReferenced;
		this.#next = new Int32Array(this.#slotCount);
		this.#buckets = new Int32Array(this.#slotCount).fill(none);
		this.#free = none;
		for (let slot = 0; slot < first; slot++) this.#link(slot);
		this.#addFreeSlots(first);
	}
}
