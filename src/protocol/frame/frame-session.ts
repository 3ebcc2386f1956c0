/**
 * One native-protocol connection on the server: bytes in, commands to partitions, replies out in the order they come.
 * Main thread only.
 *
 *   onBytes -> FrameParser -> FrameRequest -> submit(partition, sink, slot, part) -> ... -> onReply(slot, part)
 *                                                                  |                              |
 *                                              slot: id, operation +------------------------------+-> output
 *
 * A request holds a slot until its reply is written. Nothing is allocated for a request on one key. Invariants: at
 * most one decoded request waits (`#isRequestWaiting`); while anything blocks (no slot, no room in a ring, a
 * congested connection) the socket is paused and unparsed bytes stay in the parser, so queues do not grow. Bytes lent
 * by `onReply` are copied into the output during the call.
 */
import { type ErrorCode, statusOf, statusOk } from '../../base/errors.js';
import { frameSizeMax, inFlightPerConnectionMax, keySizeMax, outputSizeMax, valueSizeMax } from '../../base/limits.js';
import { packMessage } from '../../codec/message-pack.js';
import {
	flagArgument,
	opClear,
	opCount,
	opFlush,
	opGet,
	opIncrement,
	opScan,
	opStats,
	replyMessage,
	replyNone,
	replyValue,
} from '../../command/command-format.js';
import type { CommandPort, ReplySink } from '../../command/command-port.js';
import type { ByteSession } from '../../net/byte-session.js';
import { ReplyBudget } from '../../net/reply-budget.js';
import {
	bytesHeaderSizeMax,
	connectionRequestId,
	frameOverheadMax,
	operationGetMany,
	operationPing,
	protocolVersion,
} from './frame-format.js';
import { FrameGather } from './frame-gather.js';
import { type FrameConnection, FrameOutput } from './frame-output.js';
import { FrameParser, foundBadPreface, foundBadSize, foundNothing, foundPreface } from './frame-parser.js';
import { FrameRequest, requestUnreadable } from './frame-request.js';
import { FrameSlots } from './frame-slots.js';

export interface FrameSessionOptions {
	/** Version text of the server, for the hello. */
	readonly serverVersion?: string;
	/** Milliseconds since the epoch: what relative expiries are counted from. */
	readonly nowMs?: () => number;
}

const noBytes = new Uint8Array(0);

export class FrameSession implements ByteSession, ReplySink {
	readonly #connection: FrameConnection;
	readonly #output: FrameOutput;
	readonly #port: CommandPort;
	readonly #sink: number;
	readonly #serverVersion: string;
	readonly #nowMs: () => number;
	readonly #parser = new FrameParser();
	readonly #request = new FrameRequest();

	readonly #slots = new FrameSlots();
	readonly #budget = new ReplyBudget(inFlightPerConnectionMax);
	/** Commands at partitions whose replies are to come; a request may have many. */
	#underWayCount = 0;
	readonly #gathers = new Map<number, FrameGather>();
	#gatheredSize = 0;

	#isRequestWaiting = false;
	/** The slot of the waiting request when some of its parts are submitted already, else -1. */
	#fanSlot = -1;
	#fanIndex = 0;
	#isRoomAwaited = false;
	#isPaused = false;
	/** No more bytes are parsed: the client ended, or sent what cannot be understood. */
	#isDraining = false;
	#isBroken = false;
	#isEnded = false;

	constructor(connection: FrameConnection, port: CommandPort, options: FrameSessionOptions = {}) {
		this.#connection = connection;
		this.#output = new FrameOutput(connection);
		this.#port = port;
		this.#serverVersion = options.serverVersion ?? '';
		this.#nowMs = options.nowMs ?? Date.now;
		this.#sink = port.register(this);
	}

