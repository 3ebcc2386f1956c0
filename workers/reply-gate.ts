/**
 * The way out: every reply of a partition leaves through here, at once or with the commit it depends on.
 *
 *   send(result) ─┬─ settled ──────────────> reply ring  ──publish (us)──────────> main
 *                 └─ not yet durable ──────> commit ring ──publish (log thread)──> main
 *
 * So reads of settled keys never wait for an fsync, and nothing that was seen can be lost. When the log fails, whoever waits
 * in the commit ring gets the error through the reply ring instead. Runs on the partition's thread.
 */
import { type ErrorCode, statusOf } from '../src/base/errors.js';
import { requestHeaderSize } from '../src/command/command-format.js';
import type { RingProducer } from '../src/ring/ring-producer.js';
import { CommandResult } from '../src/storage/lsm/apply/command-result.js';
import { LogPoisoned, type RingHost } from './partition-host.js';
import { mustBeDamage } from './read-damage.js';
import { writeReply } from './reply-writer.js';

export class ReplyGate {
	readonly #host: RingHost;
	readonly #replies: RingProducer;
	readonly #heldReplies: RingProducer;
	readonly #damage = new CommandResult();
	readonly #refusal = new CommandResult();
	readonly #waitForReplyRoom = (ring: RingProducer, size: number): void => this.#waitForRing(ring, size);
	/** Held replies were written after the last group or marker: something must let them go. */
	#needsMarker = false;
	/** Gives up the envelopes of those who wait for the log elsewhere: they are refused when it fails. */
	takeWaiting: () => Buffer[] = () => [];

	constructor(host: RingHost, replies: RingProducer, heldReplies: RingProducer) {
		this.#host = host;
		this.#replies = replies;
		this.#heldReplies = heldReplies;
	}

	/** Answers the request whose envelope stands at `request[offset..]`, now or with the commit the answer depends on. */
	send(result: CommandResult, request: Uint8Array, offset: number): void {
		const isHeld = result.observedSequence > 0 && result.observedSequence > this.#host.durableSequence;
		try {
			if (isHeld && this.#host.isLogOver) throw new LogPoisoned();
			writeReply(isHeld ? this.#heldReplies : this.#replies, request, offset, result, this.#waitForReplyRoom);
			if (isHeld) this.#needsMarker = true;
		} catch (error) {
			this.becomePoisoned(error);
			this.refuse(request, offset);
		}
	}

	/**
	 * Answers with the reason why nothing can be promised. Uses a result of its own: another may be waiting for room.
	 * @param code what refused it, when it is known
	 */
	refuse(request: Uint8Array, offset: number, code?: ErrorCode): void {
		const { maintenance } = this.#host.partition;
		const { refusal, isDiskFull } = maintenance;
		const reason = code ?? refusal?.code ?? (isDiskFull ? 'MILLRACE_DISK_FULL' : 'MILLRACE_POISONED');
		this.#refusal.reset();
		this.#refusal.setError(reason, maintenance.explain(statusOf(reason)));
		writeReply(this.#replies, request, offset, this.#refusal, this.#waitForReplyRoom);
	}

	/**
	 * A block that is damaged or cannot be read is the trouble of who asks for it, and of nobody else. A write that met one has
	 * changed nothing. @throws any other error: it ends the thread
	 */
	sendDamage(error: unknown, request: Uint8Array, offset: number): void {
		const damage = mustBeDamage(error);
		this.#damage.reset();
		this.#damage.setError(damage.code, damage.message);
		this.send(this.#damage, request, offset);
	}

	/** Hands everything over: the open group to the log, the settled replies to main. */
	flush(): void {
		const { partition, isLogOver } = this.#host;
		if (!isLogOver) {
			if (this.#needsMarker) partition.putMarker();
			else partition.finishGroup();
			this.#needsMarker = false;
			this.#host.queue.publish();
		}
		this.#replies.publish();
	}

	/** The log failed: those who wait for it get the error, and the log is not touched again. @throws any other error */
	becomePoisoned(error: unknown): void {
		if (!(error instanceof LogPoisoned)) throw error;
		if (this.#host.isLogOver) return;
		const reason = this.#host.noteLogOver();
		this.#host.partition.maintenance.refuseWrites(reason);
		const waiting = this.takeWaiting();
		this.#heldReplies.forEachUnpublished((bytes, offset) => {
			waiting.push(Buffer.from(bytes.subarray(offset, offset + requestHeaderSize)));
		});
		this.#heldReplies.rewind();
		for (const envelope of waiting) this.refuse(envelope, 0);
		this.#host.note(`${reason.message}: writes are refused until the database is opened again`);
	}

	/** The log was stopped in order: it has let all held replies go. */
	noteLogStopped(): void {
		this.#needsMarker = false;
	}

	/** Room for settled replies only depends on main: a log that fails meanwhile is dealt with, and the wait goes on. */
	#waitForRing(ring: RingProducer, size: number): void {
		try {
			this.flush();
			if (ring !== this.#replies) this.#host.sleepForRoom(ring, () => ring.hasRoom(size));
		} catch (error) {
			this.becomePoisoned(error);
			if (ring !== this.#replies) throw error;
		}
		if (ring === this.#replies) this.#host.sleepUntil(ring, () => ring.hasRoom(size));
	}
}
