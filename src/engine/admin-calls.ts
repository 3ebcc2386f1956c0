/**
 * Calls about the database as a whole or about ranges of it: rare, slow, not for the hot path. Each asks all partitions (explain:
 * one) and puts their answers together. Where a call can be aborted, the partitions go on with what they have begun. One thread.
 */
import { MillraceError } from '../base/errors.js';
import { type Bytes, mustKey } from '../command/checked-bytes.js';
import {
	opCheckpoint,
	opClear,
	opCompact,
	opDeleteRange,
	opExplain,
	opFlush,
	opStats,
	opVerify,
	wishDefault,
} from '../command/command-format.js';
import type { AbortOptions, FileProblem, KeyRange } from '../command/store.js';
import type { FileSystem } from '../env/ports.js';
import { abortable, checkSignal } from './abortable.js';
import type { Asker, Reply } from './asker.js';
import { checkpointDirectory, type DatabaseCheckpoint } from './checkpoint-directory.js';
import type { EpochGate } from './epoch-gate.js';
import { commandRangeOf } from './range-calls.js';

export class AdminCalls {
	readonly #asker: Asker;
	readonly #gate: EpochGate;
	readonly #fileSystem: FileSystem;

	constructor(asker: Asker, gate: EpochGate, fileSystem: FileSystem) {
		this.#asker = asker;
		this.#gate = gate;
		this.#fileSystem = fileSystem;
	}

	/** Resolves when what was written before is in tables. */
	async flush(options?: AbortOptions): Promise<void> {
		await this.#abortable(options, () => this.#asker.askAll({ opcode: opFlush }));
	}

	/** Compacts a range, down to the last level. @throws TypeError, MILLRACE_KEY_SIZE for the range */
	async compact(range?: KeyRange, options?: AbortOptions): Promise<void> {
		const found = commandRangeOf(range);
		if (found === undefined) return;
		await this.#abortable(options, () => this.#asker.askAll({ opcode: opCompact, key: found.start, value: found.end }));
	}

	/** Numbers of each partition, by partition. */
	async stats(): Promise<Record<string, unknown>[]> {
		const replies = await this.#asker.askAll({ opcode: opStats });
		return replies.map((reply) => jsonOf(reply) as Record<string, unknown>);
	}

	/** What a read of this key touches, and how long each step takes. */
	async explain(key: Bytes): Promise<Record<string, unknown>> {
		const bytes = mustKey(key);
		const partition = this.#asker.partitionOf(bytes);
		return { partition, ...(jsonOf(await this.#asker.ask(partition, { opcode: opExplain, key: bytes })) as object) };
	}

	/**
	 * Reads and checks every byte on disk, while the database goes on.
	 * @returns what is wrong, partition by partition, with the paths of the files; empty: nothing
	 */
	async verify(options?: AbortOptions): Promise<FileProblem[]> {
		const replies = await this.#abortable(options, () => this.#asker.askAll({ opcode: opVerify }));
		return replies.flatMap((reply) => jsonOf(reply) as FileProblem[]);
	}

	/**
	 * Deletes every key of a range: at one moment in each partition. Resolves as a write does.
	 * @param wish wishDefault, wishNone or wishAlways
	 * @throws TypeError, MILLRACE_KEY_SIZE for the range; MILLRACE_BUSY when too many deleted ranges wait for compaction
	 */
	async deleteRange(range?: KeyRange, wish = wishDefault): Promise<void> {
		const found = commandRangeOf(range);
		if (found === undefined) return;
		await this.#asker.askAll({ opcode: opDeleteRange, key: found.start, value: found.end, wish });
	}

	/** Drops everything, with its files, at one moment in each partition. Snapshots end with it. */
	async clear(wish = wishDefault): Promise<void> {
		await this.#asker.askAll({ opcode: opClear, wish });
	}

	/**
	 * Makes a copy in a directory that does not exist yet, which opens like any other, while the database goes on: by hard links,
	 * where the file system has them. Holds what was written before the call; of what comes meanwhile, each partition has none or a
	 * beginning. Batches over several partitions wait for it, so each is in the copy as a whole or not at all.
	 * @throws MILLRACE_DIRECTORY when the directory exists or the one above it does not; MILLRACE_DISK_FULL, MILLRACE_BUSY
	 */
	async checkpoint(directory: string, options?: AbortOptions): Promise<DatabaseCheckpoint> {
		if (typeof directory !== 'string' || directory === '') throw new TypeError('a directory is a path');
		return this.#abortable(options, () =>
			this.#gate.whileClosed(() => {
				// It may have waited for batches to end.
				options?.signal?.throwIfAborted();
				return checkpointDirectory(this.#fileSystem, directory, this.#asker.partitionCount, (paths) =>
					this.#checkpointAll(paths),
				);
			}),
		);
	}

	/** Waits for all of them also when one fails: what it has made is removed then. */
	async #checkpointAll(paths: readonly string[]): Promise<string[]> {
		const asks = paths.map((path, partition) =>
			this.#asker.ask(partition, { opcode: opCheckpoint, value: Buffer.from(path, 'utf8') }),
		);
		const outcomes = await Promise.allSettled(asks);
		return outcomes.map((outcome) => {
			if (outcome.status === 'rejected') throw outcome.reason;
			return textOf(outcome.value);
		});
	}

	async #abortable<T>(options: AbortOptions | undefined, work: () => Promise<T>): Promise<T> {
		const signal = options?.signal;
		checkSignal(signal);
		return abortable(signal, work);
	}
}

function textOf({ value }: Reply): string {
	return value === undefined ? '' : Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8');
}

function jsonOf(reply: Reply): unknown {
	try {
		return JSON.parse(textOf(reply));
	} catch (cause) {
		throw new MillraceError('MILLRACE_INTERNAL', 'a partition answered what is no JSON', { cause });
	}
}
