/**
 * The loop of a partition's thread: take what the request ring holds, apply it, hand the group to the log, publish the
 * replies, sleep when there is nothing. Never touches the event loop; everything reaches it through shared memory.
 *
 *   mail, poison, edits ─> drain requests ─> finish group ─> publish log and replies ─> long reads ─> sleep
 *
 * A reply leaves through the reply ring at once, unless what it says is not yet as durable as asked for: then it goes into the
 * commit ring, which the log thread publishes. So reads of settled keys never wait for an fsync.
 */
import { codeOf, statusOk } from '../src/base/errors.js';
import { groupSizeMax } from '../src/base/limits.js';
import {
	isWrite,
	opBarrier,
	opCount,
	opFlush,
	opGet,
	opGetExpiry,
	opHas,
	opScan,
	opShutdown,
	opStats,
	requestHeaderSize,
} from '../src/command/command-format.js';
import { readPoison } from '../src/command/poison-note.js';
import {
	sharedDurableLowWord,
	sharedEditsDoneWord,
	sharedLogStoppedWord,
	sharedPoisonWord,
} from '../src/command/worker-boot.js';
import type { RingProducer } from '../src/ring/ring-producer.js';
import { CommandResult } from '../src/storage/lsm/command-result.js';
import type { Job } from '../src/storage/lsm/jobs.js';
import { statusWait } from '../src/storage/lsm/maintenance.js';
import type { Partition, PartitionHost } from '../src/storage/lsm/partition.js';
import type { JobOutcome } from './background-worker.js';
import { FlushWaiters } from './flush-waiters.js';
import { LongRead } from './long-reads.js';
import type { LoopParts } from './loop-parts.js';
import { mustBeDamage } from './read-damage.js';
import { writeReply } from './reply-writer.js';
import { RequestWindow } from './request-window.js';

/** Requests of one drain at most: the log syncs one drain's group while the next is applied (docs/decisions.md, "drains"). */
const drainCountMax = 512;

/** Thrown out of a wait when the log fails under it. */
class LogPoisoned extends Error {}

export class PartitionLoop implements PartitionHost {
	readonly #parts: LoopParts;
	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #result = new CommandResult();
	readonly #refusal = new CommandResult();
	readonly #waitForReplyRoom = (ring: RingProducer, size: number): void => this.#waitForRing(ring, size);
	#partition!: Partition;
	#longReads: LongRead[] = [];
	readonly #flushWaiters = new FlushWaiters();
	#editsSeen = 0;
	/** The log failed or was stopped: it is not touched again. */
	#isLogOver = false;
	/** Held replies were written after the last group or marker: something must let them go. */
	#needsMarker = false;
	#isStopping = false;
	readonly #window: RequestWindow;

	constructor(parts: LoopParts) {
		this.#parts = parts;
		this.#window = new RequestWindow(parts.requests);
		this.#words = new Int32Array(parts.shared);
	}

	get queue(): RingProducer {
		return this.#parts.log;
	}

	commitPosition(): number {
		return this.#parts.heldReplies.position;
	}

	submitJob(job: Job): void {
		this.#parts.mail.submitJob(job);
	}

	waitForLog(): void {
		const { log } = this.#parts;
		this.#sleepForRoom(log, () => log.hasRoom(groupSizeMax));
	}

	/** Runs until an orderly shutdown is done. */
	run(partition: Partition): void {
		this.#partition = partition;
		while (!this.#isStopping) {
			try {
				this.#turn();
			} catch (error) {
				this.#becomePoisoned(error);
			}
		}
		partition.close();
	}

