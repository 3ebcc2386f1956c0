/**
 * The writing side of a ring. One thread owns it; bytes written into `target` belong to the ring from `commit` on.
 *
 *   head ........ tail .............. position ......... head + capacity
 *   | not given   | committed, not    | free: reserve()
 *   | back yet    | visible yet       | hands out from here
 *
 * reserve -> write into target -> commit, as often as wanted, then publish: one atomic store and one look at the
 * consumer's bell for the whole batch. Where a record may only be seen once another thread agrees (a reply that
 * waits for its write to be durable), the owner never calls `publish`; it hands `position` to that thread, whose
 * RingPublisher does. Room is therefore counted from our own position, never from the tail.
 *
 * What each atomic orders:
 *   store tail   after all plain writes of the records before it (release); the consumer's load of the tail
 *                comes before its reads of them (acquire).
 *   load head    before our writes over the space it frees; the consumer stores it after its last read there.
 *   store tail, then load sleeping (in the bell); store waiting, then load head: the two halves of Dekker's
 *                protocol, for a consumer that sleeps and for a producer that waits. They need sequential
 *                consistency, which all Atomics have.
 * The head is remembered and read again only when the ring looks full: its line stays in the consumer's cache.
 */
import type { MessagePort } from 'node:worker_threads';
import { assert } from '../base/assert.js';
import { readU32, writeU32 } from '../base/bytes.js';
import { ringOversizeBytesMax } from '../base/limits.js';
import type { Bell } from './bell.js';
import {
	capacityOf,
	dataOffset,
	flagOversize,
	flagPad,
	headWordIndex,
	inlineSizeMax,
	type OversizeMessage,
	recordFlagsOffset,
	recordHeaderSize,
	recordSizeOf,
	stubBufferSizeOffset,
	stubOrdinalOffset,
	stubSize,
	tailWordIndex,
	waitingWordIndex,
} from './ring-format.js';

/** An oversized record that may not be visible yet; kept so that `forEachUnpublished` can show its bytes. */
interface OversizeRecord {
	readonly ordinal: number;
	readonly endPosition: number;
	readonly bytes: Uint8Array;
}

const nothingReserved = -1;

export class RingProducer {
	/** The data area of the ring; the same object for the producer's whole life. */
	readonly bytes: Uint8Array;
	/** Where the payload of the last `reserve` goes: `bytes`, or the buffer of an oversized record. */
	target: Uint8Array;

	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #capacity: number;
	readonly #mask: number;
	readonly #inlineSizeMax: number;
	readonly #consumerBell: Bell;
	readonly #oversizePort: MessagePort | undefined;
	/** Position after the last committed record, u32. */
	#position: number;
	/** Position where the reserved record starts, after any pad record. */
	#recordPosition = 0;
	#reservedSize = nothingReserved;
	/** The head as last read; the true one is this or further. */
	#headSeen: number;
	#publishedPosition: number;
	#oversizeOrdinal = 0;
	#oversizeUnpublished: OversizeRecord[] = [];
	/** Oversized buffers the consumer has not given back, oldest first, and their bytes together. */
	#oversizeOut: { endPosition: number; size: number }[] = [];
	#oversizeBytes = 0;

