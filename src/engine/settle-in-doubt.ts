/**
 * Settles batches over several partitions that nobody drives any more: their threads are gone, or the process that had them was.
 *
 *   in doubt at a partition ─┬─ decided at its coordinator ─> commit
 *                            └─ anything else ─────────────> abort
 *   all done and synced ─> coordinators forget
 *
 * Cut off at any point, it begins anew with the reports of then, and comes to the same: a decision is forgotten only when every
 * part of its batch is durable, and without a decision a coordinator's own part is aborted like any other.
 */
import type { MillraceError } from '../base/errors.js';
import { opTransactions, outcomeAbort, outcomeCommit, wishDefault } from '../command/command-format.js';
import type { TransactionReport } from '../command/transaction.js';
import type { Asker } from './asker.js';
import { decide } from './decide.js';
import { forget, makeDurable } from './forgetter.js';

/**
 * @param reports of all partitions, by partition, taken when nobody drives these batches any more
 * @param isOurs says which ids are to be settled: others are under way
 * @throws the first error that a partition met, when all that could be settled is
 */
export async function settleInDoubt(
	asker: Asker,
	reports: readonly TransactionReport[],
	isOurs: (id: string) => boolean,
): Promise<void> {
	const decided = reports.map((report) => new Set(report.decided.filter(isOurs)));
	// A live coordinator's decision may not be synced yet: nothing may be stored on its word before.
	await makeDurable(asker, partitionsWith(decided));
	const settling: Promise<unknown>[] = [];
	for (const [partition, { inDoubt }] of reports.entries()) {
		for (const { id, coordinator } of inDoubt) {
			if (!isOurs(id)) continue;
			const outcome = decided[coordinator]?.has(id) === true ? outcomeCommit : outcomeAbort;
			settling.push(decide(asker, partition, Buffer.from(id, 'hex'), outcome, wishDefault));
		}
	}
	const answers = await Promise.allSettled(settling);
	const failed = answers.find((answer) => answer.status === 'rejected');
	if (failed !== undefined) throw failed.reason as MillraceError;
	await makeDurable(asker, reports.keys());
	await Promise.all(
		partitionsWith(decided).map((partition) =>
			forget(
				asker,
				partition,
				[...decided[partition]].map((id) => Buffer.from(id, 'hex')),
			),
		),
	);
}

/** What every partition says of batches that are not settled, by partition. */
export async function askTransactions(asker: Asker): Promise<TransactionReport[]> {
	const replies = await asker.askAll({ opcode: opTransactions });
	return replies.map(({ value }) => JSON.parse(Buffer.from(value ?? []).toString()) as TransactionReport);
}

function partitionsWith(decided: readonly ReadonlySet<string>[]): number[] {
	return [...decided.keys()].filter((partition) => decided[partition].size > 0);
}
