/**
 * The data directory as a whole: whose it is, and what it holds. docs/formats/directory.md is its page.
 *
 *   MILLRACE           one line of JSON {"format":1,"partitions":N,"hash":"xxh32"} and its XXH32 in hex on the next line
 *   LOCK               locked by the process that has the directory open (the kernel lets go with the process, however it
 *                      ends); holds that process's id
 *   partition-000/ …   one directory for each partition
 *
 * The head file is written last when a directory is created, so a directory with it is complete, and its partitions must be
 * there; one without it is being created, and its partitions must be empty (storage/lsm/recovery/recovery.ts sees to both).
 */
import { dirname, resolve } from 'node:path';
import { MillraceError } from '../base/errors.js';
import { partitionCountMax } from '../base/limits.js';
import { xxh32 } from '../base/xxh32.js';
import type { FileLock, FileSystem } from '../env/ports.js';
import { directoryError } from './open-errors.js';

export const directoryFormatVersion = 1;
export const headFileName = 'MILLRACE';
export const lockFileName = 'LOCK';
/** The hash that routes keys, by name: with another one a directory's keys would be looked for in the wrong places. */
const hashName = 'xxh32';
const headSizeMax = 4096;
const headRemedy = 'restore it from a backup or a checkpoint of this database, it is the same in all of them';
const partitionPattern = /^partition-\d+$/;
/** What a creation that was cut off may have left. */
const unfinishedPattern = /^(partition-\d+|MILLRACE\.tmp)$/;

export interface DataDirectory {
	readonly path: string;
	readonly partitionCount: number;
	readonly isNew: boolean;
	readonly lock: FileLock;
}

export function partitionDirectoryName(partition: number): string {
	return `partition-${String(partition).padStart(3, '0')}`;
}

/**
 * Opens or creates a data directory and locks it.
 * @param partitionCount the count asked for; undefined: what the directory has, or `partitionCountDefault` for a new one
 * @throws MILLRACE_LOCKED, MILLRACE_DIRECTORY, MILLRACE_FORMAT_NEWER, MILLRACE_PARTITION_COUNT, MILLRACE_CORRUPT
 */
export function openDataDirectory(
	fileSystem: FileSystem,
	path: string,
	partitionCount: number | undefined,
	partitionCountDefault: number,
): DataDirectory {
	const headPath = `${path}/${headFileName}`;
	const lock = lockDirectory(fileSystem, path, headPath);
	try {
		const isNew = !fileSystem.exists(headPath);
		const count = partitionCountOf(fileSystem, path, partitionCount, partitionCountDefault);
		if (isNew) refuseSurplus(fileSystem, path, count);
		return { path, partitionCount: count, isNew, lock };
	} catch (error) {
		lock.release();
		throw error;
	}
}

/**
 * How many partitions a directory has, or will have once it is created. Changes nothing, and needs no lock: the head file is
 * never written again.
 * @throws MILLRACE_PARTITION_COUNT, MILLRACE_DIRECTORY, MILLRACE_FORMAT_NEWER, MILLRACE_CORRUPT
 */
export function partitionCountOf(
	fileSystem: FileSystem,
	path: string,
	asked: number | undefined,
	countDefault: number,
): number {
	const headPath = `${path}/${headFileName}`;
	if (!fileSystem.exists(headPath)) return asked ?? countDefault;
	const stored = readHead(fileSystem, headPath);
	if (asked === undefined || asked === stored) return stored;
	throw new MillraceError(
		'MILLRACE_PARTITION_COUNT',
		`${path} has ${stored} partitions, not ${asked}: the count is fixed when a directory is created. ` +
			'Leave the option out, or export into a new directory',
	);
}

/** A creation never makes more partitions than it counts: more of them were counted by a head file that is lost. */
function refuseSurplus(fileSystem: FileSystem, path: string, count: number): void {
	const surplus = fileSystem
		.list(path)
		.filter((name) => partitionPattern.test(name) && Number(name.slice('partition-'.length)) >= count)
		.sort();
	if (surplus.length === 0) return;
	throw new MillraceError(
		'MILLRACE_CORRUPT',
		`${path} has ${surplus.join(', ')}, but no head file (${headFileName}), and ${count} partitions were asked for: ` +
			`the head file ` +
			'is lost (restore it from a backup or a checkpoint of this database: it is the same in all of them), or the creation of ' +
			'a directory with more partitions was cut off (ask for as many as it was to have)',
	);
}