	/**
	 * @param oversizePort where buffers of records over `inlineSizeMax(capacity)` are posted; without it such
	 *   records are a programmer error
	 */
	constructor(ring: SharedArrayBuffer, consumerBell: Bell, oversizePort?: MessagePort) {
		this.#capacity = capacityOf(ring);
		this.#mask = this.#capacity - 1;
		this.#inlineSizeMax = inlineSizeMax(this.#capacity);
		this.#words = new Int32Array(ring, 0, dataOffset / 4);
		this.bytes = new Uint8Array(ring, dataOffset, this.#capacity);
		this.target = this.bytes;
		this.#consumerBell = consumerBell;
		this.#oversizePort = oversizePort;
		this.#position = Atomics.load(this.#words, tailWordIndex) >>> 0;
		this.#publishedPosition = this.#position;
		this.#headSeen = Atomics.load(this.#words, headWordIndex) >>> 0;
	}

	/**
	 * Makes room for `size` contiguous payload bytes, to be written at the offset returned, into `target`.
	 * @returns offset in `target`, or -1 when the ring is full (nothing has changed)
	 */
	reserve(size: number): number {
		assert(this.#reservedSize === nothingReserved, 'reserve without commit of the record before');
		assert(size >= 0 && size <= 0xffff_ffff && Number.isInteger(size), 'a payload size is a u32');
		const isInline = size <= this.#inlineSizeMax;
		const recordSize = recordSizeOf(isInline ? size : stubSize);
		const offset = this.#position & this.#mask;
		const remaining = this.#capacity - offset;
		const padSize = recordSize > remaining ? remaining : 0;
		if (!this.#fits(padSize + recordSize) || (!isInline && !this.#hasOversizeRoom(size))) return -1;
		if (!isInline) this.#allocateOversize(size);
		else if (this.target !== this.bytes) this.target = this.bytes;
		this.#reservedSize = size;
		if (padSize === 0) {
			this.#recordPosition = this.#position;
			return isInline ? offset + recordHeaderSize : 0;
		}
		// Records start at multiples of 8, so the rest of the area always holds a header.
		writeU32(this.bytes, offset, padSize - recordHeaderSize);
		writeU32(this.bytes, offset + recordFlagsOffset, flagPad);
		this.#recordPosition = (this.#position + padSize) >>> 0;
		return isInline ? recordHeaderSize : 0;
	}

	/** Ends the reserved record, perhaps shrunk to `size` bytes. The consumer does not see it before it is published. */
	commit(size: number = this.#reservedSize): void {
		assert(this.#reservedSize !== nothingReserved, 'commit without reserve');
		assert(size >= 0 && size <= this.#reservedSize, 'commit of more than was reserved');
		const offset = this.#recordPosition & this.#mask;
		if (this.target === this.bytes) {
			writeU32(this.bytes, offset, size);
			writeU32(this.bytes, offset + recordFlagsOffset, 0);
			this.#position = (this.#recordPosition + recordSizeOf(size)) >>> 0;
		} else {
			this.#commitOversize(offset, size);
		}
		this.#reservedSize = nothingReserved;
	}

	/** Position after the last committed record: what a RingPublisher is to publish to. u32. */
	get position(): number {
		return this.#position;
	}

	/** Makes all committed records visible and wakes the consumer if it sleeps. Does nothing when nothing is new. */
	publish(): void {
		if (this.#position === this.#publishedPosition) return;
		this.#publishedPosition = this.#position;
		if (this.#oversizeUnpublished.length > 0) this.#oversizeUnpublished.length = 0;
		Atomics.store(this.#words, tailWordIndex, this.#position | 0);
		this.#consumerBell.ring();
	}

	/** Visits the payloads of records that are committed but not visible, oldest first. Publishing must have stopped. */
	forEachUnpublished(visit: (bytes: Uint8Array, offset: number, size: number) => void): void {
		assert(this.#reservedSize === nothingReserved, 'records are visited between commits');
		let position = Atomics.load(this.#words, tailWordIndex) >>> 0;
		while (position !== this.#position) {
			const offset = position & this.#mask;
			const size = readU32(this.bytes, offset);
			const flags = readU32(this.bytes, offset + recordFlagsOffset);
			const payloadOffset = offset + recordHeaderSize;
			if (flags === 0) {
				visit(this.bytes, payloadOffset, size);
			} else if (flags === flagOversize) {
				const ordinal = readU32(this.bytes, payloadOffset + stubOrdinalOffset);
				const record = this.#oversizeUnpublished.find((candidate) => candidate.ordinal === ordinal);
				assert(record !== undefined, 'the buffer of an unpublished record is kept');
				visit(record.bytes, 0, readU32(this.bytes, payloadOffset));
			}
			position = (position + recordSizeOf(size)) >>> 0;
		}
	}

	/**
	 * Forgets committed records that are not visible. Publishing must have stopped for good at the present tail:
	 * a publisher that is later given a forgotten position would make garbage visible.
	 */
	rewind(): void {
		assert(this.#reservedSize === nothingReserved, 'rewind happens between commits');
		this.#position = Atomics.load(this.#words, tailWordIndex) >>> 0;
		this.#publishedPosition = this.#position;
		const isForgotten = (endPosition: number): boolean => ((endPosition - this.#position) | 0) > 0;
		for (const { endPosition, size } of this.#oversizeOut) if (isForgotten(endPosition)) this.#oversizeBytes -= size;
		this.#oversizeOut = this.#oversizeOut.filter(({ endPosition }) => !isForgotten(endPosition));
		// Buffers already posted stay in the port; the consumer drops them by their ordinals.
		this.#oversizeUnpublished.length = 0;
	}

	/** True when `reserve(size)` would succeed. Reads the shared head when it has to: fit for sleep re-checks. */
	hasRoom(size: number): boolean {
		const recordSize = recordSizeOf(size <= this.#inlineSizeMax ? size : stubSize);
		const remaining = this.#capacity - (this.#position & this.#mask);
		if (!this.#fits(recordSize > remaining ? remaining + recordSize : recordSize)) return false;
		return size <= this.#inlineSizeMax || this.#hasOversizeRoom(size);
	}

	/**
	 * Says that we wait for room, or no longer do: while true the consumer rings our bell at each release. Say true,
	 * then sleep on our bell with `hasRoom` as the re-check: a release before the flag was stored rings nothing.
	 * Publish before waiting: room made of records the consumer cannot see never comes back.
	 */
	waitingForRoom(waiting: boolean): void {
		Atomics.store(this.#words, waitingWordIndex, waiting ? 1 : 0);
	}

	/** True when the consumer has given back everything that was made visible. */
	get isEmpty(): boolean {
		return Atomics.load(this.#words, headWordIndex) === Atomics.load(this.#words, tailWordIndex);
	}

	#fits(size: number): boolean {
		if (size <= this.#capacity - ((this.#position - this.#headSeen) >>> 0)) return true;
		this.#headSeen = Atomics.load(this.#words, headWordIndex) >>> 0;
		if (this.#oversizeUnpublished.length > 0) this.#dropPublishedOversize();
		const used = (this.#position - this.#headSeen) >>> 0;
		assert(used <= this.#capacity, 'the head is between the position and a capacity behind it');
		return size <= this.#capacity - used;
	}

	/** True when buffers the consumer has not given back leave room for one more of this size; alone, any size has room. */
	#hasOversizeRoom(size: number): boolean {
		if (this.#oversizeBytes + size <= ringOversizeBytesMax) return true;
		this.#headSeen = Atomics.load(this.#words, headWordIndex) >>> 0;
		while (this.#oversizeOut.length > 0 && ((this.#headSeen - this.#oversizeOut[0].endPosition) | 0) >= 0) {
			this.#oversizeBytes -= this.#oversizeOut.shift()?.size ?? 0;
		}
		return this.#oversizeBytes === 0 || this.#oversizeBytes + size <= ringOversizeBytesMax;
	}

	#allocateOversize(size: number): void {
		assert(this.#oversizePort !== undefined, 'an oversized record needs a port');
		if (this.#oversizeUnpublished.length > 0) this.#dropPublishedOversize();
		this.target = new Uint8Array(new SharedArrayBuffer(size));
	}

	#commitOversize(offset: number, size: number): void {
		const buffer = this.target.buffer as SharedArrayBuffer;
		const ordinal = this.#oversizeOrdinal;
		this.#oversizeOrdinal = (ordinal + 1) >>> 0;
		writeU32(this.bytes, offset, stubSize);
		writeU32(this.bytes, offset + recordFlagsOffset, flagOversize);
		const stubOffset = offset + recordHeaderSize;
		writeU32(this.bytes, stubOffset, size);
		writeU32(this.bytes, stubOffset + stubBufferSizeOffset, buffer.byteLength);
		writeU32(this.bytes, stubOffset + stubOrdinalOffset, ordinal);
		this.#position = (this.#recordPosition + recordSizeOf(stubSize)) >>> 0;
		this.#oversizeUnpublished.push({ ordinal, endPosition: this.#position, bytes: this.target });
		this.#oversizeOut.push({ endPosition: this.#position, size: buffer.byteLength });
		this.#oversizeBytes += buffer.byteLength;
		// postMessage has put the message into the other port's queue when it returns, and the record becomes
		// visible only later, so the consumer that sees the stub finds the buffer without waiting.
		const message: OversizeMessage = { ordinal, buffer };
		this.#oversizePort?.postMessage(message);
		this.target = this.bytes;
	}

	/** Lets go of buffers whose records another thread has published. */
	#dropPublishedOversize(): void {
		const tail = Atomics.load(this.#words, tailWordIndex) >>> 0;
		const unpublishedSize = (this.#position - tail) >>> 0;
		// A record that ends after the tail ends less than `unpublishedSize` before our position.
		this.#oversizeUnpublished = this.#oversizeUnpublished.filter(
			(record) => (this.#position - record.endPosition) >>> 0 < unpublishedSize,
		);
	}
}
