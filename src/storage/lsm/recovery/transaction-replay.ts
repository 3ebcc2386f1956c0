/**
 * Batches over several partitions in a replay: the same as live (apply/transaction-writes.ts), from what was logged.
 *
 *   prepare        kept with the time it was evaluated at; logged again: its place in the log is a later one
 *   commit         the kept batch, as of that time, under the sequences the record takes; the coordinator keeps the decision
 *   abort          the batch is gone; one that is not known was prepared in a part of the log that is gone as well
 *   kept decision  kept
 *
 * A replay that has more to hold than memory writes tables on the way, after which the log is read from behind them. What is
 * still needed from before is then written down once more, at the end of the log (`writeCarried`), before a manifest says so. A
 * commit that such a table separates from its prepare must be in a table as well: from the rest of the log alone, the next replay
 * could not carry it out (`separatedSequence`).
 */
import { assert } from '../../../base/assert.js';
import { copyBytes, readU32, writeU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { writeChecksum64 } from '../../../codec/checksum.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	decideOutcomeOffset,
	opPrepare,
	outcomeCommit,
	outcomeKept,
	readCommandSize,
	sequenceCountOf,
} from '../../../command/command-format.js';
import type { FileSystem } from '../../../env/ports.js';
import { type CommandApplier, roomHere } from '../apply/command-applier.js';
import { CommandResult } from '../apply/command-result.js';
import { hashesOf } from '../apply/transaction-writes.js';
import {
	decisionSize,
	encodeDecision,
	keptBatchOffset,
	PreparedBatch,
	Transactions,
	transactionIdAt,
} from '../apply/transactions.js';
import type { LsmTree } from '../lsm-tree.js';
import type { SegmentAllocator } from '../wal/segment-allocator.js';
import {
	encodeGroupHeader,
	groupCheckedOffset,
	groupChecksumOffset,
	groupDurableSequenceOffset,
	groupHeaderSize,
	groupSize,
	segmentFileName,
} from '../wal/wal-format.js';

export class TransactionReplay {
	readonly transactions = new Transactions();
	/** The oldest time that a batch was carried out as of; infinite: there was none. */
	evaluatedMs = Number.POSITIVE_INFINITY;
	/** The last commit whose prepare is in a part of the log that is not read again; 0: there was none. */
	separatedSequence = 0;
	readonly #tree: LsmTree;
	readonly #result = new CommandResult();

	constructor(tree: LsmTree) {
		this.#tree = tree;
	}

	/**
	 * Says whether there is room for what a logged opPrepare or opDecide stores. @param applier which `apply` then gets as well
	 * @throws MILLRACE_CORRUPT for a decision about a batch that is not there
	 */
	prepare(applier: CommandApplier, sequence: number, bytes: Uint8Array, at: number): number {
		if (bytes[at] === opPrepare) {
			const batch = batchOf(bytes, at, sequence);
			// It is stored later, if at all: a memtable that holds it must be possible.
			const room = applier.prepareBatch(sequence, batch.timeMs, batch.command, keptBatchOffset);
			applier.drop();
			return room;
		}
		const value = valueOffsetOf(bytes, at);
		if (bytes[value + decideOutcomeOffset] !== outcomeCommit) return roomHere;
		const batch = this.#mustGet(bytes, at, sequence);
		return applier.prepareBatch(sequence, batch.timeMs, batch.command, keptBatchOffset);
	}

	/** Carries it out. @param flushedSequence the log is not read again up to here */
	apply(applier: CommandApplier, sequence: number, bytes: Uint8Array, at: number, flushedSequence: number): void {
		const { transactions } = this;
		const count = sequenceCountOf(bytes, at);
		const last = sequence + count - 1;
		if (bytes[at] === opPrepare) {
			const batch = batchOf(bytes, at, sequence);
			const known = transactions.maybeGet(batch.id);
			if (known === undefined) transactions.add(batch);
			else transactions.onLogged(known, sequence);
		} else {
			const value = valueOffsetOf(bytes, at);
			const outcome = bytes[value + decideOutcomeOffset];
			if (outcome === outcomeKept) transactions.keepDecision(transactionIdAt(bytes, value), last);
			else if (outcome === outcomeCommit) {
				const batch = this.#mustGet(bytes, at, sequence);
				if (batch.sequence <= flushedSequence) this.separatedSequence = last;
				this.#commit(applier, batch, last, count);
			} else {
				const batch = transactions.maybeGet(transactionIdAt(bytes, value));
				if (batch !== undefined) transactions.remove(batch);
			}
		}
		this.#tree.active.noteSequence(last);
	}

