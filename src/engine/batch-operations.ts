/**
 * The operations of a batch as a program gives them: checked one by one, and encoded for the partition that owns the key. Nothing
 * is sent here, so a bad element means that nothing happens. One asking thread.
 *
 *   [{ type: 'put', … }, { type: 'delete', … }, …] ─> key and value in hand ─> BatchWriter of partition 0, 1, …
 */
import { type ErrorCode, MillraceError } from '../base/errors.js';
import { batchCountMax, valueSizeMax } from '../base/limits.js';
import { BatchWriter } from '../command/batch.js';
import { BytesInHand, mustDelta } from '../command/checked-bytes.js';
import { flagArgument, opAppend, opDelete, opIncrement, opPut } from '../command/command-format.js';
import { checkBatchOperation, expiresAtMsOf } from '../command/put-options.js';
import type { BatchOperation } from '../command/store.js';

/** Writers above this size give their bytes back. */
const keptSizeMax = 1024 * 1024;
/** What a partition adds to its part: the batch's header, and where there are several, whose it is. */
const overheadSizeMax = 64;

const opcodes: Readonly<Record<BatchOperation['type'], number>> = {
	put: opPut,
	append: opAppend,
	increment: opIncrement,
	delete: opDelete,
};

const dataErrors = new Set<ErrorCode>(['MILLRACE_NOT_INTEGER', 'MILLRACE_OVERFLOW', 'MILLRACE_VALUE_SIZE']);

/** Gathers operations by partition. */
export class BatchGatherer {
	readonly #partitionOf: (key: BytesInHand) => number;
	readonly #key = new BytesInHand();
	readonly #value = new BytesInHand();
	readonly #writers: (BatchWriter | undefined)[];
	/** Partitions that have any, in the order in which they were met. */
	readonly partitions: number[] = [];
	#count = 0;
	#size = 0;
	/** Operations in each partition's writer, as their indexes. Only kept where somebody asks. */
	readonly #indexes: number[][] | undefined;

	/** @param keepsIndexes to tell later which operation was a partition's n-th */
	constructor(partitionCount: number, partitionOf: (key: BytesInHand) => number, keepsIndexes = false) {
		this.#partitionOf = partitionOf;
		this.#writers = new Array<BatchWriter | undefined>(partitionCount).fill(undefined);
		if (keepsIndexes) this.#indexes = Array.from({ length: partitionCount }, () => []);
	}

	/** Operations gathered. */
	get count(): number {
		return this.#count;
	}

	/** Bytes of their commands. */
	get size(): number {
		return this.#size;
	}

	/** @throws TypeError or a coded error for an operation that cannot be; MILLRACE_MESSAGE_SIZE; then it was not added */
	add(operation: BatchOperation): void {
		if (typeof operation !== 'object' || operation === null) throw new TypeError('an operation is an object');
		switch (operation.type) {
			case 'put':
			case 'append':
				this.#value.takeValue(operation.value);
				break;
			case 'increment':
				this.#value.takeValue(mustDelta(operation.delta === undefined ? 1 : operation.delta));
				break;
			case 'delete':
				this.#value.takeValue('');
				break;
			default: {
				const { type } = operation as { type: unknown };
				throw new TypeError(`an operation is a put, delete, increment or append, not ${String(type)}`);
			}
		}
		const checked = checkBatchOperation(operation);
		this.#key.takeKey(operation.key);
		const expiresAtMs = expiresAtMsOf(checked, checked.isRelative ? Date.now() : 0);
		const flags = expiresAtMs === 0 ? checked.flags : checked.flags | flagArgument;
		this.#addInHand(opcodes[operation.type], flags, expiresAtMs, checked.version);
	}

	/** A put without options: what is loaded in quantity. */
	addPut(key: BatchOperation['key'], value: BatchOperation['key']): void {
		this.#value.takeValue(value);
		this.#key.takeKey(key);
		this.#addInHand(opPut, 0, 0, 0);
	}

	/** A partition's part as opBatch's value. Lent until the gatherer is cleared or added to. */
	valueOf(partition: number): Uint8Array {
		return this.#writerOf(partition).value;
	}

	/** Which operation, of those added since the gatherer was cleared, is the n-th of this partition. The caller's to keep. */
	indexesOf(partition: number): readonly number[] {
		return this.#indexes?.[partition] ?? [];
	}

	clear(): void {
		for (const partition of this.partitions) {
			if (this.#writerOf(partition).size > keptSizeMax) this.#writers[partition] = undefined;
			else this.#writerOf(partition).clear();
			if (this.#indexes !== undefined) this.#indexes[partition] = [];
		}
		this.partitions.length = 0;
		this.#count = 0;
		this.#size = 0;
	}

	#addInHand(opcode: number, flags: number, argument: number, version: number): void {
		const partition = this.#partitionOf(this.#key);
		const writer = this.#writerOf(partition);
		const sizeBefore = writer.count === 0 ? 0 : writer.size;
		this.#mustFit(this.#key.size + this.#value.size);
		if (writer.count === 0) this.partitions.push(partition);
		const { bytes, size } = this.#value;
		writer.addFrom(opcode, flags, argument, this.#key.bytes, this.#key.size, bytes, size, version);
		this.#indexes?.[partition].push(this.#count);
		this.#count++;
		this.#size += writer.size - sizeBefore;
	}

	#mustFit(size: number): void {
		if (this.#count === batchCountMax) {
			throw new MillraceError('MILLRACE_MESSAGE_SIZE', `a batch has at most ${batchCountMax} operations`);
		}
		if (this.#size + size + overheadSizeMax <= valueSizeMax) return;
		throw new MillraceError('MILLRACE_MESSAGE_SIZE', `a batch has at most ${valueSizeMax} bytes, headers included`);
	}

	#writerOf(partition: number): BatchWriter {
		const writer = this.#writers[partition] ?? new BatchWriter();
		this.#writers[partition] = writer;
		return writer;
	}
}

/**
 * Gathers a whole batch.
 * @throws TypeError or a coded error that names the operation by its index: nothing is to be sent then
 */
export function gatherBatch(gatherer: BatchGatherer, operations: readonly BatchOperation[]): void {
	gatherer.clear();
	for (let index = 0; index < operations.length; index++) {
		try {
			gatherer.add(operations[index]);
		} catch (error) {
			gatherer.clear();
			throw aboutOperation(`operation ${index} of the batch`, error);
		}
	}
}

/** True for errors that are about one operation's data, and not about the partition. */
export function isAboutData(error: MillraceError): boolean {
	return dataErrors.has(error.code);
}

/** The same error, which says what it is about. */
export function aboutOperation(what: string, error: unknown): unknown {
	if (error instanceof MillraceError)
		return new MillraceError(error.code, `${what}: ${error.message}`, { cause: error });
	if (error instanceof TypeError) return new TypeError(`${what}: ${error.message}`, { cause: error });
	return error;
}
