/**
 * Requests of administration: rare, some of them answered only when a job is done. Runs on the partition's thread.
 *
 *   at once            opStats, opBarrier, opSnapshot, opReleaseSnapshot, opExplain, opEstimate, opForget, opTransactions
 *   when flushed       opFlush; opCheckpoint and opCompact, which then go on
 *   when jobs are done opCheckpoint, opCompact, opVerify
 *
 * What is begun can be refused meanwhile: when the log fails, the disk is full, or the partition closes. Snapshots of an
 * attached thread that is gone are released with its channel (channel-pins.ts). One of the opener's whose asker is gone before it
 * hears of it stays pinned until its age limit (SnapshotRegistry): its number is all that could release it.
 */
import { codeOf, MillraceError, statusNotFound, statusOk } from '../src/base/errors.js';
import { pathSizeMax } from '../src/base/limits.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	flagArgument,
	opBarrier,
	opCheckpoint,
	opCompact,
	opEstimate,
	opExplain,
	opFlush,
	opForget,
	opReleaseSnapshot,
	opSnapshot,
	opStats,
	opTransactions,
	opVerify,
	readCommandArgument,
	readCommandKeySize,
	readCommandValueSize,
	requestHeaderSize,
} from '../src/command/command-format.js';
import { decodeScanOptions } from '../src/command/scan-options.js';
import { CommandResult } from '../src/storage/lsm/apply/command-result.js';
import { statusWait } from '../src/storage/lsm/upkeep/maintenance.js';
import { ChannelPins } from './channel-pins.js';
import type { EpochCuts } from './epoch-cuts.js';
import type { RingHost } from './partition-host.js';
import { PendingAnswers } from './pending-answers.js';
import type { ReplyGate } from './reply-gate.js';

/** Answers a request that a job was begun for. */
type Answer<T> = (outcome: T | undefined, failure: MillraceError | undefined) => void;

export class AdminRequests {
	readonly #host: RingHost;
	readonly #gate: ReplyGate;
	readonly #epochs: EpochCuts;
	readonly #loopStatistics: () => Record<string, unknown>;
	readonly #result = new CommandResult();
	readonly #pending = new PendingAnswers();
	readonly #pins = new ChannelPins();

	/** @param loopStatistics what opStats says beside the partition's own numbers */
	constructor(host: RingHost, gate: ReplyGate, epochs: EpochCuts, loopStatistics: () => Record<string, unknown>) {
		this.#host = host;
		this.#gate = gate;
		this.#epochs = epochs;
		this.#loopStatistics = loopStatistics;
	}

	/** @returns false when there is no room for it now: nothing has happened @throws MillraceError: the answer */
	maybeHandle(opcode: number, request: Uint8Array, offset: number): boolean {
		const { partition } = this.#host;
		const result = this.#result;
		result.reset();
		switch (opcode) {
			case opFlush:
				return this.#maybeFlush(request, offset, (envelope) => this.#answerOk(envelope));
			case opCheckpoint:
				return this.#maybeCheckpoint(request, offset);
			case opCompact:
				return this.#maybeCompact(request, offset);
			case opVerify:
				partition.maintenance.verify(
					this.#host.durableSequence,
					this.#later(request, offset, ({ problems }) => problems),
				);
				return true;
			case opStats:
				this.#setJson({ ...partition.statistics(), ...this.#loopStatistics() });
				break;
			case opExplain:
				this.#setJson(partition.explain(boundsOf(request, offset)[0]));
				break;
			case opBarrier:
				result.observedSequence = partition.lastSequence;
				break;
			case opSnapshot:
				result.number = this.#acquireSnapshot(request, offset);
				this.#pins.add(request, offset, result.number);
				break;
			case opReleaseSnapshot: {
				const sequence = readCommandArgument(request, offset + requestHeaderSize);
				this.#pins.remove(request, offset, sequence);
				if (!partition.releaseSnapshot(sequence)) result.status = statusNotFound;
				break;
			}
			case opForget:
				partition.transactions.forgetAll(boundsOf(request, offset)[1]);
				break;
			case opTransactions:
				this.#setJson(partition.transactions.report());
				break;
			case opEstimate: {
				const [, options] = boundsOf(request, offset);
				const range = decodeScanOptions(options, 0, options.length);
				if (range === undefined) result.setError('MILLRACE_ARGUMENT', 'the range is not laid out as it should be');
				else result.number = partition.estimate(range);
				break;
			}
			default:
				result.setError('MILLRACE_UNKNOWN_COMMAND', `opcode ${opcode} is not known`);
		}
		this.#gate.send(result, request, offset);
		return true;
	}

