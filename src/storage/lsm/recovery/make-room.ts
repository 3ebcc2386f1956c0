/**
 * Room on a full disk for what an opening cannot do without: a segment, a manifest, tables of a long replay. A crash may have
 * left files that are dead but not yet removed, and they may hold the very space that is missing.
 *
 *   step ──ENOSPC──> dead files removed ──> step ──ENOSPC──> RESERVE removed ──> step ──ENOSPC──> given up
 *
 * A file is dead only when the manifest on the disk and the state in memory, which may be ahead of it, both do without it. What
 * was read from the disk is synced before anything is removed on its word: the process that wrote it may have ended before that.
 */
import { systemCodeOf } from '../../../base/errors.js';
import type { FileSystem } from '../../../env/ports.js';
import type { ManifestState } from '../manifest/manifest-edit.js';
import { currentFileName, manifestFileName } from '../manifest/manifest-format.js';
import { readCurrent, readManifest } from '../manifest/manifest-reader.js';
import { reserveFileName } from '../upkeep/reserve-file.js';
import { isOrphan } from './remove-orphans.js';

/**
 * Does the step; when the disk is full, makes room and does it again.
 * @param step leaves nothing behind when it fails for want of space
 * @throws the system's error; ENOSPC when there was nothing more to give up
 */
export function withRoom<T>(fileSystem: FileSystem, directory: string, state: ManifestState, step: () => T): T {
	const waysToMakeRoom = [
		() => removeDead(fileSystem, directory, state),
		() => removeIfThere(fileSystem, `${directory}/${reserveFileName}`),
	];
	for (const makeRoom of waysToMakeRoom) {
		try {
			return step();
		} catch (error) {
			if (systemCodeOf(error) !== 'ENOSPC') throw error;
			makeRoom();
		}
	}
	return step();
}

function removeDead(fileSystem: FileSystem, directory: string, state: ManifestState): void {
	// A directory that is being created has no manifest yet, and nothing to give up.
	if (!fileSystem.exists(`${directory}/${currentFileName}`)) return;
	const number = readCurrent(fileSystem, directory);
	const stored = readManifest(fileSystem, directory, number).state;
	const file = fileSystem.open(`${directory}/${manifestFileName(number)}`, 'write');
	try {
		file.sync();
	} finally {
		file.close();
	}
	fileSystem.syncDirectory(directory);
	for (const name of fileSystem.list(directory)) {
		if (isOrphan(name, stored, number) && isOrphan(name, state, number)) fileSystem.remove(`${directory}/${name}`);
	}
}

function removeIfThere(fileSystem: FileSystem, path: string): void {
	if (fileSystem.exists(path)) fileSystem.remove(path);
}