	#turn(): void {
		const { requests, bell, clock } = this.#parts;
		const nowMs = clock.nowMs();
		this.#partition.begin(nowMs);
		this.#takeNews();
		this.#partition.maintenance.tick(nowMs);
		const count = this.#drain();
		this.#finishDrain();
		if (this.#isStopping) return;
		if (this.#longReads.length > 0) this.#stepLongRead();
		else if (count === 0) {
			bell.sleep(() => requests.hasNext() || this.#hasNews(), this.#partition.maintenance.tickDelayMs(clock.nowMs()));
		}
	}

	#drain(): number {
		const { requests } = this.#parts;
		const window = this.#window;
		let count = 0;
		while ((count < drainCountMax || window.isHeldOver) && !this.#isStopping) {
			const windowSize = window.gather(this.#partition);
			if (windowSize === 0) break;
			for (let i = 0; i < windowSize; i++) this.#handle(window.source, window.offsets[i], window.hashes[i]);
			count += windowSize;
		}
		requests.release();
		return count;
	}

	/** Carries out one request. What goes wrong in it is its own answer; only what should not happen ends the thread. */
	#handle(request: Uint8Array, offset: number, hash: number): void {
		const opcode = request[offset + requestHeaderSize];
		try {
			if (opcode === opGet || opcode === opHas || opcode === opGetExpiry) {
				this.#partition.read(hash, request, offset + requestHeaderSize, this.#result);
				this.#reply(request, offset);
			} else if (isWrite(opcode)) {
				this.#write(hash, request, offset);
			} else if (opcode === opFlush) {
				this.#flush(request, offset);
			} else {
				this.#handleRare(opcode, request, offset);
			}
		} catch (error) {
			if (error instanceof LogPoisoned) {
				this.#becomePoisoned(error);
				this.#refuse(request, offset);
			} else {
				this.#answerDamage(error, request, offset);
			}
		}
	}

	#write(hash: number, request: Uint8Array, offset: number): void {
		const command = offset + requestHeaderSize;
		let status = this.#partition.prepareWrite(hash, request, command);
		while (status === statusWait) {
			this.#waitForProgress();
			status = this.#partition.prepareWrite(hash, request, command);
		}
		if (status === statusOk) {
			this.#partition.write(hash, request, command, this.#result);
		} else {
			this.#result.reset();
			this.#result.setError(codeOf(status), this.#partition.maintenance.explain(status));
		}
		this.#reply(request, offset);
	}

	#handleRare(opcode: number, request: Uint8Array, offset: number): void {
		this.#result.reset();
		if (opcode === opCount || opcode === opScan) {
			const { lastSequence } = this.#partition;
			this.#longReads.push(new LongRead(request, offset, this.#partition.cursor(), lastSequence));
			return;
		}
		if (opcode === opShutdown) {
			this.#shutDown();
		} else if (opcode === opStats) {
			const text = Buffer.from(JSON.stringify(this.#partition.statistics()), 'utf8');
			this.#result.setValue(text, 0, text.length);
		} else if (opcode === opBarrier) {
			this.#result.observedSequence = this.#partition.lastSequence;
		} else {
			this.#result.setError('MILLRACE_UNKNOWN_COMMAND', `opcode ${opcode} is not known`);
		}
		this.#reply(request, offset);
	}

	/** Begins a flush; it is answered when it is installed, or refused when it cannot be. */
	#flush(request: Uint8Array, offset: number): void {
		let status = this.#partition.maybeRotate();
		while (status === statusWait) {
			this.#waitForProgress();
			status = this.#partition.maybeRotate();
		}
		if (status !== statusOk || this.#partition.maintenance.isDiskFull) {
			this.#refuse(request, offset);
			return;
		}
		this.#flushWaiters.add(request.subarray(offset, offset + requestHeaderSize), this.#partition.lastSequence);
		this.#answerFlushes();
	}

