/**
 * One socket to a server, pipelined: calls in, promises settled in the order replies come.
 *
 *   call -> waiting (bounded count) -> slot (bounded count and bytes) -> output buffer -> one write per turn
 *                                        ^id = slot + 1
 *
 * Invariants: a slot is taken until its reply came, also when its call gave up, so an id never means two things;
 * calls leave in the order they were made; when the connection is lost every call settles. The client's thread only.
 * Output buffers go to the socket and come back with its callback; received chunks belong to the parser.
 */
import { connect as connectSocket, type Socket } from 'node:net';
import { assert } from '../base/assert.js';
import { codeOf, type ErrorCode, MillraceError, statusOk } from '../base/errors.js';
import { connectionRequestId, protocolVersion } from '../protocol/frame/frame-format.js';
import {
	FrameParser,
	foundBadPreface,
	foundBadSize,
	foundNothing,
	foundPreface,
} from '../protocol/frame/frame-parser.js';
import { MessageReader } from '../protocol/frame/message-reader.js';
import type { Address } from './address.js';
import { type Call, encodeCall, settleCall, unpackPayload } from './call.js';
import { CallQueue } from './call-queue.js';
import { connectError, type Hello, lostError, makePreface, readHello } from './handshake.js';

export interface ConnectionSettings {
	readonly connectTimeoutMs: number;
	/** 0: calls wait for ever. */
	readonly requestTimeoutMs: number;
	readonly inFlightMax: number;
	readonly inFlightSizeMax: number;
	readonly waitingMax: number;
}

/** Bytes of an output buffer; larger calls get one of their own. */
const outputSize = 64 * 1024;
/** Output buffers kept for reuse. */
const spareCountMax = 4;
/** How long an orderly close waits for the server's end of the connection. */
const closeTimeoutMs = 2_000;

export class ClientConnection {
	readonly #address: Address;
	readonly #settings: ConnectionSettings;
	readonly #socket: Socket;
	readonly #parser = new FrameParser();
	readonly #reader = new MessageReader();

	readonly #calls: (Call | undefined)[] = [];
	readonly #freeSlots: number[] = [];
	#inFlightMax: number;
	#inFlightCount = 0;
	#inFlightSize = 0;
	readonly #waiting = new CallQueue();

	#output: Buffer = Buffer.allocUnsafeSlow(outputSize);
	#used = 0;
	readonly #spares: Buffer[] = [];
	#isFlushPlanned = false;
	#isCorked = false;

	#hello: Hello | undefined;
	#onHello: ((error: MillraceError | undefined) => void) | undefined;
	/** Why calls are refused from now on. */
	#failure: MillraceError | undefined;
	#socketError: unknown;
	#firstBytes = '';
	#isClosing = false;
	readonly #closed: Promise<void>;
	#sweepTimer: NodeJS.Timeout | undefined;

	/**
	 * @throws MillraceError MILLRACE_CONNECTION, or MILLRACE_PROTOCOL when what answers is no Millrace server of our
	 * version
	 */
	static async connect(address: Address, settings: ConnectionSettings): Promise<ClientConnection> {
		const connection = new ClientConnection(address, settings);
		await connection.#opened();
		return connection;
	}

