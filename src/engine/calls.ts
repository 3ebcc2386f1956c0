/**
 * A thread's calls to the partitions: the hot path of the embedded API. One asking thread.
 *
 *   get(key) ─> bytes in hand ─> slot + promise ─> outbox ─> ring        key, value: scratch buffers, copied before it returns
 *   reply ────> slot ─> value ─> promise           outbox: room in the window, waiting requests go out
 *
 * A call costs its promise with the two functions, and nothing else that the collector would have to find again: its other state
 * is in flat arrays (call-slots.ts), its key and value are in scratch buffers until they are in the ring or wait (outbox.ts).
 * Commands to one partition are carried out in the order asked.
 */
import { assert } from '../base/assert.js';
import type { MillraceError } from '../base/errors.js';
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
import { type BatchOutcome, CallSlots, callBatch, callManyReplies, callManyValues, callReply } from './call-slots.js';
import { Outbox } from './outbox.js';
import type { Pressure } from './pressure.js';

/** The snapshot's sequence in a partition: for a read at a snapshot, which may throw. */
export type SequenceOf = (partition: number) => number;

const noBytes = new Uint8Array(0);
/** What must reach a partition so that others can go on: small, never refused for want of room. */
const alwaysTaken = new Set([opDecide, opForget, opReleaseSnapshot]);

export class Calls implements Asker {
	readonly partitionCount: number;
	/** What `takeKey` took: valid until the next call. For synchronous reads, too. */
	readonly key = new BytesInHand();
	readonly #value = new BytesInHand();
	readonly #port: CommandPort;
	readonly #sink: number;
	readonly #slots = new CallSlots();
	readonly #outbox: Outbox;
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
		this.partitionCount = port.partitionCount;
		this.#sink = port.register(this.#makeSink());
		this.#outbox = new Outbox(port, this.#sink, inFlightSizeMax, waitingSizeMax);
	}

	/** Hears when the pressure enters a band or leaves it. */
	set onPressure(listener: (pressure: Pressure) => void) {
		this.#outbox.onPressure = listener;
	}

	/** Calls not answered yet. */
	get count(): number {
		return this.#slots.count;
	}

	get pressure(): Pressure {
		return this.#outbox.pressure;
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
			if (this.#outbox.isHolding) this.#outbox.mustAdmit(keys.length * requestHeaderSize);
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
				if (this.#outbox.isHolding) this.#outbox.mustAdmit(size);
				this.#slots.setPartSize(slot, part, size);
				this.#outbox.send(
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
		if (this.#refusal !== undefined || !this.#outbox.hasRoom(size)) return;
		this.#slots.addUnheard(size);
		const { newest } = this.#slots;
		this.#outbox.send(
			newest,
			0,
			partition,
			opHas,
			0,
			0,
			this.key.bytes,
			this.key.size,
			noBytes,
			0,
			0,
			wishDefault,
			size,
		);
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
		this.#outbox.clear();
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
		if (this.#outbox.isHolding && !alwaysTaken.has(command.opcode)) this.#outbox.mustAdmit(size);
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
		if (this.#outbox.isHolding) this.#outbox.mustAdmit(size);
		const promise = this.#slots.add(kind, size);
		const slot = this.#slots.newest;
		this.#outbox.send(
			slot,
			0,
			partition,
			opcode,
			flags,
			argument,
			bytes,
			keySize,
			value,
			valueSize,
			sequence,
			wish,
			size,
		);
		return promise;
	}

	#sendCommand(slot: number, part: number, partition: number, command: Command, size: number): void {
		const { opcode, argument = 0, key = noBytes, value = noBytes, sequence = 0, wish = wishDefault } = command;
		const flags = flagsOf(command);
		// biome-ignore format: one line for each half of the command
		this.#outbox.send(
			slot, part, partition, opcode, flags, argument,
			key, key.length, value, value.length, sequence, wish, size,
		);
	}

	#makeSink(): ReplySink {
		return {
			onReply: (slot, part, status, kind, number, bytes, offset, size) => {
				if (this.#end !== undefined) return;
				this.#outbox.onAnswered(this.#slots.sizeOf(slot, part));
				this.#slots.settle(slot, part, status, kind, number, bytes, offset, size);
			},
			onRepliesEnd: () => {
				this.#outbox.drain();
				if (this.#slots.count === 0) this.#onIdle?.();
			},
			onRoom: () => this.#outbox.drain(),
		};
	}
}
