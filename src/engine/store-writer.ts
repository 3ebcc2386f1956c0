/**
 * A stream that loads a database: `db.writer()`. Records are gathered into one batch for each partition, a few of which are under
 * way at once; memory is bounded by them, however much is loaded.
 *
 *   write ─> gathered (a group) ─ full, or the turn ends ─> a batch for each partition ─> acknowledged: statistics, room
 *                                                            └─ more than `underWaySizeMax` bytes: write's callback waits
 *
 * Records of one key take effect in the order written. The stream as a whole is no transaction: when it fails, what was
 * acknowledged stays, and so may what was under way. One asking thread.
 */
import { Writable } from 'node:stream';
import type { Bytes } from '../command/checked-bytes.js';
import { opPut } from '../command/command-format.js';
import { checkDurabilityOnly, wishOf } from '../command/put-options.js';
import type { BatchOperation, WriteOptions } from '../command/store.js';
import type { Durability } from '../command/worker-boot.js';
import { aboutOperation, BatchGatherer, isAboutData } from './batch-operations.js';
import { type BatchOutcome, callVersion } from './call-slots.js';
import type { Calls } from './calls.js';

/** Bytes of a group: a partition's part travels inside its ring, and costs little beside its records. */
const groupSizeMax = 128 * 1024;
const groupCountMax = 4096;
/** Bytes of groups under way at which the stream waits. */
const underWaySizeMax = 4 * 1024 * 1024;
/** Records that the stream keeps while it waits. */
const waitingRecordCount = 1024;
const shownKeySizeMax = 40;

/** What a writer takes: a pair to put, or an operation as in `batch`, without conditions. */
export type WriterRecord<Key = Bytes, Value = Bytes> =
	| readonly [key: Key, value: Value]
	| (BatchOperation & {
			readonly ifVersion?: undefined;
			readonly ifAbsent?: undefined;
			readonly ifPresent?: undefined;
	  });

export interface WriterOptions extends WriteOptions {}

/** Of what was acknowledged. */
export interface WriterStats {
	readonly records: number;
	/** Bytes of commands: keys and values with some 10 bytes each. */
	readonly bytes: number;
	/** Since the first record was written, until the last was acknowledged. */
	readonly recordsPerSecond: number;
}

/** What is known of a group when it fails. */
interface Group {
	/** Number of its first record, from 0. */
	readonly first: number;
	readonly indexes: readonly number[];
	readonly count: number;
	readonly size: number;
}

type Callback = (error?: Error | null) => void;

/** A Node stream in object mode; `Writable.toWeb` makes a web stream of it. */
export class StoreWriter extends Writable {
	readonly #calls: Calls;
	readonly #wish: number;
	readonly #gatherer: BatchGatherer;
	readonly #toRecord: (record: unknown) => unknown;
	/** Records taken, and of them those that are in groups already. */
	#takenCount = 0;
	#sentCount = 0;
	#doneCount = 0;
	#doneSize = 0;
	#startMs = 0;
	#lastMs = 0;
	#underWayCount = 0;
	#underWaySize = 0;
	#flushing: NodeJS.Immediate | undefined;
	/** The callback of the write that waits for room. */
	#onRoom: Callback | undefined;
	#onAllDone: Callback | undefined;

	/**
	 * @param toRecord makes a WriterRecord of what is written; may throw
	 * @throws TypeError for options that are unknown or wrong
	 */
	constructor(
		calls: Calls,
		durability: Durability,
		options?: WriterOptions,
		toRecord: (record: unknown) => unknown = (record) => record,
	) {
		checkDurabilityOnly('writer', options);
		super({ objectMode: true, highWaterMark: waitingRecordCount });
		this.#calls = calls;
		this.#wish = wishOf(options, durability);
		this.#toRecord = toRecord;
		this.#gatherer = new BatchGatherer(calls.partitionCount, (key) => calls.partitionOf(key.bytes, key.size), true);
	}

