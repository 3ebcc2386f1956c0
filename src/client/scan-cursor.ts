/**
 * Walks the entries of one scan page (layout: page in command/command-format.ts). Checks every length against the
 * page before it believes it. What it gives out is copied, so a page can be dropped while its entries live on.
 */
import { readF64, readU32 } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import {
	pageEntryHeaderSize,
	pageExpiryOffset,
	pageKeySizeOffset,
	pageValueSizeOffset,
} from '../command/command-format.js';

export interface ExportedEntry {
	readonly key: Uint8Array;
	readonly value: Uint8Array;
	/** Milliseconds since the epoch; 0: never. */
	readonly expiresAtMs: number;
}

export class ScanCursor {
	/** Entries given out so far. */
	count = 0;
	readonly #page: Uint8Array;
	#at = 0;

	constructor(page: Uint8Array) {
		this.#page = page;
	}

	/**
	 * @returns the next entry, or undefined at the end. @throws MillraceError MILLRACE_PROTOCOL for a page cut short
	 */
	next(): ExportedEntry | undefined {
		const page = this.#page;
		if (this.#at === page.length) return undefined;
		const keyOffset = this.#at + pageEntryHeaderSize;
		if (keyOffset > page.length) throw cutShort();
		const valueOffset = keyOffset + readU32(page, this.#at + pageKeySizeOffset);
		const end = valueOffset + readU32(page, this.#at + pageValueSizeOffset);
		if (end > page.length) throw cutShort();
		const expiresAtMs = readF64(page, this.#at + pageExpiryOffset);
		this.#at = end;
		this.count++;
		return { key: page.slice(keyOffset, valueOffset), value: page.slice(valueOffset, end), expiresAtMs };
	}
}

function cutShort(): MillraceError {
	return new MillraceError('MILLRACE_PROTOCOL', 'a page of entries from the server is cut short');
}