	/** Of what is stored now, or of the epoch that is asked for. @returns its sequence @throws MILLRACE_SNAPSHOT, MILLRACE_BUSY */
	#acquireSnapshot(request: Uint8Array, offset: number): number {
		const command = offset + requestHeaderSize;
		if ((request[command + commandFlagsOffset] & flagArgument) === 0) return this.#host.partition.acquireSnapshot();
		return this.#epochs.claim(readCommandArgument(request, command));
	}

	/** The thread of this channel is gone: what it pinned is released. */
	releaseChannel(channel: number): void {
		for (const sequence of this.#pins.takeAll(channel)) this.#host.partition.releaseSnapshot(sequence);
	}

	/** Goes on with what waited for a flush. */
	answerReady(): void {
		this.#pending.answerFlushed(this.#host.partition.flushedSequence);
	}

	/** Envelopes of those who wait for a flush: whoever takes them answers them. */
	takeFlushes(): Buffer[] {
		return this.#pending.takeFlushes();
	}

	/** Envelopes of all who wait. */
	takeWaiting(): Buffer[] {
		return this.#pending.takeAll();
	}

	/** Begins a flush, which goes on when it is installed, or is refused when it cannot be. */
	#maybeFlush(request: Uint8Array, offset: number, onFlushed: (envelope: Buffer) => void): boolean {
		const { partition } = this.#host;
		const status = partition.maybeRotate();
		if (status === statusWait) return false;
		if (status !== statusOk || partition.maintenance.isDiskPaused) {
			this.#gate.refuse(request, offset, status === statusOk ? undefined : codeOf(status));
			return true;
		}
		this.#pending.addFlush(request, offset, partition.lastSequence, onFlushed);
		this.answerReady();
		return true;
	}

	#maybeCompact(request: Uint8Array, offset: number): boolean {
		const [lower, upper] = boundsOf(request, offset);
		return this.#maybeFlush(request, offset, (envelope) => {
			// The key at the upper bound itself may be compacted as well: nobody can tell.
			this.#host.partition.maintenance.compactRange(
				lower,
				upper,
				this.#later(envelope, 0, () => undefined),
			);
		});
	}

	#maybeCheckpoint(request: Uint8Array, offset: number): boolean {
		const [, path] = boundsOf(request, offset);
		if (path.length === 0 || path.length > pathSizeMax || path.includes(0)) {
			throw new MillraceError(
				'MILLRACE_ARGUMENT',
				'a checkpoint is made in a directory: its path is missing or no path',
			);
		}
		const target = Buffer.from(path).toString('utf8');
		return this.#maybeFlush(request, offset, (envelope) => {
			const answer = this.#later(envelope, 0, (outcome: unknown) => outcome);
			this.#host.partition.maintenance.checkpoint(target, answer);
		});
	}

	/** @param show what of the outcome is the answer's JSON; undefined: the answer is empty */
	#later<T>(request: Uint8Array, offset: number, show: (outcome: T) => unknown): Answer<T> {
		const envelope = this.#pending.add(request, offset);
		return (outcome, failure) => {
			if (!this.#pending.take(envelope)) return;
			this.#result.reset();
			if (failure !== undefined) this.#result.setError(failure.code, failure.message);
			else if (outcome !== undefined) {
				const shown = show(outcome);
				if (shown !== undefined) this.#setJson(shown);
			}
			this.#gate.send(this.#result, envelope, 0);
		};
	}

	#answerOk(envelope: Buffer): void {
		this.#result.reset();
		this.#gate.send(this.#result, envelope, 0);
	}

	#setJson(value: unknown): void {
		const text = Buffer.from(JSON.stringify(value), 'utf8');
		this.#result.setValue(text, 0, text.length);
	}
}

/** Copies of a command's key and value, which outlive it. */
function boundsOf(request: Uint8Array, offset: number): [key: Buffer, value: Buffer] {
	const command = offset + requestHeaderSize;
	const keyOffset = command + commandKeyOffset(request[command + commandFlagsOffset]);
	const valueOffset = keyOffset + readCommandKeySize(request, command);
	const end = valueOffset + readCommandValueSize(request, command);
	return [Buffer.from(request.subarray(keyOffset, valueOffset)), Buffer.from(request.subarray(valueOffset, end))];
}
