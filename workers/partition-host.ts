/**
 * What a partition in a thread of its own runs on (PartitionHost): the log ring, the mail with main, and one bell to sleep on.
 * Whoever owns the thread (the loop, a benchmark) drives it; nothing happens here but what a call asks for.
 *
 *   partition ──groups, edits──> log ring ──> log thread ──> shared words: durable sequence, edits done, poison
 *       │ jobs                                                   │
 *       └──> mail ──> main ──> background pool ──> mail ──> takeNews() <┘
 *
 * A log that failed is noticed in `takeNews` and in every wait, which then throw LogPoisoned; after `noteLogOver` it is not
 * looked at again. Runs on the partition's thread.
 */
import { assert } from '../src/base/assert.js';
import type { MillraceError } from '../src/base/errors.js';
import { groupSizeMax } from '../src/base/limits.js';
import { readPoison } from '../src/command/poison-note.js';
import {
	sharedDurableLowWord,
	sharedEditsDoneWord,
	sharedLogStoppedWord,
	sharedPoisonWord,
} from '../src/command/worker-boot.js';
import type { Clock } from '../src/env/ports.js';
import type { ThreadBell } from '../src/ring/bell.js';
import type { RingProducer } from '../src/ring/ring-producer.js';
import type { Partition, PartitionHost } from '../src/storage/lsm/partition.js';
import type { Job } from '../src/storage/lsm/upkeep/jobs.js';
import { maybePutChannel, maybePutSignal } from '../src/storage/lsm/wal/group-builder.js';
import { logForget, logPublish, logSync } from '../src/storage/lsm/wal/log-message-format.js';
import type { JobOutcome } from './background-worker.js';
import type { ChannelMail, PartitionMail } from './partition-mail.js';

/** Longest sleep while a write waits: what it waits for may come without a bell. */
const progressWaitMsMax = 20;

/** Main hears of a recovery's progress at most so often, and at the end of each step. */
const progressIntervalMs = 100;

/** Thrown out of a wait when the log fails under it. */
export class LogPoisoned extends Error {}

export interface HostParts {
	readonly log: RingProducer;
	/** The opener's replies that wait for a commit: groups name a position in it. */
	readonly heldReplies: RingProducer;
	readonly bell: ThreadBell;
	readonly mail: PartitionMail;
	/** The words shared with main and the log thread. */
	readonly shared: SharedArrayBuffer;
	readonly clock: Clock;
}

export class RingHost implements PartitionHost {
	readonly parts: HostParts;
	readonly #words: Int32Array<SharedArrayBuffer>;
	#partition: Partition | undefined;
	#editsSeen = 0;
	#progressMs = Number.NEGATIVE_INFINITY;
	#isLogOver = false;
	/** The commit position the log may hear of until it is told to sync. */
	#heldPosition: number | undefined;
	/** Takes channels that come and go. Called from within `takeNews`. */
	onChannelMail: (mail: ChannelMail) => void = () => undefined;

	constructor(parts: HostParts) {
		this.parts = parts;
		this.#words = new Int32Array(parts.shared);
	}

