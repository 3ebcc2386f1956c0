/**
 * The embedded database: promises over the dispatcher. Main thread only.
 *
 * Keys and values are copied into a ring before a method returns, so callers may reuse their buffers at once; values that come
 * back are the caller's own. A promise of a write resolves when the write is as durable as the database's durability says.
 */
import { codeOf, MillraceError, statusNotFound, statusOk } from '../base/errors.js';
import { type Bytes, mustDelta, mustKey, mustValue } from '../command/checked-bytes.js';
import {
	flagArgument,
	opCheckpoint,
	opCount,
	opDelete,
	opFlush,
	opGet,
	opHas,
	opIncrement,
	opPut,
	opStats,
	replyMessage,
	replyValue,
} from '../command/command-format.js';
import type { ReplySink } from '../command/command-port.js';
import { checkPutOptions, type PutOptions } from '../command/put-options.js';
import { checkpointDirectory, type DatabaseCheckpoint } from './checkpoint-directory.js';
import { Engine, type EngineOptions } from './engine.js';
import { type PendingCall, PendingCalls } from './pending-calls.js';

interface Submission {
	readonly partition: number;
	readonly slot: number;
	readonly part: number;
	readonly opcode: number;
	readonly flags: number;
	readonly argument: number;
	readonly key: Uint8Array;
	readonly value: Uint8Array;
}

const none = new Uint8Array(0);

export class Database implements AsyncDisposable {
	readonly #engine: Engine;
	readonly #calls = new PendingCalls();
	readonly #sink: number;
	/** Commands that found their ring full; in order, sent when there is room. */
	readonly #waiting: Submission[] = [];
	#closing: Promise<void> | undefined;
	#onIdle: (() => void) | undefined;

	private constructor(engine: Engine) {
		this.#engine = engine;
		this.#sink = engine.dispatcher.register(this.#makeSink());
	}

	/**
	 * Opens or creates a database; applications call `open` of the package, which wires the options.
	 * @throws MillraceError when the directory cannot be used, is locked, damaged, or has another partition count
	 */
	static async open(options: EngineOptions): Promise<Database> {
		let database: Database | undefined;
		const engine = await Engine.start({
			...options,
			onDeath: (error) => {
				if (database !== undefined) database.#onDeath(error);
				options.onDeath?.(error);
			},
		});
		database = new Database(engine);
		return database;
	}

	get partitionCount(): number {
		return this.#engine.partitionCount;
	}

	/** @returns the value, or undefined when the key is absent or expired */
	get(key: Bytes): Promise<Uint8Array | undefined> {
		return this.#callKey(opGet, 0, 0, key, none, (call) => call.values[0]);
	}

