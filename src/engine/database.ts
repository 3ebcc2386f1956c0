/**
 * The embedded database as a program holds it: the Store port over one session, in the thread that opened it and in those that
 * attached to it. It checks what it is given and hands it on; each method's work is done elsewhere:
 *
 *   one key ─> KeyMethods ─> Calls, SyncReads         events, pressure <─ the session, Calls
 *   many ─> Batches, Snapshots, Scanner, AdminCalls, StoreWriter: all of them ask through Calls
 *
 * Keys and values are copied before a method returns, so callers may reuse their buffers at once; values that come back are the
 * caller's own. A promise of a write resolves when the write is as durable as the database's durability says, or the write's own.
 */
import { MillraceError } from '../base/errors.js';
import type { Bytes } from '../command/checked-bytes.js';
import { checkAbortOptions, checkDurabilityOnly, wishOf } from '../command/put-options.js';
import type {
	AbortOptions,
	BatchOperation,
	CountOptions,
	FileProblem,
	KeyRange,
	Store,
	StoreScanOptions,
	WriteOptions,
} from '../command/store.js';
import { AdminCalls } from './admin-calls.js';
import type { Attachment } from './attach-messages.js';
import { Batches } from './batches.js';
import { Calls } from './calls.js';
import type { DatabaseCheckpoint } from './checkpoint-directory.js';
import { EncodedStore } from './encoded-store.js';
import type { Encoding, EncodingChoice, EncodingName, EncodingPair, InputOf, OutputOf } from './encodings.js';
import { EpochGate } from './epoch-gate.js';
import { KeyMethods } from './key-methods.js';
import type { Pressure } from './pressure.js';
import type { ScanIterator } from './scan-iterator.js';
import { Scanner } from './scanner.js';
import type { Session } from './session.js';
import { type DatabaseSnapshot, Snapshots } from './snapshots.js';
import { type EventListener, StoreEvents, type StoreEventType } from './store-events.js';
import { StoreWriter, type WriterOptions } from './store-writer.js';

export class Database extends KeyMethods implements Store {
	readonly partitionCount: number;
	readonly #session: Session;
	readonly #gate: EpochGate;
	readonly #scanner: Scanner;
	readonly #batches: Batches;
	readonly #admin: AdminCalls;
	readonly #events = new StoreEvents();
	/** Calls under way that take several steps. */
	#stepping = 0;
	#onStepsEnd: (() => void) | undefined;
	#closing: Promise<void> | undefined;

	/** Applications call `open` or `attach` of the package. */
	constructor(session: Session) {
		const calls = new Calls(session.port, session.inFlightSizeMax);
		const gate = new EpochGate(session.gate);
		super(session, calls, new Snapshots(calls, gate));
		this.#session = session;
		this.#gate = gate;
		this.partitionCount = session.partitionCount;
		this.#scanner = new Scanner(this.calls, this.snapshots);
		this.#batches = new Batches(this.calls, this.#gate);
		this.#admin = new AdminCalls(this.calls, this.#gate, session.fileSystem);
		this.calls.onPressure = (pressure) => this.#events.emit({ type: 'pressure', ...pressure });
		session.onEvent = (event) => {
			if (session.death !== undefined) this.#end(session.death);
			this.#events.emit(event);
		};
		if (session.death !== undefined) this.#end(session.death);
	}

	// --- many keys at once ----------------------------------------------------------------------------

