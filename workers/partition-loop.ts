/**
 * The loop of a partition's thread: take what the request rings hold, apply it, hand the group to the log, publish the
 * replies, sleep when there is nothing. Never touches the event loop; everything reaches it through shared memory.
 *
 *   mail, poison, edits ─> backlogs ─> resume what waited ─> drain requests ─> finish group, publish ─> long reads ─> sleep
 *
 * Each asking thread has a channel of its own (asker-channel.ts). A drain goes round them, a window of requests each, until it
 * has enough: an equal share for each, and what some do not use for the others. One that takes no replies is passed over.
 *
 * Nothing waits in the middle of a request: a write without room is set aside (waiting-requests.ts), as is what meets a key of an
 * undecided batch over several partitions, and what need not stay behind it passes. What the loop stands on is in the host
 * (partition-host.ts), how replies leave in the gate (reply-gate.ts), what it knows of epochs in epoch-cuts.ts.
 */
import { codeOf, statusOk } from '../src/base/errors.js';
import {
	isRead,
	isWrite,
	opCount,
	opDecide,
	opPrepare,
	opScan,
	opShutdown,
	opTouch,
	readCommandSize,
	requestHeaderSize,
} from '../src/command/command-format.js';
import { CommandResult } from '../src/storage/lsm/apply/command-result.js';
import { statusWait } from '../src/storage/lsm/upkeep/maintenance.js';
import { AdminRequests } from './admin-requests.js';
import { AskerChannel } from './asker-channel.js';
import { AskerChannels } from './asker-channels.js';
import type { JobOutcome } from './background-worker.js';
import { EpochCuts } from './epoch-cuts.js';
import { LongReadQueue } from './long-read-queue.js';
import { LogPoisoned, type RingHost } from './partition-host.js';
import type { ChannelMail } from './partition-mail.js';
import { ReplyGate } from './reply-gate.js';
import { isOfOneKey, type WaitingRequest, WaitingRequests } from './waiting-requests.js';
import { WritePacer } from './write-pacer.js';

/** Requests of one drain at most: the log syncs one drain's group while the next is applied (docs/decisions.md, "drains"). */
const drainCountMax = 512;

export class PartitionLoop {
	readonly #host: RingHost;
	readonly #channels: AskerChannels;
	readonly #stallTimeoutMs: number;
	readonly #gate: ReplyGate;
	readonly #epochs: EpochCuts;
	readonly #admin: AdminRequests;
	readonly #longReads: LongReadQueue;
	readonly #pacer: WritePacer;
	readonly #waiting = new WaitingRequests();
	readonly #result = new CommandResult();
	readonly #onJobTaken = (outcome: JobOutcome): void => this.#takeOutcome(outcome);
	readonly #maybeTakeDecision = ({ bytes, hash }: WaitingRequest): boolean => this.#maybeCarryOut(bytes, 0, hash);
	readonly #hasWork = (): boolean => this.#canDrain() || this.#host.hasNews();
	/** As main was last told. */
	#isDiskFull = false;
	#isStopping = false;
	#hasClosedPorts = false;

	/**
	 * @param opener the channel of the thread that opened the database
	 * @param databaseMemory holds the epoch
	 * @param stallTimeoutMs how long a request may wait before it is refused
	 */
	constructor(host: RingHost, opener: AskerChannel, databaseMemory: SharedArrayBuffer, stallTimeoutMs: number) {
		this.#host = host;
		this.#stallTimeoutMs = stallTimeoutMs;
		this.#channels = new AskerChannels(opener);
		this.#gate = new ReplyGate(host, this.#channels);
		this.#longReads = new LongReadQueue(this.#gate);
		this.#pacer = new WritePacer(host.partition);
		this.#epochs = new EpochCuts(databaseMemory, host.partition);
		this.#admin = new AdminRequests(host, this.#gate, this.#epochs, () => this.#statistics());
		this.#gate.takeWaiting = () => this.#admin.takeWaiting();
		host.onChannelMail = (mail) => this.#takeChannelMail(mail);
	}

	/** An orderly shutdown is done, and the opener has room for all its replies. */
	get isOver(): boolean {
		return this.#isStopping && !this.#channels.opener.isBacklogged;
	}

