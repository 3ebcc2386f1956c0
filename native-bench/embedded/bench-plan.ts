/**
 * What the comparison and its processes tell each other: a plan as the argument of a process, a report as its last line. And the
 * cells: what is measured, and what is wanted of it.
 */

export const storeNames = ['millrace', 'lmdb', 'classic-level'] as const;
export type StoreName = (typeof storeNames)[number];

/**
 * A phase is a process of its own.
 *   put     an empty directory, every key put, many in flight; what it leaves is what `read` reads
 *   batch   an empty directory, every key, in batches
 *   synced  an empty directory, puts that resolve when they are on the disk
 *   read    the directory that `put` left, opened anew and settled
 */
export const phases = ['put', 'batch', 'synced', 'read'] as const;
export type Phase = (typeof phases)[number];

export interface Plan {
	readonly store: StoreName;
	readonly phase: Phase;
	readonly directory: string;
	readonly keyCount: number;
	/** Keys that are read again and again, and the blocks they are in fit every cache. */
	readonly hotCount: number;
	readonly inFlight: number;
	readonly batchCount: number;
	readonly getManyCount: number;
	readonly seed: number;
	/** A cell ends after this, also when there is more to do; those that load every key do not. */
	readonly secondsMax: number;
	/** Options of `open`, beside what the phase asks for. */
	readonly options: Record<string, unknown>;
}

export interface CellResult {
	readonly count: number;
	readonly seconds: number;
	/** Processor time of all threads of the process for one operation: says more than the rate on a machine that others use too. */
	readonly cpuUs: number;
}

export interface Report {
	readonly version: string;
	/** Options and what they mean: durability, caches. */
	readonly settings: string;
	readonly cells: Partial<Record<CellName, CellResult>>;
	/** The most memory the process had resident. */
	readonly peakBytes: number;
}

/**
 * Keys of the cells "100,000 keys": in a large database nearly each in a block of its own, ten times what a cache of them holds.
 * Who maps the file does not care.
 */
export const spreadCount = 100_000;

interface Cell {
	readonly label: string;
	/** Ours must be so many times the other's. */
	readonly aims?: Partial<Record<StoreName, number>>;
}

export const cells = {
	put: { label: 'put, 1,000 in flight, not synced', aims: { lmdb: 2, 'classic-level': 4 } },
	batch: { label: 'batches of 1,000, one after the other', aims: { 'classic-level': 3 } },
	batchFour: { label: 'batches of 1,000, four under way' },
	putSynced: { label: 'put, 1,000 in flight, synced', aims: { 'classic-level': 10 } },
	scan: { label: 'scan: scan, getRange, for await', aims: { lmdb: 1.5 } },
	scanPages: { label: 'scan: iterator.nextv(1000)' },
	getSync: { label: 'getSync / getBinary, hot', aims: { lmdb: 2 } },
	getSyncVolatile: { label: 'getBinaryFast, hot' },
	getSyncSpread: { label: 'getSync / getBinary, 100,000 keys' },
	getSyncUniform: { label: 'getSync / getBinary, all keys' },
	get: { label: 'get, 1,000 in flight, hot', aims: { 'classic-level': 3 } },
	getUniform: { label: 'get, 1,000 in flight, all keys' },
	getMany: { label: 'getMany of 100, hot (keys)' },
	getManySync: { label: 'getManySync of 100, hot (keys)' },
	oneThread: { label: 'getSync in one attached thread, hot' },
	twoThreads: { label: 'getSync in two attached threads, hot' },
} as const satisfies Record<string, Cell>;
export type CellName = keyof typeof cells;

export const cellNames = Object.keys(cells) as CellName[];

/** Two threads against one, of the same store. */
export const threadsAim = 1.7;

export function aimsOf(name: CellName): Partial<Record<StoreName, number>> {
	return (cells[name] as Cell).aims ?? {};
}

export const phaseOfCell: Record<CellName, Phase> = {
	put: 'put',
	batch: 'batch',
	batchFour: 'batch',
	putSynced: 'synced',
	scan: 'read',
	scanPages: 'read',
	getSync: 'read',
	getSyncVolatile: 'read',
	getSyncSpread: 'read',
	getSyncUniform: 'read',
	get: 'read',
	getUniform: 'read',
	getMany: 'read',
	getManySync: 'read',
	oneThread: 'read',
	twoThreads: 'read',
};
