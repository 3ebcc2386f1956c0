/**
 * Walks the live entries of a view at one sequence number and one time: of each key the newest version that is visible,
 * unless it is a tombstone or expired. Works in steps, so that a long walk can be done in slices between other work.
 * Pins what it walks over until closed.
 */
import { compareBytes } from '../../base/bytes.js';
import { isExpired, kindPut } from './entry.js';
import { MergeIterator } from './merge-iterator.js';
import type { Pinnable } from './pinned.js';
import type { ReadView } from './read-view.js';

export class LiveCursor {
	readonly entry: MergeIterator;
	/** Pinned until closed. */
	readonly #sources: Pinnable[];
	readonly #maxSequence: number;
	readonly #nowMs: number;
	/** The key last decided on: its older versions are skipped. */
	#lastKey = Buffer.alloc(64);
	#lastKeySize = -1;

	constructor(view: ReadView, maxSequence: number, nowMs: number) {
		const { iterators, sources } = view.startWalk();
		this.#sources = sources;
		this.entry = new MergeIterator(iterators);
		this.#maxSequence = maxSequence;
		this.#nowMs = nowMs;
	}

	/** To the first entry, or with a key to the first entry after it. */
	start(key?: Uint8Array): void {
		if (key === undefined || key.length === 0) {
			this.entry.seekFirst();
		} else {
			this.entry.seek(key, 0, key.length);
			this.#remember(key, 0, key.length);
		}
	}

	get isAtEnd(): boolean {
		return !this.entry.valid;
	}

	/**
	 * Looks at one stored version and moves past it, unless it is live.
	 * @returns true when `entry` stands on a live entry: use it, then call `pass`
	 */
	step(): boolean {
		const { entry } = this;
		const isKnownKey =
			this.#lastKeySize >= 0 &&
			compareBytes(entry.key, entry.keyOffset, entry.keySize, this.#lastKey, 0, this.#lastKeySize) === 0;
		if (isKnownKey || entry.sequence > this.#maxSequence) {
			entry.next();
			return false;
		}
		this.#remember(entry.key, entry.keyOffset, entry.keySize);
		if (entry.kind === kindPut && !isExpired(entry.expiresAtMs, this.#nowMs)) return true;
		entry.next();
		return false;
	}

	/** Moves past the live entry. */
	pass(): void {
		this.entry.next();
	}

	close(): void {
		for (const source of this.#sources.splice(0)) source.unpin();
	}

	#remember(key: Uint8Array, offset: number, size: number): void {
		if (size > this.#lastKey.length) this.#lastKey = Buffer.alloc(size * 2);
		this.#lastKey.set(key.subarray(offset, offset + size));
		this.#lastKeySize = size;
	}
}
