/**
 * A scan over all partitions in one order of keys: pages of each, merged. No key is in two partitions.
 *
 *   partition 0   page ──> next page (asked for ahead) ─┐
 *   partition 1   page ──> …                            ├─ the foremost entry, again and again ─> limit
 *
 *   maybeNext() ─ undefined, and not over ─ await fill() ─ maybeNext() ─ …
 *
 * Memory is bounded by two pages for each partition. Nothing has to be let go when the caller stops in the middle. With one
 * partition, or one that is left, nothing is merged. The thread that asks, one fill at a time.
 */
import type { CheckedScan } from './scan-options.js';
import { type ScannedEntry, ScanPageReader } from './scan-page.js';

export interface ScanPage {
	/** Belongs to the scan, and to whoever gets views of it. */
	readonly bytes: Uint8Array;
	/** The range has no more in this partition. */
	readonly isLast: boolean;
}

/** Asks a partition for the page after `cursor` (empty: the first). @param countMax entries at most */
export type FetchPage = (partition: number, cursor: Uint8Array, countMax: number) => Promise<ScanPage>;

const noBytes = new Uint8Array(0);
const emptyPage = new ScanPageReader(new Uint8Array(2));

/** The entries of one partition, page after page. */
class PartitionEntries {
	/** Stands on the foremost entry, unless `isAtEnd`. */
	reader = emptyPage;
	isAtEnd = false;
	readonly #partition: number;
	readonly #fetch: FetchPage;
	readonly #countMax: number;
	readonly #isLong: boolean;
	#cursor: Uint8Array = noBytes;
	#isLast = false;
	#ahead: Promise<ScanPage> | undefined;

	/** @param isLong worth asking for the next page while this one is used */
	constructor(partition: number, fetch: FetchPage, countMax: number, isLong: boolean) {
		this.#partition = partition;
		this.#fetch = fetch;
		this.#countMax = countMax;
		this.#isLong = isLong;
	}

	/** To the next entry of the page at hand, or the end. @returns false when a page must be fetched first */
	maybeAdvance(): boolean {
		if (this.reader.maybeNext()) return true;
		this.isAtEnd = this.#isLast;
		return this.#isLast;
	}

	/**
	 * To the next entry or the end, after as many pages as it needs: they may be empty. @returns true when another was asked for
	 */
	async advance(): Promise<boolean> {
		while (!this.maybeAdvance()) {
			const page = await (this.#ahead ?? this.#ask());
			this.#ahead = undefined;
			this.reader = new ScanPageReader(page.bytes);
			this.#cursor = this.reader.cursor;
			this.#isLast = page.isLast;
			if (this.#isLong && !page.isLast) {
				this.#ahead = this.#ask();
				// Whoever stops before this page never hears what became of it.
				this.#ahead.catch(() => undefined);
			}
		}
		return this.#ahead !== undefined;
	}

	#ask(): Promise<ScanPage> {
		return this.#fetch(this.#partition, this.#cursor, this.#countMax);
	}
}

export class OrderedScan {
	/** True when there is no next entry: the range or the limit is at its end. */
	isOver: boolean;
	readonly #isReverse: boolean;
	readonly #all: readonly PartitionEntries[];
	/** Those that stand on an entry, the foremost last; without the one that is out. */
	readonly #order: PartitionEntries[] = [];
	/** The one whose entry was given out last. */
	#out: PartitionEntries | undefined;
	#isBegun = false;
	#left: number;

	/**
	 * @param countMax entries of one page
	 * @param limit entries in all
	 */
	constructor(partitionCount: number, isReverse: boolean, limit: number, countMax: number, fetch: FetchPage) {
		this.#isReverse = isReverse;
		this.#left = limit;
		this.isOver = limit === 0;
		const pageCount = Math.min(countMax, limit);
		const isLong = limit > countMax;
		this.#all = Array.from(
			{ length: partitionCount },
			(_, partition) => new PartitionEntries(partition, fetch, pageCount, isLong),
		);
	}

	/** Entries that may still come. */
	get left(): number {
		return this.#left;
	}

	/**
	 * @returns a reader that stands on the next entry until the next call; undefined when there is none, or `fill` has to get it
	 */
	maybeNext(): ScanPageReader | undefined {
		if (this.#left === 0) this.isOver = true;
		if (this.isOver) return undefined;
		const out = this.#out;
		if (out === undefined) {
			if (!this.#isBegun) return undefined;
		} else {
			if (!out.maybeAdvance()) return undefined;
			if (this.#order.length === 0 && !out.isAtEnd) {
				this.#left--;
				return out.reader;
			}
			this.#out = undefined;
			this.#place(out);
		}
		const first = this.#order.pop();
		this.#out = first;
		if (first === undefined) {
			this.isOver = true;
			return undefined;
		}
		this.#left--;
		return first.reader;
	}

	/** Gets what the next entry needs. @returns true when pages were asked for ahead */
	async fill(): Promise<boolean> {
		if (this.#out !== undefined) {
			const out = this.#out;
			const hasAsked = await out.advance();
			this.#out = undefined;
			this.#place(out);
			return hasAsked;
		}
		const asked = await Promise.all(this.#all.map((each) => each.advance()));
		for (const each of this.#all) this.#place(each);
		this.#isBegun = true;
		return asked.includes(true);
	}

	/** Puts a partition into its place, unless it is at its end. */
	#place(each: PartitionEntries): void {
		if (each.isAtEnd) return;
		const order = this.#order;
		let low = 0;
		let high = order.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			const compared = (order[middle] as PartitionEntries).reader.compareKey(each.reader);
			if (compared < 0 !== this.#isReverse) high = middle;
			else low = middle + 1;
		}
		order.push(each);
		for (let i = order.length - 1; i > low; i--) order[i] = order[i - 1] as PartitionEntries;
		order[low] = each;
	}
}

/** The entries of a checked scan, in its order: copies. @param countMax entries of one page */
export async function* scanInOrder(
	partitionCount: number,
	{ options, limit }: CheckedScan,
	countMax: number,
	fetch: FetchPage,
): AsyncGenerator<ScannedEntry, void, undefined> {
	const scan = new OrderedScan(partitionCount, options.isReverse, limit, countMax, fetch);
	for (;;) {
		const reader = scan.maybeNext();
		if (reader !== undefined) yield reader.entry();
		else if (scan.isOver) return;
		else await scan.fill();
	}
}
