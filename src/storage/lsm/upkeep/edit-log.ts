/**
 * Edits of the manifest on their way to the log thread, and the files that may go once an edit is durable.
 *
 *   put(edit) ─> log queue ─> durable, `onEditsDone(count)` ─> doomed files are removed, released segments are recycled
 *
 * Order that keeps a crash harmless: a file is complete and durable before an edit names it; an edit is durable before the
 * files it forgot are removed or recycled. Partition's thread only.
 */
import type { ManifestEdit } from '../manifest/manifest-edit.js';
import { maybePutEdit } from '../wal/group-builder.js';
import { ManifestRoller } from './manifest-roller.js';
import type { Upkeep } from './upkeep.js';

interface DoomedFiles {
	/** Removable once this many edits are durable. */
	readonly editCount: number;
	readonly names: readonly string[];
}

export class EditLog {
	readonly #upkeep: Upkeep;
	/** Ends the open group, so that an edit never overtakes the commands before it. */
	readonly #finishGroup: () => void;
	#doomed: DoomedFiles[] = [];
	/** Released segments that an edit in flight is about to forget. */
	#leaving: { editCount: number; ids: number[] }[] = [];
	#editsPut = 0;
	#editsDone = 0;
	#isHolding = false;
	/** Lets the manifest roll on, when it is time, before an edit. */
	readonly roller: ManifestRoller;

	constructor(upkeep: Upkeep, finishGroup: () => void) {
		this.#upkeep = upkeep;
		this.#finishGroup = finishGroup;
		this.roller = new ManifestRoller(upkeep);
	}

	put(edit: ManifestEdit): void {
		const { recovered, host } = this.#upkeep;
		const { manifest, segments } = recovered;
		this.#finishGroup();
		const oldManifest = this.roller.maybeRoll(this.#editsPut);
		if (oldManifest !== undefined) {
			this.#editsPut++;
			this.doom([oldManifest]);
		}
		const released = segments.release(edit.flushedSequence ?? 0);
		const { record, offset } = manifest.append({ ...edit, removeSegments: released });
		const position = host.commitPosition();
		while (!maybePutEdit(host.queue, record, manifest.number, offset, position)) host.waitForLog();
		this.#editsPut++;
		this.#upkeep.noteUsage();
		if (released.length > 0) this.#leaving.push({ editCount: this.#editsPut, ids: released });
	}

	/** These files may go once the last edit put is durable. */
	doom(names: readonly string[]): void {
		if (names.length > 0) this.#doomed.push({ editCount: this.#editsPut, names });
	}

	/** The log says how many edits are durable. @returns segments that they forgot: free to be used again */
	takeReleased(count: number): number[] {
		const ids: number[] = [];
		while (this.#leaving.length > 0 && this.#leaving[0].editCount <= count) {
			ids.push(...(this.#leaving.shift()?.ids ?? []));
		}
		return ids;
	}

	/** While a checkpoint links files, none is removed. */
	holdRemovals(isHolding: boolean): void {
		this.#isHolding = isHolding;
		this.removeDoomed(this.#editsDone);
	}

	/** Has the files removed that durable edits forgot. */
	removeDoomed(count: number): void {
		this.#editsDone = count;
		if (this.#isHolding) return;
		const ready = this.#doomed.filter((files) => files.editCount <= count);
		if (ready.length === 0) return;
		this.#doomed = this.#doomed.filter((files) => files.editCount > count);
		this.#upkeep.host.submitJob({ kind: 'removeFiles', names: ready.flatMap((files) => files.names) });
	}
}
