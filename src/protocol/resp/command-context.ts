/**
 * What a command handler works with: the arguments of one parsed command, ways to send it to partitions, and ways to
 * answer it here. One per session, reused for every command; nothing in it outlives the handler's call, except the
 * cursor of a command of many parts that a full ring interrupted.
 *
 * Handlers and `submit*` return true when the command is dealt with (submitted or answered), false when a ring is
 * full: the session keeps the command's bytes and tries again when there is room.
 */
import { assert } from '../../base/assert.js';
import { keySizeMax } from '../../base/limits.js';
import type { CommandPort } from '../../command/command-port.js';
import type { Connection } from '../../net/connection.js';
import { MultiReply } from './multi-reply.js';
import type { ReplyWindow } from './reply-window.js';
import { replyOverheadMax } from './resp-format.js';
import type { RespHost } from './resp-host.js';
import type { RespInput } from './resp-input.js';
import type { RespParser } from './resp-parser.js';
import { encodeBulk, encodeInteger, encodeRaw, errorLine } from './resp-writer.js';

export const noBytes = Buffer.alloc(0);

export class CommandContext {
	readonly port: CommandPort;
	readonly host: RespHost;
	readonly connection: Connection;
	readonly window: ReplyWindow;
	sink = -1;
	/** What CLIENT SETNAME said. */
	clientName = '';
	/** A handler asks to take no more commands and to end the connection after the replies under way. */
	isStopped = false;

	readonly #parser: RespParser;
	readonly #input: RespInput;
	/** The command being split, if a ring was full in its middle; and how far it is. */
	#multi: MultiReply | undefined;
	#multiSequence = 0;
	#multiPart = 0;
	#multiOpcode = 0;
	#multiStep = 0;

	constructor(
		port: CommandPort,
		host: RespHost,
		connection: Connection,
		window: ReplyWindow,
		parser: RespParser,
		input: RespInput,
	) {
		this.port = port;
		this.host = host;
		this.connection = connection;
		this.window = window;
		this.#parser = parser;
		this.#input = input;
	}

	// --- arguments ------------------------------------------------------------------------------------

	/** The command's name is argument 0. */
	get argumentCount(): number {
		return this.#parser.argumentCount;
	}

	/** Holds the arguments; valid during the handler's call. */
	get bytes(): Buffer {
		return this.#input.bytes;
	}

	offsetOf(index: number): number {
		return this.#input.start + (this.#parser.offsets[index] as number);
	}

	sizeOf(index: number): number {
		return this.#parser.sizes[index] as number;
	}

	/** The argument as text, cut at `sizeMax` bytes. */
	textOf(index: number, sizeMax = Number.MAX_SAFE_INTEGER): string {
		const offset = this.offsetOf(index);
		return this.bytes.toString('latin1', offset, offset + Math.min(this.sizeOf(index), sizeMax));
	}

	/** The argument in upper case; '' when it is longer than any word we know. */
	wordOf(index: number): string {
		return this.sizeOf(index) > 16 ? '' : this.textOf(index).toUpperCase();
	}

	// --- to partitions --------------------------------------------------------------------------------

	/** Submits a command on the key in argument `keyIndex`, or answers that the key is not one. */
	submit(
		shape: number,
		opcode: number,
		flags: number,
		argument: number,
		keyIndex: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
	): boolean {
		const key = this.#input.bytes;
		const keyOffset = this.#input.start + (this.#parser.offsets[keyIndex] as number);
		const keySize = this.#parser.sizes[keyIndex] as number;
		if (keySize === 0 || keySize > keySizeMax) return this.#replyKeySize(keySize);
		const partition = this.port.partitionOf(key, keyOffset, keySize);
		const sequence = this.window.open(shape);
		if (
			this.port.submit(
				partition,
				this.sink,
				sequence,
				0,
				opcode,
				flags,
				argument,
				key,
				keyOffset,
				keySize,
				value,
				valueOffset,
				valueSize,
			)
		)
			return true;
		this.window.cancel(sequence);
		return false;
	}

