/**
 * The loop of a partition's thread: take what the request ring holds, apply it, hand the group to the log, publish the
 * replies, sleep when there is nothing. Never touches the event loop; everything reaches it through shared memory.
 *
 *   mail, poison, edits ─> resume what waited ─> drain requests ─> finish group, publish ─> long reads ─> sleep
 *
 * Nothing waits in the middle of a request: a write without room is set aside (waiting-requests.ts), and what need not stay
 * behind it passes. What the loop stands on is in the host (partition-host.ts), how replies leave in the gate (reply-gate.ts).
 */
import { codeOf, statusOk } from '../src/base/errors.js';
import {
	commandFlagsOffset,
	flagSequence,
	isRead,
	isWrite,
	opCount,
	opScan,
	opShutdown,
	opTouch,
	readCommandSequence,
	readCommandSize,
	requestHeaderSize,
} from '../src/command/command-format.js';
import type { RingConsumer } from '../src/ring/ring-consumer.js';
import type { RingProducer } from '../src/ring/ring-producer.js';
import { CommandResult } from '../src/storage/lsm/apply/command-result.js';
import { statusWait } from '../src/storage/lsm/upkeep/maintenance.js';
import { AdminRequests } from './admin-requests.js';
import type { JobOutcome } from './background-worker.js';
import { LongRead } from './long-reads.js';
import { LogPoisoned, type RingHost } from './partition-host.js';
import { ReplyGate } from './reply-gate.js';
import { RequestWindow } from './request-window.js';
import { WaitingRequests } from './waiting-requests.js';

/** Requests of one drain at most: the log syncs one drain's group while the next is applied (docs/decisions.md, "drains"). */
const drainCountMax = 512;
/** Slowed writes are held for so long at once, before the partition is asked again. */
const holdSliceMsMax = 5;

export class PartitionLoop {
	readonly #host: RingHost;
	readonly #requests: RingConsumer;
	readonly #stallTimeoutMs: number;
	readonly #window: RequestWindow;
	readonly #gate: ReplyGate;
	readonly #admin: AdminRequests;
	readonly #waiting = new WaitingRequests();
	readonly #result = new CommandResult();
	readonly #onJobTaken = (outcome: JobOutcome): void => this.#takeOutcome(outcome);
	readonly #hasWork = (): boolean => (!this.#waiting.isFull && this.#requests.hasNext()) || this.#host.hasNews();
	#longReads: LongRead[] = [];
	/** Bytes of commands written since the partition was last asked how fast they may come. */
	#writtenBytes = 0;
	/** Writes are slowed down: none is begun for `#holdMs`. */
	#isHoldingWrites = false;
	#holdMs = 0;
	#isStopping = false;

	/** @param stallTimeoutMs how long a request may wait for room before it is refused */
	constructor(host: RingHost, requests: RingConsumer, replies: RingProducer, stallTimeoutMs: number) {
		this.#host = host;
		this.#requests = requests;
		this.#stallTimeoutMs = stallTimeoutMs;
		this.#window = new RequestWindow(requests);
		this.#gate = new ReplyGate(host, replies, host.parts.heldReplies);
		this.#admin = new AdminRequests(host, this.#gate, () => this.#waiting.statistics());
		this.#gate.takeWaiting = () => this.#admin.takeWaiting();
	}

	/** An orderly shutdown is done. */
	get isOver(): boolean {
		return this.#isStopping;
	}

