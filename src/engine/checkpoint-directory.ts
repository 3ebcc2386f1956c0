/**
 * A checkpoint of a whole database: a data directory of its own, made while the database goes on. Each partition makes its part
 * (storage/lsm/checkpoint.ts), consistent in itself; the head file comes last, so a directory that has one is complete.
 *
 *   directory ─> partition-000 … in parallel, by the partitions ─> MILLRACE
 */
import { dirname, resolve } from 'node:path';
import { MillraceError } from '../base/errors.js';
import type { FileSystem } from '../env/ports.js';
import { completeDataDirectory, partitionDirectoryName } from './data-directory.js';

/** What came of it, summed up over the partitions. */
export interface DatabaseCheckpoint {
	/** Absolute. */
	readonly directory: string;
	readonly tableCount: number;
	readonly tableBytes: number;
	/** '' when all tables are hard links; else why they had to be copied (EXDEV: it is on another file system). */
	readonly copiedBecause: string;
}

type PartitionCheckpoint = Omit<DatabaseCheckpoint, 'directory'>;

/**
 * @param makeAll has every partition make its part in the directory given for it, and gives back what each answered, as JSON
 * @throws MILLRACE_DIRECTORY when the target exists or its parent does not; what a partition throws. Nothing is left then
 */
export async function checkpointDirectory(
	fileSystem: FileSystem,
	target: string,
	partitionCount: number,
	makeAll: (directories: readonly string[]) => Promise<readonly string[]>,
): Promise<DatabaseCheckpoint> {
	const path = resolve(target);
	if (fileSystem.exists(path)) {
		throw new MillraceError('MILLRACE_DIRECTORY', `${path} exists already: a checkpoint makes its own directory`);
	}
	if (!fileSystem.exists(dirname(path))) {
		throw new MillraceError('MILLRACE_DIRECTORY', `${dirname(path)} does not exist: a checkpoint is made inside of it`);
	}
	fileSystem.makeDirectory(path);
	const directories = Array.from({ length: partitionCount }, (_, i) => `${path}/${partitionDirectoryName(i)}`);
	try {
		const answers = await makeAll(directories);
		completeDataDirectory(fileSystem, { path, partitionCount });
		fileSystem.syncDirectory(dirname(path));
		const parts = answers.map((text) => JSON.parse(text) as PartitionCheckpoint);
		return {
			directory: path,
			tableCount: parts.reduce((sum, part) => sum + part.tableCount, 0),
			tableBytes: parts.reduce((sum, part) => sum + part.tableBytes, 0),
			copiedBecause: parts.find((part) => part.copiedBecause !== '')?.copiedBecause ?? '',
		};
	} catch (error) {
		for (const directory of directories) removeAll(fileSystem, directory);
		removeAll(fileSystem, path);
		throw error;
	}
}

function removeAll(fileSystem: FileSystem, directory: string): void {
	if (!fileSystem.exists(directory)) return;
	for (const name of fileSystem.list(directory)) fileSystem.remove(`${directory}/${name}`);
	fileSystem.removeDirectory(directory);
}
