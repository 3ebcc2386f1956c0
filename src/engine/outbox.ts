/**
 * Requests on their way out of a thread: into the rings while there is room, else they wait. One asking thread.
 *
 *   send ─┬─> ring              window and ring have room
 *         └─> waiting calls     they have not, or others of the partition wait already ─ reply, room ─> drain ─> ring
 *
 * The window: at most `inFlightSizeMax` bytes of requests are under way, one alone whatever its size. At most `waitingSizeMax`
 * wait behind it, copied; beyond, `mustAdmit` refuses with MILLRACE_BUSY, with nothing sent.
 *
 * A batch over several partitions, between its first prepare and its last decision, never waits for the window: the window may be
 * full of requests that wait for that batch. So its prepares and decisions pass it, and with them whatever they stand behind.
 */
import { MillraceError } from '../base/errors.js';
import { opDecide, opPrepare } from '../command/command-format.js';
import type { CommandPort } from '../command/command-port.js';
import { ownCopy } from './call-slots.js';
import { type Pressure, PressureBands, pressureOf } from './pressure.js';
import { WaitingCalls, type WaitingRequest } from './waiting-calls.js';

export class Outbox {
	/** Hears when the pressure enters a band or leaves it. */
	onPressure: (pressure: Pressure) => void = () => undefined;
	readonly #port: CommandPort;
	readonly #sink: number;
	readonly #inFlightSizeMax: number;
	readonly #waitingSizeMax: number;
	readonly #waiting: WaitingCalls;
	readonly #bands = new PressureBands();
	/** Prepares and decisions that wait, by partition. */
	readonly #batchCounts: Int32Array;
	#inFlightSize = 0;
	/** The request that could not be sent last met a full ring, not a full window. */
	#isRingFull = false;

	/**
	 * @param sink what the port knows us by
	 * @param inFlightSizeMax bytes of requests under way at most
	 * @param waitingSizeMax bytes of requests that wait for them at most
	 */
	constructor(port: CommandPort, sink: number, inFlightSizeMax: number, waitingSizeMax: number) {
		this.#port = port;
		this.#sink = sink;
		this.#inFlightSizeMax = inFlightSizeMax;
		this.#waitingSizeMax = waitingSizeMax;
		this.#waiting = new WaitingCalls(port.partitionCount);
		this.#batchCounts = new Int32Array(port.partitionCount);
	}

	/** Some request waits: ask `mustAdmit` before the next is made. */
	get isHolding(): boolean {
		return this.#waiting.count > 0;
	}

	get pressure(): Pressure {
		const windowShare = this.#inFlightSize / this.#inFlightSizeMax;
		return pressureOf(windowShare, this.#waiting.size / this.#waitingSizeMax, this.isHolding, !this.#isRingFull);
	}

	/** Whether so many bytes more may wait. */
	hasRoom(size: number): boolean {
		return this.#waiting.size + size <= this.#waitingSizeMax;
	}

	/** @throws MILLRACE_BUSY when so much waits that this has no place any more */
	mustAdmit(size: number): void {
		if (this.hasRoom(size)) return;
		throw new MillraceError(
			'MILLRACE_BUSY',
			`${this.#waiting.count} calls of ${this.#waiting.size} bytes wait already, of ${this.#waitingSizeMax} that may: ` +
				'await calls before making more, or use writer()',
		);
	}

	/** Sends a request, or copies it and lets it wait. */
	send(
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
		const isFirst = this.#waiting.count === 0 || opcode === opDecide || !this.#waiting.has(partition);
		// biome-ignore format: one line for each half of the command
		const isSent = isFirst && this.#maybeSubmit(
			slot, part, partition, opcode, flags, argument,
			key, keySize, value, valueSize, sequence, wish, size,
		);
		if (isSent) return;
		const own = { key: ownCopy(key, 0, keySize), value: ownCopy(value, 0, valueSize) };
		const request: WaitingRequest = { slot, part, opcode, flags, argument, ...own, sequence, wish, size };
		this.#waiting.add(partition, request, opcode === opDecide);
		if (isOfBatch(opcode)) {
			this.#batchCounts[partition]++;
			// What it stands behind need not wait for an answer any more.
			this.#waiting.drain(this.#maybeSend);
		}
		this.#notePressure();
	}

	/** @returns false when window or ring have no room: nothing was taken */
	#maybeSubmit(
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
	): boolean {
		this.#isRingFull = false;
		const isWindowFull = this.#inFlightSize + size > this.#inFlightSizeMax && this.#inFlightSize !== 0;
		if (isWindowFull && this.#batchCounts[partition] === 0 && !isOfBatch(opcode)) return false;
		// biome-ignore format: one line for each half of the command
		this.#isRingFull = !this.#port.submit(
			partition, this.#sink, slot, part, opcode, flags, argument,
			key, 0, keySize, value, 0, valueSize, sequence, wish,
		);
		if (this.#isRingFull) return false;
		this.#inFlightSize += size;
		return true;
	}

	readonly #maybeSend = (partition: number, request: WaitingRequest): boolean => {
		const { slot, part, opcode, flags, argument, key, value, sequence, wish, size } = request;
		// biome-ignore format: one line for each half of the command
		const isSent = this.#maybeSubmit(
			slot, part, partition, opcode, flags, argument,
			key, key.length, value, value.length, sequence, wish, size,
		);
		if (isSent && isOfBatch(opcode)) this.#batchCounts[partition]--;
		return isSent;
	};

	/** Replies or room have come. */
	drain(): void {
		if (this.#waiting.count > 0) this.#waiting.drain(this.#maybeSend);
		if (!this.#bands.isCalm) this.#notePressure();
	}

	#notePressure(): void {
		const { pressure } = this;
		if (this.#bands.note(pressure.level)) this.onPressure(pressure);
	}

	/** A request of so many bytes has its reply. */
	onAnswered(size: number): void {
		this.#inFlightSize -= size;
	}

	/** Nothing is sent any more. */
	clear(): void {
		this.#waiting.clear();
		this.#batchCounts.fill(0);
		this.#inFlightSize = 0;
	}
}

/** Of one over several partitions: others may wait for it. */
function isOfBatch(opcode: number): boolean {
	return opcode === opPrepare || opcode === opDecide;
}