	#commit(applier: CommandApplier, batch: PreparedBatch, last: number, count: number): void {
		const result = this.#result;
		applier.applyBatch(result);
		const wanted = result.hasWritten ? readU32(batch.command, keptBatchOffset) : 1;
		assert(count === wanted, 'a batch writes again what it wrote when it was logged');
		if (result.hasWritten) this.evaluatedMs = Math.min(this.evaluatedMs, batch.timeMs);
		this.transactions.remove(batch);
		if (batch.isCoordinator) this.transactions.keepDecision(batch.id, last);
	}

	#mustGet(bytes: Uint8Array, at: number, sequence: number): PreparedBatch {
		const id = transactionIdAt(bytes, valueOffsetOf(bytes, at));
		const batch = this.transactions.maybeGet(id);
		if (batch !== undefined) return batch;
		throw new MillraceError(
			'MILLRACE_CORRUPT',
			`the log decides at sequence ${sequence} about batch ${id}, but does not hold it`,
		);
	}

	/**
	 * Writes what is still needed and is at or below a sequence behind the end of the log, synced.
	 * @param lastSequence the newest in the log @returns how many records that were, each with a sequence of its own
	 */
	writeCarried(
		fileSystem: FileSystem,
		directory: string,
		segments: SegmentAllocator,
		flushedSequence: number,
		lastSequence: number,
		timestampMs: number,
	): number {
		const { bytes, payloadSize, count } = this.#encodeCarried(flushedSequence, lastSequence);
		const size = groupSize(payloadSize);
		const offset = segments.allocate(size, lastSequence + count);
		encodeGroupHeader(bytes, 0, payloadSize, segments.activeId, offset, count, lastSequence + 1, timestampMs);
		writeU53(bytes, groupDurableSequenceOffset, lastSequence);
		const checkedSize = groupHeaderSize - groupCheckedOffset + payloadSize;
		writeChecksum64(bytes, groupCheckedOffset, checkedSize, bytes, groupChecksumOffset);
		const file = fileSystem.open(`${directory}/${segmentFileName(segments.activeId)}`, 'write');
		try {
			file.write(bytes, 0, size, offset);
			file.sync();
		} finally {
			file.close();
		}
		return count;
	}

	#encodeCarried(upTo: number, lastSequence: number): { bytes: Buffer; payloadSize: number; count: number } {
		const batches = [...this.transactions.prepared()].filter(({ sequence }) => sequence <= upTo);
		const ids = [...this.transactions.decided()].filter(([, sequence]) => sequence <= upTo).map(([id]) => id);
		const batchesSize = batches.reduce((sum, { command }) => sum + command.length, 0);
		const payloadSize = batchesSize + ids.length * decisionSize;
		const bytes = Buffer.alloc(groupSize(payloadSize));
		let at = groupHeaderSize;
		let sequence = lastSequence;
		for (const batch of batches) {
			copyBytes(batch.command, 0, bytes, at, batch.command.length);
			at += batch.command.length;
			this.transactions.onLogged(batch, ++sequence);
		}
		for (const id of ids) {
			encodeDecision(bytes, at, Buffer.from(id, 'hex'), 0, outcomeKept, 1);
			at += decisionSize;
			this.transactions.keepDecision(id, ++sequence);
		}
		if (sequence > lastSequence) this.#tree.active.noteSequence(sequence);
		return { bytes, payloadSize, count: batches.length + ids.length };
	}
}

function valueOffsetOf(bytes: Uint8Array, at: number): number {
	return at + commandKeyOffset(bytes[at + commandFlagsOffset]);
}

/** A batch of its own bytes: the log's are lent. */
function batchOf(bytes: Uint8Array, at: number, sequence: number): PreparedBatch {
	const command = new Uint8Array(bytes.subarray(at, at + readCommandSize(bytes, at)));
	return new PreparedBatch(command, hashesOf(command, keptBatchOffset), sequence);
}