	private constructor(address: Address, settings: ConnectionSettings) {
		this.#address = address;
		this.#settings = settings;
		this.#inFlightMax = settings.inFlightMax;
		const socket = connectSocket({ host: address.host, port: address.port, noDelay: true });
		this.#socket = socket;
		socket.on('data', (chunk: Buffer) => this.#onData(chunk));
		socket.on('error', (error) => {
			this.#socketError = error;
		});
		this.#closed = new Promise((resolve) => {
			socket.on('close', () => {
				this.#onSocketClose();
				resolve();
			});
		});
		socket.write(makePreface());
	}

	get hello(): Hello {
		assert(this.#hello !== undefined, 'a connection is given out after its hello');
		return this.#hello;
	}

	/** Sends a call now, or when there is room; it settles its own promise. */
	send(call: Call): void {
		if (this.#isClosing) {
			call.reject(new MillraceError('MILLRACE_CLOSED', 'the client was closed'));
		} else if (this.#failure !== undefined) {
			call.reject(this.#failure);
		} else if (this.#waiting.count === 0 && this.#hasRoomFor(call)) {
			this.#sendNow(call);
		} else if (this.#waiting.count >= this.#settings.waitingMax) {
			const message = `${this.#waiting.count} calls wait for the server already: await some before making more`;
			call.reject(new MillraceError('MILLRACE_BUSY', message));
		} else {
			this.#waiting.push(call);
		}
	}

	/** Takes no more calls, waits for those made, and closes the socket. Idempotent. */
	async close(): Promise<void> {
		this.#isClosing = true;
		this.#maybeEnd();
		await this.#closed;
	}

	// --- sending --------------------------------------------------------------------------------------

	/** A call larger than the whole budget goes alone. */
	#hasRoomFor(call: Call): boolean {
		if (this.#inFlightCount >= this.#inFlightMax) return false;
		return this.#inFlightSize === 0 || this.#inFlightSize + call.size <= this.#settings.inFlightSizeMax;
	}

	#sendNow(call: Call): void {
		const slot = this.#freeSlots.pop() ?? this.#calls.length;
		this.#calls[slot] = call;
		this.#inFlightCount++;
		this.#inFlightSize += call.size;
		if (this.#used + call.size > this.#output.length) this.#changeOutput(call.size);
		this.#used = encodeCall(this.#output, this.#used, slot + 1, call);
		this.#planFlush();
	}

	#sendWaiting(): void {
		for (let call = this.#waiting.first; call !== undefined; call = this.#waiting.first) {
			if (!call.isAbandoned) {
				if (!this.#hasRoomFor(call)) return;
				this.#sendNow(call);
			}
			this.#waiting.shift();
		}
	}

	/** Gives the full buffer to the corked socket and takes one with room for `size` bytes. */
	#changeOutput(size: number): void {
		if (!this.#isCorked) {
			this.#isCorked = true;
			this.#socket.cork();
		}
		this.#writeOutput();
		if (size > this.#output.length) this.#output = Buffer.allocUnsafeSlow(size);
	}

	/** After everything this turn of the event loop wants to send: one write instead of many. */
	#planFlush(): void {
		if (this.#isFlushPlanned) return;
		this.#isFlushPlanned = true;
		setImmediate(() => {
			this.#isFlushPlanned = false;
			if (this.#failure !== undefined) return;
			this.#writeOutput();
			if (this.#isCorked) {
				this.#isCorked = false;
				this.#socket.uncork();
			}
		});
	}

	#writeOutput(): void {
		if (this.#used === 0) return;
		const buffer = this.#output;
		this.#socket.write(buffer.subarray(0, this.#used), () => {
			if (buffer.length === outputSize && this.#spares.length < spareCountMax) this.#spares.push(buffer);
		});
		this.#output = this.#spares.pop() ?? Buffer.allocUnsafeSlow(outputSize);
		this.#used = 0;
	}

	// --- receiving ------------------------------------------------------------------------------------

	#onData(chunk: Buffer): void {
		if (this.#failure !== undefined) return;
		if (this.#hello === undefined && this.#firstBytes === '') {
			this.#firstBytes = chunk.toString('latin1', 0, 80);
		}
		this.#parser.push(chunk);
		try {
			while (this.#failure === undefined && this.#takeNext());
		} catch (error) {
			if (!(error instanceof MillraceError)) throw error;
			this.#fail(error);
		}
		if (this.#failure !== undefined) return;
		this.#sendWaiting();
		this.#maybeEnd();
	}

	/** @returns false when no whole frame is there */
	#takeNext(): boolean {
		const parser = this.#parser;
		const found = parser.next();
		if (found === foundNothing) return false;
		if (found === foundBadPreface) throw this.#notMillrace();
		if (found === foundBadSize) {
			throw new MillraceError('MILLRACE_PROTOCOL', `the server sent a frame of ${parser.size} bytes`);
		}
		// A server of another version says so in a frame, which is friendlier than what we could say.
		if (found === foundPreface) return true;
		const reader = this.#reader;
		reader.reset(parser.bytes, parser.offset, parser.size);
		const count = reader.readArrayCount();
		const id = reader.readNumber();
		const status = reader.readNumber();
		if (count !== 4 || id < 0 || status < 0) {
			throw new MillraceError('MILLRACE_PROTOCOL', 'the server sent a frame that is no reply');
		}
		if (id === connectionRequestId) this.#takeConnectionFrame(status, reader);
		else this.#takeReply(id - 1, status, reader);
		return true;
	}

	#takeReply(slot: number, status: number, reader: MessageReader): void {
		const call = this.#calls[slot];
		if (call === undefined) {
			throw new MillraceError('MILLRACE_PROTOCOL', `the server answered request ${slot + 1}, which is not open`);
		}
		settleCall(call, status, reader);
		this.#calls[slot] = undefined;
		this.#freeSlots.push(slot);
		this.#inFlightCount--;
		this.#inFlightSize -= call.size;
	}

	#takeConnectionFrame(status: number, reader: MessageReader): void {
		if (status !== statusOk) {
			const text = reader.readBytes()
				? Buffer.from(reader.bytes.slice(reader.valueOffset, reader.valueOffset + reader.valueSize)).toString()
				: 'no reason given';
			throw new MillraceError(codeOf(status), `${this.#where} ended the connection: ${text}`);
		}
		if (this.#hello !== undefined) return;
		const hello = readHello(unpackPayload(reader));
		this.#hello = hello;
		this.#inFlightMax = Math.min(this.#settings.inFlightMax, hello.inFlightMax);
		this.#onHello?.(undefined);
	}

	// --- beginning and end ----------------------------------------------------------------------------

	get #where(): string {
		const { host, port } = this.#address;
		return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
	}

	async #opened(): Promise<void> {
		await new Promise<void>((resolve, reject) => {
			const timer = setTimeout(() => {
				const within = `within ${this.#settings.connectTimeoutMs} ms`;
				const message = `${this.#where} did not answer as a Millrace server ${within}`;
				this.#fail(new MillraceError('MILLRACE_CONNECTION', message));
			}, this.#settings.connectTimeoutMs);
			this.#onHello = (error) => {
				clearTimeout(timer);
				this.#onHello = undefined;
				if (error === undefined) resolve();
				else reject(error);
			};
		});
		const { requestTimeoutMs } = this.#settings;
		if (requestTimeoutMs === 0) return;
		this.#sweepTimer = setInterval(() => this.#sweep(), Math.max(5, requestTimeoutMs / 4));
		this.#sweepTimer.unref();
	}

	/** Gives up calls past their deadline. */
	#sweep(): void {
		const now = performance.now();
		const message = `no reply within ${this.#settings.requestTimeoutMs} ms`;
		for (const call of this.#calls) {
			if (call === undefined || call.isAbandoned || call.deadlineMs > now) continue;
			call.isAbandoned = true;
			call.reject(new MillraceError('MILLRACE_CONNECTION', `${message}: whether it was done is unknown`));
		}
		for (const call of this.#waiting.all()) {
			if (call.isAbandoned || call.deadlineMs > now) continue;
			call.isAbandoned = true;
			call.reject(new MillraceError('MILLRACE_CONNECTION', `${message}: it was not sent`));
		}
		this.#maybeEnd();
	}

	#maybeEnd(): void {
		if (!this.#isClosing || this.#socket.writableEnded || this.#socket.destroyed) return;
		if (this.#waiting.first?.isAbandoned === false) return;
		if (this.#waiting.all().some((call) => !call.isAbandoned)) return;
		if (this.#calls.some((call) => call !== undefined && !call.isAbandoned)) return;
		clearInterval(this.#sweepTimer);
		// A server that owes replies nobody waits for would keep its end open until they came.
		if (this.#inFlightCount > 0) this.#socket.destroy();
		else this.#socket.end();
		const timer = setTimeout(() => this.#socket.destroy(), closeTimeoutMs);
		this.#socket.once('close', () => clearTimeout(timer));
	}

	#onSocketClose(): void {
		const cause = this.#socketError;
		if (this.#hello === undefined) {
			this.#fail(connectError(this.#where, cause));
			return;
		}
		const why = cause instanceof Error ? `: ${cause.message}` : '';
		const code: ErrorCode = this.#isClosing ? 'MILLRACE_CLOSED' : 'MILLRACE_CONNECTION';
		this.#fail(new MillraceError(code, `the connection to ${this.#where} was lost${why}`, { cause }));
	}

	/** The connection is of no more use: every call settles. Idempotent. */
	#fail(error: MillraceError): void {
		if (this.#failure !== undefined) return;
		this.#failure = error;
		clearInterval(this.#sweepTimer);
		this.#socket.destroy();
		this.#onHello?.(error);
		for (const call of this.#calls) {
			if (call === undefined || call.isAbandoned) continue;
			call.reject(lostError(error, 'whether this call was done is unknown'));
		}
		for (const call of this.#waiting.all()) {
			if (!call.isAbandoned) call.reject(lostError(error, 'this call was not sent'));
		}
		this.#calls.length = 0;
		this.#waiting.clear();
	}

	#notMillrace(): MillraceError {
		const line = this.#firstBytes.split(/[\r\n]/, 1)[0] as string;
		const printable = line.replace(/[^\x20-\x7e]/g, '.');
		return new MillraceError(
			'MILLRACE_PROTOCOL',
			`${this.#where} is not a Millrace server of protocol version ${protocolVersion}; it says: ${printable}`,
		);
	}
}
