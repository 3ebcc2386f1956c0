/**
 * Decompressed blocks, by (table id, file offset), in one slab of fixed size: the tail of a CodecMemory, so that a block is
 * decompressed straight to its place. One per partition, used only on the partition's thread. Nothing is allocated for a block.
 *
 *   slab     | block | block | free | block | block |          extents, end to end, linked in address order
 *                            ^ hand
 *
 * Replacement is CLOCK over extents in address order: a hit sets the block's bit; the hand looks for a run of neighbours, free or
 * without the bit, that is long enough for the new block. A block with its bit loses it, stays, and breaks the run. A new block
 * starts without its bit, right behind the hand, so what is read once passes through and leaves what is in use alone.
 *
 * The budget is strict: slab and flat arrays together take at most `capacityBytes`, all of it from the start (pages not used
 * yet take no memory). Bytes of a block stay as they are until the next `reserve`, which may give its place to another.
 */
import { assert } from '../../../base/assert.js';
import { align8 } from '../../../base/bytes.js';
import { blockSizeDefault, codecTailSizeMax } from '../../../base/limits.js';
import { CodecMemory } from '../../../codec/codec-memory.js';

/** One block may take this fraction of the slab; a larger one would drive out everything else. */
const blockFraction = 8;
/** Numbers of a slot that a hit reads, side by side in one cache line. */
const recordSize = 4;
/** Table id; -1 where the extent is free. */
const recordTableId = 0;
const recordOffset = 1;
const recordAddress = 2;
const recordBlockSize = 3;
/** Bytes of the flat arrays for each slot, with up to two buckets. */
const slotBytes = 32 + 13 + 8;
/** What is left over of an extent becomes one of its own from this size on. */
const extentSizeMin = 64;
const none = -1;

export interface BlockCacheStats {
	readonly capacityBytes: number;
	/** Of cached blocks, and of the arrays that keep track of them. Never above `capacityBytes`. */
	readonly usedBytes: number;
	readonly blockCount: number;
	readonly hitCount: number;
	readonly missCount: number;
	readonly evictionCount: number;
}

export class BlockCache {
	/** Where blocks lie, and what readers read and decompress with. */
	readonly memory: CodecMemory;
	readonly #capacityBytes: number;
	readonly #slabSize: number;
	readonly #slotCount: number;
	#blockBytes = 0;
	#blockCount = 0;
	#hitCount = 0;
	#missCount = 0;
	#evictionCount = 0;

	/** By hash: the first slot of a chain. A power of two. */
	readonly #buckets: Int32Array;
	/** By slot: the next of its chain, or of the chain of slots without an extent. */
	readonly #chain: Int32Array;
	/** By slot: `recordSize` numbers. */
	readonly #records: Float64Array;
	readonly #extentSizes: Int32Array;
	/** By slot: the extent that follows in the slab. Slot 0 is always the first. */
	readonly #following: Int32Array;
	readonly #isReferenced: Uint8Array;
	#freeSlot = none;
	#hand = 0;
	/** The free extent that `commit` will make a block. */
	#reserved = none;
	#reservedSize = 0;

