/**
 * What the main thread gives the two threads of a partition at birth, what they tell each other while they run, and the
 * words they share. The engine and the workers both build on this file and on nothing else of each other.
 *
 *   main ──request ring──> partition worker ──log ring──> log worker
 *     ^ <───reply ring────────┘ │                             │
 *     └ <───commit ring ────────┘ (bytes by the partition worker, published by the log worker once they are durable)
 *
 * Jobs and notes travel by message (`mail`): rare, structured, and no part of the hot path.
 */
import type { MessagePort } from 'node:worker_threads';

/** Words of the SharedArrayBuffer that main, partition worker and log worker of one partition share (Int32, Atomics only). */
export const sharedDurableLowWord = 0;
/** Manifest edits that are durable. */
export const sharedEditsDoneWord = 1;
/** 0, or the status byte of the error that stopped the log; its text is in the message area. */
export const sharedPoisonWord = 2;
/** Messages main has posted to the partition worker's mail port: it looks there only when this changed. */
export const sharedMailWord = 3;
/** 1 once the log worker has carried out the stop. */
export const sharedLogStoppedWord = 4;
/** Size of the poison text in bytes, and where it begins. */
export const sharedPoisonTextSizeWord = 5;
export const sharedPoisonTextOffset = 64;
export const sharedSize = 1024;

export type Durability = 'always' | 'interval' | 'none';

/** Bells (src/ring/bell.ts) and rings by name. */
export interface PartitionMemory {
	readonly requestRing: SharedArrayBuffer;
	readonly replyRing: SharedArrayBuffer;
	readonly commitRing: SharedArrayBuffer;
	readonly logRing: SharedArrayBuffer;
	readonly workerBell: SharedArrayBuffer;
	readonly logBell: SharedArrayBuffer;
	readonly mainBell: SharedArrayBuffer;
	readonly shared: SharedArrayBuffer;
}

/** workerData of a partition worker. */
export interface PartitionBoot {
	readonly partition: number;
	readonly directory: string;
	/** True while the data directory has no head file: the partition is to be created, and there can be no data yet. */
	readonly isNew: boolean;
	readonly memory: PartitionMemory;
	/** Sizes and choices for the storage, checked by the one who opens. */
	readonly storageOptions: Readonly<Record<string, number | string>>;
	/** Rings the main thread's bell. */
	readonly bellPort: MessagePort;
	/** Jobs, notes and results; read without an event loop. */
	readonly mailPort: MessagePort;
	readonly requestOversizePort: MessagePort;
	readonly replyOversizePort: MessagePort;
	readonly commitOversizePort: MessagePort;
	readonly logOversizePort: MessagePort;
}

/** workerData of a log worker. */
export interface LogBoot {
	readonly partition: number;
	readonly directory: string;
	readonly memory: PartitionMemory;
	readonly durability: Durability;
	readonly syncIntervalMs: number;
	readonly bellPort: MessagePort;
	readonly logOversizePort: MessagePort;
}

/** An error as it crosses threads: structured clone would drop its code. */
export interface PlainError {
	readonly code: string | undefined;
	readonly message: string;
}

/** Partition worker to main. `job` is opaque to main: it goes to the background pool as it is. */
export type MailToMain =
	| { readonly type: 'ready'; readonly replayedCount: number; readonly notes: readonly string[] }
	| { readonly type: 'failed'; readonly error: PlainError }
	| { readonly type: 'note'; readonly text: string }
	| { readonly type: 'job'; readonly id: number; readonly directory: string; readonly job: unknown };

/** Main to partition worker. `outcome` is what the background worker returned, opaque to main. */
export interface MailToPartition {
	readonly id: number;
	readonly outcome: unknown;
}
