/**
 * Drives batches over several partitions: two-phase commit over the partitions' logs (command/transaction.ts has the steps, and
 * docs/architecture.md, "Batches over partitions", why they are enough). One for each asking thread; that thread only.
 *
 *   commit ─ gate ─> prepare, all in one turn ─┬─ all ok ─> decide at the coordinator ─> at the others ─> true; later: forget
 *                                              └─ any no ─> abort those that said ok ─> false, an error, or (BUSY) again
 *
 * What is synced when, whatever the database's durability and the batch's own: a prepare before it answers, and the decision at
 * the coordinator before it answers. So no partition can hold a part of a batch whose other parts a crash takes away: the
 * decision is there only if all prepares are, and parts are stored only if the decision is there. The caller's wish is about
 * the last step alone: when the parts themselves are durable, which only matters for how soon reads of them are settled.
 */
import { assert } from '../base/assert.js';
import { copyBytes, writeU16, writeU32 } from '../base/bytes.js';
import { MillraceError, statusNotFound, statusOk } from '../base/errors.js';
import { batchRetryCountMax } from '../base/limits.js';
import {
	opBatch,
	opPrepare,
	outcomeAbort,
	outcomeCommit,
	prepareCoordinatorOffset,
	prepareHeaderSize,
	prepareIsCoordinatorOffset,
	transactionIdSize,
	wishAlways,
	wishNone,
} from '../command/command-format.js';
import type { Asker, Reply } from './asker.js';
import { decide } from './decide.js';
import { Forgetter } from './forgetter.js';

/** One partition's part of a batch. */
export interface BatchPart {
	readonly partition: number;
	/** An opBatch's value. */
	readonly value: Uint8Array;
}

/** What of EpochGate a batch needs. */
export interface BatchGate {
	/** The gate slot of this thread. */
	readonly slot: number;
	enterBatch(): Promise<void>;
	leaveBatch(): void;
}

/** The pause before another try grows to this. */
const pauseMsMax = 32;
/** Bytes of the counter at the end of an id. */
const counterOffset = 12;

/** A part with the header of a prepare before it; the id is written at each try. */
interface PreparedPart {
	readonly partition: number;
	readonly value: Uint8Array;
}

type Attempt = 'committed' | 'unmet' | 'busy';

export class BatchCommitter {
	readonly #asker: Asker;
	readonly #gate: BatchGate;
	readonly #forgetter: Forgetter;
	/** The next id: 4 bytes gate slot, 8 random, 4 counter. */
	readonly #id = new Uint8Array(transactionIdSize);
	#count = 0;

	constructor(asker: Asker, gate: BatchGate) {
		this.#asker = asker;
		this.#gate = gate;
		this.#forgetter = new Forgetter(asker);
	}