	/** The partition is opened with its host, so the host hears of it afterwards. */
	adopt(partition: Partition): void {
		assert(this.#partition === undefined, 'a host has one partition');
		this.#partition = partition;
		// What was recovered was synced: it is durable.
		Atomics.store(this.#words, sharedDurableLowWord, partition.lastSequence | 0);
	}

	get partition(): Partition {
		assert(this.#partition !== undefined, 'the host has adopted its partition');
		return this.#partition;
	}

	// --- PartitionHost ------------------------------------------------------------------------------

	get queue(): RingProducer {
		return this.parts.log;
	}

	commitPosition(): number {
		return this.#heldPosition ?? this.parts.heldReplies.position;
	}

	submitJob(job: Job): void {
		this.parts.mail.submitJob(job);
	}

	waitForLog(): void {
		this.#sleepForLog();
	}

	clockMs(): number {
		return this.parts.clock.nowMs();
	}

	onRecovery(step: 'tables' | 'log', done: number, total: number): void {
		// Not the wall clock: it may be put back.
		const nowMs = performance.now();
		if (done < total && nowMs - this.#progressMs < progressIntervalMs) return;
		this.#progressMs = nowMs;
		this.parts.mail.progress(step, done, total);
	}

	note(text: string): void {
		this.parts.mail.note(text);
	}

	// --- the log ------------------------------------------------------------------------------------

	/** The log failed or was stopped: it is not touched again. */
	get isLogOver(): boolean {
		return this.#isLogOver;
	}

	/** A failed log is over. @returns why */
	noteLogOver(): MillraceError {
		this.#isLogOver = true;
		return readPoison(this.parts.shared);
	}

	/** Everything up to this sequence is as durable as asked for. */
	get durableSequence(): number {
		// It is never 2^32 behind the last one, so its low word tells it whole.
		const { lastSequence } = this.partition;
		return lastSequence - ((lastSequence - Atomics.load(this.#words, sharedDurableLowWord)) >>> 0);
	}

	/** Keeps the commit position where it is, for replies that must not leave before a sync, until `putSync`. */
	holdCommitPosition(): void {
		this.#heldPosition ??= this.parts.heldReplies.position;
	}

	/** Tells the log to sync before it lets go of any more replies. No group is open. @throws LogPoisoned */
	putSync(): void {
		this.#heldPosition = undefined;
		while (!maybePutSignal(this.queue, logSync, this.commitPosition())) this.waitForLog();
	}

	/** Tells the log how far an attached thread's held replies may be published. No group is open. @throws LogPoisoned */
	putPublish(channel: number, position: number): void {
		while (!maybePutChannel(this.queue, logPublish, this.commitPosition(), channel, position)) this.waitForLog();
	}

	/** Tells the log that a channel is not named again. No group is open. @throws LogPoisoned */
	putForget(channel: number): void {
		while (!maybePutChannel(this.queue, logForget, this.commitPosition(), channel, 0)) this.waitForLog();
	}

	/** Lets the log seal, sync and end. @throws LogPoisoned when it could not */
	stopLog(): void {
		this.partition.putStop();
		const { log, bell } = this.parts;
		log.publish();
		const isOver = (): boolean => Atomics.load(this.#words, sharedLogStoppedWord) === 1 || this.#hasFailed;
		while (!isOver()) bell.sleep(isOver);
		if (this.#hasFailed) throw new LogPoisoned();
		this.#isLogOver = true;
	}

	get #hasFailed(): boolean {
		return Atomics.load(this.#words, sharedPoisonWord) !== 0;
	}

	// --- news and waits -----------------------------------------------------------------------------

	/** Something has come that `takeNews` would take. Reads shared memory: fit for sleep re-checks. */
	hasNews(): boolean {
		return (
			this.parts.mail.hasNews ||
			Atomics.load(this.#words, sharedEditsDoneWord) !== this.#editsSeen ||
			(this.#hasFailed && !this.#isLogOver)
		);
	}

	/**
	 * Tells the partition what has come: durable edits, and jobs that are done; and `onChannelMail` of channels.
	 * @param onJobTaken called for each job after the partition took its outcome
	 * @returns true when there was mail
	 * @throws LogPoisoned when the log has failed
	 */
	takeNews(onJobTaken: (outcome: JobOutcome, job: Job) => void): boolean {
		if (this.#hasFailed && !this.#isLogOver) throw new LogPoisoned();
		const { maintenance } = this.partition;
		const edits = Atomics.load(this.#words, sharedEditsDoneWord);
		if (edits !== this.#editsSeen) {
			this.#editsSeen = edits;
			maintenance.onEditsDone(edits);
		}
		return this.parts.mail.take((job, outcome) => {
			// Nothing can be installed without a log; what a verification found can still be told.
			if (this.#isLogOver && job.kind !== 'verify') return;
			maintenance.onJobDone(job, outcome.result, outcome.failure);
			onJobTaken(outcome, job);
		}, this.onChannelMail);
	}

	/**
	 * Sleeps until a job is done or the log has moved, or for a moment. The caller has published the log.
	 * @param hasMore what else ends the sleep: reads shared memory
	 */
	sleepForProgress(hasMore: () => boolean = () => false, timeoutMs = progressWaitMsMax): void {
		const { log, bell, clock } = this.parts;
		const isLogFull = !log.hasRoom(groupSizeMax);
		log.waitingForRoom(true);
		const delayMs = this.partition.tickDelayMs(clock.nowMs()) ?? timeoutMs;
		bell.sleep(
			() => this.hasNews() || hasMore() || (isLogFull && log.hasRoom(groupSizeMax)),
			Math.min(delayMs, timeoutMs, progressWaitMsMax),
		);
		log.waitingForRoom(false);
	}

	/** Sleeps until the log has room. @throws LogPoisoned when it fails meanwhile: what is waited for may never come */
	#sleepForLog(): void {
		const { log, bell } = this.parts;
		log.publish();
		const isPoisonNew = (): boolean => !this.#isLogOver && this.#hasFailed;
		const isOver = (): boolean => log.hasRoom(groupSizeMax) || isPoisonNew();
		log.waitingForRoom(true);
		while (!isOver()) bell.sleep(isOver);
		log.waitingForRoom(false);
		if (isPoisonNew()) throw new LogPoisoned();
	}
}
