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
import type { JobOutcome } from './background-worker.js';
import type { PartitionMail } from './partition-mail.js';

/** Longest sleep while a write waits: what it waits for may come without a bell. */
const progressWaitMsMax = 20;

/** Thrown out of a wait when the log fails under it. */
export class LogPoisoned extends Error {}

export interface HostParts {
	readonly log: RingProducer;
	/** Replies that wait for a commit: groups name a position in it. */
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
	#isLogOver = false;

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
		return this.parts.heldReplies.position;
	}

	submitJob(job: Job): void {
		this.parts.mail.submitJob(job);
	}

	waitForLog(): void {
		const { log } = this.parts;
		this.sleepForRoom(log, () => log.hasRoom(groupSizeMax));
	}

	clockMs(): number {
		return this.parts.clock.nowMs();
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
	 * Tells the partition what has come: durable edits, and jobs that are done.
	 * @param onJobTaken called for each job after the partition took its outcome
	 * @returns true when there were outcomes
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
		});
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

	/** Sleeps until a ring has room. @throws LogPoisoned when the log fails meanwhile: what is waited for may never come */
	sleepForRoom(ring: RingProducer, hasRoom: () => boolean): void {
		if (ring === this.parts.log) ring.publish();
		const isPoisonNew = (): boolean => !this.#isLogOver && this.#hasFailed;
		this.sleepUntil(ring, () => hasRoom() || isPoisonNew());
		if (isPoisonNew()) throw new LogPoisoned();
	}

	/** Sleeps until something holds that the ring's other side brings about. */
	sleepUntil(ring: RingProducer, isOver: () => boolean): void {
		ring.waitingForRoom(true);
		while (!isOver()) this.parts.bell.sleep(isOver);
		ring.waitingForRoom(false);
	}
}
