/**
 * Iterators for abstract-level: entries, keys, values. All three stand on one cursor, which reads a range of one cut.
 *
 *   iterator() ── the cut is taken ──> cursor ── first read, or first after seek ──> a scan of the rest of the range ──> entries
 *
 * Made and used by one thread. abstract-level sees to it that reads do not overlap and that close comes after them.
 */
import { AbstractIterator, AbstractKeyIterator, AbstractValueIterator } from 'abstract-level';
import { compareBytes } from '../base/bytes.js';
import type { KeyRange, Snapshot, Store } from '../command/store.js';
import { type Format, type Formatted, formatted, levelKey, storedKey } from './level-bytes.js';

/** Bounds as abstract-level hands them on: encoded; the inclusive one takes precedence. */
export interface LevelRange {
	readonly gt?: Formatted;
	readonly gte?: Formatted;
	readonly lt?: Formatted;
	readonly lte?: Formatted;
}

/** What abstract-level makes of an iterator's options. */
export interface LevelIteratorOptions extends LevelRange {
	readonly reverse: boolean;
	/** -1: no limit. */
	readonly limit: number;
	readonly keys?: boolean;
	readonly values?: boolean;
	readonly keyEncoding: Format;
	readonly valueEncoding: Format;
	readonly signal?: AbortSignal | undefined;
}

/** What a cursor reads, and how it lets go of it. */
export interface CursorSource {
	readonly database: Store;
	readonly snapshot: Promise<Snapshot>;
	/** Called once, when the iterator is closed. */
	readonly release: () => void;
}

type Entry = [key: Uint8Array, value: Uint8Array];

/** The database's scans also give many entries at once. */
interface Scan extends AsyncIterator<Entry> {
	readonly nextMany?: (countMax: number) => Promise<Entry[]>;
}

export function storedRange({ gt, gte, lt, lte }: LevelRange): KeyRange {
	return {
		...(gte !== undefined ? { gte: storedKey(gte) } : gt !== undefined ? { gt: storedKey(gt) } : {}),
		...(lte !== undefined ? { lte: storedKey(lte) } : lt !== undefined ? { lt: storedKey(lt) } : {}),
	};
}

/** abstract-level's own error of this kind is not exported. */
class AbortError extends Error {
	override readonly name = 'AbortError';
	readonly code = 'LEVEL_ABORTED';

	constructor(cause: unknown) {
		super('Operation has been aborted', { cause });
	}
}

class Cursor {
	readonly #source: CursorSource;
	readonly #options: LevelIteratorOptions;
	readonly #isKeysOnly: boolean;
	/** The rest of the range, where the next scan begins. */
	#range: KeyRange;
	#isOutOfRange = false;
	#scan: Scan | undefined;
	#readCount = 0;

	constructor(source: CursorSource, options: LevelIteratorOptions, isKeysOnly: boolean) {
		this.#source = source;
		this.#options = options;
		this.#isKeysOnly = isKeysOnly;
		this.#range = storedRange(options);
	}