	/** A command on a key alone. */
	submitKey(shape: number, opcode: number, keyIndex: number): boolean {
		return this.submit(shape, opcode, 0, 0, keyIndex, noBytes, 0, 0);
	}

	/**
	 * Submits one command for each key from argument 1, the arguments being keys (`step` 1) or keys and values (2).
	 * @param shape one of the multiX of multi-reply.ts
	 */
	submitKeys(shape: number, opcode: number, step: 1 | 2): boolean {
		for (let index = 1; index < this.argumentCount; index += step) {
			const keySize = this.sizeOf(index);
			if (keySize === 0 || keySize > keySizeMax) return this.#replyKeySize(keySize);
		}
		return this.#startMulti(shape, opcode, step, (this.argumentCount - 1) / step);
	}

	/** Submits a command without key to each partition. */
	submitAll(shape: number, opcode: number): boolean {
		return this.#startMulti(shape, opcode, 0, this.port.partitionCount);
	}

	/** A command of many parts waits for room. */
	get isInterrupted(): boolean {
		return this.#multi !== undefined;
	}

	/** Goes on with the interrupted command. */
	continueMulti(): boolean {
		assert(this.#multi !== undefined, 'a command was interrupted');
		while (this.#multiPart < this.#multi.partCount) {
			if (!this.#submitPart(this.#multiPart)) return false;
			this.#multiPart++;
		}
		this.#multi = undefined;
		return true;
	}

	#startMulti(shape: number, opcode: number, step: number, partCount: number): boolean {
		this.#multi = new MultiReply(shape, partCount);
		this.#multiSequence = this.window.openMulti(this.#multi);
		this.#multiPart = 0;
		this.#multiOpcode = opcode;
		this.#multiStep = step;
		return this.continueMulti();
	}

	#submitPart(part: number): boolean {
		const bytes = this.#input.bytes;
		let partition = part;
		let keyOffset = 0;
		let keySize = 0;
		let valueOffset = 0;
		let valueSize = 0;
		if (this.#multiStep > 0) {
			const index = 1 + part * this.#multiStep;
			keyOffset = this.offsetOf(index);
			keySize = this.sizeOf(index);
			partition = this.port.partitionOf(bytes, keyOffset, keySize);
			if (this.#multiStep === 2) {
				valueOffset = this.offsetOf(index + 1);
				valueSize = this.sizeOf(index + 1);
			}
		}
		return this.port.submit(
			partition,
			this.sink,
			this.#multiSequence,
			part,
			this.#multiOpcode,
			0,
			0,
			bytes,
			keyOffset,
			keySize,
			bytes,
			valueOffset,
			valueSize,
		);
	}

	// --- answers from here: all return true, so that handlers can return them -------------------------

	/** A reply that is ready as bytes. */
	replyRaw(raw: Uint8Array): true {
		const at = this.window.openLocal(raw.length);
		this.window.closeLocal(encodeRaw(this.window.target, at, raw));
		return true;
	}

	replyBulk(bytes: Uint8Array, offset: number, size: number): true {
		const at = this.window.openLocal(size + replyOverheadMax);
		this.window.closeLocal(encodeBulk(this.window.target, at, bytes, offset, size));
		return true;
	}

	/** A bulk string of this text, in UTF-8. */
	replyText(text: string): true {
		const bytes = Buffer.from(text, 'utf8');
		return this.replyBulk(bytes, 0, bytes.length);
	}

	replyInteger(value: number): true {
		const at = this.window.openLocal(replyOverheadMax);
		this.window.closeLocal(encodeInteger(this.window.target, at, value));
		return true;
	}

	/** An error line; `text` starts with its word, such as "ERR syntax error". */
	replyError(text: string): true {
		return this.replyRaw(errorLine(text));
	}

	#replyKeySize(keySize: number): true {
		const what = keySize === 0 ? 'key is empty' : `key of ${keySize} bytes is longer than ${keySizeMax}`;
		return this.replyError(`ERR MILLRACE_KEY_SIZE ${what}`);
	}
}
