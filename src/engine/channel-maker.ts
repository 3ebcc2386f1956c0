/**
 * The rings of attached threads: made when a thread attaches, kept when it has gone, for the next one. Opener only.
 *
 * Kept, because nobody can say when they would be freed: two threads of each partition hold them too, and those make so little
 * garbage that their collectors hardly ever run. So there are never more rings than threads were attached at once.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { attachedRingSizeDefault } from '../base/limits.js';
import type { ChannelMemory, ChannelPorts } from '../command/worker-boot.js';
import { PortBellOwner } from '../ring/bell.js';
import { createRing, emptyRing } from '../ring/ring-format.js';

type Rings = Pick<ChannelMemory, 'requestRing' | 'replyRing' | 'commitRing'>;

/** A channel's ends. The opener keeps none of the ports. */
export interface MadeChannel {
	readonly memory: ChannelMemory;
	readonly partitionPorts: ChannelPorts;
	readonly logBellPort: MessagePort;
	readonly askerPorts: {
		readonly bellPorts: readonly MessagePort[];
		readonly requestOversizePort: MessagePort;
		readonly replyOversizePort: MessagePort;
		readonly commitOversizePort: MessagePort;
	};
}

export class ChannelMaker {
	readonly #free: Rings[] = [];
	#madeCount = 0;

	/** Rings there are, in use or not: three for each. */
	get madeCount(): number {
		return this.#madeCount;
	}

	/** The bell of one more asking thread. */
	makeBell(): SharedArrayBuffer {
		return PortBellOwner.create();
	}

	make(channel: number, askerBell: SharedArrayBuffer): MadeChannel {
		const partitionBell = new MessageChannel();
		const logBell = new MessageChannel();
		const request = new MessageChannel();
		const reply = new MessageChannel();
		const commit = new MessageChannel();
		return {
			memory: { channel, askerBell, ...this.#takeRings() },
			partitionPorts: {
				bellPort: partitionBell.port1,
				requestOversizePort: request.port1,
				replyOversizePort: reply.port1,
				commitOversizePort: commit.port1,
			},
			logBellPort: logBell.port1,
			askerPorts: {
				bellPorts: [partitionBell.port2, logBell.port2],
				requestOversizePort: request.port2,
				replyOversizePort: reply.port2,
				commitOversizePort: commit.port2,
			},
		};
	}

	/** Takes a channel's rings back, when no thread touches them any more. */
	takeBack({ requestRing, replyRing, commitRing }: ChannelMemory): void {
		this.#free.push({ requestRing, replyRing, commitRing });
	}

	#takeRings(): Rings {
		const rings = this.#free.pop();
		if (rings !== undefined) {
			for (const ring of Object.values(rings) as SharedArrayBuffer[]) emptyRing(ring);
			return rings;
		}
		this.#madeCount++;
		const make = (): SharedArrayBuffer => createRing(attachedRingSizeDefault);
		return { requestRing: make(), replyRing: make(), commitRing: make() };
	}
}
