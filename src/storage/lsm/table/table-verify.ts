/**
 * Checks a whole table against itself: every block's checksum, every entry's order, every restart, separators, filter,
 * and the properties. What it lets pass, `get` and iterators answer rightly.
 */
import { compareBytes } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import type { FileHandle } from '../../../env/ports.js';
import { kindPut, kindTombstone } from '../entry.js';
import { keyHash } from '../key-hash.js';
import type { Filter } from './filter.js';
import type { TableProperties } from './properties.js';
import { restartInterval, tagHasExpiry, tagKindMask } from './table-format.js';
import type { TableIndex } from './table-index.js';
import { TableIterator } from './table-iterator.js';
import { tableCorrupt } from './table-meta.js';

/** @throws MillraceError MILLRACE_CORRUPT naming file, offset and what; and what `FileHandle.read` throws */
export function verifyTable(file: FileHandle, properties: TableProperties, index: TableIndex, filter: Filter): void {
	new TableVerifier(file, properties, index, filter).run();
}

class TableVerifier {
	readonly #path: string;
	readonly #properties: TableProperties;
	readonly #index: TableIndex;
	readonly #filter: Filter;
	readonly #iterator: TableIterator;
	readonly #lastKey = new Uint8Array(keySizeMax);
	#lastKeySize = 0;
	#lastSequence = 0;
	/** Number of the entry in its block, and where it starts there. */
	#position = 0;
	#offset = 0;
	#entryCount = 0;
	#keyCount = 0;
	#tombstoneCount = 0;
	#expiryCount = 0;
	#minSequence = Number.MAX_SAFE_INTEGER;
	#maxSequence = 0;
	#rawSize = 0;

	constructor(file: FileHandle, properties: TableProperties, index: TableIndex, filter: Filter) {
		this.#path = file.path;
		this.#properties = properties;
		this.#index = index;
		this.#filter = filter;
		this.#iterator = new TableIterator(file, properties.meta.id, index);
	}

	run(): void {
		const iterator = this.#iterator;
		let blockNumber = -1;
		for (iterator.seekFirst(); iterator.valid; iterator.next()) {
			if (iterator.blockNumber !== blockNumber) {
				if (blockNumber >= 0) this.#checkBlockEnd(blockNumber);
				blockNumber = iterator.blockNumber;
				this.#position = 0;
				this.#offset = 0;
				this.#rawSize += iterator.block.bytes.length;
			}
			this.#checkEntry(blockNumber);
		}
		this.#checkBlockEnd(blockNumber);
		this.#checkProperties();
	}

	#checkEntry(blockNumber: number): void {
		const iterator = this.#iterator;
		const block = iterator.block;
		const { key, keySize, sequence } = iterator;
		const order = compareBytes(this.#lastKey, 0, this.#lastKeySize, key, 0, keySize);
		if (order > 0 || (order === 0 && this.#lastSequence <= sequence)) this.#fail('entries are out of order');
		if (this.#position % restartInterval === 0) this.#checkRestart();
		const tag = block.tag();
		const kind = tag & tagKindMask;
		if ((kind !== kindPut && kind !== kindTombstone) || (tag & ~(tagKindMask | tagHasExpiry)) !== 0) {
			this.#fail(`an entry has tag ${tag}`);
		}
		if (order !== 0) {
			this.#keyCount++;
			if (!this.#filter.mayContain(keyHash(key, 0, keySize))) this.#fail('the filter denies a key');
			if (this.#position === 0 && blockNumber > 0) {
				const separator = this.#index.compareSeparator(blockNumber - 1, key, 0, keySize);
				if (separator >= 0) this.#fail('a separator is not below the block after it');
			}
		}
		this.#lastKey.set(key.subarray(0, keySize));
		this.#lastKeySize = keySize;
		this.#lastSequence = sequence;
		if (this.#entryCount === 0) this.#checkFirstKey();
		this.#entryCount++;
		if (kind === kindTombstone) this.#tombstoneCount++;
		if (iterator.expiresAtMs !== 0) this.#expiryCount++;
		this.#minSequence = Math.min(this.#minSequence, sequence);
		this.#maxSequence = Math.max(this.#maxSequence, sequence);
		this.#position++;
		this.#offset = block.nextOffset;
	}

	#checkRestart(): void {
		const block = this.#iterator.block;
		const restart = this.#position / restartInterval;
		const holds = restart < block.restartCount && block.restartOffset(restart) === this.#offset;
		if (!holds || block.shared !== 0) this.#fail(`restart ${restart} is not at ${this.#offset}`);
	}

	/** The last entry seen was the last of its block. */
	#checkBlockEnd(blockNumber: number): void {
		const order = this.#index.compareSeparator(blockNumber, this.#lastKey, 0, this.#lastKeySize);
		const sequence = this.#index.lastSequences[blockNumber];
		if (order < 0) this.#fail('a separator is below its block', blockNumber);
		if (sequence !== (order === 0 ? this.#lastSequence : 0)) {
			this.#fail(`sequence ${sequence} is indexed for ${this.#lastSequence}`, blockNumber);
		}
	}

	#checkFirstKey(): void {
		const { key, keySize } = this.#iterator;
		const first = this.#properties.meta.firstKey;
		if (compareBytes(key, 0, keySize, first, 0, first.length) !== 0) this.#fail('the first key is another');
	}

	#checkProperties(): void {
		const { meta, keyCount, rawSize } = this.#properties;
		const last = meta.lastKey;
		if (compareBytes(this.#lastKey, 0, this.#lastKeySize, last, 0, last.length) !== 0) {
			this.#fail('the last key is another');
		}
		const rows: [string, number, number][] = [
			['entries', this.#entryCount, meta.entryCount],
			['tombstones', this.#tombstoneCount, meta.tombstoneCount],
			['entries with expiry', this.#expiryCount, meta.expiryCount],
			['keys', this.#keyCount, keyCount],
			['as lowest sequence', this.#minSequence, meta.minSequence],
			['as highest sequence', this.#maxSequence, meta.maxSequence],
			['bytes of data', this.#rawSize, rawSize],
		];
		for (const [what, found, promised] of rows) {
			if (found !== promised) this.#fail(`${found} ${what}, the properties say ${promised}`);
		}
	}

	#fail(what: string, blockNumber = this.#iterator.blockNumber): never {
		throw tableCorrupt(this.#path, this.#index.blockOffsets[blockNumber], `in the block here: ${what}`);
	}
}
