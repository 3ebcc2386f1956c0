/**
 * How far a recovery is, for whoever waits for it: first the tables are opened, then the log is replayed. Partition's thread.
 */

export type RecoveryStep = 'tables' | 'log';

/** Hears of it often, once for each table and group: thin it out before it goes anywhere. At the end of a step done = total. */
export type OnRecovery = (step: RecoveryStep, done: number, total: number) => void;

export class RecoveryProgress {
	readonly #onRecovery: OnRecovery | undefined;
	#step: RecoveryStep = 'tables';
	#total = 0;
	/** Of the parts that are over. */
	#done = 0;

	constructor(onRecovery: OnRecovery | undefined) {
		this.#onRecovery = onRecovery;
	}

	/** @param parts the sizes of what is to be done, in order */
	begin(step: RecoveryStep, parts: readonly number[]): void {
		this.#step = step;
		this.#done = 0;
		this.#total = parts.reduce((sum, size) => sum + size, 0);
	}

	/** So much of the present part is done. */
	reach(doneOfPart: number): void {
		if (this.#total > 0) this.#onRecovery?.(this.#step, this.#done + doneOfPart, this.#total);
	}

	/** A part is over. @param size as it was given to `begin` */
	endPart(size: number): void {
		this.#done += size;
		this.reach(0);
	}
}
