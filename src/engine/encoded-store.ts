/**
 * A database seen through encodings: `db.withEncoding({ key: 'utf8', value: 'json' })`. The same methods, with keys and values as
 * the program has them; nothing of its own is stored or kept, so views come and go, and closing one closes the database.
 *
 *   put(key, value) ─> encode ─> Database.put            Database.get ─> bytes ─> decode ─> value
 *
 * What does not encode is a TypeError, before anything is sent. Stored bytes that do not decode are MILLRACE_CODEC: the error
 * names key and encoding, and the bytes are still there for `db.get`.
 */
import { MillraceError } from '../base/errors.js';
import type { Bytes } from '../command/checked-bytes.js';
import { checkNames } from '../command/put-options.js';
import type {
	AbortOptions,
	BatchOperation,
	CheckpointInfo,
	ConditionOptions,
	CountOptions,
	ExpiryOptions,
	FileProblem,
	KeyRange,
	ReadOptions,
	Snapshot,
	StoreEntry,
	StorePutOptions,
	StoreScanOptions,
	StoreWriteOptions,
	WriteOptions,
	Written,
} from '../command/store.js';
import { aboutOperation } from './batch-operations.js';
import type { Database } from './database.js';
import { type Encoding, type EncodingChoice, type EncodingPair, encodingOf } from './encodings.js';
import type { StoreWriter, WriterOptions, WriterRecord } from './store-writer.js';

/** Bounds in a view's keys. */
export type EncodedRange<Key> = { readonly [Bound in keyof KeyRange]: Key };
export type EncodedScanOptions<Key> = Omit<StoreScanOptions, keyof KeyRange> & EncodedRange<Key>;
export type EncodedCountOptions<Key> = Omit<CountOptions, keyof KeyRange> & EncodedRange<Key>;
export type EncodedEntry<Value> = Omit<StoreEntry, 'value'> & { readonly value: Value };

/** One operation of a view's batch. */
export type EncodedOperation<Key, Value> =
	| ({ readonly type: 'put'; readonly key: Key; readonly value: Value } & Omit<StorePutOptions, 'durability'>)
	| ({ readonly type: 'delete'; readonly key: Key } & ConditionOptions)
	| ({ readonly type: 'increment'; readonly key: Key; readonly delta?: number | bigint } & ConditionOptions)
	| ({ readonly type: 'append'; readonly key: Key; readonly value: Value } & ConditionOptions);

const boundNames = ['gt', 'gte', 'lt', 'lte', 'prefix'] as const;
const shownSizeMax = 40;
const pairNames = new Set(['key', 'value']);

export class EncodedStore<KeyIn, KeyOut, ValueIn, ValueOut> implements AsyncDisposable {
	/** The database below, without encodings. */
	readonly database: Database;
	readonly #key: Encoding<KeyIn, KeyOut>;
	readonly #value: Encoding<ValueIn, ValueOut>;

	/** Use `db.withEncoding`. @throws TypeError for what is no encoding */
	constructor(database: Database, encodings: EncodingPair<EncodingChoice, EncodingChoice>) {
		checkNames('withEncoding', pairNames, encodings);
		this.database = database;
		// The types of input and output follow from the choice, which `withEncoding` computes and nothing here can.
		this.#key = encodingOf('keys', encodings?.key) as Encoding<unknown> as Encoding<KeyIn, KeyOut>;
		this.#value = encodingOf('values', encodings?.value) as Encoding<unknown> as Encoding<ValueIn, ValueOut>;
	}

	async get(key: KeyIn, options?: ReadOptions): Promise<ValueOut | undefined> {
		return this.#maybeValue(key, await this.database.get(this.#encodeKey(key), options));
	}

