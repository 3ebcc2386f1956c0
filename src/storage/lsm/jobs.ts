/**
 * Work that a partition gives away: the partition decides what, the background pool does it, the partition installs the
 * result. Jobs and results are plain data (structured clone); arenas travel as SharedArrayBuffers, without a copy.
 * A job touches only files that nothing names yet, so one that fails or is cut off leaves nothing to repair.
 */
import { type ErrorCode, MillraceError, systemCodeOf } from '../../base/errors.js';
import type { FileSystem } from '../../env/ports.js';
import { tableFileName } from './manifest/manifest-format.js';
import { Memtable } from './memtable/memtable.js';
import { MemtableIterator } from './memtable/memtable-iterator.js';
import { MergeIterator } from './merge-iterator.js';
import { writeMerged } from './table/merge-writer.js';
import { TableBuilder } from './table/table-builder.js';
import type { TableMeta } from './table/table-meta.js';
import { TableReader } from './table/table-reader.js';
import { prepareSegment } from './wal/segment-preparer.js';

export type Job =
	| {
			readonly kind: 'flush';
			readonly arena: SharedArrayBuffer;
			readonly tableId: number;
			readonly blockSize: number;
	  }
	| {
			readonly kind: 'merge';
			/** Neighbours, newest first. */
			readonly inputIds: readonly number[];
			readonly tableId: number;
			readonly blockSize: number;
			/** No older table remains, so tombstones and expired entries have nothing left to hide. */
			readonly isBottom: boolean;
			readonly nowMs: number;
	  }
	| {
			readonly kind: 'prepareSegment';
			readonly segmentId: number;
			readonly size: number;
			readonly recycledId: number | undefined;
	  }
	| { readonly kind: 'removeFiles'; readonly names: readonly string[] };

/** The table a flush or merge made; undefined when nothing was left to store, or for other jobs. */
export type JobResult = TableMeta | undefined;

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

/** Does a job. Runs in the background pool. @throws what the file system or a check throws; nothing is left half-named */
export function runJob(fileSystem: FileSystem, directory: string, job: Job): JobResult {
	switch (job.kind) {
		case 'flush':
			return flushMemtable(fileSystem, directory, job.arena, job.tableId, job.blockSize);
		case 'merge':
			return mergeTables(fileSystem, directory, job);
		case 'prepareSegment':
			prepareSegment(fileSystem, directory, job.segmentId, job.size, job.recycledId);
			return undefined;
		case 'removeFiles':
			for (const name of job.names) {
				if (fileSystem.exists(`${directory}/${name}`)) fileSystem.remove(`${directory}/${name}`);
			}
			fileSystem.syncDirectory(directory);
			return undefined;
	}
}

/** Writes a memtable's newest versions, tombstones included, as a table. */
export function flushMemtable(
	fileSystem: FileSystem,
	directory: string,
	arena: SharedArrayBuffer,
	tableId: number,
	blockSize: number,
): JobResult {
	const source = new MemtableIterator(new Memtable(arena), true);
	source.seekFirst();
	return writeTable(fileSystem, directory, tableId, blockSize, (builder) =>
		writeMerged(source, builder, { keepSequences: [], dropTombstones: false, expiredBeforeMs: 0 }),
	);
}

function mergeTables(fileSystem: FileSystem, directory: string, job: Extract<Job, { kind: 'merge' }>): JobResult {
	const inputs = job.inputIds.map((id) => TableReader.open(fileSystem, `${directory}/${tableFileName(id)}`, id));
	try {
		const source = new MergeIterator(inputs.map((table) => table.iterator()));
		source.seekFirst();
		return writeTable(fileSystem, directory, job.tableId, job.blockSize, (builder) =>
			writeMerged(source, builder, {
				keepSequences: [],
				dropTombstones: job.isBottom,
				expiredBeforeMs: job.nowMs,
			}),
		);
	} finally {
		for (const table of inputs) table.close();
	}
}

/** Writes a table, checks every byte of it, and only then says that it exists. */
function writeTable(
	fileSystem: FileSystem,
	directory: string,
	tableId: number,
	blockSize: number,
	write: (builder: TableBuilder) => number,
): JobResult {
	const path = `${directory}/${tableFileName(tableId)}`;
	if (fileSystem.exists(path)) fileSystem.remove(path);
	const file = fileSystem.open(path, 'create');
	let meta: TableMeta;
	try {
		const builder = new TableBuilder(file, tableId, { blockSize });
		if (write(builder) === 0) {
			fileSystem.remove(path);
			return undefined;
		}
		meta = builder.finish();
	} catch (error) {
		fileSystem.remove(path);
		throw error;
	} finally {
		file.close();
	}
	const table = TableReader.open(fileSystem, path, tableId);
	try {
		table.verify();
	} finally {
		table.close();
	}
	fileSystem.syncDirectory(directory);
	return meta;
}
