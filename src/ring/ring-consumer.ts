/**
 * The reading side of a ring. One thread owns it. The payload of the record it stands on is
 * `source[offset, offset + size)`: the ring's own memory, borrowed until `release`.
 *
 *   head .................. position ............. tail
 *   | read, not given back  | next() goes on here  | invisible
 *
 * next, next, … then one release for the batch: one atomic store and one look whether the producer waits.
 *
 * What each atomic orders:
 *   load tail    before our reads of the records before it; the publisher stores it after writing them.
 *   store head   after our last read of the records given back; the producer loads it before it overwrites them.
 *   store head, then load waiting: our half of Dekker's protocol with a producer that waits for room.
 * The tail is remembered and read again only when all we know of has been read: its line stays in the producer's cache.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../base/assert.js';
import { readU32 } from '../base/bytes.js';
import type { Bell } from './bell.js';
import {
	capacityOf,
	dataOffset,
	flagOversize,
	flagPad,
	headWordIndex,
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

export class RingConsumer {
	/** Holds the payload of the present record: the ring's data area, or the buffer of an oversized record. */
	source: Uint8Array;
	/** Where the payload starts in `source`. */
	offset = 0;
	/** Bytes of the payload. */
	size = 0;

	/** False for an oversized record: its bytes are not in the ring, and the next `next` lets them go. */
	get isInline(): boolean {
		return this.source === this.#bytes;
	}

	readonly #bytes: Uint8Array;
	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #mask: number;
	readonly #producerBell: Bell | undefined;
	readonly #oversizePort: MessagePort | undefined;
	/** Position of the first record `next` has not moved to, u32. */
	#position: number;
	#head: number;
	/** The tail as last read; the true one is this or further. */
	#tailSeen: number;
	#askedSinceRelease = false;

	/**
	 * @param producerBell rung at a release while the producer waits for room; undefined when it never waits
	 * @param oversizePort where the buffers of oversized records arrive; must not have a 'message' listener
	 */
	constructor(ring: SharedArrayBuffer, producerBell: Bell | undefined, oversizePort?: MessagePort) {
		this.#mask = capacityOf(ring) - 1;
		this.#words = new Int32Array(ring, 0, dataOffset / 4);
		this.#bytes = new Uint8Array(ring, dataOffset);
		this.source = this.#bytes;
		this.#producerBell = producerBell;
		this.#oversizePort = oversizePort;
		this.#head = Atomics.load(this.#words, headWordIndex) >>> 0;
		this.#position = this.#head;
		this.#tailSeen = Atomics.load(this.#words, tailWordIndex) >>> 0;
	}

	/** Moves to the next visible record. Its bytes stay valid until `release`. @returns false when there is none */
	next(): boolean {
		this.#askedSinceRelease = true;
		let position = this.#position;
		if (position === this.#tailSeen && !this.hasNext()) return false;
		let offset = position & this.#mask;
		let flags = readU32(this.#bytes, offset + recordFlagsOffset);
		if (flags === flagPad) {
			// The pad goes up to the end of the area and a record follows it, visible since the same store.
			position = (position + recordSizeOf(readU32(this.#bytes, offset))) >>> 0;
			offset = position & this.#mask;
			assert(offset === 0 && position !== this.#tailSeen, 'a pad record ends where a record starts');
			flags = readU32(this.#bytes, recordFlagsOffset);
		}
		const size = readU32(this.#bytes, offset);
		const recordSize = recordSizeOf(size);
		assert(
			recordSize <= (this.#tailSeen - position) >>> 0 && offset + recordSize <= this.#mask + 1,
			'a visible record is whole',
		);
		this.#position = (position + recordSize) >>> 0;
		if (flags === 0) {
			if (this.source !== this.#bytes) this.source = this.#bytes;
			this.offset = offset + recordHeaderSize;
			this.size = size;
		} else {
			assert(flags === flagOversize && size === stubSize, 'record flags are known');
			this.#receiveOversize(offset + recordHeaderSize);
		}
		return true;
	}

	/** True when `next` would move. Reads the shared tail when all we knew of is read: fit for sleep re-checks. */
	hasNext(): boolean {
		if (this.#position !== this.#tailSeen) return true;
		this.#tailSeen = Atomics.load(this.#words, tailWordIndex) >>> 0;
		return this.#position !== this.#tailSeen;
	}

	/**
	 * Gives back all records seen so far and wakes the producer if it waits for room. Call it every so many records: a
	 * producer that keeps up can hold a `while (next())` loop without a release until the ring is full.
	 */
	release(): void {
		assert(this.#askedSinceRelease, 'release without next');
		this.#askedSinceRelease = false;
		// The present record is gone; an oversized buffer must not live on because we still point at it.
		this.source = this.#bytes;
		this.size = 0;
		if (this.#position === this.#head) return;
		this.#head = this.#position;
		Atomics.store(this.#words, headWordIndex, this.#position | 0);
		if (Atomics.load(this.#words, waitingWordIndex) !== 0) this.#producerBell?.ring();
	}

	/** Buffers of records the producer forgot (rewind) come first and are dropped: their ordinals are older. */
	#receiveOversize(stubOffset: number): void {
		assert(this.#oversizePort !== undefined, 'an oversized record needs a port');
		const ordinal = readU32(this.#bytes, stubOffset + stubOrdinalOffset);
		for (;;) {
			const received = receiveMessageOnPort(this.#oversizePort) as { message: OversizeMessage } | undefined;
			assert(received !== undefined, 'the buffer of an oversized record arrives before its stub');
			const message = received.message;
			if (message.ordinal !== ordinal) {
				assert(((ordinal - message.ordinal) | 0) > 0, 'oversized buffers arrive in order');
				continue;
			}
			this.source = new Uint8Array(message.buffer);
			this.offset = 0;
			this.size = readU32(this.#bytes, stubOffset);
			assert(
				message.buffer.byteLength === readU32(this.#bytes, stubOffset + stubBufferSizeOffset) &&
					this.size <= message.buffer.byteLength,
				'an oversized buffer is the one its stub names',
			);
			return;
		}
	}
}
