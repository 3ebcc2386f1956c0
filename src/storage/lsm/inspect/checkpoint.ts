/**
 * Makes a consistent copy of a partition in a directory of its own: hard links of its tables, which never change, and a manifest
 * that names them. Nothing of the log is needed: the partition flushed first. Runs in the background pool, while the partition
 * goes on; the caller keeps the tables' names from being removed meanwhile.
 *
 *   directory ─> links (or copies) ─> MANIFEST ─> names synced ─> CURRENT ─> names synced ─> parent synced
 *
 * CURRENT comes last: a copy that a crash cut off has tables and no CURRENT, and is refused when opened.
 */
import { MillraceError, systemCodeOf } from '../../../base/errors.js';
import type { FileSystem } from '../../../env/ports.js';
import { encodeEdit, ManifestState, type TableEntry } from '../manifest/manifest-edit.js';
import { currentFileName, manifestFileName, tableFileName } from '../manifest/manifest-format.js';
import { writeWholeFile } from '../manifest/whole-file.js';

export interface CheckpointJob {
	readonly kind: 'checkpoint';
	/** Does not exist yet; its parent does. */
	readonly target: string;
	readonly tables: readonly TableEntry[];
	readonly flushedSequence: number;
	readonly nextFileId: number;
}

export interface CheckpointResult {
	readonly directory: string;
	readonly tableCount: number;
	readonly tableBytes: number;
	/** Everything up to this sequence is in it, and nothing after. */
	readonly lastSequence: number;
	/** Tables that had to be copied: '' none did, else why linking failed (EXDEV: another file system). */
	readonly copiedBecause: string;
}

/** Where hard links cannot be: another file system, one that has none, or a file that has as many as it may. */
const linkFailures = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

const copySize = 1 << 20;

/** @throws MILLRACE_DIRECTORY when the target is there already, or its parent is not; the system's error. Nothing is left then */
export function makeCheckpoint(fileSystem: FileSystem, directory: string, job: CheckpointJob): CheckpointResult {
	const { target } = job;
	refuseUnfit(fileSystem, target);
	fileSystem.makeDirectory(target);
	try {
		let copiedBecause = '';
		for (const { id } of job.tables) {
			const source = `${directory}/${tableFileName(id)}`;
			copiedBecause = linkOrCopy(fileSystem, source, `${target}/${tableFileName(id)}`, copiedBecause);
		}
		writeManifest(fileSystem, job);
		fileSystem.syncDirectory(parentOf(target));
		return {
			directory: target,
			tableCount: job.tables.length,
			tableBytes: job.tables.reduce((sum, table) => sum + table.size, 0),
			lastSequence: job.flushedSequence,
			copiedBecause,
		};
	} catch (error) {
		removeHalf(fileSystem, target);
		throw error;
	}
}

/** The directory that holds a path's name. */
export function parentOf(path: string): string {
	const end = path.lastIndexOf('/');
	if (end < 0) return '.';
	return end === 0 ? '/' : path.slice(0, end);
}

function refuseUnfit(fileSystem: FileSystem, target: string): void {
	if (fileSystem.exists(target)) {
		throw new MillraceError('MILLRACE_DIRECTORY', `${target} exists already: a checkpoint makes its own directory`);
	}
	if (!fileSystem.exists(parentOf(target))) {
		throw new MillraceError(
			'MILLRACE_DIRECTORY',
			`${parentOf(target)} does not exist: a checkpoint is made inside of it`,
		);
	}
}

/** @param copiedBecause why an earlier file was copied: then there is no use in trying. @returns why this one was, or '' */
export function linkOrCopy(fileSystem: FileSystem, source: string, target: string, copiedBecause: string): string {
	if (copiedBecause === '') {
		try {
			fileSystem.link(source, target);
			return '';
		} catch (error) {
			const code = systemCodeOf(error);
			if (!linkFailures.has(code)) throw error;
			copyFile(fileSystem, source, target);
			return code;
		}
	}
	copyFile(fileSystem, source, target);
	return copiedBecause;
}

function copyFile(fileSystem: FileSystem, source: string, target: string): void {
	const from = fileSystem.open(source, 'read');
	try {
		const to = fileSystem.open(target, 'create');
		try {
			const size = from.size();
			const bytes = Buffer.allocUnsafe(Math.min(copySize, size));
			for (let at = 0; at < size; ) {
				const count = from.read(bytes, 0, Math.min(bytes.length, size - at), at);
				to.write(bytes, 0, count, at);
				at += count;
			}
			to.sync();
		} finally {
			to.close();
		}
	} finally {
		from.close();
	}
}

function writeManifest(fileSystem: FileSystem, job: CheckpointJob): void {
	const { target, tables, flushedSequence, nextFileId } = job;
	const state = new ManifestState();
	state.apply({ addTables: tables, flushedSequence, nextFileId });
	writeWholeFile(fileSystem, `${target}/${manifestFileName(1)}`, encodeEdit(state.toEdit(), 0));
	fileSystem.syncDirectory(target);
	const current = Buffer.from(`${manifestFileName(1)}\n`, 'latin1');
	writeWholeFile(fileSystem, `${target}/${currentFileName}`, current);
	fileSystem.syncDirectory(target);
}

/** The first failure is what counts: one here would hide it. */
function removeHalf(fileSystem: FileSystem, target: string): void {
	try {
		for (const name of fileSystem.list(target)) fileSystem.remove(`${target}/${name}`);
		fileSystem.removeDirectory(target);
		fileSystem.syncDirectory(parentOf(target));
	} catch (error) {
		if (systemCodeOf(error) === '') throw error;
	}
}