/** Writes the head file of a new directory, once its partitions exist. */
export function completeDataDirectory(
	fileSystem: FileSystem,
	directory: Pick<DataDirectory, 'path' | 'partitionCount'>,
): void {
	const line = JSON.stringify({
		format: directoryFormatVersion,
		partitions: directory.partitionCount,
		hash: hashName,
	});
	const bytes = Buffer.from(`${line}\n${checksumOf(line)}\n`, 'utf8');
	const headPath = `${directory.path}/${headFileName}`;
	const unnamed = `${headPath}.tmp`;
	if (fileSystem.exists(unnamed)) fileSystem.remove(unnamed);
	const file = fileSystem.open(unnamed, 'create');
	file.write(bytes, 0, bytes.length, 0);
	file.sync();
	file.close();
	fileSystem.rename(unnamed, headPath);
	fileSystem.syncDirectory(directory.path);
}

function checksumOf(line: string): string {
	const bytes = Buffer.from(line, 'utf8');
	return xxh32(bytes, 0, bytes.length).toString(16).padStart(8, '0');
}

/** Before the lock file is made, so that a directory that is not ours stays as it is. */
function refuseForeign(fileSystem: FileSystem, path: string, headPath: string): void {
	if (!fileSystem.exists(path) || fileSystem.exists(headPath)) return;
	const foreign = fileSystem.list(path).find((name) => name !== lockFileName && !unfinishedPattern.test(name));
	if (foreign === undefined) return;
	throw new MillraceError(
		'MILLRACE_DIRECTORY',
		`${path} is not a Millrace directory and not empty (it has ${JSON.stringify(foreign)}): give it a directory of its own`,
	);
}

/** A directory whose name is not synced in the one above it may be gone after a power failure, with all it holds. */
function makeDurableDirectory(fileSystem: FileSystem, path: string): void {
	const made: string[] = [];
	for (let at = resolve(path); !fileSystem.exists(at); at = dirname(at)) made.push(at);
	fileSystem.makeDirectory(path);
	for (const at of made) fileSystem.syncDirectory(dirname(at));
}

function lockDirectory(fileSystem: FileSystem, path: string, headPath: string): FileLock {
	let held: FileLock | string;
	try {
		refuseForeign(fileSystem, path, headPath);
		makeDurableDirectory(fileSystem, path);
		held = fileSystem.lock(`${path}/${lockFileName}`, String(process.pid));
	} catch (error) {
		throw directoryError(path, error);
	}
	if (typeof held === 'string') {
		const owner = held.trim();
		const remedy =
			owner === String(process.pid)
				? 'this one: attach threads to that database (db.attachment()), or close it first'
				: 'one process at a time; connect to it instead, or stop it';
		throw new MillraceError('MILLRACE_LOCKED', `${path} is open in process ${owner || 'unknown'}: ${remedy}`);
	}
	return held;
}

/** @returns the partition count @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER, MILLRACE_DIRECTORY */
export function readHead(fileSystem: FileSystem, path: string): number {
	const [line, checksum] = readHeadText(fileSystem, path).split('\n');
	if (checksum !== checksumOf(line)) {
		throw new MillraceError('MILLRACE_CORRUPT', `${path} is damaged, its checksum does not hold: ${headRemedy}`);
	}
	const { format, partitions, hash } = JSON.parse(line) as Record<string, unknown>;
	if (typeof format === 'number' && format > directoryFormatVersion) {
		throw new MillraceError(
			'MILLRACE_FORMAT_NEWER',
			`${path} has format ${format}; this version reads ${directoryFormatVersion}: open it with a newer version of Millrace`,
		);
	}
	if (format !== directoryFormatVersion || hash !== hashName) {
		throw new MillraceError(
			'MILLRACE_CORRUPT',
			`${path} names format ${String(format)}, hash ${String(hash)}: ${headRemedy}`,
		);
	}
	if (
		typeof partitions !== 'number' ||
		!Number.isInteger(partitions) ||
		partitions < 1 ||
		partitions > partitionCountMax
	) {
		throw new MillraceError('MILLRACE_CORRUPT', `${path} names ${String(partitions)} partitions: ${headRemedy}`);
	}
	return partitions;
}

function readHeadText(fileSystem: FileSystem, path: string): string {
	try {
		const file = fileSystem.open(path, 'read');
		const bytes = Buffer.alloc(headSizeMax);
		const size = file.read(bytes, 0, bytes.length, 0);
		file.close();
		return bytes.toString('utf8', 0, size);
	} catch (error) {
		throw directoryError(path, error);
	}
}
