/**
 * A log that is damaged before its end: what would be lost by ending it there, and where its segments are kept if it is.
 *
 *   damagedLog 'truncate':  <id>.wal ─> also <id>.wal.damaged, names synced ─> fresh manifest without it ─> <id>.wal removed
 *
 * The second name comes first: a crash at any point leaves the bytes under one of the two.
 */
import type { FileSystem } from '../../../env/ports.js';
import { linkOrCopy } from '../inspect/checkpoint.js';
import type { SegmentReader } from '../wal/segment-reader.js';
import { segmentFileName } from '../wal/wal-format.js';

export const damagedEnding = '.damaged';

/** What is given up when the log ends before these segments, for people. @param lastSequence the newest one that is kept */
export function lossText(
	fileSystem: FileSystem,
	directory: string,
	reader: SegmentReader,
	ids: readonly number[],
	lastSequence: number,
): string {
	const missing = ids.map(segmentFileName).filter((name) => !fileSystem.exists(`${directory}/${name}`));
	const newest = Math.max(0, ...ids.map((id) => reader.newestSequence(id)));
	if (newest > lastSequence)
		return `the log from there on reaches up to sequence ${newest} at least: that would be lost`;
	if (missing.length === 0)
		return 'the log from there on holds nothing that is whole: nothing is lost by cutting it there';
	return `nothing newer is in the files that are there; what ${missing.join(', ')} held, if anything, nobody can tell`;
}

/** Gives segments a second name that is never touched again; a missing one has nothing to keep. */
export function keepDamaged(fileSystem: FileSystem, directory: string, ids: readonly number[]): void {
	for (const id of ids) {
		const path = `${directory}/${segmentFileName(id)}`;
		if (!fileSystem.exists(path)) continue;
		const kept = `${path}${damagedEnding}`;
		// Left by an opening that was cut off; perhaps half a copy. The manifest still names the original.
		if (fileSystem.exists(kept)) fileSystem.remove(kept);
		linkOrCopy(fileSystem, path, kept, '');
	}
	fileSystem.syncDirectory(directory);
}
