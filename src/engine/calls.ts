/**
 * A thread's calls to the partitions: the hot path of the embedded API. One asking thread.
 *
 *   get(key) ─> bytes in hand ─> slot + promise ─┬─> ring            window and ring have room
 *                                                └─> waiting calls   they have not, or others of the partition wait already
 *   reply ─────> slot ─> value ─> promise, room in the window ─> waiting calls go out
 *
 * A call costs its promise with the two functions, and nothing else that the collector would have to find again: its other state
 * is in flat arrays (call-slots.ts), its key and value are in scratch buffers until they are in the ring. They are copied before
 * a method returns. Commands to one partition are carried out in the order asked.
 *
 * The window: at most `inFlightSizeMax` bytes of requests are under way, one alone whatever its size. At most
 * `waitingSizeMax` wait behind it; beyond, calls are refused with MILLRACE_BUSY, with nothing sent.
 */
import { assert } from '../base/assert.js';
import { MillraceError } from '../base/errors.js';
import { waitingCallsSizeMax } from '../base/limits.js';
import { BytesInHand, type Bytes as KeyOrValue } from '../command/checked-bytes.js';
import {
	commandSize,
	flagArgument,
	flagSequence,
	opBatch,
	opDecide,
	opForget,
	opGet,
	opHas,
	opReleaseSnapshot,
	requestHeaderSize,
	wishDefault,
} from '../command/command-format.js';
import type { CommandPort, ReplySink } from '../command/command-port.js';
import { type Asker, type Command, flagsOf, type Reply, requestSizeOf } from './asker.js';
import {
	type BatchOutcome,
	CallSlots,
	callBatch,
	callManyReplies,
	callManyValues,
	callReply,
	ownCopy,
} from './call-slots.js';
import { type Pressure, PressureBands, pressureOf } from './pressure.js';
import { WaitingCalls, type WaitingRequest } from './waiting-calls.js';

/** The snapshot's sequence in a partition: for a read at a snapshot, which may throw. */
export type SequenceOf = (partition: number) => number;

const noBytes = new Uint8Array(0);
/** What must reach a partition so that others can go on: small, never refused for want of room. */
const alwaysTaken = new Set([opDecide, opForget, opReleaseSnapshot]);

export class Calls implements Asker {
	readonly partitionCount: number;
	/** Hears when the pressure enters a band or leaves it. */
	onPressure: (pressure: Pressure) => void = () => undefined;

	/** What `takeKey` took: valid until the next call. For synchronous reads, too. */
	readonly key = new BytesInHand();
	readonly #value = new BytesInHand();
	readonly #port: CommandPort;
	readonly #sink: number;
	readonly #slots = new CallSlots();
	readonly #waiting: WaitingCalls;
	readonly #inFlightSizeMax: number;
	readonly #waitingSizeMax: number;
	readonly #bands = new PressureBands();
	#inFlightSize = 0;
	/** The request that could not be sent last met a full ring, not a full window. */
	#isRingFull = false;
	/** Why the program's calls are refused, if they are. */
	#refusal: (() => MillraceError) | undefined;
	/** Why nothing is sent any more at all. */
	#end: (() => MillraceError) | undefined;
	#onIdle: (() => void) | undefined;

	/**
	 * @param inFlightSizeMax bytes of requests under way at most
	 * @param waitingSizeMax bytes of requests that wait for them at most
	 */
	constructor(port: CommandPort, inFlightSizeMax: number, waitingSizeMax = waitingCallsSizeMax) {
		this.#port = port;
		this.#waitingSizeMax = waitingSizeMax;
		this.partitionCount = port.partitionCount;
		this.#inFlightSizeMax = inFlightSizeMax;
		this.#waiting = new WaitingCalls(this.partitionCount);
		this.#sink = port.register(this.#makeSink());
	}

	/** Calls not answered yet. */
	get count(): number {
		return this.#slots.count;
	}

