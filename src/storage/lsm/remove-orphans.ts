/**
 * Removes files that are provably dead: of a kind only we write, and not named by the live manifest. Anything else in the
 * directory is left alone. Runs at open, after the fresh manifest is durable, when no job can be writing.
 */
import type { FileSystem } from '../../env/ports.js';
import { manifestNumberOf, tableIdOf } from './manifest/manifest-format.js';
import type { ManifestStore } from './manifest/manifest-store.js';
import { segmentIdOf } from './wal/wal-format.js';

export function removeOrphans(fileSystem: FileSystem, directory: string, manifest: ManifestStore): void {
	const { segments, tables } = manifest.state;
	for (const name of fileSystem.list(directory)) {
		const segmentId = segmentIdOf(name);
		const tableId = tableIdOf(name);
		const manifestNumber = manifestNumberOf(name);
		const isDead =
			(segmentId >= 0 && !segments.has(segmentId)) ||
			(tableId >= 0 && !tables.has(tableId)) ||
			(manifestNumber >= 0 && manifestNumber !== manifest.number) ||
			/^(\d{8,}\.wal|CURRENT)\.tmp$/.test(name);
		if (isDead) fileSystem.remove(`${directory}/${name}`);
	}
}
