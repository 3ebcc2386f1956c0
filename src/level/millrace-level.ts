/**
 * `MillraceLevel`: a Millrace database as abstract-level 3 wants it, for everything that takes a level instance.
 *
 *   abstract-level: events, hooks, encodings, deferred open, sublevels
 *     └── MillraceLevel: keys (level-bytes.ts), snapshots (level-snapshot.ts), iterators (level-iterators.ts)
 *           └── a store: that of open(location), or one that is open already: open() or attach() elsewhere
 *
 * What is declared in `supports`, and why the rest is not:
 *
 *   yes  implicitSnapshots, explicitSnapshots, has, getSync, permanence, seek, createIfMissing, errorIfExists, deferredOpen,
 *        signals.iterators, encodings utf8, buffer and view (and so json, hex, base64, custom ones), events.write and .clear
 *   no   createIfMissing, errorIfExists of a store that is given: it is neither created nor found. getSync, if it has none
 *   no   streams: abstract-level has none, of any database; the package level-read-stream makes them of iterators
 *   no   events.put, .del, .batch: abstract-level 3 has `write` in their place
 *   yes  additionalMethods.compactRange. Not LevelDB's approximateSize and getProperty: `database.count({ estimate: true })`
 *        and `database.stats()` say it in our terms; not static destroy and repair: remove the directory, `millrace doctor`
 *
 * Differences to classic-level that a program can notice: a write is synced before it is acknowledged, unless the option
 * `durability` says otherwise (or `sync: false` with one write); text with half a surrogate pair is refused instead of changed; a
 * key has at most 16 KiB, a value or a batch at most 16 MiB; `getSync` with a snapshot made in the same turn of the event loop
 * throws MILLRACE_BUSY; keys and values that iterators give in 'buffer' or 'view' are views of a page they share.
 */
import {
	type AbstractBatchDelOperation,
	type AbstractBatchOptions,
	type AbstractBatchPutOperation,
	type AbstractChainedBatch,
	type AbstractDatabaseOptions,
	type AbstractDelOptions,
	AbstractLevel,
	type AbstractPutOptions,
} from 'abstract-level';
import { MillraceError } from '../base/errors.js';
import type { BatchOperation, ExpiryOptions, ReadOptions, Store, WriteOptions } from '../command/store.js';
import { headFileName } from '../engine/data-directory.js';
import { engineOptions, type OpenOptions, open } from '../open.js';
import { type Format, type Formatted, formatted, storedKey } from './level-bytes.js';
import {
	type CursorSource,
	type LevelIteratorOptions,
	type LevelRange,
	MillraceIterator,
	MillraceKeyIterator,
	MillraceValueIterator,
	storedRange,
} from './level-iterators.js';
import { Cuts, type LevelStore, MillraceSnapshot, mustBeOurs } from './level-snapshot.js';

/**
 * Encodings (default 'utf8'), abstract-level's `createIfMissing` (default true) and `errorIfExists` (default false), and what
 * `open` of the package takes.
 */
export interface MillraceLevelOptions<K, V> extends OpenOptions, AbstractDatabaseOptions<K, V> {}

/** Options of single writes and batches beside abstract-level's; also those of sublevels take them. */
export interface LevelWriteOptions extends WriteOptions, ExpiryOptions {
	/** classic-level's: true is durability 'always', false is 'none', for this write alone. */
	readonly sync?: boolean | undefined;
}

/** An operation of `batch`, with an expiry of its own if it is a put. */
export type LevelBatchOperation<Level, K, V> =
	| (AbstractBatchPutOperation<Level, K, V> & ExpiryOptions)
	| AbstractBatchDelOperation<Level, K>;

interface LevelReadOptions {
	readonly snapshot?: unknown;
	readonly keyEncoding: Format;
	readonly valueEncoding: Format;
}

/** What abstract-level makes of the operations of a batch. */
type LevelOperation = LevelWriteOptions &
	(
		| { readonly type: 'put'; readonly key: Formatted; readonly value: Formatted }
		| { readonly type: 'del'; readonly key: Formatted }
	);

/** Deletes of one batch of a `clear` that is no plain range: some 100 KB. */
const clearBatchCount = 1000;

export class MillraceLevel<K = string, V = string> extends AbstractLevel<Formatted, K, V> {
	/** Where the database is; '' when an open one was given. */
	readonly location: string;
	readonly #given: LevelStore | Promise<LevelStore> | undefined;
	#opened: { readonly database: LevelStore; readonly cuts: Cuts } | undefined;

