/**
 * The two writes by which a batch over several partitions goes through one of them, live: opPrepare and opDecide; and the locks
 * that other writes meet meanwhile.
 *
 *   prepare   evaluated on a plan, as of now ─> logged with that time, kept, keys locked          nothing is stored
 *   commit    evaluated on a plan again, as of then: nobody touched its keys, so it comes to the same ─> stored, logged, unlocked
 *   abort     logged, unlocked
 *
 * The log. A decision to commit names its batch by id, so that a replay needs the prepare too: it must find both or neither. When
 * a memtable is rotated out while a batch in it is undecided, the prepare is logged again, behind the memtable's last sequence,
 * before that is flushed (`carryOver`): then a flush never takes from the log what a later record needs. So it is with
 * decisions that others may still ask for. Thus no flush waits for a batch whose driver is slow, and no memtable either, so that
 * a decision finds room as surely as any write.
 *
 * Time. A commit is carried out as of its prepare. What expired since then must not have been dropped (Flusher.replayFloorMs).
 *
 * As with other writes: `prepare` makes sure of room and says what comes, `write` does it. Partition's thread only.
 */
import { assert } from '../../../base/assert.js';
import { readU32 } from '../../../base/bytes.js';
import { type ErrorCode, statusNotFound, statusOf, statusOk } from '../../../base/errors.js';
import { maybePrepareProblem } from '../../../command/batch.js';
import {
	batchHeaderSize,
	commandFlagsOffset,
	commandHeaderSize,
	commandKeyOffset,
	commandSize,
	decideOutcomeOffset,
	decideSize,
	encodeCommand,
	flagArgument,
	opBatch,
	opClear,
	opDecide,
	opDeleteRange,
	opPrepare,
	outcomeAbort,
	outcomeCommit,
	outcomeKept,
	prepareHeaderSize,
	readCommandKeySize,
	readCommandSize,
	readCommandValueSize,
} from '../../../command/command-format.js';
import { keyHash } from '../key-hash.js';
import type { LsmTree } from '../lsm-tree.js';
import { type Maintenance, statusWait } from '../upkeep/maintenance.js';
import { type CommandApplier, roomAfterRotation, roomNowhere } from './command-applier.js';
import { type CommandLog, logLacksSegment, logReady } from './command-log.js';
import { CommandResult } from './command-result.js';
import {
	decisionSize,
	encodeDecision,
	keptBatchOffset,
	PreparedBatch,
	type Transactions,
	transactionIdAt,
} from './transactions.js';

const noBytes = new Uint8Array(0);
export interface TransactionParts {
	readonly transactions: Transactions;
	readonly tree: LsmTree;
	readonly applier: CommandApplier;
	readonly log: CommandLog;
	readonly maintenance: Maintenance;
}

export class TransactionWrites {
	readonly #transactions: Transactions;
	readonly #tree: LsmTree;
	readonly #applier: CommandApplier;
	readonly #log: CommandLog;
	readonly #maintenance: Maintenance;
	readonly #decision: Buffer = Buffer.alloc(decisionSize);
	/** What the write at hand comes to without anything being logged. */
	readonly #answer = new CommandResult();
	/** The hashes of the keys of the prepare at hand; undefined: it comes to the answer. */
	#hashes: Uint32Array | undefined;
	/** The batch that the decision at hand is about; undefined: it comes to the answer. */
	#batch: PreparedBatch | undefined;

	constructor(parts: TransactionParts) {
		this.#transactions = parts.transactions;
		this.#tree = parts.tree;
		this.#applier = parts.applier;
		this.#log = parts.log;
		this.#maintenance = parts.maintenance;
	}

