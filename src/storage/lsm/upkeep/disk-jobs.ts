/** Jobs of the background pool that are not about compaction: room on the disk, checkpoints, verification. See jobs.ts. */
import type { FileSystem } from '../../../env/ports.js';
import { type CheckpointJob, type CheckpointResult, makeCheckpoint } from '../inspect/checkpoint.js';
import { type FileFacts, type VerifyTask, verifyFile } from '../inspect/verify-file.js';
import { prepareManifest } from '../manifest/prepare-manifest.js';
import { prepareReserve } from './reserve-file.js';

export type DiskJob =
	| { readonly kind: 'prepareManifest'; readonly number: number; readonly size: number }
	| { readonly kind: 'prepareReserve'; readonly size: number }
	| { readonly kind: 'verify'; readonly task: VerifyTask }
	| CheckpointJob;

export type DiskJobResult = CheckpointResult | FileFacts | undefined;

export function runDiskJob(fileSystem: FileSystem, directory: string, job: DiskJob): DiskJobResult {
	switch (job.kind) {
		case 'prepareManifest':
			prepareManifest(fileSystem, directory, job.number, job.size);
			return undefined;
		case 'prepareReserve':
			prepareReserve(fileSystem, directory, job.size);
			return undefined;
		case 'verify':
			return verifyFile(fileSystem, directory, job.task);
		case 'checkpoint':
			return makeCheckpoint(fileSystem, directory, job);
	}
}
