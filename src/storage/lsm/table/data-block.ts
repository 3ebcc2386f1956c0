/**
 * Reads the payload of a data block: entries with prefix-compressed keys, then the restart table.
 *
 *   entry   varint shared | varint unshared | varint valueSize | u53 sequence | u8 tag | [u53 expiresAtMs]
 *           | unshared key bytes | value
 *
 * A cursor: `load` a payload, `parse` the entry at an offset, read its fields. One cursor serves call after call, so
 * no object is made per block or entry. Every size is checked against the payload before anything it names is
 * touched: a malformed block is MILLRACE_CORRUPT, never a wild read or an endless walk.
 *
 * Not shared between threads; the payload belongs to the caller and is only read.
 */
import { compareBytes, readU32, readU53 } from '../../../base/bytes.js';
import { readVarint, varintSize } from '../../../base/varint.js';
import type { EntryView } from '../entry.js';
import {
	entryExpirySize,
	entryFixedSize,
	entryTagOffset,
	restartInterval,
	tagHasExpiry,
	tagKindMask,
} from './table-format.js';
import { tableCorrupt } from './table-meta.js';

const noBytes = Buffer.alloc(0);

export class DataBlock {
	bytes: Uint8Array = noBytes;
	/** Where the payload, which is also its first entry, starts in `bytes`. All offsets here are into `bytes`. */
	start = 0;
	/** Bytes of the payload. */
	size = 0;
	/** Where the entries end and the restart table starts. */
	entriesEnd = 0;
	restartCount = 0;

	/** Of the entry last parsed: */
	shared = 0;
	unshared = 0;
	valueSize = 0;
	sequenceOffset = 0;
	/** Where the key's unshared bytes are. */
	suffixOffset = 0;
	valueOffset = 0;
	nextOffset = 0;

	/** Where the block starts in its file. */
	fileOffset = 0;
	#path = '';

	/**
	 * Takes the payload at `bytes[start, start + size)`, which must not change while it is read.
	 * @param path of the table, for the message of an error, as is `fileOffset`: where the block starts in the file
	 * @throws MillraceError MILLRACE_CORRUPT
	 */
	load(bytes: Uint8Array, start: number, size: number, path: string, fileOffset: number): void {
		this.bytes = bytes;
		this.start = start;
		this.size = size;
		this.#path = path;
		this.fileOffset = fileOffset;
		const end = start + size;
		this.restartCount = size >= 4 ? readU32(bytes, end - 4) : 0;
		this.entriesEnd = end - 4 - this.restartCount * 4;
		if (this.restartCount === 0 || this.entriesEnd <= start) {
			throw this.corrupt(`${this.restartCount} restarts in ${size} bytes`);
		}
	}

	/** Where the entry of a restart starts. */
	restartOffset(restart: number): number {
		return this.start + readU32(this.bytes, this.entriesEnd + restart * 4);
	}

	/** Reads the header of the entry at `offset`. @throws MillraceError MILLRACE_CORRUPT when it does not fit */
	parse(offset: number): void {
		const bytes = this.bytes;
		const end = this.entriesEnd;
		let at = offset;
		let shared = bytes[at];
		if (shared < 0x80) at++;
		else {
			shared = readVarint(bytes, at);
			at += varintSize(shared);
		}
		let unshared = bytes[at];
		if (unshared < 0x80) at++;
		else {
			unshared = readVarint(bytes, at);
			at += varintSize(unshared);
		}
		let valueSize = bytes[at];
		if (valueSize < 0x80) at++;
		else {
			valueSize = readVarint(bytes, at);
			at += varintSize(valueSize);
		}
		this.sequenceOffset = at;
		if (at + entryFixedSize > end) throw this.corrupt(`an entry at ${offset - this.start} is cut off`);
		const hasExpiry = (bytes[at + entryTagOffset] & tagHasExpiry) !== 0;
		const suffixOffset = at + entryFixedSize + (hasExpiry ? entryExpirySize : 0);
		const next = suffixOffset + unshared + valueSize;
		if (next > end) throw this.corrupt(`an entry at ${offset - this.start} is longer than its block`);
		this.shared = shared;
		this.unshared = unshared;
		this.valueSize = valueSize;
		this.suffixOffset = suffixOffset;
		this.valueOffset = suffixOffset + unshared;
		this.nextOffset = next;
	}

	/** Sequence of the entry last parsed. */
	sequence(): number {
		return readU53(this.bytes, this.sequenceOffset);
	}

	/** Tag of the entry last parsed. */
	tag(): number {
		return this.bytes[this.sequenceOffset + entryTagOffset];
	}

	/** Describes the entry last parsed in `view`, the value lent from the payload. */
	fill(view: EntryView): void {
		const bytes = this.bytes;
		const tag = this.tag();
		view.sequence = this.sequence();
		view.kind = tag & tagKindMask;
		view.expiresAtMs = (tag & tagHasExpiry) !== 0 ? readU53(bytes, this.sequenceOffset + entryFixedSize) : 0;
		view.value = bytes;
		view.valueOffset = this.valueOffset;
		view.valueSize = this.valueSize;
	}

	/**
	 * Binary search over restarts.
	 * @returns the restart whose interval holds the first entry that is >= (key, maxSequence), or ends right before it
	 */
	findRestart(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): number {
		let low = 0;
		let high = this.restartCount - 1;
		while (low < high) {
			const middle = (low + high + 1) >>> 1;
			this.parse(this.mustRestartOffset(middle));
			if (this.shared !== 0) throw this.corrupt(`restart ${middle} is no restart`);
			const order = compareBytes(this.bytes, this.suffixOffset, this.unshared, key, keyOffset, keySize);
			if (order < 0 || (order === 0 && this.sequence() > maxSequence)) low = middle;
			else high = middle - 1;
		}
		return low;
	}

	/**
	 * Finds the newest version of `key` with sequence <= `maxSequence` and leaves the cursor on it.
	 *
	 * No key is put together: `matched` is how many bytes the entries so far have in common with `key`. An entry that
	 * shares more than that with the one before it still differs from `key` where that one did, so it is still below.
	 */
	find(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): boolean {
		const bytes = this.bytes;
		const end = this.entriesEnd;
		let matched = 0;
		// At most one interval lies before the entry sought, and then its versions that are too new.
		const restart = this.findRestart(key, keyOffset, keySize, maxSequence);
		for (let at = this.mustRestartOffset(restart); at < end; at = this.nextOffset) {
			this.parse(at);
			const shared = this.shared;
			if (shared > matched) continue;
			const entryKeySize = shared + this.unshared;
			const comparable = Math.min(entryKeySize, keySize);
			const shift = this.suffixOffset - shared;
			matched = shared;
			while (matched < comparable && bytes[shift + matched] === key[keyOffset + matched]) matched++;
			if (matched < comparable) {
				if (bytes[shift + matched] > key[keyOffset + matched]) return false;
			} else if (entryKeySize > keySize) {
				return false;
			} else if (entryKeySize === keySize && this.sequence() <= maxSequence) {
				return true;
			}
		}
		return false;
	}

	corrupt(what: string): Error {
		return tableCorrupt(this.#path, this.fileOffset, `in the block here: ${what}`);
	}

	/** `restartOffset`, checked. @throws MillraceError MILLRACE_CORRUPT */
	mustRestartOffset(restart: number): number {
		const offset = this.restartOffset(restart);
		// Every interval but the last has all its entries, so the offset of a restart is at least that far in.
		if (offset >= this.entriesEnd || offset < this.start + restart * restartInterval) {
			throw this.corrupt(`restart ${restart} at ${offset - this.start}`);
		}
		return offset;
	}
}