	/**
	 * @param location the directory of the database; or a store that is open, or its promise (`new MillraceLevel(attach(ticket))`),
	 * which stays the caller's to close
	 * @throws TypeError when it is neither
	 */
	constructor(location: string | LevelStore | Promise<LevelStore>, options: MillraceLevelOptions<K, V> = {}) {
		const isPath = typeof location === 'string';
		if (isPath ? location === '' : !isStore(location) && !isPromise(location)) {
			throw new TypeError("The first argument 'location' must be a path, an open store, or the promise of one");
		}
		const manifest = {
			encodings: { utf8: true, buffer: true, view: true },
			implicitSnapshots: true,
			explicitSnapshots: true,
			has: true,
			getSync: isPath || isPromise(location) || location.getSync !== undefined,
			permanence: true,
			seek: true,
			createIfMissing: isPath,
			errorIfExists: isPath,
			signals: { iterators: true },
			additionalMethods: { compactRange: true },
		};
		super(manifest, options as object);
		this.location = isPath ? location : '';
		this.#given = isPath ? undefined : location;
	}

	/**
	 * The store below, with all that abstract-level has no words for. Keys of nothing but zero bytes have one more there.
	 * @throws MILLRACE_CLOSED when the level is not open
	 */
	get database(): Store {
		return this.#mustBeOpened().database;
	}

	// --- abstract-level's writes, whose types do not know our options ----------------------------------

	override put(key: K, value: V): Promise<void>;
	override put<K1 = K, V1 = V>(
		key: K1,
		value: V1,
		options: AbstractPutOptions<K1, V1> & LevelWriteOptions,
	): Promise<void>;
	override put(key: K, value: V, options?: object): Promise<void> {
		return super.put(key, value, options as AbstractPutOptions<K, V>);
	}

	override del(key: K): Promise<void>;
	override del<K1 = K>(
		key: K1,
		options: AbstractDelOptions<K1> & Pick<LevelWriteOptions, 'durability' | 'sync'>,
	): Promise<void>;
	override del(key: K, options?: object): Promise<void> {
		return super.del(key, options as AbstractDelOptions<K>);
	}

	override batch(operations: LevelBatchOperation<this, K, V>[]): Promise<void>;
	override batch<K1 = K, V1 = V>(
		operations: LevelBatchOperation<this, K1, V1>[],
		options: AbstractBatchOptions<K1, V1> & LevelWriteOptions,
	): Promise<void>;
	override batch(): AbstractChainedBatch<this, K, V>;
	override batch(...given: unknown[]): Promise<void> | AbstractChainedBatch<this, K, V> {
		// It looks at how many arguments there are.
		return super.batch(...(given as []));
	}

	// --- what is ours ---------------------------------------------------------------------------------

	/** Compacts all keys from `start` to `end`, both included, down to the last level. */
	async compactRange(start: K, end: K): Promise<void> {
		const keyEncoding = this.keyEncoding();
		const range = { gte: keyEncoding.encode(start), lte: keyEncoding.encode(end) };
		await this.database.compact(storedRange(range));
	}

	// --- called by abstract-level, with encoded keys and values -------------------------------------

