/**
 * `millrace doctor` and `millrace verify`: looks at a data directory that nobody has open. Keeps its lock meanwhile, where there
 * is one that can be had, and changes nothing in it. The composition root of the two commands.
 */
import { MillraceError, systemCodeOf } from '../base/errors.js';
import {
	directoryFormatVersion,
	headFileName,
	lockFileName,
	partitionDirectoryName,
	readHead,
} from '../engine/data-directory.js';
import { NodeFileSystem } from '../env/node-file-system.js';
import type { FileLock, FileSystem } from '../env/ports.js';
import { examinePartition } from '../storage/lsm/inspect/doctor.js';
import { verifyPartition, verifyText } from '../storage/lsm/inspect/verify-partition.js';

/** Lines as they come, and whether all is well. */
type Inspect = (directory: string, write: (line: string) => void) => boolean;

/** What is there, what is wrong with it, and what to do about it. @throws MILLRACE_LOCKED, MILLRACE_DIRECTORY */
export const doctorDirectory: Inspect = (directory, write) =>
	inspect(directory, write, (fileSystem, path, name) => {
		const { lines, findings } = examinePartition(fileSystem, path);
		write(`${name}:`);
		for (const line of lines) write(`  ${line}`);
		for (const { problem, remedy } of findings) {
			write(`  PROBLEM ${problem}`);
			write(`  remedy: ${remedy}`);
		}
		return findings.length === 0;
	});

/** Reads and checks every byte. @throws MILLRACE_LOCKED, MILLRACE_DIRECTORY */
export const verifyDirectory: Inspect = (directory, write) =>
	inspect(directory, write, (fileSystem, path, name) => {
		const report = verifyPartition(fileSystem, path);
		for (const line of verifyText(report)) write(`${name}: ${line}`);
		return report.problems.length === 0;
	});

function inspect(
	directory: string,
	write: (line: string) => void,
	visit: (fileSystem: FileSystem, path: string, name: string) => boolean,
): boolean {
	const fileSystem = new NodeFileSystem();
	const headPath = `${directory}/${headFileName}`;
	if (!fileSystem.exists(headPath)) {
		throw new MillraceError(
			'MILLRACE_DIRECTORY',
			`${directory} has no file ${headFileName}: it is no data directory, or its creation was cut off before anything was stored`,
		);
	}
	const lock = maybeLock(fileSystem, directory, write);
	try {
		const partitionCount = readHead(fileSystem, headPath);
		write(`${directory}: format ${directoryFormatVersion}, ${partitionCount} partitions`);
		let isHealthy = true;
		for (let partition = 0; partition < partitionCount; partition++) {
			const name = partitionDirectoryName(partition);
			const path = `${directory}/${name}`;
			const isThere = fileSystem.exists(path);
			if (!isThere) write(`${name}: PROBLEM the directory is missing; remedy: restore it from a backup`);
			isHealthy = isThere && visit(fileSystem, path, name) && isHealthy;
		}
		write(isHealthy ? 'healthy' : 'not healthy');
		return isHealthy;
	} finally {
		lock?.release();
	}
}

/** @returns undefined, after saying so, when there is no lock to be had @throws MILLRACE_LOCKED */
function maybeLock(fileSystem: FileSystem, directory: string, write: (line: string) => void): FileLock | undefined {
	const path = `${directory}/${lockFileName}`;
	let lock: FileLock | string;
	try {
		lock = fileSystem.lockShared(path);
	} catch (error) {
		const code = systemCodeOf(error);
		if (code === '') throw error;
		const why = code === 'ENOENT' ? 'it was never opened' : `${path}: ${code}`;
		write(`${directory} is not locked (${why}): what is said holds if nobody opens it meanwhile`);
		return undefined;
	}
	if (typeof lock !== 'string') return lock;
	const owner = lock.trim() || 'unknown';
	throw new MillraceError('MILLRACE_LOCKED', `${directory} is open in process ${owner}: stop it first`);
}
