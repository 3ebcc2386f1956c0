/**
 * How everything in the engine that is no hot path asks a partition something: one command, one promise. The hot path (get,
 * put …) has its own ways in calls.ts, which also implements this.
 */
import { commandSize, flagArgument, flagSequence, requestHeaderSize } from '../command/command-format.js';

export interface Command {
	readonly opcode: number;
	readonly flags?: number;
	readonly argument?: number;
	readonly key?: Uint8Array;
	readonly value?: Uint8Array;
	/** What flagSequence is about. */
	readonly sequence?: number;
	/** wishDefault, wishNone or wishAlways. */
	readonly wish?: number;
}

/** An answer that is no error: statusOk or statusNotFound. */
export interface Reply {
	readonly status: number;
	readonly number: number;
	/** The caller's own. */
	readonly value: Uint8Array | undefined;
}

export interface Asker {
	readonly partitionCount: number;
	partitionOf(key: Uint8Array): number;
	/**
	 * Copies the command before it returns. Commands to one partition are carried out in the order asked.
	 * @throws MillraceError for every status that is an error; MILLRACE_CLOSED, MILLRACE_WORKER_DIED
	 */
	ask(partition: number, command: Command): Promise<Reply>;
	/**
	 * The same command to all partitions, in one turn; answers by partition. Rejects with the first error, when all have answered.
	 */
	askAll(command: Command): Promise<Reply[]>;
}

/** Its flags, with those that say what it has. */
export function flagsOf({ flags = 0, argument, sequence }: Command): number {
	return flags | (argument === undefined ? 0 : flagArgument) | (sequence === undefined ? 0 : flagSequence);
}

/** Bytes of its request in a ring. */
export function requestSizeOf(command: Command): number {
	const keySize = command.key?.length ?? 0;
	const valueSize = command.value?.length ?? 0;
	return requestHeaderSize + commandSize(flagsOf(command), keySize, valueSize);
}
