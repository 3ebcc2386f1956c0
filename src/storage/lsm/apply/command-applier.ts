/**
 * Applies writes to a tree, live and in a replay: says first whether the active memtable has room for a write, and then carries
 * it out. In between the tree may be rotated, and nothing else.
 *
 *   prepare ─> roomHere: apply │ roomAfterRotation: rotate, apply │ roomNowhere: refuse │ roomUnneeded: apply says why
 *
 * A batch is evaluated by `prepare` and stored by `apply`. opClear is not a matter of entries, and has no place here.
 */
import { assert } from '../../../base/assert.js';
import type { ErrorCode } from '../../../base/errors.js';
import { rangeTombstoneCountMax, rangeTombstoneSizeMax } from '../../../base/limits.js';
import { maybeBatchProblem } from '../../../command/batch.js';
import { commandHeaderSize, opBatch, readCommandKeySize } from '../../../command/command-format.js';
import type { LsmTree } from '../lsm-tree.js';
import { arenaSizeMax, Memtable } from '../memtable/memtable.js';
import { BatchPlan, rangeCountOf } from './apply-batch.js';
import { applyWrite, storedValueSize } from './apply-command.js';
import type { CommandResult } from './command-result.js';

export const roomHere = 0;
export const roomAfterRotation = 1;
export const roomNowhere = 2;
/** The batch comes to nothing: a condition was not met, or a command failed. */
export const roomUnneeded = 3;

export const tooManyRanges = 'too many deleted ranges are still to be compacted away: try again later';

export class CommandApplier {
	readonly #tree: LsmTree;
	readonly #memtableSize: number;
	readonly #plan: BatchPlan;

	constructor(tree: LsmTree, memtableSize: number) {
		this.#tree = tree;
		this.#memtableSize = memtableSize;
		this.#plan = new BatchPlan(memtableSize);
	}

	/** @param sequence the command's first @returns whether the active memtable, or an empty one, takes what the write stores */
	prepare(sequence: number, nowMs: number, hash: number, bytes: Uint8Array, offset: number): number {
		if (bytes[offset] === opBatch) return this.prepareBatch(sequence, nowMs, bytes, offset + commandHeaderSize);
		const keySize = readCommandKeySize(bytes, offset);
		const valueSize = storedValueSize(this.#tree, hash, bytes, offset);
		if (!this.#isFullOfRanges && this.#tree.active.hasRoom(keySize, valueSize)) return roomHere;
		return Memtable.couldHold(this.#memtableSize, keySize, valueSize) ? roomAfterRotation : roomNowhere;
	}

	/** As `prepare`, of a write that was just asked for: a batch is looked over first, and how many ranges there are. */
	prepareNew(sequence: number, nowMs: number, hash: number, bytes: Uint8Array, offset: number): number {
		if (bytes[offset] === opBatch) {
			const problem = maybeBatchProblem(bytes, offset);
			if (problem !== undefined) return this.#refuseBatch('MILLRACE_ARGUMENT', problem);
			const rangeCount = rangeCountOf(bytes, offset);
			if (rangeCount > 0 && !this.mayDeleteRanges(rangeCount)) return this.#refuseBatch('MILLRACE_BUSY', tooManyRanges);
		}
		return this.prepare(sequence, nowMs, hash, bytes, offset);
	}

	/**
	 * Each makes two fragments at most, and all of one command add one sequence to a fragment at most: no snapshot lies between
	 * them. Not a matter of the command alone, so a replay does not ask.
	 */
	mayDeleteRanges(count: number): boolean {
		const { fragments } = this.#tree.rangeTombstones;
		const fragmentCount = fragments.count + 2 * count;
		if (fragmentCount > 2 * rangeTombstoneCountMax) return false;
		return fragments.byteSize + fragmentCount * Float64Array.BYTES_PER_ELEMENT <= rangeTombstoneSizeMax;
	}

	/** A memtable size that would do for a write to which `prepare` said roomNowhere; undefined: none does. */
	maybeNeededSize(prepare: (applier: CommandApplier) => number): number | undefined {
		for (let size = this.#memtableSize * 2; size <= arenaSizeMax; size *= 2) {
			if (prepare(new CommandApplier(this.#tree, size)) !== roomNowhere) return size;
		}
		return undefined;
	}

	/** The write that was prepared is not carried out now, and perhaps never: a batch is not kept for it. */
	drop(): void {
		this.#plan.drop();
	}

	/** Carries out what `prepare` said yes to. */
	apply(sequence: number, nowMs: number, hash: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		if (bytes[offset] !== opBatch) {
			applyWrite(this.#tree, sequence, nowMs, hash, bytes, offset, result);
			return;
		}
		this.applyBatch(result);
	}

	/** Carries out the batch that `prepareBatch` said yes to. */
	applyBatch(result: CommandResult): void {
		result.copyFrom(this.#plan.result);
		if (!result.hasWritten) return;
		this.#plan.store(this.#tree);
		// The last commands may have changed nothing: their sequences are dealt with all the same.
		this.#tree.active.noteSequence(result.number);
	}

	/** What the batch that was evaluated last comes to; lent until the next one. */
	get planned(): CommandResult {
		return this.#plan.result;
	}

	/** Ranges that newer ones cover still lie in the memtable; a flush leaves them out. All of it is gone through at times. */
	get #isFullOfRanges(): boolean {
		return this.#tree.active.rangeTombstoneCount >= rangeTombstoneCountMax;
	}

	/** As `prepare`, of a batch. @param offset where it begins: the count of its commands */
	prepareBatch(sequence: number, nowMs: number, bytes: Uint8Array, offset: number): number {
		const plan = this.#plan;
		if (!plan.evaluate(this.#tree, sequence, nowMs, bytes, offset)) return plan.isTooLarge ? roomNowhere : roomUnneeded;
		assert(plan.count > 0, 'what writes has something to store');
		if (!this.#isFullOfRanges && this.#tree.active.hasRoomForAll(plan.count, plan.size)) return roomHere;
		return Memtable.couldHoldAll(this.#memtableSize, plan.count, plan.size) ? roomAfterRotation : roomNowhere;
	}

	/** The batch at hand, which was not prepared, comes to this error. */
	#refuseBatch(code: ErrorCode, message: string): number {
		this.#plan.result.reset();
		this.#plan.result.setError(code, message);
		return roomUnneeded;
	}
}
