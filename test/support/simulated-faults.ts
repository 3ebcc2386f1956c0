/**
 * Faults to come on a simulated disk: each says which call fails, when, and how. Checked by the disk before it does
 * anything, in the order they were planned.
 */

export type FaultOperation =
	| 'open'
	| 'read'
	| 'write'
	| 'sync'
	| 'truncate'
	| 'rename'
	| 'link'
	| 'remove'
	| 'makeDirectory'
	| 'syncDirectory';

export interface Fault {
	readonly operation: FaultOperation;
	/** Only paths that match; all when absent. */
	readonly path?: RegExp;
	/** How many matching calls still succeed first; default 0. */
	readonly after?: number;
	readonly error: 'EIO' | 'ENOSPC' | 'EXDEV';
	/** Fails all matching calls from then on, not only one. */
	readonly persistent?: boolean;
	/** 'write' only: bytes that reach the file before the error; default 0. */
	readonly writtenSize?: number;
}

export class FaultPlan {
	#faults: { fault: Fault; left: number }[] = [];

	add(fault: Fault): void {
		this.#faults.push({ fault, left: fault.after ?? 0 });
	}

	clear(): void {
		this.#faults = [];
	}

	/** The fault that hits this call, if one does; one that is not persistent is used up. */
	take(operation: FaultOperation, path: string): Fault | undefined {
		for (const entry of this.#faults) {
			const { fault } = entry;
			if (fault.operation !== operation || (fault.path && !fault.path.test(path))) continue;
			if (entry.left-- > 0) continue;
			entry.left = 0;
			if (!fault.persistent) this.#faults = this.#faults.filter((other) => other !== entry);
			return fault;
		}
		return undefined;
	}
}
