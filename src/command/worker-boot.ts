/**
 * What the main thread gives the two threads of a partition at birth, what they tell each other while they run, and the
 * words they share. The engine and the workers both build on this file and on nothing else of each other.
 *
 *   main ──request ring──> partition worker ──log ring──> log worker
 *     ^ <───reply ring────────┘ │                             │
 *     └ <───commit ring ────────┘ (bytes by the partition worker, published by the log worker once they are durable)
 *
 * Those three rings to and from one asking thread are a channel. The opener's is number 0 and there from the start; those of
 * attached threads come and go by mail, their numbers are never used again.
 *
 * Jobs and notes travel by message (`mail`): rare, structured, and no part of the hot path.
 */
import type { MessagePort } from 'node:worker_threads';
import type { TransactionReport } from './transaction.js';

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

/** The rings of one more asking thread, as they are sent to a partition's two threads and to the thread itself. */
export interface ChannelMemory {
	readonly channel: number;
	readonly requestRing: SharedArrayBuffer;
	readonly replyRing: SharedArrayBuffer;
	readonly commitRing: SharedArrayBuffer;
	/** The bell of the asking thread, one for all its channels. */
	readonly askerBell: SharedArrayBuffer;
}

/** A channel's end in a partition's thread. */
export interface ChannelPorts {
	/** Rings the asking thread's bell. */
	readonly bellPort: MessagePort;
	readonly requestOversizePort: MessagePort;
	readonly replyOversizePort: MessagePort;
	readonly commitOversizePort: MessagePort;
}

/** What the log thread reads from its control port when a message of the log ring names a channel it does not know. */
export interface LogControl {
	readonly memory: ChannelMemory;
	readonly bellPort: MessagePort;
}

/** workerData of a partition worker. */
export interface PartitionBoot {
	readonly partition: number;
	readonly directory: string;
	/** True while the data directory has no head file: the partition is to be created, and there can be no data yet. */
	readonly isNew: boolean;
	readonly memory: PartitionMemory;
	/** Epoch and gate of the whole database (database-memory.ts). */
	readonly databaseMemory: SharedArrayBuffer;
	/** Where the partition says what synchronous readers have to look at, and the arenas of all its memtables. */
	readonly view: SharedArrayBuffer;
	readonly arenas: readonly SharedArrayBuffer[];
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
	/** Brings a LogControl for each new channel, before anything in the log ring names it. Read without an event loop. */
	readonly controlPort: MessagePort;
}

/** An error as it crosses threads: structured clone would drop its code. */
export interface PlainError {
	readonly code: string | undefined;
	readonly message: string;
}

/** Partition worker to main. `job` is opaque to main: it goes to the background pool as it is. */
export type MailToMain =
	| {
			readonly type: 'ready';
			readonly replayedCount: number;
			readonly notes: readonly string[];
			/** Batches over several partitions that the crash left open: main settles them before anybody may ask anything. */
			readonly transactions: TransactionReport;
	  }
	/** How far the recovery is: bytes of log replayed, of so many; tables opened, of so many. At most some ten a second. */
	| { readonly type: 'progress'; readonly done: number; readonly total: number; readonly step: 'tables' | 'log' }
	| { readonly type: 'poisoned'; readonly error: PlainError }
	| { readonly type: 'diskFull'; readonly isFull: boolean }
	/** The channel is forgotten: no request of it will be taken any more, and no reply written. */
	| { readonly type: 'detached'; readonly channel: number }
	| { readonly type: 'failed'; readonly error: PlainError }
	| { readonly type: 'note'; readonly text: string }
	| { readonly type: 'job'; readonly id: number; readonly directory: string; readonly job: unknown };

/** Main to partition worker. `outcome` is what the background worker returned, opaque to main. */
export type MailToPartition =
	| { readonly type: 'outcome'; readonly id: number; readonly outcome: unknown }
	| { readonly type: 'attach'; readonly memory: ChannelMemory; readonly ports: ChannelPorts }
	| { readonly type: 'detach'; readonly channel: number };
