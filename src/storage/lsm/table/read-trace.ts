/**
 * What one point read touched, table by table, in the order it asked them: for `explain`. A read without a trace pays one
 * comparison for it. The caller brings the clock; one trace serves one read.
 */

export interface TableStep {
	readonly tableId: number;
	/** 'none': the table has no filter. 'absent': the filter denied the key, and nothing else was touched. */
	readonly filter: 'none' | 'absent' | 'maybe';
	/** Where the block that was looked into starts in the file; -1: none was. */
	readonly blockOffset: number;
	/** Bytes of the block with header. */
	readonly blockSize: number;
	/** The block was in the cache; otherwise it was read from the file. */
	readonly isCacheHit: boolean;
	readonly isFound: boolean;
	readonly tookUs: number;
}

export class ReadTrace {
	readonly steps: TableStep[] = [];
	readonly nowUs: () => number;

	/** @param nowUs microseconds of a clock that does not jump */
	constructor(nowUs: () => number) {
		this.nowUs = nowUs;
	}
}
