/**
 * What a database object stands on in its thread: the thread's own way to the partitions. The opener has the Engine, which owns
 * threads and files; an attached thread has an AttachedSession, which owns nothing but its rings.
 */
import type { MillraceError } from '../base/errors.js';
import type { CommandPort } from '../command/command-port.js';
import type { GateSlot } from '../command/database-memory.js';
import type { SyncReader } from '../command/sync-reader.js';
import type { Durability } from '../command/worker-boot.js';
import type { FileSystem } from '../env/ports.js';
import type { Attachment } from './attach-messages.js';

/** A change of state that a program may want to know of. */
export type DatabaseEvent =
	/** A partition refuses writes until the database is opened again: its log failed. */
	| { readonly type: 'poisoned'; readonly partition: number; readonly error: MillraceError }
	/** Puts are refused for want of space, or (isFull: false) are taken again. */
	| { readonly type: 'diskFull'; readonly partition: number; readonly isFull: boolean }
	/** A line for a person. */
	| { readonly type: 'note'; readonly text: string }
	/** A thread died: nothing will be answered any more. */
	| { readonly type: 'died'; readonly error: MillraceError }
	/** The opener closes the database, or this thread was detached. */
	| { readonly type: 'closing' };

export interface Session {
	readonly port: CommandPort;
	readonly partitionCount: number;
	readonly durability: Durability;
	/** Bytes of requests this thread may have under way. */
	readonly inFlightSizeMax: number;
	/** For what is done to directories: checkpoints. */
	readonly fileSystem: FileSystem;
	/** This thread's hold on epochs and the gate. */
	readonly gate: GateSlot;
	/** The way to read without a message; made when first used. */
	syncReader(partition: number): SyncReader;
	/** Why nothing is answered any more, if so. */
	readonly death: MillraceError | undefined;
	/** Hears every event, once each. One listener. */
	onEvent: (event: DatabaseEvent) => void;
	/**
	 * A ticket for one more thread. Costs nothing until that thread attaches.
	 * @throws MILLRACE_CLOSED, MILLRACE_WORKER_DIED; MILLRACE_BUSY when too many were made and not used
	 * @throws TypeError in an attached thread: the one that opened the database makes them
	 */
	makeAttachment(): Attachment;
	/** The opener: ends everything. An attached thread: lets go of its rings. Calls under way are the caller's to wait for. */
	close(): Promise<void>;
}
