/**
 * The commit rings that a log thread publishes: the opener's, and those of attached threads, by channel. It hears of a new one
 * when a message of the log ring names it: whoever attached it has put it into the control port before. Log thread only.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../src/base/assert.js';
import type { LogControl } from '../src/command/worker-boot.js';
import { PortBell } from '../src/ring/bell.js';
import { RingPublisher } from '../src/ring/ring-publisher.js';

interface AttachedRing {
	readonly publisher: RingPublisher;
	readonly bellPort: MessagePort;
}

export class LogChannels {
	readonly #opener: RingPublisher;
	readonly #control: MessagePort;
	readonly #attached = new Map<number, AttachedRing>();
	#hasClosed = false;

	constructor(opener: RingPublisher, control: MessagePort) {
		this.#opener = opener;
		this.#control = control;
	}

	/** Channels of attached threads that are known. */
	get count(): number {
		return this.#attached.size;
	}

	/** Lets the replies before a position of the channel's commit ring go. */
	publish(position: number, channel: number): void {
		const publisher = channel === 0 ? this.#opener : this.#find(channel)?.publisher;
		assert(publisher !== undefined, `channel ${channel} was announced before it is named`);
		publisher.publishTo(position);
	}

	/** The channel is not named again. It may never have been. */
	forget(channel: number): void {
		this.#find(channel)?.bellPort.close();
		this.#attached.delete(channel);
		this.#hasClosed = true;
	}

	/** True when ports were closed since the last call. */
	takeClosed(): boolean {
		const hasClosed = this.#hasClosed;
		this.#hasClosed = false;
		return hasClosed;
	}

	#find(channel: number): AttachedRing | undefined {
		return this.#attached.get(channel) ?? this.#receive().get(channel);
	}

	/** Takes all that were announced. */
	#receive(): Map<number, AttachedRing> {
		for (;;) {
			const received = receiveMessageOnPort(this.#control) as { message: LogControl } | undefined;
			if (received === undefined) return this.#attached;
			const { memory, bellPort } = received.message;
			const publisher = new RingPublisher(memory.commitRing, new PortBell(memory.askerBell, bellPort));
			this.#attached.set(memory.channel, { publisher, bellPort });
		}
	}
}
