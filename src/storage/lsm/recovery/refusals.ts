/**
 * What an opening refuses, because going on would take what is there for all there ever was: each with the file, and the way out.
 * Nothing is changed before any of these.
 */
import { MillraceError } from '../../../base/errors.js';
import type { FileSystem } from '../../../env/ports.js';
import { currentFileName, tableIdOf } from '../manifest/manifest-format.js';
import type { ManifestStore } from '../manifest/manifest-store.js';
import type { SegmentReader } from '../wal/segment-reader.js';
import { segmentFileName, segmentIdOf } from '../wal/wal-format.js';

/** The head file is written when all partitions are there: it promises this one. */
export function refuseAbsent(fileSystem: FileSystem, directory: string): void {
	const current = `${directory}/${currentFileName}`;
	if (fileSystem.exists(current)) return;
	throw new MillraceError(
		'MILLRACE_CORRUPT',
		`${current} is missing, though the head file of the data directory promises this partition: restore it from a backup`,
	);
}

/** The head file is written before anything else is: data without one show that it is lost. */
export function refuseUnexpectedData(directory: string): never {
	throw new MillraceError(
		'MILLRACE_CORRUPT',
		`${directory} holds data, but the directory above it has no head file (MILLRACE), which says how many partitions ` +
			'there are: it is lost, or this is a checkpoint that was cut off. Restore the head file from a backup or a checkpoint ' +
			'of this database: it is the same in all of them',
	);
}

/** Ids are promised by the manifest before a table gets one, so a table beyond them was promised by a record that is lost. */
export function refuseLostTables(fileSystem: FileSystem, directory: string, manifest: ManifestStore): void {
	const { state, promisesIds, number } = manifest;
	if (!promisesIds) return;
	for (const name of fileSystem.list(directory)) {
		if (tableIdOf(name) < state.nextFileId) continue;
		throw new MillraceError(
			'MILLRACE_CORRUPT',
			`${directory}/${name} is newer than all that manifest ${number} knows: the manifest is an old one, or has lost ` +
				'records. Restore a backup, or move that file away to give up what it holds',
		);
	}
}

/**
 * A segment is named before it is written, and a released one is older than some that are named. So groups in a segment that
 * is newer than all named ones show that the manifest lost a record (a damaged last one looks like a torn one), or is gone.
 */
export function refuseStrays(fileSystem: FileSystem, directory: string, reader: SegmentReader, newestId: number): void {
	for (const name of fileSystem.list(directory)) {
		const id = segmentIdOf(name);
		if (id <= newestId || !reader.holdsGroups(id)) continue;
		throw new MillraceError(
			'MILLRACE_CORRUPT',
			`${directory}/${segmentFileName(id)} holds data, though the manifest does not name it: the manifest's last record, or ` +
				`${directory}/CURRENT, is lost. Restore a backup, or move that file away to give up what it holds`,
		);
	}
}
