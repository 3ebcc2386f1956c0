/**
 * The channels of a partition: the opener's, number 0, which is always there, and those of attached threads, which come and go.
 * Numbers are never used again, so a reply to a thread that has gone finds no channel.
 *
 *   next(): whose turn it is    opener ─> attached ─> attached ─> opener …    a window of requests each
 *
 * Partition's thread only.
 */
import { assert } from '../src/base/assert.js';
import type { AskerChannel } from './asker-channel.js';

export class AskerChannels {
	readonly opener: AskerChannel;
	/** All of them, in the order they take turns. */
	readonly all: AskerChannel[];
	readonly #attached = new Map<number, AskerChannel>();
	#turn = 0;

	constructor(opener: AskerChannel) {
		assert(opener.number === 0, "the opener's channel is number 0");
		this.opener = opener;
		this.all = [opener];
	}

	/** @returns undefined when its thread has gone */
	of(number: number): AskerChannel | undefined {
		return number === 0 ? this.opener : this.#attached.get(number);
	}

	/** The channel after the one of the last call. */
	next(): AskerChannel {
		this.#turn = this.#turn + 1 < this.all.length ? this.#turn + 1 : 0;
		return this.all[this.#turn];
	}

	attach(channel: AskerChannel): void {
		assert(channel.number > 0 && !this.#attached.has(channel.number), `channel ${channel.number} is new`);
		this.#attached.set(channel.number, channel);
		this.all.push(channel);
	}

	/** @returns undefined when it is not there (any more) */
	detach(number: number): AskerChannel | undefined {
		const channel = this.#attached.get(number);
		if (channel === undefined) return undefined;
		this.#attached.delete(number);
		this.all.splice(this.all.indexOf(channel), 1);
		this.#turn = 0;
		return channel;
	}
}