	get stats(): WriterStats {
		const seconds = (this.#lastMs - this.#startMs) / 1000;
		const recordsPerSecond = seconds > 0 ? this.#doneCount / seconds : 0;
		return { records: this.#doneCount, bytes: this.#doneSize, recordsPerSecond };
	}

	override _write(record: unknown, _encoding: BufferEncoding, callback: Callback): void {
		const error = this.#maybeTake(record);
		if (error === undefined) this.#goOn(callback);
		else callback(error);
	}

	override _writev(chunks: { chunk: unknown }[], callback: Callback): void {
		for (const { chunk } of chunks) {
			const error = this.#maybeTake(chunk);
			if (error === undefined) continue;
			callback(error);
			return;
		}
		this.#goOn(callback);
	}

	override _final(callback: Callback): void {
		this.#flush();
		if (this.#underWayCount === 0) callback();
		else this.#onAllDone = callback;
	}

	override _destroy(error: Error | null, callback: Callback): void {
		if (this.#flushing !== undefined) clearImmediate(this.#flushing);
		this.#gatherer.clear();
		callback(error);
	}

	#goOn(callback: Callback): void {
		if (this.#underWaySize > underWaySizeMax) this.#onRoom = callback;
		else callback();
	}

	/** @returns what is wrong with it */
	#maybeTake(record: unknown): Error | undefined {
		if (this.#takenCount === 0) this.#startMs = performance.now();
		try {
			this.#add(this.#toRecord(record));
		} catch (error) {
			return aboutOperation(`record ${this.#takenCount}${shownKey(record)}`, error) as Error;
		}
		this.#takenCount++;
		if (this.#gatherer.size >= groupSizeMax || this.#gatherer.count >= groupCountMax) this.#flush();
		else this.#flushing ??= setImmediate(() => this.#flush());
		return undefined;
	}

	#add(record: unknown): void {
		if (!Array.isArray(record)) {
			const { ifVersion, ifAbsent, ifPresent } = (record ?? {}) as Record<string, unknown>;
			if (ifVersion === undefined && ifAbsent === undefined && ifPresent === undefined) {
				if (isLarge((record as { value?: unknown } | null)?.value)) this.#flush();
				this.#gatherer.add(record as BatchOperation);
				return;
			}
			throw new TypeError('a writer takes no conditions: its records are written in groups, all or none');
		}
		if (record.length !== 2) throw new TypeError('a record is [key, value], or an operation as in batch');
		const [key, value] = record as [Bytes, Bytes];
		if (isLarge(value)) this.#putAlone(key, value);
		else this.#gatherer.addPut(key, value);
	}

	/** A value that fills a batch, or fits none with its headers. */
	#putAlone(key: Bytes, value: Bytes): void {
		this.#flush();
		const put = this.#calls.callWrite(callVersion, opPut, 0, 0, key, value, 0, this.#wish);
		const outcome = put.then(() => ({ isDone: true, index: 0, error: undefined }));
		this.#await({ first: this.#takenCount, indexes: [0], count: 1, size: value.length }, outcome);
		this.#sentCount = this.#takenCount + 1;
	}

	/** Sends what is gathered. */
	#flush(): void {
		if (this.#flushing !== undefined) clearImmediate(this.#flushing);
		this.#flushing = undefined;
		const gatherer = this.#gatherer;
		for (const partition of gatherer.partitions) {
			const value = gatherer.valueOf(partition);
			const indexes = gatherer.indexesOf(partition);
			const group = { first: this.#sentCount, indexes, count: indexes.length, size: value.length };
			this.#await(group, this.#calls.batch(partition, value, this.#wish));
		}
		this.#sentCount = this.#takenCount;
		gatherer.clear();
	}

	#await(group: Group, outcome: Promise<BatchOutcome>): void {
		this.#underWayCount++;
		this.#underWaySize += group.size;
		outcome.then(
			(done) => this.#onDone(group, done),
			(error: Error) => this.destroy(aboutGroup(group, error)),
		);
	}

	#onDone(group: Group, { error, index }: BatchOutcome): void {
		this.#underWayCount--;
		this.#underWaySize -= group.size;
		if (error !== undefined) {
			const about = isAboutData(error) ? `record ${group.first + (group.indexes[index] ?? 0)}` : undefined;
			this.destroy(about === undefined ? aboutGroup(group, error) : (aboutOperation(about, error) as Error));
			return;
		}
		this.#doneCount += group.count;
		this.#doneSize += group.size;
		this.#lastMs = performance.now();
		if (this.#onRoom !== undefined && this.#underWaySize <= underWaySizeMax) {
			const callback = this.#onRoom;
			this.#onRoom = undefined;
			callback();
		}
		if (this.#underWayCount === 0) this.#onAllDone?.();
	}
}

function isLarge(value: unknown): boolean {
	return (typeof value === 'string' || value instanceof Uint8Array) && value.length > groupSizeMax;
}

function aboutGroup({ first, indexes }: Group, error: Error): Error {
	const from = first + (indexes[0] ?? 0);
	const to = first + (indexes.at(-1) ?? 0);
	return aboutOperation(from === to ? `record ${from}` : `records between ${from} and ${to}`, error) as Error;
}

function shownKey(record: unknown): string {
	const key: unknown = Array.isArray(record) ? record[0] : (record as { key?: unknown } | null)?.key;
	if (typeof key === 'string') return ` (key ${JSON.stringify(key.slice(0, shownKeySizeMax))})`;
	if (key instanceof Uint8Array) return ` (key ${Buffer.from(key.subarray(0, shownKeySizeMax)).toString('hex')})`;
	return '';
}
