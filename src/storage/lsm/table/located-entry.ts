/**
 * An entry found by its place: the n-th of a data block. The key is put together from the restart before it, at most fifteen
 * entries back. Reused call after call; the key is this object's own, the value is lent from the block. One thread.
 */
import { keySizeMax } from '../../../base/limits.js';
import type { EntryView } from '../entry.js';
import type { DataBlock } from './data-block.js';
import { restartInterval } from './table-format.js';

const noBytes = new Uint8Array(0);

export class LocatedEntry implements EntryView {
	key = new Uint8Array(64);
	keySize = 0;
	sequence = 0;
	kind = 0;
	expiresAtMs = 0;
	value: Uint8Array = noBytes;
	valueOffset = 0;
	valueSize = 0;

	/** Fills this from entry `entryNumber` of a loaded block. @throws MillraceError MILLRACE_CORRUPT when it has none such */
	locate(block: DataBlock, entryNumber: number): void {
		const restart = Math.floor(entryNumber / restartInterval);
		if (restart >= block.restartCount) throw block.corrupt(`there is no entry ${entryNumber}`);
		this.keySize = 0;
		let at = block.mustRestartOffset(restart);
		for (let number = restart * restartInterval; ; number++) {
			if (at >= block.entriesEnd) throw block.corrupt(`there is no entry ${entryNumber}`);
			block.parse(at);
			this.#takeKey(block);
			if (number === entryNumber) break;
			at = block.nextOffset;
		}
		block.fill(this);
	}

	#takeKey(block: DataBlock): void {
		const { shared, unshared, suffixOffset } = block;
		const keySize = shared + unshared;
		if (shared > this.keySize || keySize > keySizeMax || keySize === 0) {
			throw block.corrupt(`a key takes ${shared} of ${this.keySize} bytes`);
		}
		if (keySize > this.key.length) {
			const grown = new Uint8Array(Math.min(keySizeMax, keySize * 2));
			grown.set(this.key.subarray(0, shared));
			this.key = grown;
		}
		this.key.set(block.bytes.subarray(suffixOffset, suffixOffset + unshared), shared);
		this.keySize = keySize;
	}
}
