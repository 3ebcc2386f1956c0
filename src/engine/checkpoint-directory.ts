/**
 * A checkpoint of a whole database: a data directory of its own, made while the database goes on. Each partition makes its part
 * (storage/lsm/inspect/checkpoint.ts), consistent in itself. It gets the name asked for when it is complete, so that what a
 * crash cut off is not taken for one: an empty partition has nothing that would show that others are missing.
 *
 *   <target>.unfinished ─> partition-000 … in parallel, by the partitions ─> MILLRACE ─> renamed to <target>
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

/** Ending of a checkpoint in the making. */
const unfinishedEnding = '.unfinished';

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
	const unfinished = path + unfinishedEnding;
	refuseUnfit(fileSystem, path, unfinished);
	fileSystem.makeDirectory(unfinished);
	const directories = Array.from({ length: partitionCount }, (_, i) => `${unfinished}/${partitionDirectoryName(i)}`);
	try {
		const answers = await makeAll(directories);
		completeDataDirectory(fileSystem, { path: unfinished, partitionCount });
		if (fileSystem.exists(path)) throw takenError(path);
		fileSystem.rename(unfinished, path);
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
		removeAll(fileSystem, unfinished);
		throw error;
	}
}

function refuseUnfit(fileSystem: FileSystem, path: string, unfinished: string): void {
	if (fileSystem.exists(path)) throw takenError(path);
	if (!fileSystem.exists(dirname(path))) {
		throw new MillraceError('MILLRACE_DIRECTORY', `${dirname(path)} does not exist: a checkpoint is made inside of it`);
	}
	if (!fileSystem.exists(unfinished)) return;
	throw new MillraceError(
		'MILLRACE_DIRECTORY',
		`${unfinished} exists: a checkpoint that was cut off left it there, or one is being made; in the first case delete it`,
	);
}

function takenError(path: string): MillraceError {
	return new MillraceError('MILLRACE_DIRECTORY', `${path} exists already: a checkpoint makes its own directory`);
}

function removeAll(fileSystem: FileSystem, directory: string): void {
	if (!fileSystem.exists(directory)) return;
	for (const name of fileSystem.list(directory)) fileSystem.remove(`${directory}/${name}`);
	fileSystem.removeDirectory(directory);
}
