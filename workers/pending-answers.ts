/**
 * Requests that were begun and are answered later, when a job or a flush is done; kept by their envelopes. Each is answered once:
 * by what it waits for, or by whoever takes it out because that will not come.
 */
import { requestHeaderSize } from '../src/command/command-format.js';

interface PendingAnswer {
	readonly envelope: Buffer;
	/** Waits until everything up to this sequence is in tables; undefined: for something else, which answers it. */
	readonly flushSequence: number | undefined;
	readonly onFlushed: (envelope: Buffer) => void;
}

export class PendingAnswers {
	#pending: PendingAnswer[] = [];

	/** @param request whose envelope stands at `offset`; copied @param onFlushed answers it */
	addFlush(request: Uint8Array, offset: number, sequence: number, onFlushed: (envelope: Buffer) => void): void {
		this.#pending.push({ envelope: envelopeOf(request, offset), flushSequence: sequence, onFlushed });
	}

	/** @returns its envelope, by which it is taken out again */
	add(request: Uint8Array, offset: number): Buffer {
		const envelope = envelopeOf(request, offset);
		this.#pending.push({ envelope, flushSequence: undefined, onFlushed: () => undefined });
		return envelope;
	}

	/** @returns false when it has been answered otherwise */
	take(envelope: Buffer): boolean {
		const count = this.#pending.length;
		this.#pending = this.#pending.filter((answer) => answer.envelope !== envelope);
		return this.#pending.length < count;
	}

	/** Takes out those that wait for a flush that is done, and calls each. */
	answerFlushed(flushedSequence: number): void {
		if (this.#pending.length === 0) return;
		const isReady = ({ flushSequence }: PendingAnswer): boolean =>
			flushSequence !== undefined && flushSequence <= flushedSequence;
		const ready = this.#pending.filter(isReady);
		this.#pending = this.#pending.filter((answer) => !isReady(answer));
		for (const { envelope, onFlushed } of ready) onFlushed(envelope);
	}

	/** Takes out those that wait for a flush. */
	takeFlushes(): Buffer[] {
		const flushes = this.#pending.filter(({ flushSequence }) => flushSequence !== undefined);
		this.#pending = this.#pending.filter(({ flushSequence }) => flushSequence === undefined);
		return flushes.map(({ envelope }) => envelope);
	}

	takeAll(): Buffer[] {
		return this.#pending.splice(0).map(({ envelope }) => envelope);
	}
}

function envelopeOf(request: Uint8Array, offset: number): Buffer {
	return Buffer.from(request.subarray(offset, offset + requestHeaderSize));
}