	async getMany(keys: readonly KeyIn[], options?: ReadOptions): Promise<(ValueOut | undefined)[]> {
		const values = await this.database.getMany(this.#encodeKeys('getMany', keys), options);
		return values.map((value, i) => this.#maybeValue(keys[i], value));
	}

	async getEntry(key: KeyIn, options?: ReadOptions): Promise<EncodedEntry<ValueOut> | undefined> {
		return this.#maybeEntry(key, await this.database.getEntry(this.#encodeKey(key), options));
	}

	getSync(key: KeyIn, options?: ReadOptions): ValueOut | undefined {
		return this.#maybeValue(key, this.database.getSync(this.#encodeKey(key), options));
	}

	getManySync(keys: readonly KeyIn[], options?: ReadOptions): (ValueOut | undefined)[] {
		const values = this.database.getManySync(this.#encodeKeys('getManySync', keys), options);
		return values.map((value, i) => this.#maybeValue(keys[i], value));
	}

	getEntrySync(key: KeyIn, options?: ReadOptions): EncodedEntry<ValueOut> | undefined {
		return this.#maybeEntry(key, this.database.getEntrySync(this.#encodeKey(key), options));
	}

	async has(key: KeyIn, options?: ReadOptions): Promise<boolean> {
		return this.database.has(this.#encodeKey(key), options);
	}

	async put(key: KeyIn, value: ValueIn, options?: StorePutOptions): Promise<Written | undefined> {
		return this.database.put(this.#encodeKey(key), this.#encodeValue(value), options);
	}

	async delete(key: KeyIn, options?: StoreWriteOptions): Promise<boolean> {
		return this.database.delete(this.#encodeKey(key), options);
	}

	/** Counters are decimal text, whatever the encoding of values: 'utf8' and 'json' read it. */
	async increment(key: KeyIn, delta?: number | bigint, options?: StoreWriteOptions): Promise<bigint | undefined> {
		return this.database.increment(this.#encodeKey(key), delta, options);
	}

	/** @throws TypeError with an encoding in which two values end to end are not one: all but 'bytes' and 'utf8' */
	async append(key: KeyIn, value: ValueIn, options?: StoreWriteOptions): Promise<number | undefined> {
		return this.database.append(this.#encodeKey(key), this.#encodeTail(value), options);
	}

	async setExpiry(key: KeyIn, options?: ExpiryOptions & WriteOptions): Promise<boolean> {
		return this.database.setExpiry(this.#encodeKey(key), options);
	}

	async getExpiry(key: KeyIn): Promise<number | undefined> {
		return this.database.getExpiry(this.#encodeKey(key));
	}

	async batch(
		operations: readonly EncodedOperation<KeyIn, ValueIn>[],
		options?: WriteOptions,
	): Promise<{ readonly count: number } | undefined> {
		if (!Array.isArray(operations)) throw new TypeError('batch takes an array of operations');
		const encoded = operations.map((operation, index) => {
			try {
				return this.#encodeOperation(operation);
			} catch (error) {
				throw aboutOperation(`operation ${index} of the batch`, error);
			}
		});
		return this.database.batch(encoded, options);
	}

	/** As db.writer, of this view's pairs and operations. */
	writer(options?: WriterOptions): StoreWriter {
		return this.database.writer(options, (record) => this.#encodeRecord(record));
	}

	/** In the order of the stored bytes. With `keysOnly` there are no values. */
	scan(options: EncodedScanOptions<KeyIn> & { readonly keysOnly: true }): AsyncIterableIterator<[KeyOut, undefined]>;
	scan(options?: EncodedScanOptions<KeyIn>): AsyncIterableIterator<[key: KeyOut, value: ValueOut]>;
	scan(options?: EncodedScanOptions<KeyIn>): AsyncIterableIterator<[KeyOut, ValueOut | undefined]> {
		const entries = this.database.scan(this.#encodeRange(options) as StoreScanOptions | undefined);
		return this.#decodeAll(entries, options?.keysOnly === true);
	}

	async count(options?: EncodedCountOptions<KeyIn>): Promise<number> {
		return this.database.count(this.#encodeRange(options) as CountOptions | undefined);
	}

	async deleteRange(range?: EncodedRange<KeyIn>, options?: WriteOptions): Promise<void> {
		return this.database.deleteRange(this.#encodeRange(range) as KeyRange | undefined, options);
	}

	async compact(range?: EncodedRange<KeyIn>, options?: AbortOptions): Promise<void> {
		return this.database.compact(this.#encodeRange(range) as KeyRange | undefined, options);
	}

	async explain(key: KeyIn): Promise<Record<string, unknown>> {
		return this.database.explain(this.#encodeKey(key));
	}

	snapshot(): Promise<Snapshot> {
		return this.database.snapshot();
	}

	flush(options?: AbortOptions): Promise<void> {
		return this.database.flush(options);
	}

	stats(): Promise<Record<string, unknown>[]> {
		return this.database.stats();
	}

	checkpoint(directory: string, options?: AbortOptions): Promise<CheckpointInfo> {
		return this.database.checkpoint(directory, options);
	}

	verify(options?: AbortOptions): Promise<FileProblem[]> {
		return this.database.verify(options);
	}

	/** Closes the database. */
	close(): Promise<void> {
		return this.database.close();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close();
	}

	async *#decodeAll(
		entries: AsyncIterable<[Uint8Array, Uint8Array]>,
		isKeysOnly: boolean,
	): AsyncGenerator<[KeyOut, ValueOut | undefined], void, undefined> {
		for await (const [keyBytes, valueBytes] of entries) {
			const key = this.#decodeKey(keyBytes);
			yield [key, isKeysOnly ? undefined : this.#decodeValue(keyBytes, valueBytes)];
		}
	}

	#encodeKey(key: KeyIn): Bytes {
		return encodeWith('key', this.#key, key);
	}

	#encodeKeys(what: string, keys: readonly KeyIn[]): Bytes[] {
		if (!Array.isArray(keys)) throw new TypeError(`${what} takes an array of keys`);
		return keys.map((key) => this.#encodeKey(key));
	}

	#encodeValue(value: ValueIn): Bytes {
		return encodeWith('value', this.#value, value);
	}

	#encodeTail(value: ValueIn): Bytes {
		if (this.#value.keepsPrefixes === true) return this.#encodeValue(value);
		throw new TypeError(`values in ${nameOf(this.#value)} cannot be appended to`);
	}

	#encodeOperation(operation: EncodedOperation<KeyIn, ValueIn>): BatchOperation {
		if (typeof operation !== 'object' || operation === null) throw new TypeError('an operation is an object');
		const key = this.#encodeKey(operation.key);
		if (operation.type === 'put') return { ...operation, key, value: this.#encodeValue(operation.value) };
		if (operation.type === 'append') return { ...operation, key, value: this.#encodeTail(operation.value) };
		return { ...operation, key };
	}

	#encodeRecord(record: unknown): WriterRecord {
		if (!Array.isArray(record)) {
			return this.#encodeOperation(record as EncodedOperation<KeyIn, ValueIn>) as WriterRecord;
		}
		if (record.length !== 2) throw new TypeError('a record is [key, value], or an operation as in batch');
		return [this.#encodeKey(record[0] as KeyIn), this.#encodeValue(record[1] as ValueIn)];
	}

	/** The options with their bounds encoded; the others as they are. */
	#encodeRange(options: EncodedRange<KeyIn> | undefined): object | undefined {
		if (options === undefined) return undefined;
		if (typeof options !== 'object' || options === null) throw new TypeError('a range is an object');
		const encoded: Record<string, unknown> = { ...options };
		for (const name of boundNames) {
			const bound = options[name];
			if (bound === undefined) continue;
			if (name === 'prefix' && this.#key.keepsPrefixes !== true) {
				throw new TypeError(`keys in ${nameOf(this.#key)} have no prefixes: give bounds`);
			}
			encoded[name] = encodeWith(name, this.#key, bound);
		}
		return encoded;
	}

	#decodeKey(bytes: Uint8Array): KeyOut {
		try {
			return this.#key.decode(bytes);
		} catch (cause) {
			throw notDecoded(`the key ${shown(bytes)}`, this.#key, cause);
		}
	}

	#decodeValue(key: Bytes, bytes: Uint8Array): ValueOut {
		try {
			return this.#value.decode(bytes);
		} catch (cause) {
			throw notDecoded(`the value of the key ${shown(key)}`, this.#value, cause);
		}
	}

	#maybeValue(key: KeyIn, bytes: Uint8Array | undefined): ValueOut | undefined {
		if (bytes === undefined) return undefined;
		try {
			return this.#value.decode(bytes);
		} catch (cause) {
			throw notDecoded(`the value of the key ${shown(this.#encodeKey(key))}`, this.#value, cause);
		}
	}

	#maybeEntry(key: KeyIn, entry: StoreEntry | undefined): EncodedEntry<ValueOut> | undefined {
		if (entry === undefined) return undefined;
		return { ...entry, value: this.#decodeValue(this.#encodeKey(key), entry.value) };
	}
}

function nameOf({ name }: Encoding<never, unknown>): string {
	return name ?? 'an encoding without a name';
}

/** @throws TypeError for what the encoding does not take */
function encodeWith<Input>(what: string, encoding: Encoding<Input, unknown>, given: Input): Bytes {
	try {
		return encoding.encode(given);
	} catch (cause) {
		throw new TypeError(`the ${what} is nothing for ${nameOf(encoding)}: ${messageOf(cause)}`, { cause });
	}
}

function notDecoded(what: string, encoding: Encoding<never, unknown>, cause: unknown): MillraceError {
	const text = `${what} does not decode as ${nameOf(encoding)}: ${messageOf(cause)}`;
	return new MillraceError('MILLRACE_CODEC', text, { cause });
}

function messageOf(cause: unknown): string {
	return cause instanceof Error ? cause.message : String(cause);
}

/** A key for people: text in quotes where it is text, else hexadecimal. */
function shown(key: Bytes): string {
	if (typeof key === 'string') return JSON.stringify(key.slice(0, shownSizeMax));
	const start = Buffer.from(key.subarray(0, shownSizeMax));
	const isText = start.every((byte) => byte >= 0x20 && byte < 0x7f);
	return isText ? JSON.stringify(start.toString('latin1')) : `0x${start.toString('hex')}`;
}