	/** The next entry; undefined at the end of the range. */
	async next(): Promise<Entry | undefined> {
		if (this.#isOutOfRange) return undefined;
		try {
			this.#scan ??= await this.#begin();
			const { done, value } = await this.#scan.next();
			if (done === true) return undefined;
			this.#readCount++;
			return value;
		} catch (error) {
			throw this.#options.signal?.aborted ? new AbortError(error) : error;
		}
	}

	/** Up to `size` entries, as items: those at hand, where the scan can say; none: the end of the range. */
	async nextv<T>(size: number, itemOf: (entry: Entry) => T): Promise<T[]> {
		if (this.#isOutOfRange) return [];
		try {
			this.#scan ??= await this.#begin();
			const entries = (await this.#scan.nextMany?.(size)) ?? (await takeUpTo(this.#scan, size));
			this.#readCount += entries.length;
			return entries.map(itemOf);
		} catch (error) {
			throw this.#options.signal?.aborted ? new AbortError(error) : error;
		}
	}

	/** Goes on at a key, within the range; outside of it there is nothing. */
	seek(target: Formatted): void {
		this.#letGo();
		const range = storedRange(this.#options);
		const at = storedKey(target);
		this.#isOutOfRange = !isWithin(at, range);
		const { gt, gte, lt, lte } = range;
		this.#range = this.#options.reverse
			? { ...(gte !== undefined ? { gte } : gt !== undefined ? { gt } : {}), lte: at }
			: { ...(lte !== undefined ? { lte } : lt !== undefined ? { lt } : {}), gte: at };
	}

	close(): void {
		this.#letGo();
		this.#source.release();
	}

	async #begin(): Promise<Scan> {
		const { reverse, limit, signal } = this.#options;
		const snapshot = await this.#source.snapshot;
		return this.#source.database.scan({
			...this.#range,
			snapshot,
			reverse,
			keysOnly: this.#isKeysOnly,
			...(limit < 0 ? {} : { limit: Math.max(0, limit - this.#readCount) }),
			...(signal ? { signal } : {}),
		});
	}

	/** The scan under way holds nothing but memory: how its end went is nobody's concern. */
	#letGo(): void {
		this.#scan?.return?.().catch(() => undefined);
		this.#scan = undefined;
	}
}

async function takeUpTo(scan: Scan, count: number): Promise<Entry[]> {
	const entries: Entry[] = [];
	while (entries.length < count) {
		const { done, value } = await scan.next();
		if (done === true) break;
		entries.push(value);
	}
	return entries;
}

function isWithin(key: Formatted, { gt, gte, lt, lte }: KeyRange): boolean {
	if (gt !== undefined && compareKeys(key, gt) <= 0) return false;
	if (gte !== undefined && compareKeys(key, gte) < 0) return false;
	if (lt !== undefined && compareKeys(key, lt) >= 0) return false;
	return lte === undefined || compareKeys(key, lte) <= 0;
}

function compareKeys(a: Formatted, b: Formatted): number {
	const left = typeof a === 'string' ? Buffer.from(a, 'utf8') : a;
	const right = typeof b === 'string' ? Buffer.from(b, 'utf8') : b;
	return compareBytes(left, 0, left.length, right, 0, right.length);
}

type Item<T> = (entry: Entry) => T;

const nameOf = (options: LevelIteratorOptions): Item<Formatted> => {
	const format = options.keyEncoding;
	return ([key]) => formatted(levelKey(key), format);
};

const contentOf = (options: LevelIteratorOptions): Item<Formatted> => {
	const format = options.valueEncoding;
	return ([, value]) => formatted(value, format);
};

/** What is not asked for is undefined. */
const entryOf = (options: LevelIteratorOptions): Item<[Formatted | undefined, Formatted | undefined]> => {
	const key = nameOf(options);
	const value = contentOf(options);
	const { keys, values } = options;
	return (entry) => [keys === false ? undefined : key(entry), values === false ? undefined : value(entry)];
};

export class MillraceIterator<TDatabase, K, V> extends AbstractIterator<TDatabase, K, V> {
	readonly #cursor: Cursor;
	readonly #itemOf: ReturnType<typeof entryOf>;

	constructor(level: TDatabase, options: LevelIteratorOptions, source: CursorSource) {
		super(level, options as object);
		this.#cursor = new Cursor(source, options, options.values === false);
		this.#itemOf = entryOf(options);
	}

	async _next(): Promise<[Formatted | undefined, Formatted | undefined] | undefined> {
		const entry = await this.#cursor.next();
		return entry && this.#itemOf(entry);
	}

	_nextv(size: number): Promise<[Formatted | undefined, Formatted | undefined][]> {
		return this.#cursor.nextv(size, this.#itemOf);
	}

	_seek(target: Formatted): void {
		this.#cursor.seek(target);
	}

	async _close(): Promise<void> {
		this.#cursor.close();
	}
}

export class MillraceKeyIterator<TDatabase, K> extends AbstractKeyIterator<TDatabase, K> {
	readonly #cursor: Cursor;
	readonly #itemOf: Item<Formatted>;

	constructor(level: TDatabase, options: LevelIteratorOptions, source: CursorSource) {
		super(level, options as object);
		this.#cursor = new Cursor(source, options, true);
		this.#itemOf = nameOf(options);
	}

	async _next(): Promise<Formatted | undefined> {
		const entry = await this.#cursor.next();
		return entry && this.#itemOf(entry);
	}

	_nextv(size: number): Promise<Formatted[]> {
		return this.#cursor.nextv(size, this.#itemOf);
	}

	_seek(target: Formatted): void {
		this.#cursor.seek(target);
	}

	async _close(): Promise<void> {
		this.#cursor.close();
	}
}

export class MillraceValueIterator<TDatabase, K, V> extends AbstractValueIterator<TDatabase, K, V> {
	readonly #cursor: Cursor;
	readonly #itemOf: Item<Formatted>;

	constructor(level: TDatabase, options: LevelIteratorOptions, source: CursorSource) {
		super(level, options as object);
		this.#cursor = new Cursor(source, options, false);
		this.#itemOf = contentOf(options);
	}

	async _next(): Promise<Formatted | undefined> {
		const entry = await this.#cursor.next();
		return entry && this.#itemOf(entry);
	}

	_nextv(size: number): Promise<Formatted[]> {
		return this.#cursor.nextv(size, this.#itemOf);
	}

	_seek(target: Formatted): void {
		this.#cursor.seek(target);
	}

	async _close(): Promise<void> {
		this.#cursor.close();
	}
}
