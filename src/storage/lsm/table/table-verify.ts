/**
 * Checks a whole table against itself: every block's checksum, every entry's order, every restart, separators, filter, the
 * expiry section (each row true, none missing), range tombstones, and the properties. What it lets pass, `get` and iterators
 * answer rightly. Runs over every table that is written, so each key is compared and hashed once.
 */
import { compareBytes } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import type { FileHandle } from '../../../env/ports.js';
import { kindPut, kindSlidingPut, kindTombstone, slidingPrefixSize } from '../entry.js';
import { keyHash } from '../key-hash.js';
import { ExpiryFingerprint } from './expiry-fingerprint.js';
import { ExpiryCursor, type ExpiryDirectory } from './expiry-section.js';
import { restartInterval, tagHasExpiry, tagKindMask } from './table-format.js';
import { TableIterator } from './table-iterator.js';
import { type TableMeta, tableCorrupt } from './table-meta.js';
import type { TableParts } from './table-parts.js';

/** @throws MillraceError MILLRACE_CORRUPT naming file, offset and what; and what `FileHandle.read` throws */
export function verifyTable(file: FileHandle, parts: TableParts): void {
	new TableVerifier(file, parts).run();
}

class TableVerifier {
	readonly #file: FileHandle;
	readonly #parts: TableParts;
	readonly #meta: TableMeta;
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
	#minExpiresAtMs = Number.MAX_SAFE_INTEGER;
	#maxExpiresAtMs = 0;
	readonly #expiries = new ExpiryFingerprint();
	#minSequence = Number.MAX_SAFE_INTEGER;
	#maxSequence = 0;
	#rawSize = 0;

	constructor(file: FileHandle, parts: TableParts) {
		this.#file = file;
		this.#parts = parts;
		this.#meta = parts.properties.meta;
		this.#iterator = new TableIterator(file, this.#meta.id, parts.index);
	}

