/**
 * What the thread that opened a database and a thread that attaches to it say to each other, over the control port of an
 * attachment. Rare messages; commands and replies go through the rings that `welcome` brings.
 *
 *   thread                      opener
 *   hello ────────────────────> a slot, a channel for each partition      (or refused)
 *         <──────────────────── welcome
 *         <──────────────────── event …                                   what the opener hears, so does the thread
 *   bye   ────────────────────> channels taken back, batches settled
 *         <──────────────────── left
 *
 * The port's end is the thread's: whoever goes without a bye is taken for dead, and cleaned up after in the same way. An
 * attachment is for one thread, once.
 */
import type { MessagePort } from 'node:worker_threads';
import { type ErrorCode, errorTable, MillraceError } from '../base/errors.js';
import type { ChannelMemory, Durability, PlainError } from '../command/worker-boot.js';
import type { DatabaseEvent } from './session.js';

/**
 * A ticket to a database for one other thread of the process: goes with `workerData` (or a message), its `transferList` with the
 * transfer list. `attach` takes it there.
 */
export interface Attachment {
	readonly kind: 'millrace-attachment';
	readonly port: MessagePort;
	/** What has to be transferred with it. */
	readonly transferList: MessagePort[];
}

/** One partition, as an attached thread sees it. */
export interface AttachedPartition {
	readonly directory: string;
	readonly memory: ChannelMemory;
	/** The bell of the partition's thread. */
	readonly workerBell: SharedArrayBuffer;
	/** The words of worker-boot.ts. */
	readonly shared: SharedArrayBuffer;
	readonly view: SharedArrayBuffer;
	readonly arenas: readonly SharedArrayBuffer[];
	/** Where the partition's and the log's thread ring ours. */
	readonly bellPorts: readonly MessagePort[];
	readonly requestOversizePort: MessagePort;
	readonly replyOversizePort: MessagePort;
	readonly commitOversizePort: MessagePort;
}

/** Everything an attached thread needs. */
export interface AttachedBoot {
	/** Its hold on the gate (database-memory.ts). */
	readonly slot: number;
	readonly durability: Durability;
	readonly databaseMemory: SharedArrayBuffer;
	readonly inFlightSizeMax: number;
	readonly askerBell: SharedArrayBuffer;
	/** Bytes of blocks it may keep of each partition. */
	readonly blockCacheSize: number;
	readonly partitions: readonly AttachedPartition[];
}

export type MessageToOpener = { readonly type: 'hello' } | { readonly type: 'bye' };

export type MessageToThread =
	| { readonly type: 'welcome'; readonly boot: AttachedBoot }
	| { readonly type: 'refused'; readonly error: PlainError }
	| { readonly type: 'event'; readonly event: PlainEvent }
	| { readonly type: 'left' };

/** A DatabaseEvent as it crosses threads. */
export interface PlainEvent {
	readonly event: DatabaseEvent;
	/** Of its error, if it has one: structured clone drops the code. */
	readonly error: PlainError | undefined;
}

export function plainErrorOf(error: MillraceError): PlainError {
	return { code: error.code, message: error.message };
}

/** The error that was reported, with its code back. @param codeWithout for one that had none of ours */
export function errorOf(plain: PlainError, codeWithout: ErrorCode): MillraceError {
	const code = plain.code !== undefined && plain.code in errorTable ? (plain.code as ErrorCode) : codeWithout;
	return new MillraceError(code, plain.message);
}

export function plainEventOf(event: DatabaseEvent): PlainEvent {
	return { event, error: 'error' in event ? plainErrorOf(event.error) : undefined };
}

export function eventOf({ event, error }: PlainEvent): DatabaseEvent {
	if (!('error' in event) || error === undefined) return event;
	return { ...event, error: errorOf(error, 'MILLRACE_INTERNAL') };
}
