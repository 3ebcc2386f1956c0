/**
 * Follows the expiry index as time goes on: takes the rows that are due, a slice at a time, and tells of each key whose
 * newest version has expired. So an expiry is heard of soon after its time, whether anyone reads the key or not, and
 * compaction may drop the entry.
 *
 *   due row ─> newest version of the key? ─ another ─> nothing: it was overwritten or deleted
 *                                         └ the same ─> expired: counted, with how late that was
 *
 * Partition's thread only.
 */
import { MillraceError, systemCodeOf } from '../../../base/errors.js';
import { expirySliceCount, expiryTickMs } from '../../../base/limits.js';
import { makeEntryView } from '../entry.js';
import { keyHash } from '../key-hash.js';
import type { LsmTree } from '../lsm-tree.js';

const newest = makeEntryView();

export class ExpiryWatch {
	readonly #tree: LsmTree;
	readonly #note: (text: string) => void;
	#expiredCount = 0;
	/** Expiries of keys whose newest version cannot be read: whether they are gone is not known. */
	#unreadableCount = 0;
	/** How late the last expiry and the latest of all were heard of. */
	#lastLagMs = 0;
	#longestLagMs = 0;
	#nowMs = 0;

	/** @param note takes a line for a person: rows or entries that cannot be read */
	constructor(tree: LsmTree, note: (text: string) => void) {
		this.#tree = tree;
		this.#note = note;
	}

	/** Takes a slice of what is due. @param nowMs never less than before */
	tick(nowMs: number): void {
		this.#nowMs = nowMs;
		const { expiries } = this.#tree;
		if (expiries.nextMs > nowMs) {
			expiries.advance(nowMs, 1, this.#onDue);
			return;
		}
		try {
			expiries.advance(nowMs, expirySliceCount, this.#onDue);
		} catch (error) {
			throwUnlessUnreadable(error);
			this.#note(`expiries could not be read, they are heard of when their table was rewritten: ${String(error)}`);
		}
	}

	/** Milliseconds until `tick` has something to do; undefined: nothing. */
	tickDelayMs(nowMs: number): number | undefined {
		const { nextMs } = this.#tree.expiries;
		if (nextMs === Number.POSITIVE_INFINITY) return undefined;
		// Expiries that lie close together are taken together; what is overdue goes on at once.
		return nextMs <= this.#nowMs ? 1 : Math.max(expiryTickMs, nextMs - nowMs);
	}

	/** `lagMs`: how long the oldest expiry that was not heard of yet has been due; 0: there is none. */
	statistics(nowMs: number): Record<string, number> {
		return {
			lagMs: this.#tree.expiries.lagMs(nowMs),
			lastLagMs: this.#lastLagMs,
			longestLagMs: this.#longestLagMs,
			processed: this.#tree.expiries.processedCount,
			expired: this.#expiredCount,
			unreadable: this.#unreadableCount,
		};
	}

	readonly #onDue = (
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		sequence: number,
		expiresAtMs: number,
	): void => {
		this.#lastLagMs = this.#nowMs - expiresAtMs;
		this.#longestLagMs = Math.max(this.#longestLagMs, this.#lastLagMs);
		if (!this.#isNewest(key, keyOffset, keySize, sequence)) return;
		if (this.#tree.coverSequence(key, keyOffset, keySize, Number.MAX_SAFE_INTEGER) < sequence) this.#expiredCount++;
	};

	/** What cannot be read is passed over: the expiries behind it would wait for ever, and compaction with them. */
	#isNewest(key: Uint8Array, keyOffset: number, keySize: number, sequence: number): boolean {
		const hash = keyHash(key, keyOffset, keySize);
		try {
			const isFound = this.#tree.get(hash, key, keyOffset, keySize, Number.MAX_SAFE_INTEGER, newest);
			return isFound && newest.sequence === sequence;
		} catch (error) {
			throwUnlessUnreadable(error);
			if (this.#unreadableCount === 0) this.#note(`an entry that expired could not be read: ${String(error)}`);
			this.#unreadableCount++;
			return false;
		}
	}
}

function throwUnlessUnreadable(error: unknown): void {
	if (!(error instanceof MillraceError) && systemCodeOf(error) === '') throw error;
}
