/**
 * How many replies may be under way to one connection at once, so that their bytes stay bounded although nobody knows how large
 * a value is before it is read: the limit grows by one with every small reply and shrinks at once so that as many replies as
 * large as the last one would fit the budget. Pure; one for each connection.
 */

/** Replies in flight to one connection should stay below this many bytes together. */
const budgetSize = 64 * 1024 * 1024;
/** Before the first reply is seen: eight of the largest values are half of what a connection may hold. */
const limitStart = 8;

export class ReplyBudget {
	#limit: number;
	readonly #limitMax: number;

	constructor(limitMax: number) {
		this.#limitMax = limitMax;
		this.#limit = Math.min(limitStart, limitMax);
	}

	/** Replies that may be under way now. */
	get limit(): number {
		return this.#limit;
	}

	/** A reply of this size came. */
	onReply(size: number): void {
		if (size * this.#limit > budgetSize) this.#limit = Math.max(1, Math.floor(budgetSize / size));
		else if (this.#limit < this.#limitMax) this.#limit++;
	}
}
