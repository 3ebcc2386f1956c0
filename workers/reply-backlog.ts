/**
 * Replies of one channel that its rings have no room for: copies, oldest first. They leave one by one when the asker has taken
 * others; until then nothing more is begun for that channel, so what lies here is what was under way, and little more.
 * Partition's thread only.
 */
import { assert } from '../src/base/assert.js';

export interface BackloggedReply {
	/** Header and payload. */
	readonly bytes: Uint8Array;
	/** What must be durable before it leaves; 0: nothing. */
	readonly observedSequence: number;
	/** It waits for a sync, whatever the durability of the database. */
	readonly mustSync: boolean;
}

export class ReplyBacklog {
	#replies: BackloggedReply[] = [];
	/** Replies before this index have left. */
	#first = 0;
	#size = 0;

	get count(): number {
		return this.#replies.length - this.#first;
	}

	/** Bytes of all. */
	get size(): number {
		return this.#size;
	}

	/** The oldest. */
	get first(): BackloggedReply {
		assert(this.count > 0, 'something is left behind');
		return this.#replies[this.#first];
	}

	add(reply: BackloggedReply): void {
		this.#replies.push(reply);
		this.#size += reply.bytes.length;
	}

	/** Lets go of the oldest. */
	shift(): void {
		this.#size -= this.first.bytes.length;
		this.#first++;
		// Those that left are dropped together: `Array.shift` would move all others every time.
		if (this.#first * 2 < this.#replies.length) return;
		this.#replies = this.#replies.slice(this.#first);
		this.#first = 0;
	}

	/** Takes out all. */
	takeAll(): BackloggedReply[] {
		const replies = this.#replies.slice(this.#first);
		this.#replies = [];
		this.#first = 0;
		this.#size = 0;
		return replies;
	}
}