	/** Sends `#result`, now or with the commit it depends on. */
	#reply(request: Uint8Array, offset: number): void {
		const { replies, heldReplies } = this.#parts;
		const isHeld = this.#result.observedSequence > 0 && !this.#isDurable(this.#result.observedSequence);
		try {
			if (isHeld && this.#isLogOver) throw new LogPoisoned();
			writeReply(isHeld ? heldReplies : replies, request, offset, this.#result, this.#waitForReplyRoom);
			if (isHeld) this.#needsMarker = true;
		} catch (error) {
			this.#becomePoisoned(error);
			this.#refuse(request, offset);
		}
	}

	/** The durable sequence is never 2^32 behind the last one, so its low word tells it whole. */
	#isDurable(sequence: number): boolean {
		const { lastSequence } = this.#partition;
		return sequence <= lastSequence - ((lastSequence - Atomics.load(this.#words, sharedDurableLowWord)) >>> 0);
	}

	#finishDrain(): void {
		const { log, replies } = this.#parts;
		if (!this.#isLogOver) {
			if (this.#needsMarker) this.#partition.putMarker();
			else this.#partition.finishGroup();
			this.#needsMarker = false;
			log.publish();
		}
		replies.publish();
	}

	/**
	 * A block that is damaged or cannot be read is the trouble of who asks for it, and of nobody else. A write that met one has
	 * changed nothing. Any other error ends the thread.
	 */
	#answerDamage(error: unknown, request: Uint8Array, offset: number): void {
		const damage = mustBeDamage(error);
		this.#result.reset();
		this.#result.setError(damage.code, damage.message);
		this.#reply(request, offset);
	}

	#stepLongRead(): void {
		const read = this.#longReads[0];
		let isOver: boolean;
		try {
			isOver = read.step(this.#result);
		} catch (error) {
			read.close();
			this.#longReads.shift();
			this.#answerDamage(error, read.envelope, 0);
			return;
		}
		if (!isOver) return;
		this.#longReads.shift();
		this.#reply(read.envelope, 0);
	}

	#hasNews(): boolean {
		const words = this.#words;
		return (
			this.#parts.mail.hasNews ||
			Atomics.load(words, sharedEditsDoneWord) !== this.#editsSeen ||
			(Atomics.load(words, sharedPoisonWord) !== 0 && !this.#isLogOver)
		);
	}

	#takeNews(): void {
		const words = this.#words;
		if (Atomics.load(words, sharedPoisonWord) !== 0 && !this.#isLogOver) throw new LogPoisoned();
		const edits = Atomics.load(words, sharedEditsDoneWord);
		if (edits !== this.#editsSeen) {
			this.#editsSeen = edits;
			this.#partition.maintenance.onEditsDone(edits);
		}
		if (this.#parts.mail.take((job, outcome) => this.#takeOutcome(job, outcome))) this.#answerFlushes();
	}

	#takeOutcome(job: Job, outcome: JobOutcome): void {
		if (this.#isLogOver || this.#isStopping) return;
		this.#partition.maintenance.onJobDone(job, outcome.result, outcome.failure);
		if (outcome.failure === undefined) return;
		const { refusal } = this.#partition.maintenance;
		if (refusal !== undefined) this.#parts.mail.note(refusal.message);
		// What they wait for may never come, or not soon: they are told why.
		for (const envelope of this.#flushWaiters.takeAll()) this.#refuse(envelope, 0);
	}

	/**
	 * A write has no room: hand over what there is, and sleep until a job is done or the log has moved. Long reads go on meanwhile:
	 * the arena that the write waits for may be pinned by one of them.
	 */
	#waitForProgress(): void {
		this.#finishDrain();
		if (this.#longReads.length > 0) {
			this.#stepLongRead();
			this.#takeNews();
			return;
		}
		const { log, bell, clock } = this.#parts;
		const isLogFull = !log.hasRoom(groupSizeMax);
		log.waitingForRoom(true);
		const delayMs = this.#partition.maintenance.tickDelayMs(clock.nowMs());
		bell.sleep(() => this.#hasNews() || (isLogFull && log.hasRoom(groupSizeMax)), Math.min(delayMs ?? 20, 20));
		log.waitingForRoom(false);
		this.#takeNews();
		this.#partition.maintenance.tick(clock.nowMs());
	}

	/** Room for settled replies only depends on main: a log that fails meanwhile is dealt with, and the wait goes on. */
	#waitForRing(ring: RingProducer, size: number): void {
		try {
			this.#finishDrain();
			if (ring !== this.#parts.replies) this.#sleepForRoom(ring, () => ring.hasRoom(size));
		} catch (error) {
			this.#becomePoisoned(error);
			if (ring !== this.#parts.replies) throw error;
		}
		if (ring === this.#parts.replies) this.#sleepUntil(ring, () => ring.hasRoom(size));
	}

	/** @throws LogPoisoned when the log fails meanwhile: what is waited for may never come */
	#sleepForRoom(ring: RingProducer, hasRoom: () => boolean): void {
		if (ring === this.#parts.log) ring.publish();
		const isPoisonNew = (): boolean => !this.#isLogOver && Atomics.load(this.#words, sharedPoisonWord) !== 0;
		this.#sleepUntil(ring, () => hasRoom() || isPoisonNew());
		if (isPoisonNew()) throw new LogPoisoned();
	}

	#sleepUntil(ring: RingProducer, isOver: () => boolean): void {
		ring.waitingForRoom(true);
		while (!isOver()) this.#parts.bell.sleep(isOver);
		ring.waitingForRoom(false);
	}

	#answerFlushes(): void {
		for (const envelope of this.#flushWaiters.takeReady(this.#partition.flushedSequence)) {
			this.#result.reset();
			this.#reply(envelope, 0);
		}
	}

	/** The log failed: those who wait for it get the error, and the log is not touched again. @throws any other error */
	#becomePoisoned(error: unknown): void {
		if (!(error instanceof LogPoisoned)) throw error;
		if (this.#isLogOver) return;
		this.#isLogOver = true;
		const { heldReplies, shared } = this.#parts;
		const reason = readPoison(shared);
		this.#partition.maintenance.refuseWrites(reason);
		const waiting = this.#flushWaiters.takeAll();
		heldReplies.forEachUnpublished((bytes, offset) => {
			waiting.push(Buffer.from(bytes.subarray(offset, offset + requestHeaderSize)));
		});
		heldReplies.rewind();
		for (const envelope of waiting) this.#refuse(envelope, 0);
		this.#parts.mail.note(`${reason.message}: writes are refused until the database is opened again`);
	}

	/** Answers with the reason why nothing can be promised. Uses a result of its own: another may be waiting for room. */
	#refuse(request: Uint8Array, offset: number): void {
		const { refusal, isDiskFull, waitStatus } = this.#partition.maintenance;
		this.#refusal.reset();
		const code = refusal?.code ?? (isDiskFull ? 'MILLRACE_DISK_FULL' : 'MILLRACE_POISONED');
		this.#refusal.setError(code, this.#partition.maintenance.explain(waitStatus));
		writeReply(this.#parts.replies, request, offset, this.#refusal, this.#waitForReplyRoom);
	}

	/** Lets the log seal and sync, then answers; the thread ends after this turn. Says so when the log could not. */
	#shutDown(): void {
		for (const read of this.#longReads) read.close();
		this.#longReads = [];
		this.#isStopping = true;
		this.#result.reset();
		if (!this.#isLogOver) {
			this.#partition.putStop();
			const { log, bell } = this.#parts;
			log.publish();
			const hasFailed = (): boolean => Atomics.load(this.#words, sharedPoisonWord) !== 0;
			const isOver = (): boolean => Atomics.load(this.#words, sharedLogStoppedWord) === 1 || hasFailed();
			while (!isOver()) bell.sleep(isOver);
			if (hasFailed()) this.#becomePoisoned(new LogPoisoned());
			this.#isLogOver = true;
			this.#needsMarker = false;
		}
		for (const envelope of this.#flushWaiters.takeAll()) this.#refuse(envelope, 0);
		const { refusal } = this.#partition.maintenance;
		this.#result.reset();
		if (refusal !== undefined && refusal.code !== 'MILLRACE_CLOSED')
			this.#result.setError(refusal.code, refusal.message);
	}
}
