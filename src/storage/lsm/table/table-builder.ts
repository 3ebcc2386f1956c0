/**
 * Writes a table: entries come in order, blocks go out in chunks of 256 KiB, and `finish` adds expiry section, filter, index,
 * range tombstones, properties and footer and syncs the file. Layout: table-format.ts.
 *
 *   add -> data block builder -> (full) compress -> header + checksum -> chunk -> (full) file.write
 *
 * A block is written only when the entry after it is known, because its separator lies between the two. Until
 * `finish` returns, the file is no table: its footer comes last. Whoever asked for it removes the file of a builder
 * that failed, and syncs the directory of one that finished.
 *
 * One thread (usually of the background pool) owns a builder; keys and values are copied at once.
 */
import { assert } from '../../../base/assert.js';
import { copyBytes } from '../../../base/bytes.js';
import { blockSizeDefault, bloomBitsPerKey, keySizeMax, sequenceMax } from '../../../base/limits.js';
import { type CodecName, codecNumberOf, codecRaw } from '../../../codec/block-codec.js';
import type { FileHandle } from '../../../env/ports.js';
import {
	kindPut,
	kindSlidingPut,
	kindTombstone,
	type RangeTombstone,
	slidingPrefixSize,
	storedValueSizeMax,
} from '../entry.js';
import { keyHash } from '../key-hash.js';
import { encodeBlock } from './block-frame.js';
import { DataBlockBuilder } from './data-block-builder.js';
import { ExpiryBuilder } from './expiry-builder.js';
import { encodeFilter } from './filter.js';
import { encodeFooter } from './footer.js';
import { encodeProperties } from './properties.js';
import { encodeRangeTombstones } from './range-tombstone-block.js';
import {
	blockHeaderSize,
	blockKindData,
	blockKindExpiry,
	blockKindExpiryDirectory,
	blockKindFilter,
	blockKindIndex,
	blockKindProperties,
	blockKindRangeTombstones,
	blockSizeMax,
	footerSize,
} from './table-format.js';
import { IndexBuilder } from './table-index.js';
import { boundsOf, type TableMeta } from './table-meta.js';

/** Bytes gathered before they are written: few system calls, and still in the processor's cache. */
const chunkSize = 256 * 1024;
const blockSizeMin = 64;

export interface TableBuilderOptions {
	/** Bytes of a data block before compression, 64 B … 1 MiB. */
	readonly blockSize?: number;
	/** Bits of filter for each distinct key; 0: no filter. */
	readonly bitsPerKey?: number;
	/** Codec of data blocks. */
	readonly codec?: CodecName;
}

export class TableBuilder {
	readonly #file: FileHandle;
	readonly #id: number;
	readonly #blockSize: number;
	readonly #bitsPerKey: number;
	readonly #codec: number;
	readonly #block: DataBlockBuilder;
	readonly #index = new IndexBuilder();
	readonly #expiry = new ExpiryBuilder();
	#rangeTombstones: readonly RangeTombstone[] = [];

	readonly #chunk = new Uint8Array(chunkSize);
	#chunkUsed = 0;
	#fileSize = 0;

	#hashes = new Uint32Array(1024);
	#keyCount = 0;
	#firstKey: Uint8Array | undefined;
	#lastKey = new Uint8Array(64);
	#lastKeySize = 0;
	#lastSequence = 0;

	#entryCount = 0;
	#tombstoneCount = 0;
	#minExpiresAtMs = 0;
	#maxExpiresAtMs = 0;
	#minSequence = sequenceMax;
	#maxSequence = 0;
	#rawSize = 0;
	#isFinished = false;