	async _open(options: Record<string, unknown>): Promise<void> {
		const { createIfMissing, errorIfExists, passive: _, ...ours } = options;
		if (this.#given === undefined) this.#refuse(createIfMissing === true, errorIfExists === true);
		const database: LevelStore = await (this.#given ?? open(this.location, ours as OpenOptions));
		this.#opened = { database, cuts: new Cuts(database) };
	}

	async _close(): Promise<void> {
		const opened = this.#opened;
		if (this.#given === undefined) await opened?.database.close();
		this.#opened = undefined;
	}

	async _get(key: Formatted, options: LevelReadOptions): Promise<Formatted | undefined> {
		const { database } = this.#mustBeOpened();
		const value = await database.get(storedKey(key), await readOptions(options));
		return value && formatted(value, options.valueEncoding);
	}

	_getSync(key: Formatted, options: LevelReadOptions): Formatted | undefined {
		const { database } = this.#mustBeOpened();
		const { snapshot } = options;
		const value = database.getSync?.(
			storedKey(key),
			snapshot ? { snapshot: mustBeOurs(snapshot).mustBeTaken() } : undefined,
		);
		return value && formatted(value, options.valueEncoding);
	}

	async _getMany(keys: readonly Formatted[], options: LevelReadOptions): Promise<(Formatted | undefined)[]> {
		const { database } = this.#mustBeOpened();
		const values = await database.getMany(keys.map(storedKey), await readOptions(options));
		return values.map((value) => value && formatted(value, options.valueEncoding));
	}

	async _has(key: Formatted, options: LevelReadOptions): Promise<boolean> {
		return this.#mustBeOpened().database.has(storedKey(key), await readOptions(options));
	}

	async _hasMany(keys: readonly Formatted[], options: LevelReadOptions): Promise<boolean[]> {
		const { database } = this.#mustBeOpened();
		const given = await readOptions(options);
		return Promise.all(keys.map((key) => database.has(storedKey(key), given)));
	}

	async _put(key: Formatted, value: Formatted, options: LevelWriteOptions): Promise<void> {
		const { database, cuts } = this.#mustBeOpened();
		await cuts.write(() =>
			database.put(storedKey(key), value, { ...writeOptions(options), ...expiryOptions(options) }),
		);
	}

	async _del(key: Formatted, options: LevelWriteOptions): Promise<void> {
		const { database, cuts } = this.#mustBeOpened();
		await cuts.write(() => database.delete(storedKey(key), writeOptions(options)));
	}

	/** Also what a chained batch comes to. */
	async _batch(operations: readonly LevelOperation[], options: LevelWriteOptions): Promise<void> {
		if (operations.length === 0) return;
		const { database, cuts } = this.#mustBeOpened();
		await cuts.write(() => database.batch(operations.map(storedOperation), writeOptions(options)));
	}

	async _clear(options: LevelIteratorOptions & LevelReadOptions): Promise<void> {
		const { database, cuts } = this.#mustBeOpened();
		if (options.snapshot == null && options.limit < 0) {
			await cuts.write(() => database.deleteRange(storedRange(options as LevelRange)));
			return;
		}
		const { snapshot, release } = this.#sourceOf(options.snapshot);
		try {
			const { reverse, limit } = options;
			const scan = database.scan({
				...storedRange(options as LevelRange),
				snapshot: await snapshot,
				keysOnly: true,
				reverse,
				...(limit < 0 ? {} : { limit }),
			});
			let deletes: BatchOperation[] = [];
			for await (const [key] of scan) {
				if (deletes.push({ type: 'delete', key }) < clearBatchCount) continue;
				await database.batch(deletes);
				deletes = [];
			}
			await database.batch(deletes);
		} finally {
			release();
		}
	}

	_snapshot(options: object): MillraceSnapshot {
		return new MillraceSnapshot(options, this.#mustBeOpened().cuts.take());
	}

	_iterator(options: LevelIteratorOptions & LevelReadOptions): MillraceIterator<this, K, V> {
		return new MillraceIterator<this, K, V>(this, options, this.#sourceOf(options.snapshot));
	}

	_keys(options: LevelIteratorOptions & LevelReadOptions): MillraceKeyIterator<this, K> {
		return new MillraceKeyIterator<this, K>(this, options, this.#sourceOf(options.snapshot));
	}

	_values(options: LevelIteratorOptions & LevelReadOptions): MillraceValueIterator<this, K, V> {
		return new MillraceValueIterator<this, K, V>(this, options, this.#sourceOf(options.snapshot));
	}

	/** The snapshot given, which stays the caller's, or one of our own, taken now. */
	#sourceOf(given: unknown): CursorSource {
		const { database, cuts } = this.#mustBeOpened();
		if (given != null) return { database, snapshot: mustBeOurs(given).taken, release: () => undefined };
		const snapshot = cuts.take();
		// Whoever reads hears of it.
		const release = (): void => void snapshot.then((taken) => taken.close()).catch(() => undefined);
		snapshot.catch(() => undefined);
		return { database, snapshot, release };
	}

	#mustBeOpened(): { readonly database: LevelStore; readonly cuts: Cuts } {
		if (this.#opened === undefined) throw new MillraceError('MILLRACE_CLOSED', 'the database is not open');
		return this.#opened;
	}

	#refuse(mayCreate: boolean, mustBeNew: boolean): void {
		const { fileSystem } = engineOptions(this.location);
		const exists = fileSystem.exists(`${this.location}/${headFileName}`);
		if (exists && mustBeNew) throw new MillraceError('MILLRACE_DIRECTORY', `${this.location} exists (errorIfExists)`);
		if (exists || mayCreate) return;
		throw new MillraceError('MILLRACE_DIRECTORY', `${this.location} does not exist (createIfMissing: false)`);
	}
}

const isStore = (given: LevelStore | Promise<LevelStore>): given is LevelStore =>
	typeof (given as Partial<LevelStore> | null)?.scan === 'function';

const isPromise = (given: LevelStore | Promise<LevelStore>): given is Promise<LevelStore> =>
	typeof (given as Partial<Promise<LevelStore>> | null)?.then === 'function';

async function readOptions({ snapshot }: LevelReadOptions): Promise<ReadOptions | undefined> {
	return snapshot == null ? undefined : { snapshot: await mustBeOurs(snapshot).taken };
}

function writeOptions({ durability, sync }: LevelWriteOptions): WriteOptions {
	if (durability !== undefined) return { durability };
	return sync === undefined ? {} : { durability: sync ? 'always' : 'none' };
}

function expiryOptions({ ttlMs, expiresAtMs, sliding }: LevelWriteOptions): ExpiryOptions {
	return { ttlMs, expiresAtMs, sliding };
}

function storedOperation(operation: LevelOperation): BatchOperation {
	const key = storedKey(operation.key);
	if (operation.type === 'del') return { type: 'delete', key };
	return { type: 'put', key, value: operation.value, ...expiryOptions(operation) };
}
