/**
 * One scan as a program holds it: entries one by one, many at a time, or just those that are at hand.
 *
 *   next() ─ at hand: a settled promise ─┐            begun ─ pins a snapshot, unless one was given ─ pages
 *      └─ else in line: begin, fill ─────┴─> entry    over ─ end of range or limit, return(), error, abort: lets go
 *
 * What must outlive an iterator that nobody finished is its pins and nothing else: neither the pages under way nor an AbortSignal
 * hold the iterator. One thread.
 */
import { compareBytes } from '../base/bytes.js';
import { type Bytes, mustBound } from '../command/checked-bytes.js';
import type { OrderedScan } from '../command/ordered-scan.js';
import type { CheckedScan, ScanOptions } from '../command/scan-options.js';
import type { Snapshot } from '../command/store.js';
import { abortable } from './abortable.js';
import type { Scanner } from './scanner.js';
import type { Pins } from './snapshots.js';

export type ScannedPair = [key: Uint8Array, value: Uint8Array];

/** What must outlive an iterator that nobody finished. */
interface Leak {
	readonly scanner: Scanner;
	readonly pins: Pins;
	readonly stack: string;
}

/** Lets go of what a lost iterator pinned. */
function releaseLostScan({ scanner, pins, stack }: Leak): void {
	if (scanner.ended === undefined) {
		process.emitWarning(
			'a scan was neither finished nor ended by return(), and kept every version since on the disk: leave its loop by ' +
				`break, or call return(). Made ${stack}`,
			'MillraceScanWarning',
		);
	}
	pins.release();
}

const lost = new FinalizationRegistry<Leak>(releaseLostScan);
const noBytes = new Uint8Array(0);
const atEnd = { done: true, value: undefined } as const;

export class ScanIterator implements AsyncIterableIterator<ScannedPair>, AsyncDisposable {
	readonly #scanner: Scanner;
	readonly #checked: CheckedScan;
	readonly #snapshot: Snapshot | undefined;
	readonly #signal: AbortSignal | undefined;
	readonly #stack: string;
	/** Of its own snapshot; undefined: one was given, or it has not begun. */
	#pins: Pins | undefined;
	#isReady = false;
	#scan: OrderedScan | undefined;
	#isOver = false;
	/** Where it goes on, when `seek` was called. */
	#sought: CheckedScan | undefined;
	/** Calls that wait for a page, in line. */
	#tail: Promise<unknown> = Promise.resolve();
	#waitingCount = 0;

