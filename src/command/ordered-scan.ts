/**
 * A scan over all partitions in one order of keys: pages of each, merged. No key is in two partitions.
 *
 *   partition 0   page ──> next page (asked for ahead) ─┐
 *   partition 1   page ──> …                            ├─ the foremost entry, again and again ─> limit
 *
 * Memory is bounded by two pages for each partition. Nothing has to be let go when the caller stops in the middle. Main thread.
 */
import { compareBytes } from '../base/bytes.js';
import type { CheckedScan } from './scan-options.js';
import { type ScannedEntry, ScanPageReader } from './scan-page.js';

export interface ScanPage {
	readonly bytes: Uint8Array;
	/** The range has no more in this partition. */
	readonly isLast: boolean;
}

/** Asks a partition for the page after `cursor` (empty: the first). @param countMax entries at most */
export type FetchPage = (partition: number, cursor: Uint8Array, countMax: number) => Promise<ScanPage>;

/** The entries of one partition, page after page. */
class PartitionEntries {
	/** The entry it stands on; undefined at the end. */
	head: ScannedEntry | undefined;
	readonly #partition: number;
	readonly #fetch: FetchPage;
	readonly #countMax: number;
	readonly #isLong: boolean;
	#reader: ScanPageReader | undefined;
	#isLast = false;
	#ahead: Promise<ScanPage> | undefined;

	/** @param isLong worth asking for the next page while this one is used */
	constructor(partition: number, fetch: FetchPage, countMax: number, isLong: boolean) {
		this.#partition = partition;
		this.#fetch = fetch;
		this.#countMax = countMax;
		this.#isLong = isLong;
	}

	/** Takes the next entry from the page at hand. @returns false when a page must be fetched first */
	maybeAdvance(): boolean {
		this.head = this.#reader?.next();
		return this.head !== undefined || this.#isLast;
	}

	/** Takes the next entry, after as many pages as it needs: they may be empty. */
	async advance(): Promise<void> {
		while (!this.maybeAdvance()) {
			const page = await (this.#ahead ?? this.#ask());
			this.#ahead = undefined;
			this.#reader = new ScanPageReader(page.bytes);
			this.#isLast = page.isLast;
			if (this.#isLong && !page.isLast) {
				this.#ahead = this.#ask();
				// Whoever stops before this page never hears what became of it.
				this.#ahead.catch(() => undefined);
			}
		}
	}

	#ask(): Promise<ScanPage> {
		return this.#fetch(this.#partition, this.#reader?.cursor ?? new Uint8Array(0), this.#countMax);
	}
}

/** The entries of a checked scan, in its order. @param countMax entries of one page */
export async function* scanInOrder(
	partitionCount: number,
	scan: CheckedScan,
	countMax: number,
	fetch: FetchPage,
): AsyncGenerator<ScannedEntry, void, undefined> {
	let left = scan.limit;
	if (left === 0) return;
	const pageCount = Math.min(countMax, left);
	const all = Array.from(
		{ length: partitionCount },
		(_, partition) => new PartitionEntries(partition, fetch, pageCount, left > countMax),
	);
	await Promise.all(all.map((each) => each.advance()));
	/** Those not at their end, the foremost last. */
	const order: PartitionEntries[] = [];
	for (const each of all) place(order, each, scan.options.isReverse);
	for (let first = order.pop(); first?.head !== undefined; first = order.pop()) {
		yield first.head;
		left--;
		if (left === 0) return;
		if (!first.maybeAdvance()) await first.advance();
		place(order, first, scan.options.isReverse);
	}
}

/** Puts a partition into its place, unless it is at its end. */
function place(order: PartitionEntries[], each: PartitionEntries, isReverse: boolean): void {
	const { head } = each;
	if (head === undefined) return;
	let low = 0;
	let high = order.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		const other = (order[middle] as PartitionEntries).head as ScannedEntry;
		const compared = compareBytes(other.key, 0, other.key.length, head.key, 0, head.key.length);
		if (compared < 0 !== isReverse) high = middle;
		else low = middle + 1;
	}
	order.splice(low, 0, each);
}
