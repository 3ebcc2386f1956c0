/**
 * The state of batches over several partitions in one of them (command/transaction.ts): what is prepared here and not decided,
 * and what was decided here as the coordinator and may still be asked for by others.
 *
 *   add ─> prepared: keys locked ──decide(commit)──> decided, if this is the coordinator ──forget──> gone
 *                                └─decide(abort)───> gone
 *
 * Live and in a replay the same. Each has the sequence of its newest record in the log, which must not leave the log before it
 * has come to its end or was written down again (transaction-writes.ts): `oldestSequence` is what bounds flushes. Both maps are
 * in the order of those sequences. Locks go by the hash of the key: two keys may share one, which only makes one wait in vain.
 *
 * Bounded by `preparedSizeMax`: who adds asks `hasRoom` first. Partition's thread only.
 */
import { assert } from '../../../base/assert.js';
import { readU16, writeU32 } from '../../../base/bytes.js';
import { preparedSizeMax } from '../../../base/limits.js';
import {
	commandHeaderSize,
	commandKeyOffset,
	commandSize,
	commandValueSizeOffset,
	decideOutcomeOffset,
	decideSize,
	encodeCommand,
	flagArgument,
	opDecide,
	prepareCoordinatorOffset,
	prepareHeaderSize,
	prepareIsCoordinatorOffset,
	readCommandArgument,
	transactionIdSize,
} from '../../../command/command-format.js';
import type { InDoubt, TransactionReport } from '../../../command/transaction.js';

/** Bytes that a key's lock, or a decision, takes beside what is counted by itself; about. */
const lockSize = 64;
const keptDecisionSize = 256;
/** Where the value of a prepare begins in the form that is kept and logged, and where its batch does. */
const valueOffset = commandKeyOffset(flagArgument);
export const keptBatchOffset = valueOffset + prepareHeaderSize;

/** Bytes of a decision in the log. */
export const decisionSize = commandSize(0, 0, decideSize);

/** Encodes a decision as it is logged, `decisionSize` bytes. @param count sequences that it takes */
export function encodeDecision(
	target: Uint8Array,
	offset: number,
	id: Uint8Array,
	idOffset: number,
	outcome: number,
	count: number,
): void {
	encodeCommand(target, offset, opDecide, 0, 0, id, 0, 0, id, idOffset, transactionIdSize);
	writeU32(target, offset + commandValueSizeOffset, decideSize);
	writeU32(target, offset + commandHeaderSize + decideOutcomeOffset, outcome | (count << 8));
}

export class PreparedBatch {
	readonly id: string;
	/** The opPrepare command as it is logged: with the time it was evaluated at as its argument. The batch's own. */
	readonly command: Uint8Array;
	/** Of its keys. */
	readonly hashes: Uint32Array;
	/** Of its newest record in the log. */
	sequence: number;

	constructor(command: Uint8Array, hashes: Uint32Array, sequence: number) {
		this.id = transactionIdAt(command, valueOffset);
		this.command = command;
		this.hashes = hashes;
		this.sequence = sequence;
	}

	/** What "now" is for its commands: their outcome at the decision is that of the prepare. */
	get timeMs(): number {
		return readCommandArgument(this.command, 0);
	}

	get coordinator(): number {
		return readU16(this.command, valueOffset + prepareCoordinatorOffset);
	}

	/** The decision about it is this partition's: it is kept until everybody has carried it out. */
	get isCoordinator(): boolean {
		return readU16(this.command, valueOffset + prepareIsCoordinatorOffset) !== 0;
	}
}

/** The transaction id at an offset, as hexadecimal text. */
export function transactionIdAt(bytes: Uint8Array, offset: number): string {
	return Buffer.from(bytes.subarray(offset, offset + transactionIdSize)).toString('hex');
}

export class Transactions {
	readonly #prepared = new Map<string, PreparedBatch>();
	/** Sequence of the newest record, by id. */
	readonly #decided = new Map<string, number>();
	readonly #locked = new Set<number>();
	#size = 0;

	/** Prepared batches: while there are any, `isLocked` has to be asked. */
	get count(): number {
		return this.#prepared.size;
	}

	/** Decisions that somebody may still ask for. */
	get decidedCount(): number {
		return this.#decided.size;
	}

	/** Bytes that all of it takes, about. */
	get size(): number {
		return this.#size;
	}

	/** The oldest record in the log that is still needed; infinite: none. */
	get oldestSequence(): number {
		const prepared = this.#prepared.values().next().value?.sequence ?? Number.POSITIVE_INFINITY;
		return Math.min(prepared, this.#decided.values().next().value ?? Number.POSITIVE_INFINITY);
	}

	/** The oldest time that a prepared batch will be carried out at; infinite: none. */
	get oldestTimeMs(): number {
		let oldestMs = Number.POSITIVE_INFINITY;
		for (const { timeMs } of this.#prepared.values()) oldestMs = Math.min(oldestMs, timeMs);
		return oldestMs;
	}

	/** True while a prepared batch has a key with this hash: neither read nor written until it is decided. */
	isLocked(hash: number): boolean {
		return this.#locked.has(hash >>> 0);
	}

	/** True when a batch of so many bytes and keys may be kept beside the others; one alone always may. */
	hasRoom(size: number, keyCount: number): boolean {
		return this.#size === 0 || this.#size + size + keyCount * lockSize <= preparedSizeMax;
	}

	maybeGet(id: string): PreparedBatch | undefined {
		return this.#prepared.get(id);
	}

	/** In the order in which they were logged last. */
	prepared(): Iterable<PreparedBatch> {
		return this.#prepared.values();
	}

	/** Ids and sequences, in the order in which they were logged last. */
	decided(): Iterable<readonly [id: string, sequence: number]> {
		return this.#decided;
	}

	/** Keeps a batch and locks its keys. Nobody else has locked them. */
	add(batch: PreparedBatch): void {
		assert(!this.#prepared.has(batch.id), 'a batch is prepared once');
		this.#prepared.set(batch.id, batch);
		for (const hash of batch.hashes) this.#locked.add(hash);
		this.#size += sizeOf(batch);
	}

	/** Its record in the log is now this one. */
	onLogged(batch: PreparedBatch, sequence: number): void {
		batch.sequence = sequence;
		this.#prepared.delete(batch.id);
		this.#prepared.set(batch.id, batch);
	}

	/** It is decided, and carried out here: its keys are free. */
	remove(batch: PreparedBatch): void {
		assert(this.#prepared.delete(batch.id), 'what is decided was prepared');
		for (const hash of batch.hashes) this.#locked.delete(hash);
		this.#size -= sizeOf(batch);
	}

	/** A decision to commit, made here, whose newest record in the log is this one. */
	keepDecision(id: string, sequence: number): void {
		if (!this.#decided.delete(id)) this.#size += keptDecisionSize;
		this.#decided.set(id, sequence);
	}

	/** Everybody has carried out what was decided. @param id hexadecimal */
	forget(id: string): void {
		if (this.#decided.delete(id)) this.#size -= keptDecisionSize;
	}

	/** @param ids end to end, as in opForget */
	forgetAll(ids: Uint8Array): void {
		for (let at = 0; at + transactionIdSize <= ids.length; at += transactionIdSize)
			this.forget(transactionIdAt(ids, at));
	}

	report(): TransactionReport {
		const inDoubt: InDoubt[] = [];
		for (const { id, coordinator } of this.#prepared.values()) inDoubt.push({ id, coordinator });
		return { inDoubt, decided: [...this.#decided.keys()] };
	}
}

function sizeOf({ command, hashes }: PreparedBatch): number {
	return command.length + hashes.length * lockSize;
}
