/**
 * Makes the successor of a running partition's manifest ready, so that the switch needs no space and hardly any time: the
 * file in its full size, and the `CURRENT.tmp` that names it, both durable. Runs in the background pool.
 *
 * Whatever a crash leaves of it is dead: CURRENT names the old manifest until the log thread renames CURRENT.tmp over it, after
 * it has written and synced the new one's first record.
 */
import { systemCodeOf } from '../../../base/errors.js';
import type { FileSystem } from '../../../env/ports.js';
import { manifestFileName, nextCurrentFileName } from './manifest-format.js';
import { writeWholeFile } from './whole-file.js';

/** @throws the system's error (ENOSPC when the disk is full: nothing is left then) */
export function prepareManifest(fileSystem: FileSystem, directory: string, number: number, size: number): void {
	const path = `${directory}/${manifestFileName(number)}`;
	const nextCurrent = `${directory}/${nextCurrentFileName}`;
	try {
		writeWholeFile(fileSystem, path, Buffer.alloc(size));
		writeWholeFile(fileSystem, nextCurrent, Buffer.from(`${manifestFileName(number)}\n`, 'latin1'));
	} catch (error) {
		if (systemCodeOf(error) !== 'ENOSPC') throw error;
		for (const half of [path, nextCurrent]) if (fileSystem.exists(half)) fileSystem.remove(half);
		throw error;
	}
	fileSystem.syncDirectory(directory);
}
