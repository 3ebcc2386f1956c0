/**
 * What an opening that fails says: which file or directory, what is wrong with it, and what helps. Errors of ours come with all
 * of it from where they are found; those of the system get the rest here.
 */
import { type ErrorCode, MillraceError, systemCodeOf } from '../base/errors.js';
import type { PlainError } from '../command/worker-boot.js';
import { errorOf } from './attach-messages.js';

/** What helps, by what the system says. */
const remedies: Readonly<Record<string, string>> = {
	EACCES: 'this user may not read and write there: change the owner or the mode, or run as its owner',
	EPERM: 'this user may not read and write there: change the owner or the mode, or run as its owner',
	EROFS: 'the file system is mounted read-only: mount it for writing, or use a copy elsewhere',
	ENOTDIR: 'a file stands where a directory should be: give it a directory of its own',
	EEXIST: 'a file stands where a directory should be: give it a directory of its own',
	EISDIR: 'a directory stands where a file should be: move it away',
	ENOSPC: 'the disk is full: make room on it, or move the whole directory to a larger one; nothing is lost',
	EDQUOT: "this user's quota is used up: raise it or make room; nothing is lost",
	EMFILE: 'this process has too many files open: raise its limit (ulimit -n)',
	ENFILE: 'the system has too many files open: raise its limit',
	EIO: 'the disk could not read or write it: look at the log of the system, and restore a backup on another disk',
};
const otherRemedy = 'it must be a directory that this user may read and write';

const fullCodes = new Set(['ENOSPC', 'EDQUOT']);

/** The system's error about the data directory, or a file of it, with our code. */
export function directoryError(path: string, error: unknown): MillraceError {
	if (error instanceof MillraceError) return error;
	const code = systemCodeOf(error);
	return new MillraceError(
		fullCodes.has(code) ? 'MILLRACE_DISK_FULL' : 'MILLRACE_DIRECTORY',
		`${path} cannot be used as a data directory (${code === '' ? String(error) : code}): ${remedies[code] ?? otherRemedy}`,
		{ cause: error },
	);
}

/** Why a partition could not be opened, as its thread reported it. The system's errors begin with their code. */
export function partitionError(directory: string, plain: PlainError): MillraceError {
	const isOurs = plain.code !== undefined && plain.code !== 'MILLRACE_DISK_FULL';
	if (isOurs) return errorOf(plain, 'MILLRACE_INTERNAL');
	const [systemCode] = plain.message.split(':');
	const code: ErrorCode = fullCodes.has(systemCode) ? 'MILLRACE_DISK_FULL' : 'MILLRACE_DIRECTORY';
	// A message of ours about a full disk says everything.
	if (code !== plain.code && plain.code !== undefined) return errorOf(plain, code);
	return new MillraceError(
		code,
		`${directory} cannot be opened (${plain.message}): ${remedies[systemCode] ?? otherRemedy}`,
	);
}

/** An error of an opening that points at damage: the directory can be looked at. */
export function withDoctor(error: unknown, directory: string): unknown {
	if (!(error instanceof MillraceError) || error.code !== 'MILLRACE_CORRUPT') return error;
	const text = `${error.message}. \`millrace doctor ${directory}\` shows the state of every file`;
	return new MillraceError(error.code, text, { cause: error.cause });
}
