/**
 * `batch()`: operations checked and gathered by partition, then carried out, all or none. One asking thread.
 *
 *   operations ─> BatchGatherer ─┬─ one partition:  opBatch, one message
 *                                └─ several:        BatchCommitter, two phases
 */
import { copyOf } from '../base/bytes.js';
import type { BatchOperation } from '../command/store.js';
import { BatchCommitter } from './batch-commit.js';
import { aboutOperation, BatchGatherer, gatherBatch, isAboutData } from './batch-operations.js';
import type { Calls } from './calls.js';
import type { EpochGate } from './epoch-gate.js';

export class Batches {
	readonly #calls: Calls;
	readonly #committer: BatchCommitter;
	readonly #gatherer: BatchGatherer;

	constructor(calls: Calls, gate: EpochGate) {
		this.#calls = calls;
		this.#committer = new BatchCommitter(calls, gate);
		this.#gatherer = new BatchGatherer(calls.partitionCount, (key) => calls.partitionOf(key.bytes, key.size));
	}

	/**
	 * @returns undefined when a condition was not met, or there is nothing to do
	 * @throws TypeError or a coded error that names the operation: nothing was sent then; what a partition refuses it with
	 */
	async commit(operations: readonly BatchOperation[], wish: number): Promise<{ readonly count: number } | undefined> {
		if (!Array.isArray(operations)) throw new TypeError('batch takes an array of operations');
		const gatherer = this.#gatherer;
		gatherBatch(gatherer, operations);
		const { count, partitions } = gatherer;
		if (partitions.length === 0) return undefined;
		if (partitions.length > 1) {
			// The gatherer's bytes are lent until the next batch, and two phases take longer.
			const parts = partitions.map((partition) => ({ partition, value: copyOf(gatherer.valueOf(partition)) }));
			return (await this.#committer.commit(parts, wish)) ? { count } : undefined;
		}
		const { isDone, index, error } = await this.#calls.batch(partitions[0], gatherer.valueOf(partitions[0]), wish);
		if (error === undefined) return isDone ? { count } : undefined;
		throw isAboutData(error) ? aboutOperation(`operation ${index} of the batch`, error) : error;
	}
}