	/** @param file new and empty, opened with 'create'; the caller closes it */
	constructor(file: FileHandle, id: number, options: TableBuilderOptions = {}) {
		this.#blockSize = options.blockSize ?? blockSizeDefault;
		this.#bitsPerKey = options.bitsPerKey ?? bloomBitsPerKey;
		this.#codec = codecNumberOf(options.codec ?? 'lz4');
		assert(Number.isSafeInteger(id) && id >= 0, `table id ${id}`);
		assert(this.#blockSize >= blockSizeMin && this.#blockSize <= blockSizeMax, `block size ${this.#blockSize}`);
		assert(this.#bitsPerKey >= 0 && this.#bitsPerKey <= 64, `${this.#bitsPerKey} bits per key`);
		assert(file.size() === 0, 'a table is built in an empty file');
		this.#file = file;
		this.#id = id;
		this.#block = new DataBlockBuilder(this.#blockSize);
	}

	/** Bytes the table has so far, what is not written yet included; before compression of the current block. */
	get size(): number {
		const filterSize = (this.#keyCount * this.#bitsPerKey) / 8;
		const metaSize = this.#index.size + filterSize + this.#expiry.size + footerSize;
		return Math.ceil(this.#fileSize + this.#chunkUsed + this.#block.size + metaSize);
	}

	/** Entries added so far. */
	get entryCount(): number {
		return this.#entryCount;
	}

	/**
	 * Adds an entry, which must come after the one before: key ascending, then sequence descending (asserted).
	 * @param expiresAtMs milliseconds since the epoch, an integer; 0: never
	 * @throws what `FileHandle.write` throws; the builder is then of no use any more
	 */
	add(
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		sequence: number,
		kind: number,
		expiresAtMs: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
	): void {
		assert(!this.#isFinished, 'no entry is added to a finished table');
		assert(keySize >= 1 && keySize <= keySizeMax, 'key size is within its limit');
		assert(valueSize >= 0 && valueSize <= storedValueSizeMax, 'value size is within its limit');
		assert(Number.isSafeInteger(sequence) && sequence >= 0, 'sequence is an integer of 53 bits');
		assert(Number.isSafeInteger(expiresAtMs) && expiresAtMs >= 0, 'expiry is an integer of 53 bits');
		assert(kind === kindPut || kind === kindTombstone || kind === kindSlidingPut, 'kind is known');
		assert(kind !== kindSlidingPut || valueSize >= slidingPrefixSize, 'a sliding value has its prefix');
		const shared = this.#mustFollow(key, keyOffset, keySize, sequence);
		const isNewKey = shared < keySize || keySize !== this.#lastKeySize;
		if (!this.#block.hasRoom(shared, keySize, valueSize)) {
			const blockSize = this.#writeDataBlock();
			const last = this.#lastKey;
			const lastSize = this.#lastKeySize;
			this.#index.addBetween(blockSize, last, lastSize, this.#lastSequence, key, keyOffset, keySize);
		}
		if (expiresAtMs !== 0) this.#addExpiry(expiresAtMs);
		this.#block.add(shared, key, keyOffset, keySize, sequence, kind, expiresAtMs, value, valueOffset, valueSize);
		if (isNewKey) this.#rememberKey(key, keyOffset, keySize, shared);
		this.#lastSequence = sequence;
		this.#entryCount++;
		if (kind === kindTombstone) this.#tombstoneCount++;
		if (sequence < this.#minSequence) this.#minSequence = sequence;
		if (sequence > this.#maxSequence) this.#maxSequence = sequence;
	}

	/**
	 * The deleted ranges that the table holds beside its entries: in order of start, then of sequence, newest first.
	 * The table needs an entry all the same.
	 */
	setRangeTombstones(rangeTombstones: readonly RangeTombstone[]): void {
		assert(!this.#isFinished, 'no range is deleted in a finished table');
		this.#rangeTombstones = rangeTombstones;
		for (const { sequence } of rangeTombstones) {
			if (sequence < this.#minSequence) this.#minSequence = sequence;
			if (sequence > this.#maxSequence) this.#maxSequence = sequence;
		}
	}

	/**
	 * Writes the rest and syncs the file. At least one entry must have been added.
	 * @throws what `FileHandle.write` and `sync` throw
	 */
	finish(): TableMeta {
		assert(!this.#isFinished, 'a table is finished once');
		assert(this.#firstKey !== undefined, 'a table has entries');
		this.#isFinished = true;
		this.#index.addLast(this.#writeDataBlock(), this.#lastKey, this.#lastKeySize, this.#lastSequence);
		const dataSize = this.#fileSize + this.#chunkUsed;
		const directory = this.#expiry.rowCount === 0 ? undefined : this.#writeExpiryRows();
		const expirySize = this.#fileSize + this.#chunkUsed - dataSize;
		const meta = this.#meta(this.#firstKey);
		const tombstones = this.#rangeTombstones;
		const filter = encodeFilter(this.#hashes, this.#keyCount, this.#bitsPerKey);
		const filterSize = this.#writeMeta(blockKindFilter, filter);
		const indexSize = this.#writeMeta(blockKindIndex, this.#index.encode());
		const rangeTombstones = tombstones.length === 0 ? undefined : encodeRangeTombstones(tombstones);
		const rangeTombstonesSize = this.#writeMeta(blockKindRangeTombstones, rangeTombstones);
		const expiryDirectorySize = this.#writeMeta(blockKindExpiryDirectory, directory);
		const propertiesSize = this.#writeMeta(blockKindProperties, encodeProperties(meta, this.#blockSize));
		const footer = encodeFooter(this.#id, {
			dataSize,
			expirySize,
			filterSize,
			indexSize,
			rangeTombstonesSize,
			expiryDirectorySize,
			propertiesSize,
		});
		this.#append(footer, footer.length);
		this.#writeChunk();
		this.#file.sync();
		return { ...meta, size: this.#fileSize };
	}

	/** Notes the expiry of the entry that is about to be added. */
	#addExpiry(expiresAtMs: number): void {
		this.#expiry.add(expiresAtMs, this.#index.blockCount, this.#block.entryCount);
		if (expiresAtMs < this.#minExpiresAtMs || this.#minExpiresAtMs === 0) this.#minExpiresAtMs = expiresAtMs;
		if (expiresAtMs > this.#maxExpiresAtMs) this.#maxExpiresAtMs = expiresAtMs;
	}

	/** Asserts the order. @returns bytes the key shares with the one before */
	#mustFollow(key: Uint8Array, keyOffset: number, keySize: number, sequence: number): number {
		const last = this.#lastKey;
		const lastSize = this.#lastKeySize;
		const comparable = Math.min(keySize, lastSize);
		let shared = 0;
		while (shared < comparable && key[keyOffset + shared] === last[shared]) shared++;
		if (shared < comparable) {
			assert(key[keyOffset + shared] > last[shared], 'keys come in ascending order');
		} else if (keySize === lastSize) {
			assert(sequence < this.#lastSequence, 'versions of a key come newest first');
		} else {
			assert(keySize > lastSize, 'keys come in ascending order');
		}
		return shared;
	}

	#rememberKey(key: Uint8Array, keyOffset: number, keySize: number, shared: number): void {
		if (keySize > this.#lastKey.length) {
			const grown = new Uint8Array(Math.min(keySizeMax, keySize * 2));
			grown.set(this.#lastKey.subarray(0, shared));
			this.#lastKey = grown;
		}
		copyBytes(key, keyOffset + shared, this.#lastKey, shared, keySize - shared);
		this.#lastKeySize = keySize;
		this.#firstKey ??= this.#lastKey.slice(0, keySize);
		if (this.#keyCount === this.#hashes.length) {
			const grown = new Uint32Array(this.#keyCount * 2);
			grown.set(this.#hashes);
			this.#hashes = grown;
		}
		this.#hashes[this.#keyCount++] = keyHash(key, keyOffset, keySize);
	}

	#meta(firstKey: Uint8Array): TableMeta {
		const lastKey = this.#lastKey.slice(0, this.#lastKeySize);
		return {
			id: this.#id,
			size: 0,
			entryCount: this.#entryCount,
			tombstoneCount: this.#tombstoneCount,
			keyCount: this.#keyCount,
			rawSize: this.#rawSize,
			firstKey,
			lastKey,
			...boundsOf(firstKey, lastKey, this.#rangeTombstones),
			minSequence: this.#minSequence,
			maxSequence: this.#maxSequence,
			expiryCount: this.#expiry.rowCount,
			minExpiresAtMs: this.#minExpiresAtMs,
			maxExpiresAtMs: this.#maxExpiresAtMs,
			rangeTombstones: this.#rangeTombstones,
		};
	}

	/** @returns bytes of the block with header */
	#writeDataBlock(): number {
		const payloadSize = this.#block.finish();
		const blockSize = this.#writeBlock(blockKindData, this.#codec, this.#block.bytes, payloadSize);
		this.#rawSize += payloadSize;
		this.#block.reset();
		return blockSize;
	}

	/** @returns the payload of the directory */
	#writeExpiryRows(): Uint8Array {
		return this.#expiry.finish((bytes, size) => this.#writeBlock(blockKindExpiry, codecRaw, bytes, size));
	}

	/** @param payload undefined: the table has no such block */
	#writeMeta(kind: number, payload: Uint8Array | undefined): number {
		return payload === undefined ? 0 : this.#writeBlock(kind, codecRaw, payload, payload.length);
	}

	#writeBlock(kind: number, codec: number, payload: Uint8Array, rawSize: number): number {
		const sizeMax = blockHeaderSize + rawSize;
		if (this.#chunkUsed + sizeMax > chunkSize) this.#writeChunk();
		// A block that may be larger than a chunk gets memory of its own, for the one checksum over header and payload.
		const target = sizeMax <= chunkSize ? this.#chunk : new Uint8Array(sizeMax);
		const offset = this.#chunkUsed;
		const fileOffset = this.#fileSize + offset;
		const blockSize = encodeBlock(kind, codec, payload, 0, rawSize, target, offset, this.#id, fileOffset);
		if (target === this.#chunk) this.#chunkUsed += blockSize;
		else {
			this.#file.write(target, 0, blockSize, this.#fileSize);
			this.#fileSize += blockSize;
		}
		return blockSize;
	}

	#append(bytes: Uint8Array, size: number): void {
		if (this.#chunkUsed + size > chunkSize) this.#writeChunk();
		copyBytes(bytes, 0, this.#chunk, this.#chunkUsed, size);
		this.#chunkUsed += size;
	}

	#writeChunk(): void {
		if (this.#chunkUsed === 0) return;
		this.#file.write(this.#chunk, 0, this.#chunkUsed, this.#fileSize);
		this.#fileSize += this.#chunkUsed;
		this.#chunkUsed = 0;
	}
}
