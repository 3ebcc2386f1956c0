/**
 * RESERVE: zeros that keep room on the disk. It is removed when the disk is full, so that deletes and compactions can go on, and
 * made again when they have freed enough. Means nothing to recovery. Jobs make it; the guard (disk-guard.ts) decides.
 */
import type { FileHandle, FileSystem } from '../../../env/ports.js';

export const reserveFileName = 'RESERVE';
/** What a crash may leave of one in the making. */
export const unfinishedReserveFileName = 'RESERVE.tmp';

const fillSize = 1 << 20;
/** One part in this many more must be free, or the reserve would be given up again at once. */
const slackFraction = 20;

/** True when the reserve is there in its size. */
export function hasReserve(fileSystem: FileSystem, directory: string, size: number): boolean {
	const path = `${directory}/${reserveFileName}`;
	if (!fileSystem.exists(path)) return false;
	const file = fileSystem.open(path, 'read');
	try {
		return file.size() === size;
	} finally {
		file.close();
	}
}

/** @throws the system's error (ENOSPC when there is not room for it and a little more: nothing is left then) */
export function prepareReserve(fileSystem: FileSystem, directory: string, size: number): void {
	const unfinished = `${directory}/${unfinishedReserveFileName}`;
	const fullSize = size + Math.ceil(size / slackFraction);
	// Asked first: filling up the last of a full disk every second would disturb whoever else is on it.
	if (fileSystem.freeBytes(directory) < fullSize) {
		throw Object.assign(new Error(`ENOSPC: no room for a reserve of ${size} bytes`), { code: 'ENOSPC' });
	}
	if (fileSystem.exists(unfinished)) fileSystem.remove(unfinished);
	const file = fileSystem.open(unfinished, 'create');
	try {
		fillWithZeros(file, fullSize);
		file.sync();
		file.truncate(size);
		file.sync();
	} catch (error) {
		fileSystem.remove(unfinished);
		throw error;
	} finally {
		file.close();
	}
	fileSystem.rename(unfinished, `${directory}/${reserveFileName}`);
	fileSystem.syncDirectory(directory);
}

function fillWithZeros(file: FileHandle, size: number): void {
	const zeros = Buffer.alloc(Math.min(fillSize, size));
	for (let at = 0; at < size; at += zeros.length) {
		file.write(zeros, 0, Math.min(zeros.length, size - at), at);
	}
}
