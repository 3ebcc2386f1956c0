/**
 * Batches over several partitions that are prepared here and not decided, and decisions of this partition that others may
 * still ask for (command/transaction.ts).
 */
import type { TransactionReport } from '../../../command/transaction.js';

export class Transactions {
	/** Prepared batches: while there are any, `isLocked` has to be asked. */
	readonly count: number = 0;

	/** True while a prepared batch has a key with this hash: neither read nor written until it is decided. */
	isLocked(_hash: number): boolean {
		return false;
	}

	/** Everybody has carried out what was decided. @param id hexadecimal */
	forget(_id: string): void {}

	report(): TransactionReport {
		return { inDoubt: [], decided: [] };
	}
}