	/**
	 * Runs until an orderly shutdown is done, or ports were closed, which it takes an event loop to free.
	 * @returns false when it is over; true: call it again when the event loop has been round
	 */
	run(): boolean {
		this.#hasClosedPorts = false;
		while (!this.isOver && !this.#hasClosedPorts) this.turn();
		if (!this.isOver) return true;
		this.#host.partition.close();
		return false;
	}

	/** One turn. Sleeps at its end when there was nothing to do. */
	turn(): void {
		try {
			if (this.#isStopping) this.#handOver();
			else this.#turn();
		} catch (error) {
			this.#gate.becomePoisoned(error);
		}
	}

	#turn(): void {
		const { partition, parts } = this.#host;
		const nowMs = parts.clock.nowMs();
		partition.begin(nowMs);
		this.#takeNews();
		this.#epochs.tick(partition.maintenance.nowMs);
		partition.maintenance.tick(nowMs);
		this.#gate.goOn();
		let count = this.#waiting.isEmpty ? 0 : this.#resume();
		if (!this.#isStopping) count += this.#drain();
		this.#gate.flush();
		if (this.#isStopping) return;
		this.#tellDiskFull();
		this.#pacer.pace(nowMs);
		if (this.#longReads.maybeStep() || count > 0) return;
		if (this.#pacer.isHolding) this.#host.sleepForProgress(this.#hasWork, this.#pacer.holdMs);
		else if (!this.#waiting.isEmpty) this.#host.sleepForProgress(this.#hasWork);
		else parts.bell.sleep(this.#hasWork, this.#tickDelayMs());
	}

	/** After a shutdown: the opener gets what its rings had no room for. Others may have gone, and are not waited for. */
	#handOver(): void {
		this.#gate.goOn();
		this.#gate.flush();
		const { opener } = this.#channels;
		if (opener.isBacklogged) this.#host.parts.bell.sleep(() => this.#gate.canGoOn(opener));
	}

	#tickDelayMs(): number | undefined {
		const { partition, parts } = this.#host;
		const delayMs = partition.tickDelayMs(parts.clock.nowMs());
		const cutDelayMs = this.#epochs.tickDelayMs(partition.maintenance.nowMs);
		return delayMs === undefined || cutDelayMs === undefined ? (delayMs ?? cutDelayMs) : Math.min(delayMs, cutDelayMs);
	}

	#statistics(): Record<string, unknown> {
		return { ...this.#waiting.statistics(), ...this.#gate.statistics(), unclaimedCuts: this.#epochs.count };
	}

	// --- what waited --------------------------------------------------------------------------------

	/** Carries out what waited, in order, as far as it can be. @returns how many */
	#resume(): number {
		const waiting = this.#waiting;
		// Not the wall clock: it may be put back.
		const nowMs = performance.now();
		let count = waiting.offerDecisions(this.#maybeTakeDecision, nowMs);
		while (waiting.count > 0 && count < drainCountMax && !this.#isStopping) {
			const { bytes, hash, sinceMs } = waiting.first;
			if (this.#gate.isOverBacklogged(bytes, 0)) {
				this.#gate.sendError(
					'MILLRACE_OVERLOADED',
					'replies are not taken: nothing more is done for this thread',
					bytes,
					0,
				);
			} else if (!this.#maybeCarryOut(bytes, 0, hash)) {
				if (!this.#mustGiveUp(nowMs - sinceMs)) break;
				this.#refuseWaiting(bytes, hash);
			}
			waiting.shift(nowMs);
			count++;
		}
		if (waiting.count > 0 && this.#hasUndecided) {
			for (const prepare of waiting.takePrepares()) this.#refusePrepare(prepare, 0);
		}
		return count;
	}

	/** When the partition is to end, nobody is left who would decide what is undecided: whoever waits for that is told. */
	#mustGiveUp(waitedMs: number): boolean {
		return waitedMs >= this.#stallTimeoutMs || (this.#waiting.hasShutdown && this.#hasUndecided);
	}

	#refuseWaiting(request: Uint8Array, hash: number): void {
		if (this.#waiting.hasShutdown && this.#hasUndecided) {
			this.#gate.sendError('MILLRACE_CLOSED', 'the partition is closing, and its key is kept by a batch', request, 0);
		} else if (this.#isLocked(request, 0, hash)) {
			const text = `a batch over several partitions has kept its key for ${this.#stallTimeoutMs} ms`;
			this.#gate.sendError('MILLRACE_BUSY', text, request, 0);
		} else {
			const text = `there was no room for it in ${this.#stallTimeoutMs} ms: writes come faster than they can be stored`;
			this.#gate.sendError('MILLRACE_OVERLOADED', text, request, 0);
		}
	}

	/** A prepare that waited while another is undecided could wait for a batch that waits for its own: it is to try again. */
	#refusePrepare(request: Uint8Array, offset: number): void {
		this.#gate.sendError('MILLRACE_BUSY', 'it would have to wait behind another batch: try again', request, offset);
	}

	/** Sets aside what cannot be carried out now, or answers that it will not be. */
	#setAside(request: Uint8Array, offset: number, hash: number): void {
		const opcode = request[offset + requestHeaderSize];
		if (opcode === opPrepare && this.#hasUndecided) {
			this.#refusePrepare(request, offset);
		} else if (this.#waiting.isFullOfLocked && opcode !== opDecide) {
			const text = 'too much waits already for a batch over several partitions to be decided';
			this.#gate.sendError('MILLRACE_OVERLOADED', text, request, offset);
		} else {
			this.#waiting.add(request, offset, hash, performance.now());
		}
	}

	/** Batches over several partitions are prepared here and not decided. */
	get #hasUndecided(): boolean {
		return this.#host.partition.transactions.count > 0;
	}

