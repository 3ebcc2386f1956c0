/**
 * The way out: every reply of a partition leaves through here, to the channel that its request's envelope names, at once or with
 * the commit it depends on. Nothing here waits for an asker.
 *
 *   send(result) ─┬─ settled ──────────────> reply ring  ──publish (us)──────────> asker
 *                 ├─ not yet durable ──────> commit ring ──publish (log thread)──> asker
 *                 └─ no room there ────────> backlog ──(goOn, when the asker has taken some)──> one of the two
 *
 * So reads of settled keys never wait for an fsync, and nothing that was seen can be lost. What the envelope wishes goes before
 * the durability of the database: wishNone waits for nothing, wishAlways for a sync that the log is told of (`flush`); until it
 * is, the position of the opener's commit ring that the log hears of stays before the first such reply (RingHost).
 *
 * When the log fails, whoever waits for it gets the error through the reply ring instead. Runs on the partition's thread.
 */
import { readU32, writeU32 } from '../src/base/bytes.js';
import { type ErrorCode, statusOf } from '../src/base/errors.js';
import { replyBacklogSizeMax } from '../src/base/limits.js';
import {
	channelMask,
	durabilityShift,
	requestChannelOffset,
	requestHeaderSize,
	wishAlways,
	wishNone,
} from '../src/command/command-format.js';
import type { RingProducer } from '../src/ring/ring-producer.js';
import { CommandResult } from '../src/storage/lsm/apply/command-result.js';
import type { AskerChannel } from './asker-channel.js';
import type { AskerChannels } from './asker-channels.js';
import { LogPoisoned, type RingHost } from './partition-host.js';
import { mustBeDamage } from './read-damage.js';
import type { BackloggedReply } from './reply-backlog.js';
import { replySizeOf, writeReply } from './reply-writer.js';

export class ReplyGate {
	readonly #host: RingHost;
	readonly #channels: AskerChannels;
	readonly #damage = new CommandResult();
	readonly #refusal = new CommandResult();
	/** Some channel of an attached thread needs its position published. */
	#needsPublish = false;
	/** Replies wait for a sync that the log was not told of yet. */
	#needsSync = false;
	#isPoisoned = false;
	/** Where `#maybeReserve` made room, in the target of the ring it returned. */
	#reservedOffset = 0;
	/** Gives up the envelopes of those who wait for the log elsewhere: they are refused when it fails. */
	takeWaiting: () => Buffer[] = () => [];

	constructor(host: RingHost, channels: AskerChannels) {
		this.#host = host;
		this.#channels = channels;
	}