	/** True when a write that is neither prepare nor decide meets a lock. A range and a clear meet every one. */
	mustWait(hash: number, bytes: Uint8Array, offset: number): boolean {
		if (this.#transactions.count === 0) return false;
		const opcode = bytes[offset];
		if (opcode === opClear || opcode === opDeleteRange) return true;
		if (opcode !== opBatch) return this.#transactions.isLocked(hash);
		// It is not checked yet: what is wrong with it is found where it is.
		return this.#meetsLock(bytes, offset + commandHeaderSize, offset + readCommandSize(bytes, offset));
	}

	/** Makes room for an opPrepare or opDecide. @returns statusOk, statusWait, or the status of an error that refuses it */
	prepare(nowMs: number, bytes: Uint8Array, offset: number): number {
		const { refusal } = this.#maintenance;
		if (refusal !== undefined) return statusOf(refusal.code);
		if (bytes[offset] === opDecide) return this.#prepareDecision(bytes, offset);
		const status = this.#preparePart(nowMs, bytes, offset);
		this.#applier.drop();
		return status;
	}

	/** Carries out what `prepare` made room for. */
	write(nowMs: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		if (bytes[offset] === opDecide) this.#writeDecision(bytes, offset, result);
		else this.#writePart(nowMs, bytes, offset, result);
	}

	/** Once a drain: what holds a flush back is logged again, and the flush begins. */
	tick(): void {
		const { refusal, rotatedSequence } = this.#maintenance;
		if (refusal !== undefined) return;
		if (this.#transactions.oldestSequence <= rotatedSequence) this.carryOver(rotatedSequence);
		if (this.#maintenance.isFlushHeldBack) this.#maintenance.maybeFlush();
	}

	/**
	 * Logs again what a replay will need, up to a sequence whose entries are about to leave the log. Ends the open group and has
	 * it synced, whatever the durability: the edit that makes the log forget the older records is.
	 * @returns false when there is no room in the log for all of it: call again
	 */
	carryOver(upToSequence: number): boolean {
		const { lastSequence } = this.#log;
		let isDone = true;
		for (const batch of [...this.#transactions.prepared()]) {
			if (isDone && batch.sequence <= upToSequence) isDone = this.#maybeLogAgain(batch);
		}
		for (const [id, sequence] of [...this.#transactions.decided()]) {
			if (!isDone || sequence > upToSequence) continue;
			isDone = this.#hasRoom(decisionSize);
			if (isDone) this.#logKept(id);
		}
		if (this.#log.lastSequence > lastSequence) this.#log.putSync();
		return isDone;
	}

	/** Bytes that `logDecisions` takes in the log. */
	get decisionsSize(): number {
		return this.#transactions.decidedCount * decisionSize;
	}

	/**
	 * Logs all decisions again, behind a clear, which takes everything before it from the log; synced, as the edit that says so
	 * will be. The caller made room.
	 */
	logDecisions(): void {
		if (this.#transactions.decidedCount === 0) return;
		for (const [id] of [...this.#transactions.decided()]) this.#logKept(id);
		this.#log.putSync();
	}

	// --- prepare --------------------------------------------------------------------------------------

	/** It holds locks elsewhere while it is under way here: so it never waits for one, nor behind what does. */
	#preparePart(nowMs: number, bytes: Uint8Array, offset: number): number {
		this.#hashes = undefined;
		const problem = maybePrepareProblem(bytes, offset);
		if (problem !== undefined) return this.#refuse('MILLRACE_ARGUMENT', problem);
		const value = offset + commandHeaderSize;
		const size = readCommandValueSize(bytes, offset);
		const start = value + prepareHeaderSize;
		const transactions = this.#transactions;
		if (transactions.maybeGet(transactionIdAt(bytes, value)) !== undefined) {
			return this.#refuse('MILLRACE_ARGUMENT', 'this batch is prepared already');
		}
		if (transactions.count > 0 && this.#meetsLock(bytes, start, value + size)) {
			return this.#refuse('MILLRACE_BUSY', 'one of its keys is in another batch over several partitions, under way');
		}
		const hashes = hashesOf(bytes, start);
		if (!transactions.hasRoom(size, hashes.length)) {
			return this.#refuse('MILLRACE_BUSY', 'too many bytes are in batches over several partitions that are under way');
		}
		const admitted = this.#maintenance.admit(opPrepare);
		if (admitted !== statusOk) return this.#waitOrRefuse(admitted);
		const room = this.#applier.prepareBatch(this.#log.lastSequence + 1, nowMs, bytes, start);
		if (room === roomNowhere) return statusOf('MILLRACE_VALUE_SIZE');
		const { planned } = this.#applier;
		if (planned.isUnmet || planned.status > statusNotFound) {
			this.#answer.copyFrom(planned);
			return statusOk;
		}
		if (!this.#hasRoom(commandSize(flagArgument, 0, size))) return this.#waitOrRefuse(statusWait);
		this.#hashes = hashes;
		return statusOk;
	}

	#writePart(nowMs: number, bytes: Uint8Array, offset: number, result: CommandResult): void {
		if (this.#hashes === undefined) {
			result.copyFrom(this.#answer);
			return;
		}
		const valueSize = readCommandValueSize(bytes, offset);
		const command = new Uint8Array(commandSize(flagArgument, 0, valueSize));
		const value = offset + commandHeaderSize;
		encodeCommand(command, 0, opPrepare, flagArgument, nowMs, noBytes, 0, 0, bytes, value, valueSize);
		const batch = new PreparedBatch(command, this.#hashes, this.#append(command, 1));
		this.#transactions.add(batch);
		this.#hashes = undefined;
		noteLogged(result, batch.sequence, batch.sequence);
	}

	/** A prepare waits only where nothing is locked: whoever waits for a lock stands in the same row, before or behind it. */
	#waitOrRefuse(status: number): number {
		if (status !== statusWait || this.#transactions.count === 0) return status;
		return this.#refuse('MILLRACE_BUSY', 'there is no room now, and others wait for batches under way');
	}

	// --- decide ---------------------------------------------------------------------------------------

	/** Never refused but by a log that failed: it waits for the room that comes. */
	#prepareDecision(bytes: Uint8Array, offset: number): number {
		this.#batch = undefined;
		const value = offset + commandHeaderSize;
		const outcome = bytes[value + decideOutcomeOffset];
		const isWhole = bytes[offset + commandFlagsOffset] === 0 && readCommandKeySize(bytes, offset) === 0;
		if (!isWhole || readCommandValueSize(bytes, offset) !== decideSize || outcome > outcomeCommit) {
			return this.#refuse('MILLRACE_ARGUMENT', 'a decision has an id and an outcome, and nothing else');
		}
		const batch = this.#transactions.maybeGet(transactionIdAt(bytes, value));
		if (batch === undefined) {
			// Decided before: so that whoever asks again hears of it when that is as durable as it would have been.
			this.#answer.reset();
			this.#answer.status = statusNotFound;
			this.#answer.observedSequence = this.#log.lastSequence;
			return statusOk;
		}
		if (outcome === outcomeCommit && !this.#maybePlan(batch)) return statusWait;
		if (!this.#hasRoom(decisionSize)) {
			this.#applier.drop();
			return statusWait;
		}
		this.#batch = batch;
		return statusOk;
	}

	/** Evaluates a prepared batch for the active memtable. @returns false when there is no room now */
	#maybePlan(batch: PreparedBatch): boolean {
		const room = this.#evaluate(batch);
		if (room === roomAfterRotation) {
			this.#applier.drop();
			if (!this.#tree.maybeFreeArena()) return false;
			this.#maintenance.rotate();
		}
		if (batch.sequence > this.#maintenance.rotatedSequence) return true;
		// Its decision would be without it once the memtable that it is in is flushed. It takes a sequence: all is planned anew.
		this.#applier.drop();
		if (!this.#maybeLogAgain(batch)) return false;
		// The edit of that flush is synced, whatever the durability: so must be what stands for the prepare that it forgets.
		this.#log.putSync();
		assert(this.#evaluate(batch) !== roomAfterRotation, 'a fresh memtable holds what was prepared');
		return true;
	}

	#evaluate(batch: PreparedBatch): number {
		const { command, timeMs } = batch;
		const room = this.#applier.prepareBatch(this.#log.lastSequence + 1, timeMs, command, keptBatchOffset);
		const { isUnmet, status } = this.#applier.planned;
		assert(room !== roomNowhere && !isUnmet && status === statusOk, 'a decision comes to what was prepared');
		return room;
	}

	#writeDecision(bytes: Uint8Array, offset: number, result: CommandResult): void {
		const batch = this.#batch;
		if (batch === undefined) {
			result.copyFrom(this.#answer);
			return;
		}
		this.#batch = undefined;
		const value = offset + commandHeaderSize;
		const isCommit = bytes[value + decideOutcomeOffset] === outcomeCommit;
		let count = 1;
		result.reset();
		if (isCommit) {
			this.#applier.applyBatch(result);
			if (result.hasWritten) {
				count = readU32(batch.command, keptBatchOffset);
				this.#maintenance.noteEvaluatedAt(batch.timeMs);
			}
		}
		encodeDecision(this.#decision, 0, bytes, value, isCommit ? outcomeCommit : outcomeAbort, count);
		const sequence = this.#append(this.#decision, count);
		this.#transactions.remove(batch);
		if (isCommit && batch.isCoordinator) this.#transactions.keepDecision(batch.id, sequence);
		noteLogged(result, sequence, result.number);
	}

	// --- both -----------------------------------------------------------------------------------------

	#maybeLogAgain(batch: PreparedBatch): boolean {
		if (!this.#hasRoom(batch.command.length)) return false;
		this.#transactions.onLogged(batch, this.#append(batch.command, 1));
		return true;
	}

	#logKept(id: string): void {
		encodeDecision(this.#decision, 0, Buffer.from(id, 'hex'), 0, outcomeKept, 1);
		this.#transactions.keepDecision(id, this.#append(this.#decision, 1));
	}

	#append(command: Uint8Array, sequenceCount: number): number {
		this.#log.append(command, 0, command.length, sequenceCount);
		const { lastSequence } = this.#log;
		// The memtable that is active now ends behind it: what is flushed with it, and what is not, can be told by its sequence.
		this.#tree.active.noteSequence(lastSequence);
		return lastSequence;
	}

	#hasRoom(size: number): boolean {
		const missing = this.#log.reserve(size);
		if (missing === logLacksSegment) this.#maintenance.maybePrepareSegment();
		return missing === logReady;
	}

	#refuse(code: ErrorCode, message: string): number {
		this.#answer.reset();
		this.#answer.setError(code, message);
		return statusOk;
	}

	/** @param start where the batch begins; anything that is no whole batch meets no lock here */
	#meetsLock(bytes: Uint8Array, start: number, end: number): boolean {
		if (start + batchHeaderSize > end) return false;
		let at = start + batchHeaderSize;
		for (let left = readU32(bytes, start); left > 0 && at + commandHeaderSize <= end; left--) {
			if (bytes[at] === opDeleteRange) return true;
			const size = readCommandSize(bytes, at);
			if (at + size > end) return false;
			if (this.#transactions.isLocked(hashAt(bytes, at))) return true;
			at += size;
		}
		return false;
	}
}

/** The hash of the key of a command in a batch. */
function hashAt(bytes: Uint8Array, at: number): number {
	return keyHash(bytes, at + commandKeyOffset(bytes[at + commandFlagsOffset]), readCommandKeySize(bytes, at));
}

/** Of the keys of a checked batch without ranges, each once. @param start where the batch begins */
export function hashesOf(bytes: Uint8Array, start: number): Uint32Array {
	const hashes = new Set<number>();
	let at = start + batchHeaderSize;
	for (let left = readU32(bytes, start); left > 0; left--) {
		hashes.add(hashAt(bytes, at) >>> 0);
		at += readCommandSize(bytes, at);
	}
	return Uint32Array.from(hashes);
}

function noteLogged(result: CommandResult, sequence: number, number: number): void {
	result.reset();
	result.hasWritten = true;
	result.number = number;
	result.observedSequence = sequence;
}
