/**
 * A handle on pinned snapshots for programs: released by `using`, by `close()`, or, with a warning that says where it was made,
 * when the collector finds that nobody has it any more. What is pinned and how it is let go is the maker's affair, so the
 * same handle serves a partition in its own thread and a database of many partitions.
 *
 *   using snapshot = await database.snapshot();      every read with it sees what was stored at this moment
 *
 * The collector's notice comes with the event loop: a thread without one has only `using`, `close()` and the age limit.
 */

import { callerStack } from './caller-stack.js';

/** What must outlive a handle that nobody closed: it must not hold the handle. */
interface Leak {
	readonly release: () => void;
	readonly warn: (text: string) => void;
	readonly stack: string;
}

/** Releases what a lost handle pinned. */
export function releaseLost(leak: Leak): void {
	leak.warn(
		"a snapshot was never closed, and kept every version since on the disk: close it, or declare it with 'using'. " +
			`Made ${leak.stack}`,
	);
	leak.release();
}

const lost = new FinalizationRegistry<Leak>(releaseLost);

export class SnapshotHandle {
	/** The pinned sequence of each partition; one where the maker is a partition. */
	readonly sequences: readonly number[];
	readonly #release: () => void;
	#isClosed = false;

	/**
	 * @param release lets go of what is pinned; must not hold the handle
	 * @param warn takes the warning of a handle that was never closed
	 * @param stack where it was made; whoever makes it later than it was asked for says so
	 */
	constructor(
		sequences: readonly number[],
		release: () => void,
		warn: (text: string) => void = (text) => process.emitWarning(text, 'MillraceSnapshotWarning'),
		stack: string = callerStack(SnapshotHandle),
	) {
		this.sequences = sequences;
		this.#release = release;
		lost.register(this, { release, warn, stack }, this);
	}

	get isClosed(): boolean {
		return this.#isClosed;
	}

	/** Lets go. Closing again does nothing. */
	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		lost.unregister(this);
		this.#release();
	}

	[Symbol.dispose](): void {
		this.close();
	}
}