	/** True for a read or write of one key that an undecided batch keeps. What a snapshot shows was settled before. */
	#isLocked(request: Uint8Array, offset: number, hash: number): boolean {
		const { transactions } = this.#host.partition;
		return transactions.count > 0 && isOfOneKey(request, offset) && transactions.isLocked(hash);
	}

	// --- requests -----------------------------------------------------------------------------------

	/** The rings are left alone while too much waits, but for a decision that what waits may wait for. */
	get #mayTake(): boolean {
		return !this.#waiting.isFull || this.#hasUndecided;
	}

	/** Something can be taken from a ring, or left behind replies can go. Reads shared memory: fit for sleep re-checks. */
	#canDrain(): boolean {
		const { all } = this.#channels;
		const mayTake = this.#mayTake;
		for (let i = 0; i < all.length; i++) {
			if ((mayTake && all[i].hasRequest) || this.#gate.canGoOn(all[i])) return true;
		}
		return false;
	}

	/** Takes windows of requests, from each channel in turn. @returns how many requests */
	#drain(): number {
		const { all } = this.#channels;
		let count = 0;
		for (let idle = 0; idle < all.length && count < drainCountMax && this.#mayTake && !this.#isStopping; ) {
			const taken = this.#takeWindow(this.#channels.next());
			idle = taken === 0 ? idle + 1 : 0;
			count += taken;
		}
		for (let i = 0; i < all.length; i++) all[i].release();
		return count;
	}

	/** Carries out a window of requests, or what was left of one, until the channel has no room for replies. @returns how many */
	#takeWindow(channel: AskerChannel): number {
		if (channel.isBacklogged) return 0;
		const { window } = channel;
		if (window.doneCount === window.count) {
			channel.noteAsked();
			if (window.gather(this.#host.partition) === 0) return 0;
			this.#epochs.look();
		}
		const { source, offsets, hashes, count, doneCount } = window;
		let i = doneCount;
		while (i < count && !channel.isBacklogged) {
			this.#take(source, offsets[i], hashes[i]);
			i++;
		}
		window.doneCount = i;
		return i - doneCount;
	}

	/** Carries out a request from a ring, or sets it aside. */
	#take(request: Uint8Array, offset: number, hash: number): void {
		if (this.#waiting.mustWait(request, offset, hash) || !this.#maybeCarryOut(request, offset, hash)) {
			this.#setAside(request, offset, hash);
		}
	}

	/**
	 * Carries out one request. What goes wrong in it is its own answer; only what should not happen ends the thread.
	 * @returns false when it has to wait: nothing has happened
	 */
	#maybeCarryOut(request: Uint8Array, offset: number, hash: number): boolean {
		const opcode = request[offset + requestHeaderSize];
		try {
			if (opcode === opCount || opcode === opScan) {
				this.#longReads.begin(this.#host.partition, request, offset);
			} else if (isRead(opcode)) {
				if (this.#isLocked(request, offset, hash)) return false;
				this.#host.partition.read(hash, request, offset + requestHeaderSize, this.#result);
				this.#gate.send(this.#result, request, offset);
			} else if (isWrite(opcode) && opcode !== opTouch && opcode <= opDecide) {
				return this.#maybeWrite(hash, request, offset);
			} else if (opcode === opShutdown) {
				this.#shutDown(request, offset);
			} else {
				return this.#admin.maybeHandle(opcode, request, offset);
			}
		} catch (error) {
			if (error instanceof LogPoisoned) {
				this.#gate.becomePoisoned(error);
				this.#gate.refuse(request, offset);
			} else {
				this.#gate.sendDamage(error, request, offset);
			}
		}
		return true;
	}

	#maybeWrite(hash: number, request: Uint8Array, offset: number): boolean {
		const { partition } = this.#host;
		const command = offset + requestHeaderSize;
		if (this.#pacer.isHolding && request[command] !== opDecide) return false;
		const status = partition.prepareWrite(hash, request, command);
		if (status === statusWait) return false;
		if (status === statusOk) {
			partition.write(hash, request, command, this.#result);
			this.#pacer.noteWritten(readCommandSize(request, command));
		} else {
			this.#result.reset();
			this.#result.setError(codeOf(status), partition.maintenance.explain(status));
		}
		this.#gate.send(this.#result, request, offset);
		return true;
	}

	// --- mail ---------------------------------------------------------------------------------------

	#takeNews(): void {
		if (this.#host.takeNews(this.#onJobTaken)) this.#admin.answerReady();
	}

	#takeOutcome(outcome: JobOutcome): void {
		if (outcome.failure === undefined) return;
		const { refusal, isDiskFull } = this.#host.partition.maintenance;
		if (refusal !== undefined) this.#host.note(refusal.message);
		if (refusal === undefined && !isDiskFull) return;
		// What they wait for may never come, or not soon: they are told why.
		for (const envelope of this.#admin.takeFlushes()) this.#gate.refuse(envelope, 0);
	}

	#takeChannelMail(mail: ChannelMail): void {
		if (mail.type === 'attach') this.#channels.attach(AskerChannel.attached(mail.memory, mail.ports));
		else this.#detach(mail.channel);
	}

	/** Forgets a channel: what it has under way is dropped, done or not. */
	#detach(number: number): void {
		const channel = this.#channels.detach(number);
		if (channel !== undefined) {
			this.#waiting.dropChannel(number);
			this.#longReads.dropLost();
			this.#admin.releaseChannel(number);
			try {
				if (!this.#host.isLogOver) {
					this.#host.partition.finishGroup();
					this.#host.putForget(number);
					// The opener waits until the log thread has taken it, before it gives the rings to anybody else.
					this.#host.queue.publish();
				}
			} catch (error) {
				this.#gate.becomePoisoned(error);
			}
			channel.close();
			this.#hasClosedPorts = true;
		}
		this.#host.parts.mail.detached(number);
	}

	#tellDiskFull(): void {
		const { isDiskFull } = this.#host.partition.maintenance;
		if (isDiskFull === this.#isDiskFull) return;
		this.#isDiskFull = isDiskFull;
		this.#host.parts.mail.diskFull(isDiskFull);
	}

	/** Lets the log seal and sync, then answers; the thread ends when that is handed over. Says so when the log could not. */
	#shutDown(request: Uint8Array, offset: number): void {
		this.#longReads.close();
		this.#isStopping = true;
		if (!this.#host.isLogOver) {
			try {
				// The log hears of all held replies first.
				this.#gate.flush();
				this.#host.stopLog();
				this.#gate.noteLogStopped();
			} catch (error) {
				this.#gate.becomePoisoned(error);
			}
		}
		for (const envelope of this.#admin.takeWaiting()) this.#gate.refuse(envelope, 0);
		const { refusal } = this.#host.partition.maintenance;
		this.#result.reset();
		if (refusal !== undefined && refusal.code !== 'MILLRACE_CLOSED') {
			this.#result.setError(refusal.code, refusal.message);
		}
		this.#gate.send(this.#result, request, offset);
	}
}
