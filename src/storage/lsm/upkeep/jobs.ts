/**
 * Work that a partition gives away: the partition decides what, the background pool does it, the partition installs the
 * result. Jobs and results are plain data (structured clone); arenas travel as SharedArrayBuffers, without a copy.
 * A job touches only files that nothing names yet, so one that fails or is cut off leaves nothing to repair.
 */
import { type ErrorCode, MillraceError, systemCodeOf } from '../../../base/errors.js';
import type { Clock, FileSystem } from '../../../env/ports.js';
import {
	type CompactionJob,
	compactTables,
	type FlushJob,
	flushMemtable,
	type WrittenTables,
} from '../compaction/table-jobs.js';
import { prepareSegment } from '../wal/segment-preparer.js';
import { type DiskJob, type DiskJobResult, runDiskJob } from './disk-jobs.js';

export { flushMemtable };

export type Job =
	| FlushJob
	| CompactionJob
	| {
			readonly kind: 'prepareSegment';
			readonly segmentId: number;
			readonly size: number;
			readonly recycledId: number | undefined;
	  }
	| { readonly kind: 'removeFiles'; readonly names: readonly string[] }
	| DiskJob;

/** The tables a flush or compaction made, or what a disk job found; undefined for other jobs. */
export type JobResult = WrittenTables | DiskJobResult;

/** Why a job failed, as plain data: errors lose their codes between threads. */
export interface JobFailure {
	/** Ours, when it was a MillraceError. */
	readonly code: ErrorCode | undefined;
	/** The system's (ENOSPC, EIO …), or ''. */
	readonly systemCode: string;
	readonly message: string;
}

export function jobFailureOf(error: unknown): JobFailure {
	return {
		code: error instanceof MillraceError ? error.code : undefined,
		systemCode: systemCodeOf(error),
		message: error instanceof Error ? error.message : String(error),
	};
}

/**
 * Does a job. Runs in the background pool.
 * @param clock for jobs that keep a pace; without one they do not
 * @throws what the file system or a check throws; nothing is left half-named
 */
export function runJob(fileSystem: FileSystem, directory: string, job: Job, clock?: Clock): JobResult {
	switch (job.kind) {
		case 'flush': {
			const { arena, tableId, blockSize, keepSequences, bitsPerKey } = job;
			const meta = flushMemtable(fileSystem, directory, arena, tableId, blockSize, keepSequences, bitsPerKey);
			return { tables: meta === undefined ? [] : [{ id: meta.id, size: meta.size }], counts: undefined };
		}
		case 'compact':
			return compactTables(fileSystem, directory, job, clock);
		case 'prepareSegment':
			// Asked first: filling up the last of a full disk every second would disturb whoever else is on it.
			if (job.recycledId === undefined && fileSystem.freeBytes(directory) < job.size) {
				throw Object.assign(new Error(`ENOSPC: no room for a log segment of ${job.size} bytes`), { code: 'ENOSPC' });
			}
			prepareSegment(fileSystem, directory, job.segmentId, job.size, job.recycledId);
			return undefined;
		case 'removeFiles':
			for (const name of job.names) {
				if (fileSystem.exists(`${directory}/${name}`)) fileSystem.remove(`${directory}/${name}`);
			}
			fileSystem.syncDirectory(directory);
			return undefined;
		default:
			return runDiskJob(fileSystem, directory, job);
	}
}
