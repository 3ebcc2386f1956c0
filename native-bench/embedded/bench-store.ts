/**
 * A store as the comparison uses it: what every one of the three can do, in its own best-documented way. One file for each store
 * has its options; this one says what they have in common and opens the one that is asked for.
 */
import type { Phase, StoreName } from './bench-plan.js';

export type SyncGet = (key: Buffer) => Uint8Array | undefined;

/** How a thread of the application gets at the open database. */
export interface ThreadTicket {
	readonly data: unknown;
	readonly transferList: readonly unknown[];
}

export interface ScanSum {
	readonly entryCount: number;
	/** Of keys and values: what is not touched might not have been read. */
	readonly byteCount: number;
}

export interface BenchStore {
	readonly version: string;
	/** Options and what they mean. */
	readonly settings: string;
	/** Resolves as the phase wants it: written, or synced. */
	put(key: Buffer, value: Buffer): Promise<unknown>;
	batch(keys: readonly Buffer[], values: readonly Buffer[]): Promise<unknown>;
	readonly getSync: SyncGet;
	/** The value is overwritten by the next read. */
	readonly getSyncVolatile?: SyncGet;
	/** Not there: the store has no promise for a single read. */
	readonly get?: (key: Buffer) => Promise<Uint8Array | undefined>;
	readonly getMany: (keys: Buffer[]) => Promise<(Uint8Array | undefined)[]>;
	readonly getManySync?: (keys: Buffer[]) => (Uint8Array | undefined)[];
	readonly scan: () => Promise<ScanSum>;
	readonly scanPages?: () => Promise<ScanSum>;
	ticket(): ThreadTicket;
	close(): Promise<void>;
}

/** A thread's own hold on the database. */
export interface ThreadStore {
	readonly getSync: SyncGet;
	close(): Promise<void>;
}

export interface StoreModule {
	openStore(directory: string, phase: Phase, options: Record<string, unknown>): Promise<BenchStore>;
	openInThread(data: unknown): Promise<ThreadStore>;
}

export async function storeModule(name: StoreName): Promise<StoreModule> {
	if (name === 'millrace') return import('./millrace-store.js');
	if (name === 'lmdb') return import('./lmdb-store.js');
	return import('./classic-level-store.js');
}