	get pressure(): Pressure {
		const isWaiting = this.#waiting.count > 0;
		const windowShare = this.#inFlightSize / this.#inFlightSizeMax;
		return pressureOf(windowShare, this.#waiting.size / this.#waitingSizeMax, isWaiting, !this.#isRingFull);
	}

	partitionOf(key: Uint8Array, size = key.length): number {
		return this.partitionCount === 1 ? 0 : this.#port.partitionOf(key, 0, size);
	}

	/** A read of one key, perhaps at a snapshot, or a write of one without options. */
	callKey(kind: number, opcode: number, key: KeyOrValue, sequenceOf?: SequenceOf): Promise<unknown> {
		try {
			if (this.#refusal !== undefined) throw this.#refusal();
			this.key.takeKey(key);
			const partition = this.partitionInHand();
			const flags = sequenceOf === undefined ? 0 : flagSequence;
			const sequence = sequenceOf === undefined ? 0 : sequenceOf(partition);
			return this.#start(kind, partition, opcode, flags, 0, noBytes, 0, sequence, wishDefault);
		} catch (error) {
			return Promise.reject(error);
		}
	}

	/**
	 * A write of one key.
	 * @param argument 0: none, whose flag is set here
	 * @param version what flagSequence is about
	 */
	callWrite(
		kind: number,
		opcode: number,
		flags: number,
		argument: number,
		key: KeyOrValue,
		value: KeyOrValue,
		version: number,
		wish: number,
	): Promise<unknown> {
		try {
			if (this.#refusal !== undefined) throw this.#refusal();
			this.key.takeKey(key);
			this.#value.takeValue(value);
			const { bytes, size } = this.#value;
			const allFlags = argument === 0 ? flags : flags | flagArgument;
			return this.#start(kind, this.partitionInHand(), opcode, allFlags, argument, bytes, size, version, wish);
		} catch (error) {
			return Promise.reject(error);
		}
	}

	/** Values of many keys, each asked for by itself. */
	getMany(keys: readonly KeyOrValue[], sequenceOf?: SequenceOf): Promise<unknown> {
		try {
			if (this.#refusal !== undefined) throw this.#refusal();
			if (!Array.isArray(keys)) throw new TypeError('getMany takes an array of keys');
			// Nothing is written by it, so what is asked before a bad key is met does no harm.
			if (this.#waiting.count > 0) this.#mustAdmit(keys.length * requestHeaderSize);
		} catch (error) {
			return Promise.reject(error);
		}
		if (keys.length === 0) return Promise.resolve([]);
		const promise = this.#slots.addGathering(callManyValues, keys.length);
		const slot = this.#slots.newest;
		for (let part = 0; part < keys.length; part++) {
			try {
				this.key.takeKey(keys[part]);
				const partition = this.partitionInHand();
				const sequence = sequenceOf === undefined ? 0 : sequenceOf(partition);
				const flags = sequenceOf === undefined ? 0 : flagSequence;
				const size = requestHeaderSize + commandSize(flags, this.key.size, 0);
				if (this.#waiting.count > 0) this.#mustAdmit(size);
				this.#slots.setPartSize(slot, part, size);
				this.#send(
					slot,
					part,
					partition,
					opGet,
					flags,
					0,
					this.key.bytes,
					this.key.size,
					noBytes,
					0,
					sequence,
					0,
					size,
				);
			} catch (error) {
				this.#slots.failFrom(slot, part, keys.length, error);
				break;
			}
		}
		return promise;
	}

	/** A batch that is one partition's alone. @param value as opBatch's, copied */
	batch(partition: number, value: Uint8Array, wish: number): Promise<BatchOutcome> {
		const command: Command = { opcode: opBatch, value, wish };
		const size = requestSizeOf(command);
		try {
			this.mustBeOpen();
			this.#mustTake(command, size);
		} catch (error) {
			return Promise.reject(error);
		}
		const promise = this.#slots.add(callBatch, size);
		this.#sendCommand(this.#slots.newest, 0, partition, command, size);
		return promise as Promise<BatchOutcome>;
	}

	/** Tells the partition of the key in hand that it was read: its sliding expiry moves on. Nobody waits for it. */
	touch(partition: number): void {
		const size = requestHeaderSize + commandSize(0, this.key.size, 0);
		if (this.#refusal !== undefined || this.#waiting.size + size > this.#waitingSizeMax) return;
		this.#slots.addUnheard(size);
		const { newest } = this.#slots;
		this.#send(newest, 0, partition, opHas, 0, 0, this.key.bytes, this.key.size, noBytes, 0, 0, wishDefault, size);
	}

	ask(partition: number, command: Command): Promise<Reply> {
		const size = requestSizeOf(command);
		try {
			assert(partition >= 0 && partition < this.partitionCount, 'a partition there is');
			this.#mustTake(command, size);
		} catch (error) {
			return Promise.reject(error);
		}
		const promise = this.#slots.add(callReply, size);
		this.#sendCommand(this.#slots.newest, 0, partition, command, size);
		return promise as Promise<Reply>;
	}

	askAll(command: Command): Promise<Reply[]> {
		const size = requestSizeOf(command);
		try {
			this.#mustTake(command, size * this.partitionCount);
		} catch (error) {
			return Promise.reject(error);
		}
		const promise = this.#slots.addGathering(callManyReplies, this.partitionCount);
		const slot = this.#slots.newest;
		for (let partition = 0; partition < this.partitionCount; partition++) {
			this.#slots.setPartSize(slot, partition, size);
			this.#sendCommand(slot, partition, partition, command, size);
		}
		return promise as Promise<Reply[]>;
	}

	/** @throws what calls of the program are refused with, if they are */
	mustBeOpen(): void {
		if (this.#refusal !== undefined) throw this.#refusal();
	}

	/** The program's calls are refused from now on; `ask` and `askAll` go on, for what is under way in several steps. */
	refuse(makeError: () => MillraceError): void {
		this.#refusal ??= makeError;
	}

	/** Nothing is taken any more. What is not answered yet never will be. */
	end(makeError: () => MillraceError): void {
		if (this.#end !== undefined) return;
		this.#end = makeError;
		this.#refusal = makeError;
		this.#waiting.clear();
		this.#inFlightSize = 0;
		this.#port.unregister(this.#sink);
		if (this.#slots.count > 0) this.#slots.failAll(makeError());
		this.#onIdle?.();
	}

	/** Resolves when every call is answered. */
	async idle(): Promise<void> {
		while (this.#slots.count > 0) {
			await new Promise<void>((resolve) => {
				this.#onIdle = resolve;
			});
		}
	}

	/** The partition of the key in hand. */
	partitionInHand(): number {
		return this.partitionOf(this.key.bytes, this.key.size);
	}

	#mustTake(command: Command, size: number): void {
		if (this.#end !== undefined) throw this.#end();
		if (this.#waiting.count > 0 && !alwaysTaken.has(command.opcode)) this.#mustAdmit(size);
	}

	/** @throws MILLRACE_BUSY when so much waits that this has no place any more */
	#mustAdmit(size: number): void {
		if (this.#waiting.size + size <= this.#waitingSizeMax) return;
		throw new MillraceError(
			'MILLRACE_BUSY',
			`${this.#waiting.count} calls of ${this.#waiting.size} bytes wait already, of ${this.#waitingSizeMax} that may: ` +
				'await calls before making more, or use writer()',
		);
	}

	#start(
		kind: number,
		partition: number,
		opcode: number,
		flags: number,
		argument: number,
		value: Uint8Array,
		valueSize: number,
		sequence: number,
		wish: number,
	): Promise<unknown> {
		const { bytes, size: keySize } = this.key;
		const size = requestHeaderSize + commandSize(flags, keySize, valueSize);
		if (this.#waiting.count > 0) this.#mustAdmit(size);
		const promise = this.#slots.add(kind, size);
		const slot = this.#slots.newest;
		this.#send(slot, 0, partition, opcode, flags, argument, bytes, keySize, value, valueSize, sequence, wish, size);
		return promise;
	}

	#sendCommand(slot: number, part: number, partition: number, command: Command, size: number): void {
		const { opcode, argument = 0, key = noBytes, value = noBytes, sequence = 0, wish = wishDefault } = command;
		const flags = flagsOf(command);
		const { length } = key;
		// biome-ignore format: one line for each half of the command
		this.#send(
			slot, part, partition, opcode, flags, argument,
			key, length, value, value.length, sequence, wish, size,
		);
	}

	/** Sends a request, or copies it and lets it wait. */
	#send(
		slot: number,
		part: number,
		partition: number,
		opcode: number,
		flags: number,
		argument: number,
		key: Uint8Array,
		keySize: number,
		value: Uint8Array,
		valueSize: number,
		sequence: number,
		wish: number,
		size: number,
	): void {
		const mayPass = this.#waiting.count === 0 || !this.#waiting.has(partition);
		if (mayPass && this.#hasWindow(size)) {
			const sink = this.#sink;
			// biome-ignore format: one line for each half of the command
			const isSent = this.#port.submit(
				partition, sink, slot, part, opcode, flags, argument,
				key, 0, keySize, value, 0, valueSize, sequence, wish,
			);
			this.#isRingFull = !isSent;
			if (isSent) {
				this.#inFlightSize += size;
				return;
			}
		}
		const own = { key: ownCopy(key, 0, keySize), value: ownCopy(value, 0, valueSize) };
		const request: WaitingRequest = { slot, part, opcode, flags, argument, ...own, sequence, wish, size };
		this.#waiting.add(partition, request, opcode === opDecide);
		this.#notePressure();
	}

	#hasWindow(size: number): boolean {
		return this.#inFlightSize + size <= this.#inFlightSizeMax || this.#inFlightSize === 0;
	}

	readonly #maybeSend = (partition: number, request: WaitingRequest): boolean => {
		const { slot, part, opcode, flags, argument, key, value, sequence, wish, size } = request;
		this.#isRingFull = false;
		if (!this.#hasWindow(size)) return false;
		// biome-ignore format: one line for each half of the command
		const isSent = this.#port.submit(
			partition, this.#sink, slot, part, opcode, flags, argument,
			key, 0, key.length, value, 0, value.length, sequence, wish,
		);
		this.#isRingFull = !isSent;
		if (isSent) this.#inFlightSize += size;
		return isSent;
	};

	#drain(): void {
		if (this.#waiting.count > 0) this.#waiting.drain(this.#maybeSend);
		if (!this.#bands.isCalm) this.#notePressure();
	}

	#notePressure(): void {
		const { pressure } = this;
		if (this.#bands.note(pressure.level)) this.onPressure(pressure);
	}

	#makeSink(): ReplySink {
		return {
			onReply: (slot, part, status, kind, number, bytes, offset, size) => {
				if (this.#end !== undefined) return;
				this.#inFlightSize -= this.#slots.sizeOf(slot, part);
				this.#slots.settle(slot, part, status, kind, number, bytes, offset, size);
			},
			onRepliesEnd: () => {
				this.#drain();
				if (this.#slots.count === 0) this.#onIdle?.();
			},
			onRoom: () => this.#drain(),
		};
	}
}
