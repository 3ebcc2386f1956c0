/**
 * Which files of a partition's directory are provably dead: of a kind only we write, unfinished or no longer named by the live
 * manifest, and no younger than it. Anything else in the directory is left alone: a person may have put it there.
 *
 *   tables      an id below nextFileId that is not named: a job's output before its edit, or an input after it. One beyond it
 *               shows that the manifest lost records; recovery refuses before it comes to this
 *   segments    recovery refuses those that hold groups and are younger than all named ones (Recovery.#refuseStrays)
 *   manifests   all but the one CURRENT names
 *
 * Removed at open, after the fresh manifest is durable, when no job can be writing.
 */
import type { FileSystem } from '../../../env/ports.js';
import type { ManifestState } from '../manifest/manifest-edit.js';
import { manifestNumberOf, nextCurrentFileName, tableIdOf } from '../manifest/manifest-format.js';
import type { ManifestStore } from '../manifest/manifest-store.js';
import { reserveFileName, unfinishedReserveFileName } from '../upkeep/reserve-file.js';
import { segmentIdOf } from '../wal/wal-format.js';

export function isOrphan(name: string, state: ManifestState, manifestNumber: number): boolean {
	const segmentId = segmentIdOf(name);
	if (segmentId >= 0) return !state.segments.has(segmentId);
	const tableId = tableIdOf(name);
	if (tableId >= 0) return !state.tables.has(tableId);
	const number = manifestNumberOf(name);
	if (number >= 0) return number !== manifestNumber;
	return name === nextCurrentFileName || name === unfinishedReserveFileName || /^\d{8,}\.wal\.tmp$/.test(name);
}

/** @param keepsReserve false: a reserve file, of another size or no longer asked for, goes too */
export function removeOrphans(
	fileSystem: FileSystem,
	directory: string,
	manifest: ManifestStore,
	keepsReserve: boolean,
): void {
	for (const name of fileSystem.list(directory)) {
		const isDead = isOrphan(name, manifest.state, manifest.number) || (name === reserveFileName && !keepsReserve);
		if (isDead) fileSystem.remove(`${directory}/${name}`);
	}
}
