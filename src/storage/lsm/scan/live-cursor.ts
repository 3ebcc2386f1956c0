/**
 * Walks the live entries of a range, in either direction, at one sequence number and one time: of each key the newest version
 * that is visible, unless it is a tombstone, expired, or of a deleted range. Works in steps of one stored version, so that a long
 * walk can be done in slices between other work, and broken off after any number of them.
 *
 *   start(after, range) ─ { step() ─ true: use `entry`, then pass() }* until isAtEnd ─ close()
 *
 * A walk broken off where `isBetweenKeys` goes on, in another cursor, after `resumeKey`. It pins what it walks over until closed.
 * One that is dropped unclosed is let go by the collector, with a warning, if a warning was asked for: watching a cursor costs
 * a microsecond, and the collector's word is heard only in a thread with an event loop, which a partition's has not.
 *
 * What it works with is a Walk, which other cursors use after it: closed, it shows nothing any more.
 */
import { compareBytes, copyBytes } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { keySizeMax } from '../../../base/limits.js';
import { type ScanRange, wholeRange } from '../../../command/scan-options.js';
import { isExpired, kindPut, kindSlidingPut, kindTombstone, slidingPrefixSize } from '../entry.js';
import { keyHash } from '../key-hash.js';
import { MergeIterator } from './merge-iterator.js';
import type { RangeTombstoneCursor, RangeTombstoneSet } from './range-tombstone-set.js';
import type { Walk } from './walk.js';

/** A read view, as far as a walk is concerned. */
export interface Walkable {
	readonly rangeTombstones: RangeTombstoneSet;
	/** @returns a walk that has begun: whoever takes it ends it */
	startWalk(): Walk;
}

/** What must outlive a cursor that nobody closed. */
interface Leak {
	readonly walk: Walk;
	readonly warn: (text: string) => void;
}

/** Unpins what a lost cursor pinned. */
function releaseLostWalk({ walk, warn }: Leak): void {
	warn('a scan was dropped without being closed, and kept its files and memtables until now');
	walk.end();
}

const lost = new FinalizationRegistry<Leak>(releaseLostWalk);

/** Dead versions in a row (of one key, or of one deleted range) after which a seek past them is cheaper than steps. */
const skipAfterCount = 16;
const noKey = new Uint8Array(0);
/** What a closed cursor stands on. */
const nothing = new MergeIterator([]);
const aboveAllKeys = new Uint8Array(keySizeMax + 1).fill(0xff);

export class LiveCursor {
	/** On nothing when closed. */
	entry: MergeIterator;
	/** Gone when closed. */
	#walk: Walk | undefined;
	readonly #maxSequences: readonly number[];
	readonly #isWatched: boolean;
	readonly #maxSequence: number;
	readonly #nowMs: number;
	readonly #tombstones: RangeTombstoneCursor;
	#range: ScanRange = wholeRange;
	#isOutside = false;
	/** The key last seen, and whether its visible version was: its older ones are skipped. */
	#lastKey: Uint8Array;
	#lastKeySize = -1;
	#isDecided = false;
	/** The key before that one. */
	#keyBefore: Uint8Array;
	#keyBeforeSize = 0;
	#deadCount = 0;

	/** @param warn takes the warning of a cursor that was dropped without being closed; undefined: nobody watches for that */
	constructor(view: Walkable, maxSequence: number, nowMs: number, warn?: (text: string) => void) {
		const walk = view.startWalk();
		this.#walk = walk;
		this.entry = walk.merged;
		this.#maxSequences = walk.maxSequences;
		this.#lastKey = walk.keyBuffer;
		this.#keyBefore = walk.otherKeyBuffer;
		this.#tombstones = view.rangeTombstones.cursor(maxSequence);
		this.#maxSequence = maxSequence;
		this.#nowMs = nowMs;
		this.#isWatched = warn !== undefined;
		if (warn !== undefined) lost.register(this, { walk, warn }, this);
	}

	/** To the first entry of the range, in its direction. @param after only what follows this key; empty: all of the range */
	start(after: Uint8Array = noKey, range: ScanRange = wholeRange): void {
		this.#range = range;
		this.#isOutside = false;
		this.#lastKeySize = -1;
		this.#isDecided = true;
		this.#remember(after, 0, after.length);
		if (range.isReverse) this.#seekBackward(after, range.upper, range.isUpperInclusive);
		else this.#seekForward(after, range.lower, range.isLowerInclusive);
	}

	get isAtEnd(): boolean {
		return this.#isOutside || !this.entry.valid;
	}

	/** True where the walk may be broken off: nothing is missed or repeated when another goes on after `resumeKey`. */
	get isBetweenKeys(): boolean {
		return this.#isDecided || this.isAtEnd || !this.#isLastKey();
	}

	/** The key after which to go on: every visible version up to it was seen. Empty at the start. Lent until the next step. */
	get resumeKey(): Uint8Array {
		return this.#lastKey.subarray(0, this.#lastKeySize);
	}

	/** On a live entry: the key after which to go on if this entry is to come again. Lent until the next step. */
	get keyBefore(): Uint8Array {
		return this.#keyBefore.subarray(0, this.#keyBeforeSize);
	}

