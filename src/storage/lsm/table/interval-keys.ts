/**
 * The keys of one restart interval, put together side by side, and where its entries are: what walking backward needs, since each
 * key is stored as a difference from the one before it.
 *
 *   keys      | key 0 | key 1 | … | key 15 |          entry i: key at keyOffsets[i], its header at entryOffsets[i] of the block
 *
 * Reused interval after interval; the keys are its own until the next `load`. One thread.
 */
import { compareBytes, copyBytes } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import type { DataBlock } from './data-block.js';
import { restartInterval } from './table-format.js';

export class IntervalKeys {
	keys = new Uint8Array(1024);
	count = 0;
	/** The restart the entries follow; -1: none is loaded. */
	restart = -1;
	/** One more entry than keys. */
	readonly #keyOffsets = new Uint32Array(restartInterval + 1);
	readonly #entryOffsets = new Float64Array(restartInterval);

	forget(): void {
		this.restart = -1;
		this.count = 0;
	}

	/** @throws MillraceError MILLRACE_CORRUPT when the entries do not lead from this restart to the next */
	load(block: DataBlock, restart: number): void {
		this.restart = -1;
		let at = block.mustRestartOffset(restart);
		const isLast = restart + 1 === block.restartCount;
		const end = isLast ? block.entriesEnd : block.mustRestartOffset(restart + 1);
		let count = 0;
		let keyOffset = 0;
		let lastSize = 0;
		for (; at < end; at = block.nextOffset) {
			block.parse(at);
			const { shared, unshared } = block;
			const size = shared + unshared;
			if (count === restartInterval || shared > lastSize || size > keySizeMax || size === 0) {
				throw block.corrupt(`entry ${count} of restart ${restart} shares ${shared} of ${lastSize} bytes`);
			}
			this.#reserve(keyOffset, size);
			const { keys } = this;
			const lastOffset = keyOffset - lastSize;
			if (shared > 32) keys.copyWithin(keyOffset, lastOffset, lastOffset + shared);
			else for (let i = 0; i < shared; i++) keys[keyOffset + i] = keys[lastOffset + i];
			copyBytes(block.bytes, block.suffixOffset, keys, keyOffset + shared, unshared);
			this.#keyOffsets[count] = keyOffset;
			this.#entryOffsets[count] = at;
			keyOffset += size;
			lastSize = size;
			count++;
		}
		if (at !== end || count === 0) throw block.corrupt(`restart ${restart + 1} is not at ${at - block.start}`);
		this.#keyOffsets[count] = keyOffset;
		this.count = count;
		this.restart = restart;
	}

	keyOffset(i: number): number {
		return this.#keyOffsets[i];
	}

	keySize(i: number): number {
		return this.#keyOffsets[i + 1] - this.#keyOffsets[i];
	}

	/** Where in the block entry `i` starts. */
	entryOffset(i: number): number {
		return this.#entryOffsets[i];
	}

	/** @returns negative, 0 or positive: key `i` against another */
	compare(i: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		return compareBytes(this.keys, this.#keyOffsets[i], this.keySize(i), key, keyOffset, keySize);
	}

	#reserve(used: number, size: number): void {
		if (used + size <= this.keys.length) return;
		const grown = new Uint8Array((used + size) * 2);
		grown.set(this.keys.subarray(0, used));
		this.keys = grown;
	}
}
