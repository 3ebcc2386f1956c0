/**
 * What the parts of a partition's maintenance share: the partition's things, and whether work may begin at all.
 *
 *   disk full         passes: the guard lets everything be tried again
 *   any other failure is for a person: writes are refused for good, reads go on
 *
 * Partition's thread only.
 */
import { type ErrorCode, MillraceError } from '../../../base/errors.js';
import type { FileSystem } from '../../../env/ports.js';
import type { LsmTree } from '../lsm-tree.js';
import { tableFileName } from '../manifest/manifest-format.js';
import type { PartitionHost } from '../partition.js';
import type { PartitionOptions } from '../partition-options.js';
import type { RecoveredPartition } from '../recovery/recovery.js';
import { TableReader } from '../table/table-reader.js';
import { DiskGuard } from './disk-guard.js';
import type { JobFailure } from './jobs.js';
import { reserveFileName } from './reserve-file.js';

export class Upkeep {
	readonly fileSystem: FileSystem;
	readonly directory: string;
	readonly options: PartitionOptions;
	readonly host: PartitionHost;
	readonly recovered: RecoveredPartition;
	readonly tree: LsmTree;
	readonly disk: DiskGuard;
	#refusal: MillraceError | undefined;
	/** Time of the drain under way; the partition keeps it. */
	nowMs: number;
	/** What the clock showed last: for durations. It may have been put back. */
	clockMs = 0;

	constructor(
		fileSystem: FileSystem,
		directory: string,
		options: PartitionOptions,
		host: PartitionHost,
		recovered: RecoveredPartition,
	) {
		this.fileSystem = fileSystem;
		this.directory = directory;
		this.options = options;
		this.host = host;
		this.recovered = recovered;
		this.disk = new DiskGuard(options, recovered.hasReserve);
		this.tree = recovered.tree;
		this.nowMs = recovered.lastTimestampMs;
	}

	/** Why writes are refused for good, if they are. */
	get refusal(): MillraceError | undefined {
		return this.#refusal;
	}

	/** Refuses writes from now on; what is certain goes on being served. The first reason stays. */
	refuseWrites(error: MillraceError): void {
		// A log that fails at its end is worse than the closing that was the reason until then.
		if (this.#refusal === undefined || this.#refusal.code === 'MILLRACE_CLOSED') this.#refusal = error;
	}

	/** Nothing that ends in an edit is begun on a full disk, without room for the edit, or after a failure that needs a person. */
	get isStopped(): boolean {
		return this.disk.isPaused || this.#refusal !== undefined || this.recovered.manifest.isStuck;
	}

	onJobFailed(what: string, error: JobFailure): void {
		if (error.systemCode === 'ENOSPC') {
			if (this.disk.onJobFailed() === 'remove') this.host.submitJob({ kind: 'removeFiles', names: [reserveFileName] });
			return;
		}
		const code: ErrorCode = error.code ?? 'MILLRACE_POISONED';
		this.refuseWrites(new MillraceError(code, `${what}: ${error.message}`));
	}

	/** Bytes that files may still take on the disk. */
	readonly freeBytes = (): number => this.fileSystem.freeBytes(this.directory);

	/** Numbers for new files, never used before. @returns the first of `count` */
	takeFileId(count = 1): number {
		return this.recovered.manifest.takeFileIds(count);
	}

	/** Tells the guard what the files take: tables, log and manifest. */
	noteUsage(): void {
		const { manifest } = this.recovered;
		let tableBytes = 0;
		for (const table of manifest.state.tables.values()) tableBytes += table.size;
		const logBytes = manifest.state.segments.size * this.options.segmentSize;
		this.disk.onUsage(tableBytes, logBytes + manifest.sizeOnDisk);
	}

	openTable(id: number): TableReader {
		return TableReader.open(this.fileSystem, `${this.directory}/${tableFileName(id)}`, id, this.recovered.cache);
	}
}
