/**
 * Batches: made by whoever has several writes for one partition, checked where they come in, walked where they are applied.
 *
 *   opBatch's value   u32 count | command | command | …      each as in command-format.ts, end to end
 *
 * Pure, any thread. A writer's bytes are its own until `clear`.
 */
import { copyBytes, readU16, readU32, writeU32 } from '../base/bytes.js';
import { batchCountMax, keySizeMax, valueSizeMax } from '../base/limits.js';
import {
	batchHeaderSize,
	commandFlagsOffset,
	commandHeaderSize,
	commandSize,
	encodeCommand,
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagSequence,
	flagSliding,
	opAppend,
	opBatch,
	opDelete,
	opDeleteRange,
	opIncrement,
	opPrepare,
	opPut,
	opSetExpiry,
	prepareHeaderSize,
	prepareIsCoordinatorOffset,
	readCommandKeySize,
	readCommandValueSize,
} from './command-format.js';

const putFlags = flagArgument | flagIfAbsent | flagIfPresent | flagKeepExpiry | flagSequence | flagSliding;

/** What a command in a batch may be, and the flags it may have: flagReturnOld has nowhere to return to. */
const flagsByOpcode = new Map<number, number>([
	[opPut, putFlags],
	[opDelete, flagSequence],
	[opIncrement, flagSequence],
	[opAppend, flagSequence],
	[opSetExpiry, flagArgument | flagSequence | flagSliding],
	[opDeleteRange, 0],
]);

/**
 * Looks a batch over that came from outside: whole, within all limits, and of nothing but commands a batch may hold.
 * @param offset of the opBatch command, whose own sizes are known to fit `bytes`
 * @returns what is wrong with it, in words; undefined: nothing
 */
export function maybeBatchProblem(bytes: Uint8Array, offset: number): string | undefined {
	const keySize = readCommandKeySize(bytes, offset);
	if (bytes[offset] !== opBatch || bytes[offset + commandFlagsOffset] !== 0 || keySize !== 0) {
		return 'a batch has neither key nor flags';
	}
	return maybeCommandsProblem(bytes, offset + commandHeaderSize, readCommandValueSize(bytes, offset), true);
}

/** As `maybeBatchProblem`, of an opPrepare command: one partition's part of a batch, with what says whose it is. */
export function maybePrepareProblem(bytes: Uint8Array, offset: number): string | undefined {
	const keySize = readCommandKeySize(bytes, offset);
	const size = readCommandValueSize(bytes, offset);
	if (bytes[offset] !== opPrepare || bytes[offset + commandFlagsOffset] !== 0 || keySize !== 0) {
		return 'a part of a batch has neither key nor flags';
	}
	if (size < prepareHeaderSize) return `a part of a batch has at least ${prepareHeaderSize} bytes, not ${size}`;
	const start = offset + commandHeaderSize;
	if (readU16(bytes, start + prepareIsCoordinatorOffset) > 1)
		return 'it says neither that this is the coordinator nor not';
	return maybeCommandsProblem(bytes, start + prepareHeaderSize, size - prepareHeaderSize, false);
}

/** @param mayDeleteRanges not over several partitions: what is locked are keys */
function maybeCommandsProblem(
	bytes: Uint8Array,
	start: number,
	size: number,
	mayDeleteRanges: boolean,
): string | undefined {
	if (size < batchHeaderSize || size > valueSizeMax) return `a batch has up to ${valueSizeMax} bytes, not ${size}`;
	const count = readU32(bytes, start);
	if (count < 1 || count > batchCountMax) return `a batch has from 1 to ${batchCountMax} commands, not ${count}`;
	const end = start + size;
	let at = start + batchHeaderSize;
	for (let index = 0; index < count; index++) {
		const problem = maybeCommandProblem(bytes, at, end);
		if (problem !== undefined) return `command ${index} of the batch: ${problem}`;
		if (!mayDeleteRanges && bytes[at] === opDeleteRange) return 'a batch over several partitions deletes no ranges';
		at = endOfCommand(bytes, at);
	}
	return at === end ? undefined : `${end - at} bytes follow the last command of the batch`;
}

/** Where the command at `at` ends. */
function endOfCommand(bytes: Uint8Array, at: number): number {
	const flags = bytes[at + commandFlagsOffset] as number;
	return at + commandSize(flags, readCommandKeySize(bytes, at), readCommandValueSize(bytes, at));
}

function maybeCommandProblem(bytes: Uint8Array, at: number, end: number): string | undefined {
	if (at + commandHeaderSize > end || endOfCommand(bytes, at) > end) return 'it ends behind the batch';
	const opcode = bytes[at] as number;
	const flags = bytes[at + commandFlagsOffset] as number;
	const allowed = flagsByOpcode.get(opcode);
	if (allowed === undefined) return `opcode ${opcode} has no place in a batch`;
	if ((flags & ~allowed) !== 0) return `opcode ${opcode} does not have the flags ${flags & ~allowed}`;
	const keySize = readCommandKeySize(bytes, at);
	if (keySize > keySizeMax || (keySize === 0 && opcode !== opDeleteRange)) {
		return `a key has from 1 to ${keySizeMax} bytes, not ${keySize}`;
	}
	const valueSize = readCommandValueSize(bytes, at);
	const sizeMax = opcode === opDeleteRange ? keySizeMax : valueSizeMax;
	return valueSize <= sizeMax ? undefined : `its value has ${valueSize} bytes, more than ${sizeMax}`;
}

/** Gathers the commands of a batch. */
export class BatchWriter {
	#bytes = Buffer.alloc(1024);
	#size = batchHeaderSize;
	#count = 0;

	get count(): number {
		return this.#count;
	}

	/** The batch as opBatch's value: lent until the next call. */
	get value(): Uint8Array {
		writeU32(this.#bytes, 0, this.#count);
		return this.#bytes.subarray(0, this.#size);
	}

	/** Bytes of `value`. */
	get size(): number {
		return this.#size;
	}

	add(opcode: number, flags: number, argument: number, key: Uint8Array, value: Uint8Array, sequence = 0): void {
		this.addFrom(opcode, flags, argument, key, key.length, value, value.length, sequence);
	}

	/** As `add`, of the first bytes of two buffers. */
	addFrom(
		opcode: number,
		flags: number,
		argument: number,
		key: Uint8Array,
		keySize: number,
		value: Uint8Array,
		valueSize: number,
		sequence: number,
	): void {
		const size = commandSize(flags, keySize, valueSize);
		if (this.#size + size > this.#bytes.length) this.#grow(this.#size + size);
		const at = this.#size;
		encodeCommand(this.#bytes, at, opcode, flags, argument, key, 0, keySize, value, 0, valueSize, sequence);
		this.#size += size;
		this.#count++;
	}

	clear(): void {
		this.#size = batchHeaderSize;
		this.#count = 0;
	}

	#grow(sizeMin: number): void {
		const larger = Buffer.alloc(Math.max(sizeMin, this.#bytes.length * 2));
		copyBytes(this.#bytes, 0, larger, 0, this.#size);
		this.#bytes = larger;
	}
}
