/**
 * A RESP connection: takes commands from bytes, submits them, and writes replies in the commands' order.
 * Main thread only. The fast path (GET, SET) makes no object, string or closure.
 *
 *   onBytes -> input -> parser -> command table -> port.submit ~~> onReply -> reply window -> connection.output
 *                 stalled: window full | output congested | ring full      -> the socket is paused, input is kept
 *                 resumed: onRepliesEnd | onWritable          | onRoom
 *   stopped (QUIT, protocol error, SHUTDOWN) or drained (peer's FIN, server ends): ends when all replies are written
 */
import { outputSizeSoft } from '../../base/limits.js';
import { opGet, opPut } from '../../command/command-format.js';
import type { CommandPort, ReplySink } from '../../command/command-port.js';
import type { ByteSession } from '../../net/byte-session.js';
import type { Connection } from '../../net/connection.js';
import { CommandContext, noBytes } from './command-context.js';
import { ReplyWindow, shapeBulk, shapeOk } from './reply-window.js';
import { runCommand } from './resp-commands.js';
import type { RespHost } from './resp-host.js';
import { RespInput } from './resp-input.js';
import { parseFailed, parsePartial, RespParser } from './resp-parser.js';

/** "get" and "set" as one number each: three lower-case bytes. */
const wordGet = 0x676574;
const wordSet = 0x736574;

export interface RespSessionOptions {
	/** Commands in flight at most; inFlightPerConnectionMax unless a test says otherwise. */
	readonly windowSizeMax?: number;
}

export class RespSession implements ByteSession, ReplySink {
	readonly #connection: Connection;
	readonly #port: CommandPort;
	readonly #window: ReplyWindow;
	readonly #parser = new RespParser();
	readonly #input = new RespInput();
	readonly #context: CommandContext;
	/** Size of the command at the input's start once it is parsed; 0 before. */
	#commandSize = 0;
	#isTaking = false;
	#isStalled = false;
	#isDraining = false;
	#isClosed = false;

	constructor(connection: Connection, port: CommandPort, host: RespHost, options: RespSessionOptions = {}) {
		this.#connection = connection;
		this.#port = port;
		this.#window = new ReplyWindow(connection, () => host.nowMs(), options.windowSizeMax);
		this.#context = new CommandContext(port, host, connection, this.#window, this.#parser, this.#input);
		this.#context.sink = port.register(this);
	}

	// --- from the connection --------------------------------------------------------------------------

	onBytes(chunk: Buffer): void {
		if (this.#isClosed || this.#context.isStopped) return;
		this.#input.append(chunk, this.#parser.neededSize);
		this.#take();
		this.#connection.flush();
	}

	onWritable(): void {
		if (!this.#isStalled) return;
		this.#take();
		this.#connection.flush();
	}

	onDrain(): void {
		this.#isDraining = true;
		this.#take();
		this.#connection.flush();
	}

	onClose(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#port.unregister(this.#context.sink);
		this.#input.clear();
		this.#window.release();
	}

	// --- from the partitions --------------------------------------------------------------------------

	onReply(
		sequence: number,
		part: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		this.#window.onReply(sequence, part, status, kind, number, bytes, offset, size);
	}

	onRepliesEnd(): void {
		if (this.#isStalled || this.#isDraining || this.#context.isStopped) this.#take();
		else if (this.#window.inFlightCount === 0) this.#window.release();
		this.#connection.flush();
	}

	onRoom(): void {
		if (!this.#isStalled) return;
		this.#take();
		this.#connection.flush();
	}

	// --- commands -------------------------------------------------------------------------------------

	/** Takes commands as far as possible, and pauses, resumes or ends the connection accordingly. */
	#take(): void {
		if (this.#isTaking || this.#isClosed) return;
		this.#isTaking = true;
		const isStalled = !this.#takeCommands();
		this.#isTaking = false;
		const isInputOver = this.#context.isStopped || (this.#isDraining && !isStalled);
		if (isInputOver && this.#window.inFlightCount === 0) {
			this.#input.clear();
			this.#connection.end();
		}
		if (isStalled !== this.#isStalled) {
			this.#isStalled = isStalled;
			if (isStalled) this.#connection.pause();
			else this.#connection.resume();
		}
	}

	/** @returns false when something must give way before the next command; true when there is none */
	#takeCommands(): boolean {
		const input = this.#input;
		const parser = this.#parser;
		while (input.start < input.end) {
			if (this.#context.isStopped || this.#connection.isDestroyed) return true;
			if (this.#mustWait()) return false;
			if (this.#commandSize === 0) {
				if (input.end - input.start < parser.neededSize) return true;
				const size = parser.parse(input.bytes, input.start, input.end);
				if (size === parsePartial) return true;
				if (size === parseFailed) {
					this.#context.replyError(`ERR Protocol error: ${parser.error}`);
					this.#context.isStopped = true;
					return true;
				}
				this.#commandSize = size;
			}
			if (!this.#execute()) return false;
			input.consume(this.#commandSize);
			this.#commandSize = 0;
			parser.reset();
		}
		return true;
	}

	#mustWait(): boolean {
		// A command in the middle of its parts has its place already, and what is held may be its own.
		if (this.#context.isInterrupted) return false;
		return this.#window.isFull || this.#connection.isCongested || this.#window.heldSize >= outputSizeSoft;
	}

	#execute(): boolean {
		const parser = this.#parser;
		const context = this.#context;
		const count = parser.argumentCount;
		if (count === 0) return true;
		if (context.isInterrupted) return context.continueMulti();
		if (parser.sizes[0] === 3) {
			const bytes = this.#input.bytes;
			const at = this.#input.start + (parser.offsets[0] as number);
			const word =
				(((bytes[at] as number) | 0x20) << 16) |
				(((bytes[at + 1] as number) | 0x20) << 8) |
				((bytes[at + 2] as number) | 0x20);
			if (word === wordGet && count === 2) return context.submit(shapeBulk, opGet, 0, 0, 1, noBytes, 0, 0);
			if (word === wordSet && count === 3)
				return context.submit(shapeOk, opPut, 0, 0, 1, bytes, context.offsetOf(2), context.sizeOf(2));
		}
		return runCommand(context);
	}
}
