/**
 * Reads one page of a scan (layout: page in command-format.ts). Checks every length against the page before it believes it.
 * What it gives out is copied, so a page can be dropped while its entries live on.
 */
import { copyOf, readF64, readU16, readU32 } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import {
	pageEntryHeaderSize,
	pageExpiryOffset,
	pageHeaderSize,
	pageKeySizeOffset,
	pageValueSizeOffset,
	pageVersionOffset,
} from './command-format.js';

export interface ScannedEntry {
	readonly key: Uint8Array;
	/** Empty when only keys were asked for. */
	readonly value: Uint8Array;
	/** Milliseconds since the epoch; 0: never. */
	readonly expiresAtMs: number;
	readonly version: number;
}

export class ScanPageReader {
	/** Where the next page goes on; without meaning in the last one. */
	readonly cursor: Uint8Array;
	readonly #page: Uint8Array;
	#at: number;

	/** @throws MillraceError MILLRACE_PROTOCOL for a page cut short */
	constructor(page: Uint8Array) {
		if (page.length < pageHeaderSize) throw cutShort();
		this.#at = pageHeaderSize + readU16(page, 0);
		if (this.#at > page.length) throw cutShort();
		this.#page = page;
		this.cursor = copyOf(page, pageHeaderSize, this.#at);
	}

	/** True when there are no more entries. */
	get isAtEnd(): boolean {
		return this.#at === this.#page.length;
	}

	/** @returns the next entry, or undefined at the end. @throws MillraceError MILLRACE_PROTOCOL for a page cut short */
	next(): ScannedEntry | undefined {
		const page = this.#page;
		const at = this.#at;
		if (at === page.length) return undefined;
		const keyOffset = at + pageEntryHeaderSize;
		if (keyOffset > page.length) throw cutShort();
		const valueOffset = keyOffset + readU32(page, at + pageKeySizeOffset);
		const end = valueOffset + readU32(page, at + pageValueSizeOffset);
		if (end > page.length) throw cutShort();
		this.#at = end;
		return {
			key: copyOf(page, keyOffset, valueOffset),
			value: copyOf(page, valueOffset, end),
			expiresAtMs: readF64(page, at + pageExpiryOffset),
			version: readF64(page, at + pageVersionOffset),
		};
	}
}

function cutShort(): MillraceError {
	return new MillraceError('MILLRACE_PROTOCOL', 'a page of entries from the server is cut short');
}