	/** Answers the request whose envelope stands at `request[offset..]`, now or with the commit the answer depends on. */
	send(result: CommandResult, request: Uint8Array, offset: number): void {
		const word = readU32(request, offset + requestChannelOffset);
		const channel = this.#channels.of(word & channelMask);
		// Its thread has gone.
		if (channel === undefined) return;
		const wish = word >>> durabilityShift;
		let { observedSequence } = result;
		if (wish === wishNone && observedSequence > 0) {
			const { partition, durableSequence } = this.#host;
			if (observedSequence > durableSequence) partition.promise(partition.lastSequence);
			observedSequence = 0;
		}
		const mustSync = wish === wishAlways && observedSequence > 0;
		const isHeld = this.#mustHold(observedSequence, mustSync);
		if (isHeld && this.#host.isLogOver) {
			this.refuse(request, offset);
			return;
		}
		const size = replySizeOf(result);
		const ring = channel.isBacklogged ? undefined : this.#maybeReserve(channel, size, isHeld, mustSync);
		if (ring !== undefined) {
			writeReply(ring.target, this.#reservedOffset, request, offset, result);
			ring.commit();
			return;
		}
		const bytes = new Uint8Array(size);
		writeReply(bytes, 0, request, offset, result);
		leaveBehind(channel, { bytes, observedSequence, mustSync });
	}

	/**
	 * Answers with the reason why nothing can be promised.
	 * @param code what refused it, when it is known
	 */
	refuse(request: Uint8Array, offset: number, code?: ErrorCode): void {
		const { maintenance } = this.#host.partition;
		const { refusal, isDiskFull } = maintenance;
		const reason = code ?? refusal?.code ?? (isDiskFull ? 'MILLRACE_DISK_FULL' : 'MILLRACE_POISONED');
		this.sendError(reason, maintenance.explain(statusOf(reason)), request, offset);
	}

	/** Answers with an error, which depends on nothing. */
	sendError(code: ErrorCode, text: string, request: Uint8Array, offset: number): void {
		this.#refusal.reset();
		this.#refusal.setError(code, text);
		this.send(this.#refusal, request, offset);
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

	/** Hands everything over: the open group to the log, the settled replies to their askers. */
	flush(): void {
		const { partition, isLogOver, queue } = this.#host;
		const { opener, all } = this.#channels;
		if (!isLogOver) {
			if (opener.needsPublish && !this.#needsSync) partition.putMarker();
			else partition.finishGroup();
			if (this.#needsSync) this.#host.putSync();
			opener.needsPublish = false;
			this.#needsSync = false;
			if (this.#needsPublish) this.#publishAttached();
			queue.publish();
		}
		for (let i = 0; i < all.length; i++) all[i].replies.publish();
	}

	// --- backlogs -----------------------------------------------------------------------------------

	/** True while the channel of this envelope does not take its replies: nothing should be begun for it. */
	isBacklogged(request: Uint8Array, offset: number): boolean {
		return this.#channelOf(request, offset)?.isBacklogged === true;
	}

	/** True when the thread of this envelope has gone. */
	hasLost(request: Uint8Array, offset: number): boolean {
		return this.#channelOf(request, offset) === undefined;
	}

	/** True when so much is left behind for the channel of this envelope that it gets nothing more but errors. */
	isOverBacklogged(request: Uint8Array, offset: number): boolean {
		return (this.#channelOf(request, offset)?.backlog.size ?? 0) > replyBacklogSizeMax;
	}

	/** Lets go of what there is room for now. */
	goOn(): void {
		for (const channel of this.#channels.all) if (channel.isBacklogged) this.#goOn(channel);
	}

	/** True when `goOn` would do something for this channel. Reads shared memory: fit for sleep re-checks. */
	canGoOn({ isBacklogged, backlog, heldReplies, replies }: AskerChannel): boolean {
		if (!isBacklogged) return false;
		const { bytes, observedSequence, mustSync } = backlog.first;
		return (this.#mustHold(observedSequence, mustSync) ? heldReplies : replies).hasRoom(bytes.length);
	}

	/** How much is left behind. */
	statistics(): Record<string, number> {
		const { all } = this.#channels;
		return {
			channels: all.length,
			backloggedReplies: all.reduce((sum, { backlog }) => sum + backlog.count, 0),
			backloggedBytes: all.reduce((sum, { backlog }) => sum + backlog.size, 0),
		};
	}

	// --- the end of the log -------------------------------------------------------------------------

	/** The log failed: those who wait for it get the error, and the log is not touched again. @throws any other error */
	becomePoisoned(error: unknown): void {
		if (!(error instanceof LogPoisoned)) throw error;
		if (this.#host.isLogOver) return;
		const reason = this.#host.noteLogOver();
		this.#isPoisoned = true;
		this.#host.partition.maintenance.refuseWrites(reason);
		const waiting = this.takeWaiting();
		for (const channel of this.#channels.all) this.#takeHeld(channel, waiting);
		for (const envelope of waiting) this.refuse(envelope, 0);
		this.#host.note(`${reason.message}: writes are refused until the database is opened again`);
		this.#host.parts.mail.poisoned(reason);
	}

	/** The log was stopped in order: it has let all held replies go. */
	noteLogStopped(): void {
		for (const channel of this.#channels.all) channel.needsPublish = false;
		this.#needsPublish = false;
		this.#needsSync = false;
	}

	// --- inside -------------------------------------------------------------------------------------

	/** A log that was stopped in order has synced everything. */
	#mustHold(observedSequence: number, mustSync: boolean): boolean {
		if (mustSync) return !this.#host.isLogOver || this.#isPoisoned;
		return observedSequence > 0 && observedSequence > this.#host.durableSequence;
	}

	/** Makes room in one of the channel's rings. @returns that ring, or undefined when it is full */
	#maybeReserve(channel: AskerChannel, size: number, isHeld: boolean, mustSync: boolean): RingProducer | undefined {
		const ring = isHeld ? channel.heldReplies : channel.replies;
		this.#reservedOffset = ring.reserve(size);
		if (this.#reservedOffset < 0) return undefined;
		if (!isHeld) return ring;
		channel.needsPublish = true;
		const isOpener = channel === this.#channels.opener;
		if (!isOpener) this.#needsPublish = true;
		if (!mustSync) return ring;
		this.#needsSync = true;
		// Of the opener's replies, none from here on is published by a group that goes before the sync.
		if (isOpener) this.#host.holdCommitPosition();
		return ring;
	}

	#publishAttached(): void {
		this.#needsPublish = false;
		for (const channel of this.#channels.all) {
			if (!channel.needsPublish) continue;
			channel.needsPublish = false;
			this.#host.putPublish(channel.number, channel.heldReplies.position);
		}
	}

	#channelOf(request: Uint8Array, offset: number): AskerChannel | undefined {
		return this.#channels.of(readU32(request, offset + requestChannelOffset) & channelMask);
	}

	#goOn(channel: AskerChannel): void {
		const { backlog } = channel;
		while (backlog.count > 0) {
			const { bytes, observedSequence, mustSync } = backlog.first;
			const isHeld = this.#mustHold(observedSequence, mustSync);
			const ring = this.#maybeReserve(channel, bytes.length, isHeld, mustSync);
			if (ring === undefined) return;
			ring.target.set(bytes, this.#reservedOffset);
			ring.commit();
			backlog.shift();
		}
		channel.isBacklogged = false;
		channel.replies.waitingForRoom(false);
		channel.heldReplies.waitingForRoom(false);
	}

	/** Takes back what waits for the log in a channel. @param envelopes gets one for each */
	#takeHeld(channel: AskerChannel, envelopes: Buffer[]): void {
		const add = (reply: Uint8Array, offset: number): void => {
			const envelope = Buffer.from(reply.subarray(offset, offset + requestHeaderSize));
			writeU32(envelope, requestChannelOffset, channel.number);
			envelopes.push(envelope);
		};
		channel.needsPublish = false;
		channel.heldReplies.forEachUnpublished(add);
		channel.heldReplies.rewind();
		for (const reply of channel.backlog.takeAll()) {
			if (this.#mustHold(reply.observedSequence, reply.mustSync)) add(reply.bytes, 0);
			else channel.backlog.add(reply);
		}
	}
}

/** The asker's rings have no room for it: it says so when there is some. */
function leaveBehind(channel: AskerChannel, reply: BackloggedReply): void {
	channel.backlog.add(reply);
	if (channel.isBacklogged) return;
	channel.isBacklogged = true;
	channel.replies.waitingForRoom(true);
	channel.heldReplies.waitingForRoom(true);
}