	run(): void {
		const iterator = this.#iterator;
		let blockNumber = -1;
		for (iterator.seekFirst(); iterator.valid; iterator.next()) {
			if (iterator.blockNumber !== blockNumber) {
				if (blockNumber >= 0) this.#checkBlockEnd(blockNumber);
				blockNumber = iterator.blockNumber;
				this.#position = 0;
				this.#offset = iterator.block.start;
				this.#rawSize += iterator.block.size;
			}
			this.#checkEntry(blockNumber);
		}
		this.#checkBlockEnd(blockNumber);
		for (const { sequence } of this.#meta.rangeTombstones) this.#noteSequence(sequence);
		this.#checkProperties();
		const directory = this.#parts.expiryDirectory;
		if (directory !== undefined) this.#checkExpirySection(directory);
	}

	#checkEntry(blockNumber: number): void {
		const iterator = this.#iterator;
		const block = iterator.block;
		const { sequence, expiresAtMs } = iterator;
		const isNewKey = this.#takeKey(block.shared);
		if (!isNewKey && this.#lastSequence <= sequence) this.#fail('entries are out of order');
		if (this.#position % restartInterval === 0) this.#checkRestart();
		this.#checkTag(block.tag(), iterator.valueSize);
		if (isNewKey) this.#checkNewKey(blockNumber);
		this.#lastSequence = sequence;
		this.#entryCount++;
		if (expiresAtMs !== 0) this.#noteExpiry(expiresAtMs, blockNumber);
		this.#noteSequence(sequence);
		this.#position++;
		this.#offset = block.nextOffset;
	}

	/**
	 * Compares the key with the one before, and makes it that.
	 * @param shared bytes it took from the one before, so they are equal already
	 * @returns false when it is the same
	 */
	#takeKey(shared: number): boolean {
		const { key, keySize } = this.#iterator;
		const last = this.#lastKey;
		const comparable = Math.min(keySize, this.#lastKeySize);
		let at = shared;
		while (at < comparable && key[at] === last[at]) at++;
		if (at === keySize && at === this.#lastKeySize) return false;
		const isAbove = at < comparable ? key[at] > last[at] : keySize > this.#lastKeySize;
		if (!isAbove) this.#fail('entries are out of order');
		for (; at < keySize; at++) last[at] = key[at];
		this.#lastKeySize = keySize;
		return true;
	}

	#checkTag(tag: number, valueSize: number): void {
		const kind = tag & tagKindMask;
		const isKnown = kind === kindPut || kind === kindTombstone || kind === kindSlidingPut;
		if (!isKnown || (tag & ~(tagKindMask | tagHasExpiry)) !== 0) this.#fail(`an entry has tag ${tag}`);
		if (kind === kindTombstone) this.#tombstoneCount++;
		else if (kind === kindSlidingPut && valueSize < slidingPrefixSize) {
			this.#fail(`a sliding value of ${valueSize} bytes`);
		}
	}

	#checkNewKey(blockNumber: number): void {
		const key = this.#lastKey;
		const keySize = this.#lastKeySize;
		this.#keyCount++;
		if (!this.#parts.filter.mayContain(keyHash(key, 0, keySize))) this.#fail('the filter denies a key');
		if (this.#position === 0 && blockNumber > 0) {
			const separator = this.#parts.index.compareSeparator(blockNumber - 1, key, 0, keySize);
			if (separator >= 0) this.#fail('a separator is not below the block after it');
		}
		const first = this.#meta.firstKey;
		if (this.#entryCount === 0 && compareBytes(key, 0, keySize, first, 0, first.length) !== 0) {
			this.#fail('the first key is another');
		}
	}

	#noteExpiry(expiresAtMs: number, blockNumber: number): void {
		this.#expiryCount++;
		this.#expiries.add(expiresAtMs, blockNumber, this.#position);
		if (expiresAtMs < this.#minExpiresAtMs) this.#minExpiresAtMs = expiresAtMs;
		if (expiresAtMs > this.#maxExpiresAtMs) this.#maxExpiresAtMs = expiresAtMs;
	}

	#noteSequence(sequence: number): void {
		if (sequence < this.#minSequence) this.#minSequence = sequence;
		if (sequence > this.#maxSequence) this.#maxSequence = sequence;
	}

	#checkRestart(): void {
		const block = this.#iterator.block;
		const restart = this.#position / restartInterval;
		const holds = restart < block.restartCount && block.restartOffset(restart) === this.#offset;
		if (!holds || block.shared !== 0) this.#fail(`restart ${restart} is not at ${this.#offset - block.start}`);
	}

	/** The last entry seen was the last of its block. */
	#checkBlockEnd(blockNumber: number): void {
		const index = this.#parts.index;
		const order = index.compareSeparator(blockNumber, this.#lastKey, 0, this.#lastKeySize);
		const sequence = index.lastSequences[blockNumber];
		if (order < 0) this.#fail('a separator is below its block', blockNumber);
		if (sequence !== (order === 0 ? this.#lastSequence : 0)) {
			this.#fail(`sequence ${sequence} is indexed for ${this.#lastSequence}`, blockNumber);
		}
	}

	#checkProperties(): void {
		const meta = this.#meta;
		const last = meta.lastKey;
		if (compareBytes(this.#lastKey, 0, this.#lastKeySize, last, 0, last.length) !== 0) {
			this.#fail('the last key is another');
		}
		const rows: [string, number, number][] = [
			['entries', this.#entryCount, meta.entryCount],
			['tombstones', this.#tombstoneCount, meta.tombstoneCount],
			['entries with expiry', this.#expiryCount, meta.expiryCount],
			['keys', this.#keyCount, meta.keyCount],
			['as lowest sequence', this.#minSequence, meta.minSequence],
			['as highest sequence', this.#maxSequence, meta.maxSequence],
			['bytes of data', this.#rawSize, meta.rawSize],
		];
		if (this.#expiryCount > 0 && this.#parts.properties.version > 1) {
			rows.push(['as first expiry', this.#minExpiresAtMs, meta.minExpiresAtMs]);
			rows.push(['as last expiry', this.#maxExpiresAtMs, meta.maxExpiresAtMs]);
		}
		for (const [what, found, promised] of rows) {
			if (found !== promised) this.#fail(`${found} ${what}, the properties say ${promised}`);
		}
	}

	/** The rows are as many as entries that expire, all different, and add up to the same: so each entry has its row. */
	#checkExpirySection(directory: ExpiryDirectory): void {
		const { index } = this.#parts;
		const cursor = new ExpiryCursor(this.#file, this.#meta.id, directory, index.blockCount);
		const found = new ExpiryFingerprint();
		let time = 0;
		let block = -1;
		let entry = -1;
		for (cursor.seekFirst(); cursor.valid; cursor.next()) {
			const { expiresAtMs, blockNumber, entryNumber } = cursor;
			const isPlaceAbove = blockNumber > block || (blockNumber === block && entryNumber > entry);
			if (expiresAtMs < time || (expiresAtMs === time && !isPlaceAbove)) {
				throw tableCorrupt(this.#file.path, directory.offsets[0], 'expiry rows are out of order');
			}
			found.add(expiresAtMs, blockNumber, entryNumber);
			time = expiresAtMs;
			block = blockNumber;
			entry = entryNumber;
		}
		if (!found.equals(this.#expiries)) {
			throw tableCorrupt(this.#file.path, directory.offsets[0], 'expiry rows are not those of the entries');
		}
	}

	#fail(what: string, blockNumber = this.#iterator.blockNumber): never {
		throw tableCorrupt(this.#file.path, this.#parts.index.blockOffsets[blockNumber], `in the block here: ${what}`);
	}
}