	/** Values in the order of the keys; undefined where there is none. */
	getMany(keys: readonly Bytes[]): Promise<(Uint8Array | undefined)[]> {
		return attempt(() => {
			if (!Array.isArray(keys)) throw new TypeError('getMany takes an array of keys');
			const keyBytes = keys.map(mustKey);
			if (keys.length === 0) return Promise.resolve([]);
			return this.#call(
				keys.length,
				(call) => call.values,
				(slot) => {
					for (let part = 0; part < keyBytes.length; part++) {
						this.#submitKey(slot, part, opGet, 0, 0, keyBytes[part], none);
					}
				},
			);
		});
	}

	has(key: Bytes): Promise<boolean> {
		return this.#callKey(opHas, 0, 0, key, none, (call) => call.status === statusOk);
	}

	/** @returns the version written, or undefined when a condition of the options was not met */
	put(key: Bytes, value: Bytes, options?: PutOptions): Promise<{ version: number } | undefined> {
		return attempt(() => {
			const { flags, expiryMs, isRelative } = checkPutOptions(options);
			const expiresAtMs = isRelative ? Date.now() + expiryMs : expiryMs;
			return this.#callKey(opPut, flags, expiresAtMs, key, mustValue(value), (call) =>
				call.status === statusNotFound ? undefined : { version: call.number },
			);
		});
	}

	/** @returns true when the key was there */
	delete(key: Bytes): Promise<boolean> {
		return this.#callKey(opDelete, 0, 0, key, none, (call) => call.status === statusOk);
	}

	/**
	 * Adds to a decimal counter; an absent key counts as 0. Exact over 64 bits.
	 * @throws MILLRACE_NOT_INTEGER, MILLRACE_OVERFLOW
	 */
	increment(key: Bytes, delta: number | bigint = 1): Promise<bigint> {
		return attempt(() =>
			this.#callKey(opIncrement, 0, 0, key, Buffer.from(mustDelta(delta), 'latin1'), (call) =>
				BigInt(Buffer.from(call.values[0] ?? none).toString('latin1')),
			),
		);
	}

	/** Exact count of live entries, each partition at one moment of its own. Reads every key. */
	count(): Promise<number> {
		return this.#callAll(opCount, (call) => call.number);
	}

	/** Writes all memtables to tables: a following open has little to replay. */
	flush(): Promise<void> {
		return this.#callAll(opFlush, () => undefined);
	}

	/**
	 * Makes a copy in a directory that does not exist yet, which opens like any other, while the database goes on: by hard links,
	 * where the file system has them. Holds what was written before the call; of what comes meanwhile, each partition has none or a
	 * beginning.
	 * @throws MILLRACE_DIRECTORY when the directory exists or the one above it does not; MILLRACE_DISK_FULL, MILLRACE_BUSY
	 */
	checkpoint(directory: string): Promise<DatabaseCheckpoint> {
		return attempt(() => {
			if (typeof directory !== 'string' || directory === '') throw new TypeError('a directory is a path');
			return checkpointDirectory(this.#engine.fileSystem, directory, this.partitionCount, (paths) =>
				this.#call(
					paths.length,
					(call) => call.values.map((text) => Buffer.from(text ?? none).toString('utf8')),
					(slot) => {
						for (const [partition, path] of paths.entries()) {
							const value = Buffer.from(path, 'utf8');
							const opcode = opCheckpoint;
							this.#submit({ partition, slot, part: partition, opcode, flags: 0, argument: 0, key: none, value });
						}
					},
				),
			);
		});
	}

	/** Numbers of each partition, by partition. */
	stats(): Promise<Record<string, unknown>[]> {
		return this.#callAll(opStats, (call) =>
			call.values.map((text) => JSON.parse(Buffer.from(text ?? none).toString('utf8')) as Record<string, unknown>),
		);
	}

	/** Waits for calls under way, makes everything durable, and lets the directory go. Idempotent. */
	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		if (this.#calls.count > 0 && this.#engine.death === undefined) {
			await new Promise<void>((resolve) => {
				this.#onIdle = resolve;
			});
		}
		await this.#engine.close();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close();
	}

	/** A call of `parts` replies; `send` submits its commands. */
	#call<T>(parts: number, finish: (call: PendingCall) => T, send: (slot: number) => void): Promise<T> {
		const { death } = this.#engine;
		if (death !== undefined) return Promise.reject(death);
		if (this.#closing !== undefined)
			return Promise.reject(new MillraceError('MILLRACE_CLOSED', 'the database is closed'));
		return new Promise((resolve, reject) => {
			const slot = this.#calls.add({
				finish: (call) => resolve(finish(call)),
				fail: reject,
				missing: parts,
				status: statusOk,
				number: 0,
				values: new Array<Uint8Array | undefined>(parts).fill(undefined),
				error: undefined,
			});
			send(slot);
		});
	}

	#callKey<T>(
		opcode: number,
		flags: number,
		argument: number,
		key: Bytes,
		value: Uint8Array,
		finish: (call: PendingCall) => T,
	): Promise<T> {
		return attempt(() => {
			const keyBytes = mustKey(key);
			return this.#call(1, finish, (slot) => this.#submitKey(slot, 0, opcode, flags, argument, keyBytes, value));
		});
	}

	#callAll<T>(opcode: number, finish: (call: PendingCall) => T): Promise<T> {
		return this.#call(this.partitionCount, finish, (slot) => {
			for (let partition = 0; partition < this.partitionCount; partition++) {
				this.#submit({
					partition,
					slot,
					part: partition,
					opcode,
					flags: 0,
					argument: 0,
					key: none,
					value: none,
				});
			}
		});
	}

	#submitKey(
		slot: number,
		part: number,
		opcode: number,
		flags: number,
		argument: number,
		key: Uint8Array,
		value: Uint8Array,
	): void {
		const partition = this.#engine.dispatcher.partitionOf(key, 0, key.length);
		this.#submit({
			partition,
			slot,
			part,
			opcode,
			flags: argument === 0 ? flags : flags | flagArgument,
			argument,
			key,
			value,
		});
	}

	/** Sends a command, or keeps it until there is room. Commands that wait are not overtaken. */
	#submit(submission: Submission): void {
		if (this.#waiting.length > 0 || !this.#maybeSend(submission)) {
			const { key, value } = submission;
			this.#waiting.push({ ...submission, key: new Uint8Array(key), value: new Uint8Array(value) });
		}
	}

	#maybeSend({ partition, slot, part, opcode, flags, argument, key, value }: Submission): boolean {
		const { dispatcher } = this.#engine;
		return dispatcher.submit(
			partition,
			this.#sink,
			slot,
			part,
			opcode,
			flags,
			argument,
			key,
			0,
			key.length,
			value,
			0,
			value.length,
		);
	}

	#sendWaiting(): void {
		let sent = 0;
		while (sent < this.#waiting.length && this.#maybeSend(this.#waiting[sent])) sent++;
		this.#waiting.splice(0, sent);
	}

	/** Nothing under way will be answered; what the partitions that live still answer is not waited for. */
	#onDeath(error: MillraceError): void {
		this.#waiting.length = 0;
		this.#calls.failAll(error);
		this.#onIdle?.();
	}

	#makeSink(): ReplySink {
		return {
			onReply: (slot, part, status, kind, number, bytes, offset, size) => {
				if (this.#engine.death !== undefined) return;
				const call = this.#calls.get(slot);
				call.status = status;
				call.number += number;
				if (kind === replyValue) call.values[part] = Uint8Array.prototype.slice.call(bytes, offset, offset + size);
				if (status > statusNotFound) {
					const text = kind === replyMessage ? Buffer.from(bytes.subarray(offset, offset + size)).toString('utf8') : '';
					call.error ??= new MillraceError(codeOf(status), text);
				}
				this.#calls.settlePart(slot);
			},
			onRepliesEnd: () => {
				if (this.#calls.count === 0) this.#onIdle?.();
			},
			onRoom: () => this.#sendWaiting(),
		};
	}
}

/** Misuse rejects like every other error, so that a caller has one place to catch. */
function attempt<T>(start: () => Promise<T>): Promise<T> {
	try {
		return start();
	} catch (error) {
		return Promise.reject(error);
	}
}