	/**
	 * All operations or none, also over partitions and through crashes; each sees what those before it did. Every operation is
	 * checked before anything is sent.
	 * @returns undefined when a condition was not met, and for an empty batch: nothing was written
	 * @throws MILLRACE_MESSAGE_SIZE for more than 65,536 operations or 16 MiB
	 */
	batch(
		operations: readonly BatchOperation[],
		options?: WriteOptions,
	): Promise<{ readonly count: number } | undefined> {
		return this.#inSteps(async () => {
			checkDurabilityOnly('batch', options);
			return this.#batches.commit(operations, wishOf(options, this.durability));
		});
	}

	/**
	 * A stream that loads records in constant memory: a Node Writable in object mode that takes `[key, value]` and operations as in
	 * `batch`, without conditions; for `pipeline`, and with `Writable.toWeb` for the web. `writer.stats` tells its rate.
	 * @param toRecord makes such a record of what is written, where it is something else
	 */
	writer(options?: WriterOptions, toRecord?: (record: unknown) => unknown): StoreWriter {
		this.calls.mustBeOpen();
		return new StoreWriter(this.calls, this.durability, options, toRecord);
	}

	// --- ranges ---------------------------------------------------------------------------------------

	/**
	 * Entries in the order of their keys, at one cut: as stored when the iteration began, unless a snapshot is given.
	 * @throws TypeError for options that are unknown or wrong; MILLRACE_KEY_SIZE for a long bound
	 */
	scan(options?: StoreScanOptions): ScanIterator {
		return this.#scanner.scan(options);
	}

	/** Live entries of a range: counted at one cut, or estimated. */
	count(options?: CountOptions): Promise<number> {
		return this.#inSteps(() => this.#scanner.count(options));
	}

	/** Deletes every key of a range: at one moment in each partition. */
	deleteRange(range?: KeyRange, options?: WriteOptions): Promise<void> {
		return this.#inSteps(async () => {
			checkDurabilityOnly('deleteRange', options);
			await this.#admin.deleteRange(range, wishOf(options, this.durability));
		});
	}

	/** One consistent cut over all partitions, also while other threads write. Keeps on disk what it sees: close it soon. */
	snapshot(): Promise<DatabaseSnapshot> {
		return this.#inSteps(() => this.snapshots.acquire());
	}

	/**
	 * As snapshot, at once, for callers that cannot wait: when its `cut` is undefined, what is written from now on is not in it;
	 * when its `ready` resolves, it can be read at.
	 */
	snapshotSoon(): DatabaseSnapshot {
		this.calls.mustBeOpen();
		return this.snapshots.acquireSoon();
	}

	// --- the whole ------------------------------------------------------------------------------------

	/** Writes all memtables to tables: a following open has little to replay. */
	flush(options?: AbortOptions): Promise<void> {
		return this.#inSteps(async () => {
			checkAbortOptions('flush', options);
			await this.#admin.flush(options);
		});
	}

	/** Compacts a range down to the last level. */
	compact(range?: KeyRange, options?: AbortOptions): Promise<void> {
		return this.#inSteps(async () => {
			checkAbortOptions('compact', options);
			await this.#admin.compact(range, options);
		});
	}

	/** Numbers of each partition, by partition: docs/storage.md. */
	stats(): Promise<Record<string, unknown>[]> {
		return this.#inSteps(() => this.#admin.stats());
	}

	/** What a read of this key touches, and how long each step takes. */
	explain(key: Bytes): Promise<Record<string, unknown>> {
		return this.#inSteps(() => this.#admin.explain(key));
	}

	/**
	 * A copy in a directory that does not exist yet, which opens like any other, made by hard links while the database goes on.
	 * @throws MILLRACE_DIRECTORY when the directory exists or the one above it does not; MILLRACE_DISK_FULL, MILLRACE_BUSY
	 */
	checkpoint(directory: string, options?: AbortOptions): Promise<DatabaseCheckpoint> {
		return this.#inSteps(async () => {
			checkAbortOptions('checkpoint', options);
			return this.#admin.checkpoint(directory, options);
		});
	}

	/** Reads and checks every byte on disk. @returns what is wrong; empty: nothing */
	verify(options?: AbortOptions): Promise<FileProblem[]> {
		return this.#inSteps(async () => {
			checkAbortOptions('verify', options);
			return this.#admin.verify(options);
		});
	}

	/**
	 * The same database with keys and values in encodings: 'bytes', 'utf8', 'json', 'msgpack', or one's own. 'bytes' where none is
	 * given. The first three forms are there for encodings written in place: TypeScript then knows what their functions are given.
	 */
	withEncoding<KeyIn, KeyOut, ValueIn, ValueOut>(encodings: {
		readonly key: Encoding<KeyIn, KeyOut>;
		readonly value: Encoding<ValueIn, ValueOut>;
	}): EncodedStore<KeyIn, KeyOut, ValueIn, ValueOut>;
	withEncoding<ValueIn, ValueOut, K extends EncodingName = 'bytes'>(encodings: {
		readonly key?: K;
		readonly value: Encoding<ValueIn, ValueOut>;
	}): EncodedStore<InputOf<K>, OutputOf<K>, ValueIn, ValueOut>;
	withEncoding<KeyIn, KeyOut, V extends EncodingName = 'bytes'>(encodings: {
		readonly key: Encoding<KeyIn, KeyOut>;
		readonly value?: V;
	}): EncodedStore<KeyIn, KeyOut, InputOf<V>, OutputOf<V>>;
	withEncoding<K extends EncodingChoice = 'bytes', V extends EncodingChoice = 'bytes'>(
		encodings: EncodingPair<K, V>,
	): EncodedStore<InputOf<K>, OutputOf<K>, InputOf<V>, OutputOf<V>>;
	withEncoding<K extends EncodingChoice, V extends EncodingChoice>(
		encodings: EncodingPair<K, V>,
	): EncodedStore<InputOf<K>, OutputOf<K>, InputOf<V>, OutputOf<V>> {
		return new EncodedStore(this, encodings);
	}

	/**
	 * A ticket with which another thread of this process attaches: pass it as (part of) `workerData`, with its `transferList`.
	 * @throws MILLRACE_CLOSED, MILLRACE_WORKER_DIED; TypeError in an attached thread
	 */
	attachment(): Attachment {
		this.calls.mustBeOpen();
		return this.#session.makeAttachment();
	}

	/** How close this thread is to being refused with MILLRACE_BUSY, and why. Cheap. */
	get pressure(): Pressure {
		return this.calls.pressure;
	}

	/** Calls `listener` for every event of a type. @throws TypeError for a type there is not */
	on<T extends StoreEventType>(type: T, listener: EventListener<T>): this {
		this.#events.on(type, listener);
		return this;
	}

	once<T extends StoreEventType>(type: T, listener: EventListener<T>): this {
		this.#events.once(type, listener);
		return this;
	}

	off<T extends StoreEventType>(type: T, listener: EventListener<T>): this {
		this.#events.off(type, listener);
		return this;
	}

	/**
	 * Refuses further calls, waits for those under way, makes everything durable, and lets the directory go; in an attached thread:
	 * lets go of the database. Idempotent.
	 * @throws MILLRACE_POISONED or MILLRACE_DISK_FULL when the last commit could not be made durable
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close();
	}

	// --- inside ---------------------------------------------------------------------------------------

	async #close(): Promise<void> {
		this.calls.refuse(closedError);
		this.#scanner.end(closedError());
		this.snapshots.end(closedError());
		this.#gate.hurry(closedError());
		while (this.#stepping > 0) {
			await new Promise<void>((resolve) => {
				this.#onStepsEnd = resolve;
			});
		}
		await this.calls.idle();
		this.#gate.end(closedError());
		this.calls.end(closedError);
		await this.#session.close();
	}

	/** Nothing will be answered any more. */
	#end(error: MillraceError): void {
		this.calls.end(() => error);
		this.#gate.end(error);
		this.#scanner.end(error);
		this.snapshots.end(error);
	}

	/** A call that asks more than once: `close` waits for all of it. What `work` does at once happens at once. */
	async #inSteps<T>(work: () => Promise<T>): Promise<T> {
		this.calls.mustBeOpen();
		this.#stepping++;
		try {
			return await work();
		} finally {
			this.#stepping--;
			if (this.#stepping === 0) this.#onStepsEnd?.();
		}
	}
}

function closedError(): MillraceError {
	return new MillraceError('MILLRACE_CLOSED', 'the database is closed');
}