	/**
	 * Looks at one stored version and moves past it, unless it is live.
	 * @returns true when `entry` stands on a live entry: use it, then call `pass`
	 */
	step(): boolean {
		const { entry } = this;
		if (!this.#isLastKey()) {
			if (this.#isBehindRange()) {
				this.#isOutside = true;
				return false;
			}
			this.#remember(entry.key, entry.keyOffset, entry.keySize);
			this.#isDecided = false;
		} else if (this.#isDecided) {
			this.#passVersion();
			return false;
		}
		if (entry.sequence > this.#maxSequence) {
			entry.next();
			return false;
		}
		this.#isDecided = true;
		if (this.#tombstones.coverSequence(entry.key, entry.keyOffset, entry.keySize) > entry.sequence) {
			this.#passCovered();
			return false;
		}
		this.#deadCount = 0;
		if (this.#isLive()) return true;
		entry.next();
		return false;
	}

	/** Moves past the live entry. */
	pass(): void {
		this.entry.next();
	}

	/** Lets go of everything. Closing again does nothing. */
	close(): void {
		const walk = this.#walk;
		if (walk === undefined) return;
		if (this.#isWatched) lost.unregister(this);
		walk.keyBuffer = this.#lastKey;
		walk.otherKeyBuffer = this.#keyBefore;
		this.#walk = undefined;
		this.entry = nothing;
		this.#lastKey = noKey;
		this.#lastKeySize = 0;
		this.#keyBefore = noKey;
		this.#keyBeforeSize = 0;
		walk.end();
	}

	/** Decides on the visible version, and shows of a value what is the user's. */
	#isLive(): boolean {
		const { entry } = this;
		if (entry.kind === kindTombstone) return false;
		if (entry.kind === kindSlidingPut && entry.valueSize >= slidingPrefixSize) {
			entry.valueOffset += slidingPrefixSize;
			entry.valueSize -= slidingPrefixSize;
		} else if (entry.kind !== kindPut) {
			throw new MillraceError('MILLRACE_CORRUPT', `a scan met an entry of kind ${entry.kind}, which cannot be read`);
		}
		return !isExpired(entry.expiresAtMs, this.#nowMs);
	}

	/** Moves past an older version of a key; when there are many, past all of them in its source. */
	#passVersion(): void {
		this.#deadCount++;
		if (this.#deadCount < skipAfterCount) {
			this.entry.next();
			return;
		}
		this.#deadCount = 0;
		if (this.#range.isReverse) this.entry.skipInWinner(this.#lastKey, 0, this.#lastKeySize);
		else this.entry.skipInWinner(successorOf(this.#lastKey, this.#lastKeySize), 0, this.#lastKeySize + 1);
	}

	/** Moves past a version of a deleted range; after many, in a source that is wholly older than the deletion, past the range. */
	#passCovered(): void {
		const { entry } = this;
		const tombstones = this.#tombstones;
		this.#deadCount++;
		const isSkipping = this.#deadCount >= skipAfterCount;
		if (isSkipping) this.#deadCount = 0;
		if (!isSkipping || this.#maxSequences[entry.winner] >= tombstones.cover) {
			entry.next();
			return;
		}
		const target = this.#range.isReverse
			? tombstones.fragmentStart
			: tombstones.hasEnd
				? tombstones.fragmentEnd
				: aboveAllKeys;
		entry.skipInWinner(target, 0, target.length);
	}

	#seekForward(after: Uint8Array, lower: Uint8Array | undefined, isInclusive: boolean): void {
		const { entry } = this;
		if (
			after.length > 0 &&
			(lower === undefined || compareBytes(after, 0, after.length, lower, 0, lower.length) >= 0)
		) {
			// Past all versions of the key, of which there may be many.
			entry.seek(successorOf(after, after.length), 0, after.length + 1);
		} else if (lower === undefined) entry.seekFirst();
		else if (isInclusive) entry.seekExact(keyHash(lower, 0, lower.length), lower, 0, lower.length);
		else entry.seek(successorOf(lower, lower.length), 0, lower.length + 1);
	}

	#seekBackward(after: Uint8Array, upper: Uint8Array | undefined, isInclusive: boolean): void {
		const { entry } = this;
		if (
			after.length > 0 &&
			(upper === undefined || compareBytes(after, 0, after.length, upper, 0, upper.length) <= 0)
		) {
			entry.seekBackward(after, 0, after.length, false);
		} else if (upper === undefined) entry.seekLast();
		else entry.seekBackward(upper, 0, upper.length, isInclusive);
	}

	/** The seek saw to the bound where the walk begins; this one is where it ends. */
	#isBehindRange(): boolean {
		const { entry } = this;
		const { isReverse, lower, upper, isLowerInclusive, isUpperInclusive } = this.#range;
		const bound = isReverse ? lower : upper;
		if (bound === undefined) return false;
		const order = compareBytes(entry.key, entry.keyOffset, entry.keySize, bound, 0, bound.length);
		if (order === 0) return isReverse ? !isLowerInclusive : !isUpperInclusive;
		return isReverse ? order < 0 : order > 0;
	}

	/** Keys that differ mostly do so at their ends, so they are compared from there. */
	#isLastKey(): boolean {
		const { key, keyOffset, keySize } = this.entry;
		if (keySize !== this.#lastKeySize) return false;
		const lastKey = this.#lastKey;
		for (let i = keySize - 1; i >= 0; i--) if (key[keyOffset + i] !== lastKey[i]) return false;
		return true;
	}

	#remember(key: Uint8Array, offset: number, size: number): void {
		const free = this.#keyBefore;
		this.#keyBefore = this.#lastKey;
		this.#keyBeforeSize = Math.max(0, this.#lastKeySize);
		this.#lastKey = size > free.length ? new Uint8Array(size * 2) : free;
		copyBytes(key, offset, this.#lastKey, 0, size);
		this.#lastKeySize = size;
	}
}

/** The first key above `key[0, size)`. */
function successorOf(key: Uint8Array, size: number): Uint8Array {
	const successor = new Uint8Array(size + 1);
	copyBytes(key, 0, successor, 0, size);
	return successor;
}