	/** @param stack where it was made */
	constructor(
		scanner: Scanner,
		checked: CheckedScan,
		snapshot: Snapshot | undefined,
		signal: AbortSignal | undefined,
		stack: string,
	) {
		this.#scanner = scanner;
		this.#checked = checked;
		this.#snapshot = snapshot;
		this.#signal = signal;
		this.#stack = stack;
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	/** Entries that may still come: the limit less those that came. */
	get left(): number {
		return this.#scan?.left ?? (this.#sought ?? this.#checked).limit;
	}

	/** The next entry when it is at hand. @returns undefined when a page has to come first, and at the end: `next` tells which */
	maybeNext(): ScannedPair | undefined {
		if (this.#waitingCount > 0 || this.#scanner.ended !== undefined || this.#signal?.aborted === true) return undefined;
		return this.#take();
	}

	/**
	 * @throws MILLRACE_SNAPSHOT when the snapshot was closed or held for too long; MILLRACE_CLOSED, MILLRACE_WORKER_DIED,
	 * MILLRACE_CORRUPT; the signal's reason. The scan is over then.
	 */
	next(): Promise<IteratorResult<ScannedPair, undefined>> {
		const value = this.maybeNext();
		if (value !== undefined) return Promise.resolve({ done: false, value });
		return this.#inLine(async () => {
			do {
				const isStopped = this.#scanner.ended !== undefined || this.#signal?.aborted === true;
				const entry = isStopped ? undefined : this.#take();
				if (entry !== undefined) return { done: false, value: entry };
			} while (await this.#fill());
			return atEnd;
		});
	}

	/**
	 * Many at once: those that are at hand, `countMax` at most; waits for a page when there are none.
	 * @returns an empty array at the end @throws as `next`
	 */
	nextMany(countMax: number): Promise<ScannedPair[]> {
		if (!Number.isSafeInteger(countMax) || countMax < 1) {
			return Promise.reject(new TypeError(`a count of entries is a positive whole number, not ${countMax}`));
		}
		return this.#inLine(async () => {
			const entries: ScannedPair[] = [];
			do {
				if (this.#scanner.ended !== undefined || this.#signal?.aborted === true) continue;
				for (let entry = this.#take(); entry !== undefined; entry = this.#take()) {
					entries.push(entry);
					if (entries.length >= countMax) break;
				}
			} while (entries.length === 0 && (await this.#fill()));
			return entries;
		});
	}

	/**
	 * Goes on at this key, or the first after it in the direction of the scan, forwards or backwards, at the same cut. A key
	 * outside of the range ends it there. The limit counts on. A scan that is over stays so, unless it reads at a given snapshot
	 * and was not ended by `return`.
	 * @throws TypeError for a wrong type, and while a call is under way; MILLRACE_KEY_SIZE
	 */
	seek(key: Bytes): void {
		const target = mustBound('key', key);
		if (target === undefined) throw new TypeError('a key is a string or a Uint8Array');
		if (this.#waitingCount > 0) throw new TypeError('a scan is not sought while its next entry is waited for');
		const { left } = this;
		this.#scan = undefined;
		this.#sought = { options: soughtFrom(this.#checked.options, target), limit: left };
	}

	/** Ends the scan and lets go. Calls that wait end without an entry. */
	return(): Promise<IteratorResult<ScannedPair, undefined>> {
		this.#finish();
		return Promise.resolve(atEnd);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#finish();
	}

	#take(): ScannedPair | undefined {
		const reader = this.#scan?.maybeNext();
		if (reader === undefined) return undefined;
		return [reader.key, this.#checked.options.isKeysOnly ? noBytes : reader.value];
	}

	/** One after another, also when the caller does not wait. */
	#inLine<T>(work: () => Promise<T>): Promise<T> {
		this.#waitingCount++;
		const outcome = this.#tail.then(work);
		this.#tail = outcome.then(this.#leaveLine, this.#leaveLine);
		return outcome;
	}

	readonly #leaveLine = (): void => {
		this.#waitingCount--;
	};

	/** Gets what the next entry needs. @returns false at the end */
	async #fill(): Promise<boolean> {
		if (this.#isOver) return false;
		try {
			this.#check();
			const scan = this.#scan ?? (await this.#begin());
			if (scan.isOver) {
				// At a given snapshot nothing is held, and a seek may go on.
				if (this.#snapshot === undefined) this.#finish();
				return false;
			}
			const isReadingAhead = await abortable(this.#signal, () => scan.fill());
			if (isReadingAhead) await nextTurn();
			this.#check();
			return !this.#isOver;
		} catch (error) {
			const wasOver = this.#isOver;
			this.#finish();
			// What was let go of by `return` cannot be read any more: an end, and no error.
			if (wasOver) return false;
			throw error;
		}
	}

	async #begin(): Promise<OrderedScan> {
		const at = this.#snapshot ?? this.#pin();
		if (!this.#isReady) await abortable(this.#signal, () => this.#scanner.ready(at));
		this.#isReady = true;
		this.#check();
		const scan = this.#scanner.open(this.#sought ?? this.#checked, at);
		this.#scan = scan;
		return scan;
	}

	#pin(): Pins {
		if (this.#pins !== undefined) return this.#pins;
		const pins = this.#scanner.makePins();
		this.#pins = pins;
		lost.register(this, { scanner: this.#scanner, pins, stack: this.#stack }, this);
		return pins;
	}

	/** @throws why it goes no further */
	#check(): void {
		if (this.#scanner.ended !== undefined) throw this.#scanner.ended;
		this.#signal?.throwIfAborted();
	}

	/** Again does nothing. */
	#finish(): void {
		this.#isOver = true;
		this.#scan = undefined;
		if (this.#pins === undefined) return;
		lost.unregister(this);
		this.#pins.release();
	}
}

/** Lets the event loop turn: requests are sent, and others get their turn too. */
function nextTurn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}

/** The part of a range that begins at `key`, in its direction; nothing when the key is outside. */
function soughtFrom(range: ScanOptions, key: Uint8Array): ScanOptions {
	const { isReverse, lower, upper, isLowerInclusive, isUpperInclusive } = range;
	const toLower = lower === undefined ? 1 : compareBytes(key, 0, key.length, lower, 0, lower.length);
	const toUpper = upper === undefined ? -1 : compareBytes(key, 0, key.length, upper, 0, upper.length);
	const isInside =
		(toLower > 0 || (toLower === 0 && isLowerInclusive)) && (toUpper < 0 || (toUpper === 0 && isUpperInclusive));
	// No key is empty, so this range holds none.
	if (!isInside) return { ...range, lower: undefined, upper: noBytes, isUpperInclusive: true };
	return isReverse
		? { ...range, upper: key, isUpperInclusive: true }
		: { ...range, lower: key, isLowerInclusive: true };
}
