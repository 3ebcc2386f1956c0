/**
 * Builds the payload of a data block: entries with prefix-compressed keys and, every 16 entries, a restart whose key
 * is whole. Layout: table-format.ts; read back by data-block.ts.
 *
 * The caller keeps the order and says how much of each key the one before it shares. One builder serves block after
 * block; `bytes` is its own and reused.
 */
import { assert } from '../../../base/assert.js';
import { copyBytes, writeU32, writeU53 } from '../../../base/bytes.js';
import { writeVarint } from '../../../base/varint.js';
import { GrowingBytes } from './growing-bytes.js';
import { entryOverheadMax, entryTagOffset, restartInterval, tagHasExpiry } from './table-format.js';

/** A buffer grown for one huge value is given back once it is above this many bytes. */
const retainedSizeMax = 4 * 1024 * 1024;

export class DataBlockBuilder {
	readonly #blockSize: number;
	#content: GrowingBytes;
	#restarts = new Uint32Array(64);
	#restartCount = 0;
	#entryCount = 0;

	constructor(blockSize: number) {
		this.#blockSize = blockSize;
		this.#content = new GrowingBytes(blockSize * 2);
	}

	get bytes(): Uint8Array {
		return this.#content.bytes;
	}

	get entryCount(): number {
		return this.#entryCount;
	}

	/** Bytes the payload would have if finished now. */
	get size(): number {
		return this.#content.size + this.#restartCount * 4 + 4;
	}

	/** False when this entry would carry a block that has entries already over its size. */
	hasRoom(shared: number, keySize: number, valueSize: number): boolean {
		if (this.#entryCount === 0) return true;
		const isRestart = this.#entryCount % restartInterval === 0;
		const unshared = isRestart ? keySize + 4 : keySize - shared;
		return this.size + entryOverheadMax + unshared + valueSize <= this.#blockSize;
	}

	/** @param shared bytes the key has in common with the entry before; ignored where the key is stored whole */
	add(
		shared: number,
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
		const content = this.#content;
		content.reserve(entryOverheadMax + keySize + valueSize);
		if (this.#entryCount % restartInterval === 0) {
			shared = 0;
			this.#addRestart(content.size);
		}
		const bytes = content.bytes;
		const unshared = keySize - shared;
		let at = writeVarint(bytes, content.size, shared);
		at = writeVarint(bytes, at, unshared);
		at = writeVarint(bytes, at, valueSize);
		writeU53(bytes, at, sequence);
		at += entryTagOffset;
		bytes[at++] = expiresAtMs === 0 ? kind : kind | tagHasExpiry;
		if (expiresAtMs !== 0) {
			writeU53(bytes, at, expiresAtMs);
			at += 8;
		}
		copyBytes(key, keyOffset + shared, bytes, at, unshared);
		at += unshared;
		copyBytes(value, valueOffset, bytes, at, valueSize);
		content.size = at + valueSize;
		this.#entryCount++;
	}

	/** Appends the restart table. The payload is then `bytes[0, result)`, until `reset`. */
	finish(): number {
		assert(this.#entryCount > 0, 'a block has entries');
		const size = this.size;
		const content = this.#content;
		content.reserve(size - content.size);
		let at = content.size;
		for (let i = 0; i < this.#restartCount; i++, at += 4) writeU32(content.bytes, at, this.#restarts[i]);
		writeU32(content.bytes, at, this.#restartCount);
		return size;
	}

	reset(): void {
		if (this.#content.bytes.length > retainedSizeMax) this.#content = new GrowingBytes(this.#blockSize * 2);
		this.#content.size = 0;
		this.#restartCount = 0;
		this.#entryCount = 0;
	}

	#addRestart(offset: number): void {
		if (this.#restartCount === this.#restarts.length) {
			const grown = new Uint32Array(this.#restartCount * 2);
			grown.set(this.#restarts);
			this.#restarts = grown;
		}
		this.#restarts[this.#restartCount++] = offset;
	}
}
