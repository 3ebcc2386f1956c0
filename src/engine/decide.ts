/**
 * Tells a partition what became of a batch over several partitions. A decision is asked for until it is taken: what a partition
 * refuses for now (no room in its log for too long) it takes later. Only what ends a partition ends this. Any asking thread.
 */

import { copyBytes } from '../base/bytes.js';
import { type ErrorCode, MillraceError } from '../base/errors.js';
import { decideOutcomeOffset, decideSize, opDecide, transactionIdSize } from '../command/command-format.js';
import type { Asker, Reply } from './asker.js';

/** Nothing was done, and asking again may help. */
const passing: ReadonlySet<ErrorCode> = new Set(['MILLRACE_BUSY', 'MILLRACE_OVERLOADED', 'MILLRACE_DISK_FULL']);
const pauseMs = 20;

/**
 * @returns statusOk; statusNotFound: nothing is prepared there under this id
 * @throws MILLRACE_POISONED, MILLRACE_CLOSED, MILLRACE_WORKER_DIED: whether it was taken is not known
 */
export async function decide(
	asker: Asker,
	partition: number,
	id: Uint8Array,
	outcome: number,
	wish: number,
): Promise<Reply> {
	const value = new Uint8Array(decideSize);
	copyBytes(id, 0, value, 0, transactionIdSize);
	value[decideOutcomeOffset] = outcome;
	for (;;) {
		try {
			return await asker.ask(partition, { opcode: opDecide, value, wish });
		} catch (error) {
			if (!(error instanceof MillraceError) || !passing.has(error.code)) throw error;
		}
		await new Promise((resolve) => {
			setTimeout(resolve, pauseMs);
		});
	}
}
