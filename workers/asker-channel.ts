/**
 * One channel: the rings to and from one asking thread, as the partition's thread sees them.
 *
 *   requests ─> window ─> carried out ─┬─> replies       settled: visible when we publish
 *                                      ├─> heldReplies   wait for the log: visible when the log thread publishes
 *                                      └─> backlog       neither has room: the asker does not take its replies
 *
 * While there is a backlog, nothing is taken from `requests`, not even the rest of a window: a thread that does not take its
 * replies holds up itself and nobody else. Partition's thread only; `requests`' bytes are borrowed until they are released.
 */
import type { MessagePort } from 'node:worker_threads';
import { maybeRegisterGuest, unregisterGuest } from '../src/base/word-copy.js';
import type { ChannelMemory, ChannelPorts } from '../src/command/worker-boot.js';
import { type Bell, PortBell } from '../src/ring/bell.js';
import { RingConsumer } from '../src/ring/ring-consumer.js';
import { RingProducer } from '../src/ring/ring-producer.js';
import { ReplyBacklog } from './reply-backlog.js';
import { RequestWindow } from './request-window.js';

export type ChannelRings = Pick<ChannelMemory, 'requestRing' | 'replyRing' | 'commitRing'>;

export class AskerChannel {
	readonly number: number;
	readonly requests: RingConsumer;
	readonly replies: RingProducer;
	readonly heldReplies: RingProducer;
	readonly window: RequestWindow;
	readonly backlog = new ReplyBacklog();
	/** There is a backlog: kept apart because it is looked at after every request. */
	isBacklogged = false;
	/** Replies were held since the log was last told how far this channel's may be published. */
	needsPublish = false;
	/** The window was filled since the last release. */
	#wasAsked = false;
	#ports: ChannelPorts | undefined;
	/** The long-lived arrays that requests are copied from and replies to. */
	readonly sharedBytes: readonly Uint8Array[];

	constructor(number: number, requests: RingConsumer, replies: RingProducer, heldReplies: RingProducer) {
		this.number = number;
		this.requests = requests;
		this.replies = replies;
		this.heldReplies = heldReplies;
		this.window = new RequestWindow(requests);
		// Before the first request, which may have a buffer of its own.
		this.sharedBytes = [requests.source, replies.bytes, heldReplies.bytes];
	}

	/** @param askerBell rings the asking thread */
	static over(
		number: number,
		rings: ChannelRings,
		askerBell: Bell,
		ports: Omit<ChannelPorts, 'bellPort'>,
	): AskerChannel {
		return new AskerChannel(
			number,
			new RingConsumer(rings.requestRing, askerBell, ports.requestOversizePort),
			new RingProducer(rings.replyRing, askerBell, ports.replyOversizePort),
			new RingProducer(rings.commitRing, askerBell, ports.commitOversizePort),
		);
	}

	/** Of a thread that attaches. `close` it when that goes. */
	static attached({ channel: number, askerBell, ...rings }: ChannelMemory, ports: ChannelPorts): AskerChannel {
		const channel = AskerChannel.over(number, rings, new PortBell(askerBell, ports.bellPort), ports);
		channel.#ports = ports;
		for (const bytes of channel.sharedBytes) maybeRegisterGuest(bytes);
		return channel;
	}

	/** The thread has gone: its rings are not touched again. */
	close(): void {
		for (const bytes of this.sharedBytes) unregisterGuest(bytes);
		for (const port of Object.values(this.#ports ?? {}) as MessagePort[]) port.close();
	}

	/** There is a request that may be taken. Reads shared memory: fit for sleep re-checks. */
	get hasRequest(): boolean {
		return !this.isBacklogged && (this.window.isUnfinished || this.requests.hasNext());
	}

	/** Gives back what was taken, unless a part of it is still to be carried out. */
	release(): void {
		if (!this.#wasAsked || this.window.isUnfinished) return;
		this.#wasAsked = false;
		this.requests.release();
	}

	noteAsked(): void {
		this.#wasAsked = true;
	}
}