	/** Runs until an orderly shutdown is done. */
	run(): void {
		while (!this.#isStopping) this.turn();
		this.#host.partition.close();
	}

	/** One turn. Sleeps at its end when there was nothing to do. */
	turn(): void {
		try {
			this.#turn();
		} catch (error) {
			this.#gate.becomePoisoned(error);
		}
	}

	#turn(): void {
		const { partition, parts } = this.#host;
		const nowMs = parts.clock.nowMs();
		partition.begin(nowMs);
		this.#takeNews();
		partition.maintenance.tick(nowMs);
		let count = this.#waiting.count > 0 ? this.#resume() : 0;
		if (!this.#waiting.isFull && !this.#isStopping) count += this.#drain();
		this.#gate.flush();
		if (this.#isStopping) return;
		this.#paceWrites(nowMs);
		if (this.#longReads.length > 0) this.#stepLongRead();
		else if (count > 0) return;
		else if (this.#isHoldingWrites) this.#host.sleepForProgress(this.#hasWork, this.#holdMs);
		else if (this.#waiting.count > 0) this.#host.sleepForProgress(this.#hasWork);
		else parts.bell.sleep(this.#hasWork, partition.tickDelayMs(parts.clock.nowMs()));
	}

	/** Carries out what waited, in order, as far as there is room. @returns how many */
	#resume(): number {
		// Not the wall clock: it may be put back.
		const nowMs = performance.now();
		let count = 0;
		while (this.#waiting.count > 0 && count < drainCountMax && !this.#isStopping) {
			const { bytes, hash, sinceMs } = this.#waiting.first;
			if (!this.#maybeCarryOut(bytes, 0, hash)) {
				if (nowMs - sinceMs < this.#stallTimeoutMs) break;
				this.#refuseOverloaded(bytes);
			}
			this.#waiting.shift(nowMs);
			count++;
		}
		return count;
	}

	#drain(): number {
		const window = this.#window;
		let count = 0;
		while (((count < drainCountMax && !this.#waiting.isFull) || window.isHeldOver) && !this.#isStopping) {
			const windowSize = window.gather(this.#host.partition);
			if (windowSize === 0) break;
			for (let i = 0; i < windowSize; i++) this.#take(window.source, window.offsets[i], window.hashes[i]);
			count += windowSize;
		}
		this.#requests.release();
		return count;
	}

	/** Carries out a request from the ring, or sets it aside. */
	#take(request: Uint8Array, offset: number, hash: number): void {
		if (this.#waiting.mustWait(request, offset, hash) || !this.#maybeCarryOut(request, offset, hash)) {
			this.#waiting.add(request, offset, hash, performance.now());
		}
	}

	/**
	 * Carries out one request. What goes wrong in it is its own answer; only what should not happen ends the thread.
	 * @returns false when there is no room for it now: nothing has happened
	 */
	#maybeCarryOut(request: Uint8Array, offset: number, hash: number): boolean {
		const opcode = request[offset + requestHeaderSize];
		try {
			if (opcode === opCount || opcode === opScan) {
				this.#beginLongRead(request, offset);
			} else if (isRead(opcode)) {
				this.#host.partition.read(hash, request, offset + requestHeaderSize, this.#result);
				this.#gate.send(this.#result, request, offset);
			} else if (isWrite(opcode) && opcode < opTouch) {
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
		if (this.#isHoldingWrites) return false;
		const { partition } = this.#host;
		const command = offset + requestHeaderSize;
		const status = partition.prepareWrite(hash, request, command);
		if (status === statusWait) return false;
		if (status === statusOk) {
			partition.write(hash, request, command, this.#result);
			this.#writtenBytes += readCommandSize(request, command);
		} else {
			this.#result.reset();
			this.#result.setError(codeOf(status), partition.maintenance.explain(status));
		}
		this.#gate.send(this.#result, request, offset);
		return true;
	}

	/**
	 * Tells the partition what was written since the last call, and holds the next writes back for as long as it asks. Only they
	 * are held, in slices after which it is asked again, so that it may change its mind.
	 */
	#paceWrites(nowMs: number): void {
		if (this.#writtenBytes === 0 && !this.#isHoldingWrites) return;
		const delayMs = this.#host.partition.maintenance.writeDelayMs(this.#writtenBytes, nowMs);
		this.#holdMs = Math.min(delayMs, holdSliceMsMax);
		this.#writtenBytes = 0;
		this.#isHoldingWrites = this.#holdMs > 0;
	}

	#refuseOverloaded(request: Uint8Array): void {
		const text = `there was no room for it in ${this.#stallTimeoutMs} ms: writes come faster than they can be stored`;
		this.#result.reset();
		this.#result.setError('MILLRACE_OVERLOADED', text);
		this.#gate.send(this.#result, request, 0);
	}

	/** @throws MILLRACE_SNAPSHOT */
	#beginLongRead(request: Uint8Array, offset: number): void {
		const { partition } = this.#host;
		const command = offset + requestHeaderSize;
		const isAtSnapshot = (request[command + commandFlagsOffset] & flagSequence) !== 0;
		const snapshot = isAtSnapshot ? readCommandSequence(request, command) : undefined;
		this.#longReads.push(new LongRead(request, offset, partition.beginRead(snapshot)));
	}

	/**
	 * A slice of the read that had none for longest: a long one does not hold up short ones. None keeps what was replaced, while
	 * writes wait for just that.
	 */
	#stepLongRead(): void {
		for (const waiting of this.#longReads) waiting.maybeLetGo();
		const read = this.#longReads.shift();
		if (read === undefined) return;
		try {
			if (read.step(this.#result)) this.#gate.send(this.#result, read.envelope, 0);
			else this.#longReads.push(read);
		} catch (error) {
			read.close();
			this.#gate.sendDamage(error, read.envelope, 0);
		}
	}

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

	/** Lets the log seal and sync, then answers; the thread ends after this turn. Says so when the log could not. */
	#shutDown(request: Uint8Array, offset: number): void {
		for (const read of this.#longReads) read.close();
		this.#longReads = [];
		this.#isStopping = true;
		if (!this.#host.isLogOver) {
			try {
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
