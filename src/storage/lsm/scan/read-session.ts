/**
 * A read that takes many slices: it keeps what its sequence sees, but not the memtables and files it walks over. Between two
 * slices it may let go of those and go on, over what has taken their place: flushes and compactions keep its versions from
 * `begin` on. So a long count holds up neither writes, which need the arenas, nor the removal of files.
 *
 *   begin ─ open: a cursor ─ slices ─ isOutdated? close the cursor, open another after its `resumeKey` ─ … ─ end
 *
 * Expiry is judged by the time of each cursor. After a clear it stays with the cursor it has: nothing takes its place.
 * The partition's thread only.
 */

import type { LsmTree } from '../lsm-tree.js';
import type { ReadView } from '../read-view.js';
import type { SnapshotRegistry } from '../snapshots.js';
import { LiveCursor } from './live-cursor.js';

/** What a long read needs to know of where it reads. */
export interface ReadSource {
	/** The newest sequence it sees. */
	readonly sequence: number;
	/** True when the memtables and files of the last cursor were replaced, and another cursor would see the same without them. */
	readonly isOutdated: boolean;
	/** Over what is stored now. The caller closes it before it opens another. */
	open(): LiveCursor;
	/** Once. No cursor is opened afterwards. */
	end(): void;
}

export class ReadSession implements ReadSource {
	readonly sequence: number;
	readonly #tree: LsmTree;
	readonly #snapshots: SnapshotRegistry;
	readonly #pin: Map<number, number>;
	readonly #nowMs: () => number;
	#view: ReadView | undefined;

	/** Begins. @param sequence the newest of all, or pinned by a snapshot */
	constructor(tree: LsmTree, snapshots: SnapshotRegistry, sequence: number, nowMs: () => number) {
		this.#tree = tree;
		this.#snapshots = snapshots;
		this.sequence = sequence;
		this.#nowMs = nowMs;
		this.#pin = snapshots.beginRead(sequence);
	}

	get isOutdated(): boolean {
		return this.#view !== this.#tree.view && this.#snapshots.isReadKept(this.#pin);
	}

	open(): LiveCursor {
		this.#view = this.#tree.view;
		return new LiveCursor(this.#view, this.sequence, this.#nowMs());
	}

	end(): void {
		this.#view = undefined;
		this.#snapshots.endRead(this.sequence, this.#pin);
	}
}