	/**
	 * Carries out all parts or none, each in a partition of its own; the first one's is the coordinator.
	 * @param wish when it resolves; a batch over several partitions is in any case as durable by then as 'always' makes it
	 * @returns false: a condition was not met, nothing was written
	 * @throws MILLRACE_BUSY when other batches were in the way every time; MILLRACE_POISONED, MILLRACE_CLOSED and
	 * MILLRACE_WORKER_DIED with a message that says whether the batch is there, is not, or may be
	 */
	async commit(parts: readonly BatchPart[], wish: number): Promise<boolean> {
		assert(parts.length > 0, 'a batch has parts');
		if (parts.length === 1) {
			const [{ partition, value }] = parts;
			return (await this.#asker.ask(partition, { opcode: opBatch, value, wish })).status === statusOk;
		}
		const prepared = prepareParts(parts);
		for (let tryCount = 1; ; tryCount++) {
			await this.#gate.enterBatch();
			let attempt: Attempt;
			try {
				attempt = await this.#attempt(prepared, wish);
			} finally {
				this.#gate.leaveBatch();
			}
			if (attempt !== 'busy') return attempt === 'committed';
			if (tryCount > batchRetryCountMax) {
				throw new MillraceError(
					'MILLRACE_BUSY',
					`other batches were in the way ${tryCount} times: nothing was written`,
				);
			}
			await pause(tryCount);
		}
	}

	async #attempt(parts: readonly PreparedPart[], wish: number): Promise<Attempt> {
		const id = this.#nextId();
		for (const { value } of parts) copyBytes(id, 0, value, 0, transactionIdSize);
		const answers = await Promise.allSettled(
			parts.map(({ partition, value }) => this.#asker.ask(partition, { opcode: opPrepare, value, wish: wishAlways })),
		);
		if (answers.every((answer) => answer.status === 'fulfilled' && answer.value.status === statusOk)) {
			await this.#commit(id, parts, wish);
			return 'committed';
		}
		await this.#abort(id, parts, answers);
		return attemptOf(answers);
	}

	async #commit(id: Uint8Array, parts: readonly PreparedPart[], wish: number): Promise<void> {
		const [coordinator, ...others] = parts;
		try {
			const { status } = await decide(this.#asker, coordinator.partition, id, outcomeCommit, wishAlways);
			if (status !== statusOk) throw new MillraceError('MILLRACE_INTERNAL', 'the batch was decided by somebody else');
		} catch (error) {
			throw withText(error, 'the batch may or may not be there, as a whole, once the database is opened again');
		}
		const stored = await Promise.allSettled(
			others.map(({ partition }) => decide(this.#asker, partition, id, outcomeCommit, wish)),
		);
		const failed = stored.find((answer) => answer.status === 'rejected');
		if (failed !== undefined) {
			throw withText(
				failed.reason,
				'the batch is decided, and will be there as a whole once the database is opened again',
			);
		}
		const partitions = parts.map(({ partition }) => partition);
		this.#forgetter.add(coordinator.partition, id, partitions);
	}

	/** Also where nobody knows whether it was prepared. Failures leave it to whoever opens the database again. */
	async #abort(
		id: Uint8Array,
		parts: readonly PreparedPart[],
		answers: readonly PromiseSettledResult<Reply>[],
	): Promise<void> {
		const mayBePrepared = parts.filter((_, i) => {
			const answer = answers[i];
			return answer.status === 'fulfilled' ? answer.value.status === statusOk : !isBusy(answer.reason);
		});
		await Promise.allSettled(
			mayBePrepared.map(({ partition }) => decide(this.#asker, partition, id, outcomeAbort, wishNone)),
		);
	}

	/** Its own bytes: it outlives the call. */
	#nextId(): Uint8Array {
		const id = this.#id;
		if (this.#count === 0) {
			writeU32(id, 0, this.#gate.slot);
			crypto.getRandomValues(id.subarray(4, counterOffset));
		}
		this.#count = (this.#count + 1) >>> 0;
		writeU32(id, counterOffset, this.#count);
		return id.slice();
	}
}

function prepareParts(parts: readonly BatchPart[]): PreparedPart[] {
	const [coordinator] = parts;
	assert(new Set(parts.map(({ partition }) => partition)).size === parts.length, 'a partition has one part');
	return parts.map(({ partition, value: batch }) => {
		const value = new Uint8Array(prepareHeaderSize + batch.length);
		writeU16(value, prepareCoordinatorOffset, coordinator.partition);
		writeU16(value, prepareIsCoordinatorOffset, partition === coordinator.partition ? 1 : 0);
		copyBytes(batch, 0, value, prepareHeaderSize, batch.length);
		return { partition, value };
	});
}

/** What a batch came to that somebody said no to, and that is aborted. @throws the first error that another try would not mend */
function attemptOf(answers: readonly PromiseSettledResult<Reply>[]): Attempt {
	for (const answer of answers) {
		if (answer.status === 'rejected' && !isBusy(answer.reason)) throw answer.reason;
	}
	const isUnmet = answers.some((answer) => answer.status === 'fulfilled' && answer.value.status === statusNotFound);
	return isUnmet ? 'unmet' : 'busy';
}

function isBusy(error: unknown): boolean {
	return error instanceof MillraceError && error.code === 'MILLRACE_BUSY';
}

function withText(error: unknown, text: string): unknown {
	if (!(error instanceof MillraceError)) return error;
	return new MillraceError(error.code, `${error.message}; ${text}`, { cause: error });
}

/** A random while, so that two batches in each other's way do not meet again. */
function pause(tryCount: number): Promise<void> {
	const mostMs = Math.min(pauseMsMax, 2 ** Math.min(tryCount, 16) / 2);
	return new Promise((resolve) => {
		setTimeout(resolve, Math.random() * mostMs);
	});
}
