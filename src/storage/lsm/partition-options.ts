/** What a partition can be told, with defaults from base/limits.ts. Sizes in bytes. */
import { assert } from '../../base/assert.js';
import {
	blockCacheSizeDefault,
	blockSizeDefault,
	levelZeroCountMax,
	memtableCountMax,
	memtableSizeDefault,
	segmentSizeDefault,
	segmentSpareCount,
} from '../../base/limits.js';

export interface PartitionOptions {
	/** Arena of one memtable. A value must fit an empty one. */
	readonly memtableSize: number;
	readonly memtableCountMax: number;
	readonly segmentSize: number;
	readonly segmentSpareCount: number;
	readonly blockSize: number;
	readonly blockCacheSize: number;
	/** Tables at which flushes wait for a merge. */
	readonly tableCountMax: number;
	/** What to do when the log is damaged before its end: refuse to open, or give up what follows the damage. */
	readonly damagedLog: 'refuse' | 'truncate';
}

/** Fills in defaults. */
export function partitionOptions(given: Partial<PartitionOptions> = {}): PartitionOptions {
	const options = {
		memtableSize: memtableSizeDefault,
		memtableCountMax,
		segmentSize: segmentSizeDefault,
		segmentSpareCount,
		blockSize: blockSizeDefault,
		blockCacheSize: blockCacheSizeDefault,
		tableCountMax: levelZeroCountMax,
		damagedLog: 'refuse' as const,
		...given,
	};
	assert(options.memtableSize >= 16 * 1024 && options.memtableSize % 8 === 0, `memtableSize ${options.memtableSize}`);
	assert(options.memtableCountMax >= 2, 'one memtable is written while another is flushed');
	assert(options.segmentSize >= 4096 && options.segmentSize < 2 ** 31, `segmentSize ${options.segmentSize}`);
	return options;
}
