/**
 * The long reads under way (long-reads.ts), each in turn for a slice. One whose asker does not take its replies waits until it
 * does: its answer would only be left behind. Partition's thread only.
 */
import {
	commandFlagsOffset,
	flagSequence,
	readCommandSequence,
	requestHeaderSize,
} from '../src/command/command-format.js';
import { CommandResult } from '../src/storage/lsm/apply/command-result.js';
import type { Partition } from '../src/storage/lsm/partition.js';
import { LongRead } from './long-reads.js';
import type { ReplyGate } from './reply-gate.js';

export class LongReadQueue {
	readonly #gate: ReplyGate;
	readonly #result = new CommandResult();
	/** The one that had no slice for longest comes first. */
	#reads: LongRead[] = [];

	constructor(gate: ReplyGate) {
		this.#gate = gate;
	}

	/** @throws MILLRACE_SNAPSHOT */
	begin(partition: Partition, request: Uint8Array, offset: number): void {
		const command = offset + requestHeaderSize;
		const isAtSnapshot = (request[command + commandFlagsOffset] & flagSequence) !== 0;
		const snapshot = isAtSnapshot ? readCommandSequence(request, command) : undefined;
		this.#reads.push(new LongRead(request, offset, partition.beginRead(snapshot)));
	}

	/**
	 * A slice of the read that had none for longest: a long one does not hold up short ones. None keeps what was replaced, while
	 * writes wait for just that.
	 * @returns false when there is none that may go on
	 */
	maybeStep(): boolean {
		if (this.#reads.length === 0) return false;
		for (const waiting of this.#reads) waiting.maybeLetGo();
		const index = this.#reads.findIndex(({ envelope }) => !this.#gate.isBacklogged(envelope, 0));
		if (index < 0) return false;
		const [read] = this.#reads.splice(index, 1);
		try {
			if (read.step(this.#result)) this.#gate.send(this.#result, read.envelope, 0);
			else this.#reads.push(read);
		} catch (error) {
			read.close();
			this.#gate.sendDamage(error, read.envelope, 0);
		}
		return true;
	}

	/** Ends those whose thread has gone. */
	dropLost(): void {
		const lost = this.#reads.filter(({ envelope }) => this.#gate.hasLost(envelope, 0));
		for (const read of lost) read.close();
		if (lost.length > 0) this.#reads = this.#reads.filter((read) => !lost.includes(read));
	}

	/** Ends all, unanswered. */
	close(): void {
		for (const read of this.#reads) read.close();
		this.#reads = [];
	}
}