	/**
	 * @param capacityBytes budget for blocks and arrays together; 0 caches nothing
	 * @param blockSize of the tables: there are slots for blocks of half of it
	 */
	constructor(capacityBytes: number, blockSize = blockSizeDefault) {
		const isValid = Number.isSafeInteger(capacityBytes) && capacityBytes >= 0 && capacityBytes <= codecTailSizeMax;
		assert(isValid, `a cache of ${capacityBytes} bytes`);
		this.#capacityBytes = capacityBytes;
		const blockBytes = align8(Math.max(extentSizeMin, Math.floor(blockSize / 2)));
		const affordable = Math.floor(capacityBytes / (blockBytes + slotBytes));
		// With fewer, no block of that size is small enough to be cached.
		const slotCount = affordable < blockFraction ? 0 : affordable;
		this.#slotCount = slotCount;
		this.#buckets = new Int32Array(powerOfTwoAbove(slotCount)).fill(none);
		this.#chain = new Int32Array(slotCount);
		this.#records = new Float64Array(slotCount * recordSize).fill(none);
		this.#extentSizes = new Int32Array(slotCount);
		this.#following = new Int32Array(slotCount).fill(none);
		this.#isReferenced = new Uint8Array(slotCount);
		this.#slabSize = slotCount === 0 ? 0 : Math.floor((capacityBytes - slotCount * slotBytes) / 8) * 8;
		this.memory = slotCount === 0 ? CodecMemory.ofThread : new CodecMemory(this.#slabSize);
		if (slotCount === 0) return;
		this.#records[recordAddress] = this.memory.tail;
		this.#extentSizes[0] = this.#slabSize;
		for (let slot = slotCount - 1; slot > 0; slot--) this.#releaseSlot(slot);
	}

	get stats(): BlockCacheStats {
		return {
			capacityBytes: this.#capacityBytes,
			usedBytes: this.#blockBytes + this.#slotCount * slotBytes,
			blockCount: this.#blockCount,
			hitCount: this.#hitCount,
			missCount: this.#missCount,
			evictionCount: this.#evictionCount,
		};
	}

	/** @returns the slot of a block, for `address` and `size`; -1 when it is not here */
	find(tableId: number, offset: number): number {
		if (this.#slotCount === 0) return none;
		const records = this.#records;
		let slot = this.#buckets[this.#bucketOf(tableId, offset)];
		for (; slot !== none; slot = this.#chain[slot]) {
			const record = slot * recordSize;
			if (records[record + recordOffset] === offset && records[record + recordTableId] === tableId) break;
		}
		if (slot === none) {
			this.#missCount++;
			return none;
		}
		this.#hitCount++;
		this.#isReferenced[slot] = 1;
		return slot;
	}

	/** Where in `memory.bytes` the block of a slot lies. */
	address(slot: number): number {
		return this.#records[slot * recordSize + recordAddress];
	}

	size(slot: number): number {
		return this.#records[slot * recordSize + recordBlockSize];
	}

	/**
	 * Makes a place of `size` bytes, which is the caller's to fill until `commit` or the next `reserve`.
	 * @returns its address; -1 when a block of that size is not cached
	 */
	reserve(size: number): number {
		const needed = align8(Math.max(size, 1));
		if (needed > this.#slabSize / blockFraction) return none;
		const first = this.#takeRun(needed);
		this.#hand = first;
		this.#reserved = first;
		this.#reservedSize = size;
		const rest = this.#extentSizes[first] - needed;
		if (rest >= extentSizeMin && this.#freeSlot !== none) {
			const slot = this.#freeSlot;
			this.#freeSlot = this.#chain[slot];
			this.#records[slot * recordSize + recordTableId] = none;
			this.#records[slot * recordSize + recordAddress] = this.address(first) + needed;
			this.#extentSizes[slot] = rest;
			this.#following[slot] = this.#following[first];
			this.#following[first] = slot;
			this.#extentSizes[first] = needed;
		}
		return this.address(first);
	}

	/** The reserved place now holds this block, which was not here yet. */
	commit(tableId: number, offset: number): void {
		const slot = this.#reserved;
		assert(slot !== none, 'a block is committed where a place was reserved');
		this.#reserved = none;
		this.#records[slot * recordSize + recordTableId] = tableId;
		this.#records[slot * recordSize + recordOffset] = offset;
		this.#records[slot * recordSize + recordBlockSize] = this.#reservedSize;
		this.#isReferenced[slot] = 0;
		const bucket = this.#bucketOf(tableId, offset);
		this.#chain[slot] = this.#buckets[bucket];
		this.#buckets[bucket] = slot;
		this.#blockBytes += this.#reservedSize;
		this.#blockCount++;
		this.#hand = this.#following[slot];
	}

	/** Forgets every block of a table. */
	drop(tableId: number): void {
		for (let slot = 0; slot < this.#slotCount; slot++) {
			if (this.#records[slot * recordSize + recordTableId] === tableId) this.#forget(slot);
		}
	}

	/** Throws when the extents do not tile the slab, or the counts do not agree with them: for tests. */
	checkInvariants(): void {
		if (this.#slotCount === 0) return;
		let address = this.memory.tail;
		let blockCount = 0;
		let blockBytes = 0;
		for (let slot = 0; slot !== none; slot = this.#following[slot]) {
			assert(this.address(slot) === address, 'extents lie end to end');
			assert(this.#extentSizes[slot] > 0, 'extents have bytes');
			address += this.#extentSizes[slot];
			if (this.#isFree(slot)) continue;
			assert(this.size(slot) <= this.#extentSizes[slot], 'a block lies within its extent');
			blockCount++;
			blockBytes += this.size(slot);
		}
		assert(address === this.memory.tail + this.#slabSize, 'extents fill the slab');
		assert(blockCount === this.#blockCount && blockBytes === this.#blockBytes, 'blocks are counted');
	}

	/** Makes one free extent of a run of extents that the hand comes to. @returns its slot */
	#takeRun(needed: number): number {
		let first = none;
		let total = 0;
		let count = 0;
		// The first turn may do no more than clear every bit; after the second, the slab is one run.
		for (let slot = this.#hand; ; slot = this.#following[slot]) {
			if (slot === none) {
				slot = 0;
				first = none;
			}
			if (!this.#isFree(slot) && this.#isReferenced[slot] !== 0) {
				this.#isReferenced[slot] = 0;
				first = none;
				continue;
			}
			if (first === none) {
				first = slot;
				total = 0;
				count = 0;
			}
			total += this.#extentSizes[slot];
			count++;
			// A run that is longer than needed must also yield a slot for what is left over.
			const isEnough = total - needed < extentSizeMin || count > 1 || this.#freeSlot !== none;
			if (total >= needed && isEnough) break;
		}
		this.#clear(first);
		for (; count > 1; count--) {
			const next = this.#following[first];
			this.#clear(next);
			this.#extentSizes[first] += this.#extentSizes[next];
			this.#following[first] = this.#following[next];
			this.#releaseSlot(next);
		}
		return first;
	}

	#clear(slot: number): void {
		if (this.#isFree(slot)) return;
		this.#forget(slot);
		this.#evictionCount++;
	}

	/** Makes a block's extent a free one. */
	#forget(slot: number): void {
		const bucket = this.#bucketOf(
			this.#records[slot * recordSize + recordTableId],
			this.#records[slot * recordSize + recordOffset],
		);
		if (this.#buckets[bucket] === slot) this.#buckets[bucket] = this.#chain[slot];
		else {
			let before = this.#buckets[bucket];
			while (this.#chain[before] !== slot) before = this.#chain[before];
			this.#chain[before] = this.#chain[slot];
		}
		this.#records[slot * recordSize + recordTableId] = none;
		this.#blockBytes -= this.size(slot);
		this.#blockCount--;
	}

	/** A slot that has no extent any more waits for the next. */
	#releaseSlot(slot: number): void {
		this.#records[slot * recordSize + recordTableId] = none;
		this.#chain[slot] = this.#freeSlot;
		this.#freeSlot = slot;
	}

	#isFree(slot: number): boolean {
		return this.#records[slot * recordSize + recordTableId] === none;
	}

	#bucketOf(tableId: number, offset: number): number {
		let hash = Math.imul(tableId | 0, 0x9e3779b1) ^ Math.imul(offset | 0, 0x85ebca77);
		hash ^= Math.floor(offset / 0x1_0000_0000);
		hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae3d);
		return (hash ^ (hash >>> 13)) & (this.#buckets.length - 1);
	}
}

function powerOfTwoAbove(count: number): number {
	let power = 1;
	while (power < count) power *= 2;
	return power;
}