	onBytes(chunk: Buffer): void {
		if (this.#isEnded || this.#isBroken) return;
		this.#parser.push(chunk);
		this.#run();
		this.#connection.flush();
	}

	onWritable(): void {
		this.#run();
		this.#connection.flush();
	}

	onRoom(): void {
		this.#isRoomAwaited = false;
		this.#run();
		this.#connection.flush();
	}

	onRepliesEnd(): void {
		this.#run();
		this.#connection.flush();
	}

	onDrain(): void {
		this.#isDraining = true;
		this.#run();
	}

	onClose(): void {
		if (!this.#isEnded) this.#port.unregister(this.#sink);
		this.#isEnded = true;
		this.#gathers.clear();
	}

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
		if (this.#isEnded) return;
		this.#underWayCount--;
		this.#budget.onReply(size);
		const id = this.#slots.mustId(sequence);
		const gather = this.#gathers.get(sequence);
		if (gather === undefined) {
			// The result of an increment is decimal text, and goes out as such.
			const isText = kind === replyValue && this.#slots.operationOf(sequence) === opIncrement;
			this.#slots.free(sequence);
			this.#output.writeReply(id, status, isText ? replyMessage : kind, number, bytes, offset, size);
			return;
		}
		this.#takePart(gather, part, status, kind, number, bytes, offset, size);
		if (!gather.isComplete) return;
		this.#gathers.delete(sequence);
		this.#gatheredSize -= gather.collectedSize;
		this.#slots.free(sequence);
		this.#output.writeGathered(id, gather);
	}

	// --- requests -------------------------------------------------------------------------------------

	/** Parses and submits until bytes, slots, room or output space run out; then sets the socket's state to match. */
	#run(): void {
		if (this.#isEnded) return;
		let isBlocked = false;
		while (!this.#isEnded && !isBlocked) {
			if (this.#isRoomAwaited || this.#connection.isCongested) {
				isBlocked = true;
			} else if (this.#isRequestWaiting) {
				if (this.#submitRequest()) this.#isRequestWaiting = false;
				else isBlocked = true;
			} else if (this.#isBroken || !this.#parseNext()) {
				break;
			}
		}
		this.#setPaused(isBlocked && !this.#isDraining);
		if (!isBlocked && this.#isDraining && this.#slots.inFlightCount === 0) this.#end();
	}

	#setPaused(isPaused: boolean): void {
		if (this.#isPaused === isPaused) return;
		this.#isPaused = isPaused;
		if (isPaused) this.#connection.pause();
		else this.#connection.resume();
	}

	/** @returns false when no whole frame is there */
	#parseNext(): boolean {
		const parser = this.#parser;
		const found = parser.next();
		if (found === foundNothing) return false;
		if (found === foundPreface) {
			this.#writeHello(parser.size);
			return true;
		}
		if (found === foundBadPreface) {
			this.#output.writePreface();
			this.#break('MILLRACE_PROTOCOL', 'the connection does not start with the preface C1 4D 52 and a version');
			return true;
		}
		if (found === foundBadSize) {
			const code = parser.size === 0 ? 'MILLRACE_PROTOCOL' : 'MILLRACE_MESSAGE_SIZE';
			this.#break(code, `a frame has ${parser.size} bytes, from 1 to ${frameSizeMax} are allowed`);
			return true;
		}
		const request = this.#request;
		const status = request.decode(parser.bytes, parser.offset, parser.size);
		if (status === requestUnreadable) {
			this.#break('MILLRACE_PROTOCOL', request.message);
		} else if (status !== statusOk) {
			this.#output.writeError(request.id, status, request.message);
		} else {
			this.#isRequestWaiting = true;
		}
		return true;
	}

	/** @returns false when the request must wait for a slot or for room in a ring */
	#submitRequest(): boolean {
		const request = this.#request;
		switch (request.operation) {
			case operationPing:
				this.#output.writeReply(request.id, statusOk, replyNone, 0, noBytes, 0, 0);
				return true;
			case operationGetMany:
				return this.#submitParts(request.keyCount);
			case opClear:
			case opCount:
			case opStats:
			case opFlush:
				return this.#submitParts(this.#port.partitionCount);
			case opScan:
				if (request.partition < this.#port.partitionCount) return this.#submitSingle(request.partition);
				this.#output.writeError(
					request.id,
					statusOf('MILLRACE_ARGUMENT'),
					`there is no partition ${request.partition}`,
				);
				return true;
			default:
				return this.#submitSingle(this.#port.partitionOf(request.bytes, request.keyOffset, request.keySize));
		}
	}

	#submitSingle(partition: number): boolean {
		const request = this.#request;
		const slot = this.#slots.take(request.id, request.operation);
		if (slot < 0) return false;
		if (this.#submit(partition, slot, 0, request.operation)) return true;
		this.#slots.free(slot);
		return false;
	}

	/**
	 * Submits the parts not yet submitted, one for each key or partition; goes on where it stopped when called again.
	 */
	#submitParts(partCount: number): boolean {
		const request = this.#request;
		const isByKey = request.operation === operationGetMany;
		if (this.#fanSlot < 0) {
			if (partCount === 0) {
				this.#output.writeGathered(request.id, new FrameGather(request.operation, 0));
				return true;
			}
			const slot = this.#slots.take(request.id, request.operation);
			if (slot < 0) return false;
			this.#gathers.set(slot, new FrameGather(request.operation, partCount));
			this.#fanSlot = slot;
			this.#fanIndex = 0;
			if (isByKey) request.nextKey();
		}
		const slot = this.#fanSlot;
		while (this.#fanIndex < partCount) {
			const part = this.#fanIndex;
			const partition = isByKey ? this.#port.partitionOf(request.bytes, request.keyOffset, request.keySize) : part;
			if (!this.#submit(partition, slot, part, isByKey ? opGet : request.operation)) return false;
			this.#fanIndex++;
			if (isByKey && this.#fanIndex < partCount) request.nextKey();
		}
		this.#fanSlot = -1;
		return true;
	}

	#submit(partition: number, slot: number, part: number, opcode: number): boolean {
		if (this.#underWayCount >= this.#budget.limit) return false;
		const request = this.#request;
		const hasArgument = (request.flags & flagArgument) !== 0;
		const argument = hasArgument && request.isRelative ? this.#nowMs() + request.argument : request.argument;
		const isTaken = this.#port.submit(
			partition,
			this.#sink,
			slot,
			part,
			opcode,
			request.flags,
			argument,
			request.bytes,
			request.keyOffset,
			request.keySize,
			request.valueBytes,
			request.valueOffset,
			request.valueSize,
		);
		if (isTaken) this.#underWayCount++;
		else this.#isRoomAwaited = true;
		return isTaken;
	}

	// --- replies --------------------------------------------------------------------------------------

	#takePart(
		gather: FrameGather,
		part: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		const sizeBefore = gather.collectedSize;
		// The number of a get is a version, which has no meaning as a sum.
		const counted = gather.operation === operationGetMany ? 0 : number;
		if (gather.status === statusOk && kind === replyValue) {
			const headersSize = frameOverheadMax + gather.partCount * bytesHeaderSizeMax;
			if (headersSize + sizeBefore + size > frameSizeMax) {
				const message = `the replies together are longer than a frame (${frameSizeMax} bytes): ask for fewer at once`;
				gather.fail(statusOf('MILLRACE_MESSAGE_SIZE'), Buffer.from(message));
			} else if (this.#gatheredSize + size > outputSizeMax) {
				const message = 'too many large replies are being gathered for this connection: ask for fewer at once';
				gather.fail(statusOf('MILLRACE_BUSY'), Buffer.from(message));
			}
		}
		gather.take(part, status, kind, counted, bytes, offset, size);
		this.#gatheredSize += gather.collectedSize - sizeBefore;
	}

	// --- beginning and end ----------------------------------------------------------------------------

	#writeHello(clientVersion: number): void {
		this.#output.writePreface();
		if (clientVersion !== protocolVersion) {
			const message = `this server speaks version ${protocolVersion} of the protocol, not ${clientVersion}`;
			this.#break('MILLRACE_PROTOCOL', message);
			return;
		}
		const hello = {
			server: 'millrace',
			version: this.#serverVersion,
			protocol: protocolVersion,
			partitionCount: this.#port.partitionCount,
			inFlightMax: inFlightPerConnectionMax,
			frameSizeMax,
			keySizeMax,
			valueSizeMax,
		};
		this.#output.writePacked(connectionRequestId, packMessage(hello));
	}

	/** Says what is wrong, reads no further, answers what is in flight and ends. */
	#break(code: ErrorCode, message: string): void {
		this.#output.writeError(connectionRequestId, statusOf(code), message);
		this.#isBroken = true;
		this.#isDraining = true;
	}

	#end(): void {
		this.#isEnded = true;
		this.#port.unregister(this.#sink);
		this.#connection.end();
	}
}
