/**
 * Keeps spare log segments ready, so that rotation of the log waits for nothing: recycles released ones, prepares new ones,
 * and has removed what is too many. Partition's thread only; jobs do the work.
 */

import { segmentFileName } from '../wal/wal-format.js';
import type { EditLog } from './edit-log.js';
import type { JobFailure } from './jobs.js';
import type { Upkeep } from './upkeep.js';

export class SegmentKeeper {
	readonly #upkeep: Upkeep;
	readonly #edits: EditLog;
	#isPreparing = false;
	#recyclable: number[] = [];

	constructor(upkeep: Upkeep, edits: EditLog) {
		this.#upkeep = upkeep;
		this.#edits = edits;
	}

	maybePrepare(): void {
		const { recovered, options, host } = this.#upkeep;
		const isEnough = recovered.segments.spareCount >= options.segmentSpareCount;
		if (isEnough || this.#isPreparing || this.#upkeep.isStopped) return;
		this.#isPreparing = true;
		host.submitJob({
			kind: 'prepareSegment',
			segmentId: this.#upkeep.takeFileId(),
			size: options.segmentSize,
			recycledId: this.#recyclable.shift(),
		});
	}

	onPrepared(id: number, error: JobFailure | undefined): void {
		this.#isPreparing = false;
		if (error !== undefined) {
			this.#upkeep.onJobFailed('a log segment could not be prepared', error);
			return;
		}
		this.#edits.put({ addSegments: [id] });
		this.#upkeep.recovered.segments.addSpare(id);
		this.maybePrepare();
	}

	/** Takes segments that the manifest has forgotten: some become spares again, the rest goes. */
	recycle(ids: readonly number[]): void {
		this.#recyclable.push(...ids);
		this.maybePrepare();
		const target = this.#upkeep.options.segmentSpareCount;
		if (this.#recyclable.length <= target) return;
		const names = this.#recyclable.splice(0, this.#recyclable.length - target).map(segmentFileName);
		this.#upkeep.host.submitJob({ kind: 'removeFiles', names });
	}
}
