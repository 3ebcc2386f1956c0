/**
 * The layout of a ring: one SharedArrayBuffer, one thread that writes records, one thread that reads them.
 * docs/formats/ring.md is the page. Producer, publisher and consumer all take their numbers from here.
 *
 *   byte 0     tail: i32, position after the last visible record. Stored by the publishing thread only.
 *   byte 128   head: i32, position of the first record not given back. Stored by the consumer only.
 *   byte 256   waiting: i32, 1 while the producer waits for room. Stored by the producer only.
 *   byte 384   reserved, zero
 *   byte 512   data area: a power of two of bytes
 *
 * Each word has a 128-byte line of its own: processors fetch lines of 64 bytes in pairs, and a line with two
 * writers would travel between cores at every record.
 *
 * Positions count bytes since the ring was made, modulo 2^32, and are compared only by their difference `>>> 0`.
 * The size of the data area divides 2^32, so `position & (capacity - 1)` is the offset in it, also past 2^32.
 * 0 <= position written - head <= capacity always; head === tail means there is nothing to read.
 *
 * Record, at a multiple of 8 in the data area:
 *   u32 payloadSize | u32 flags | payload | zero to seven bytes of padding up to a multiple of 8
 * A record never wraps. Where the next one does not fit before the end of the data area, a pad record
 * (`flagPad`) fills the rest; it becomes visible together with the record that follows it, never alone.
 */
import { assert } from '../base/assert.js';
import { align8 } from '../base/bytes.js';
import { ringInlineFraction } from '../base/limits.js';

/** Indexes of the control words in an Int32Array over the ring. */
export const tailWordIndex = 0;
export const headWordIndex = 32;
export const waitingWordIndex = 64;

export const dataOffset = 512;
export const recordHeaderSize = 8;
export const recordFlagsOffset = 4;

/** The record is filling up to the end of the data area; the consumer skips it. */
export const flagPad = 1;
/** The payload is elsewhere: the record holds a stub that names a buffer sent through a MessagePort. */
export const flagOversize = 2;

/** Stub of an oversized record: u32 size of the message | u32 size of its buffer | u32 ordinal of the buffer. */
export const stubSize = 12;
export const stubBufferSizeOffset = 4;
export const stubOrdinalOffset = 8;

/** What travels through the oversize port: ordinals tell buffers of forgotten records from awaited ones. */
export interface OversizeMessage {
	readonly ordinal: number;
	readonly buffer: SharedArrayBuffer;
}

/** A pad record and a stub together fit in an empty ring of this size. */
export const ringSizeMin = 64;
/** Differences of positions must stay far from 2^31, where forwards and backwards look alike. */
export const ringSizeMax = 2 ** 30;

/**
 * Makes an empty ring.
 * @param size bytes of the data area: a power of two, `ringSizeMin`..`ringSizeMax`
 * @param startPosition where counting starts, a multiple of 8; tests start near 2^32 to see positions overflow
 */
export function createRing(size: number, startPosition = 0): SharedArrayBuffer {
	assertCapacity(size);
	assert(startPosition % 8 === 0 && startPosition >= 0 && startPosition < 2 ** 32, 'a position is an aligned u32');
	const ring = new SharedArrayBuffer(dataOffset + size);
	const words = new Int32Array(ring, 0, dataOffset / 4);
	Atomics.store(words, headWordIndex, startPosition | 0);
	Atomics.store(words, tailWordIndex, startPosition | 0);
	return ring;
}

/** Position after the last visible record: any thread may look. */
export function tailOf(ring: SharedArrayBuffer): number {
	return Atomics.load(new Int32Array(ring, 0, dataOffset / 4), tailWordIndex) >>> 0;
}

/** True when the consumer has given back everything before a position that was visible. Any thread may look. */
export function isReleasedTo(ring: SharedArrayBuffer, position: number): boolean {
	return ((Atomics.load(new Int32Array(ring, 0, dataOffset / 4), headWordIndex) - position) | 0) >= 0;
}

/** Makes a used ring like a new one. No thread has it, and none that had it may touch it again. */
export function emptyRing(ring: SharedArrayBuffer): void {
	const words = new Int32Array(ring, 0, dataOffset / 4);
	for (const index of [waitingWordIndex, headWordIndex, tailWordIndex]) Atomics.store(words, index, 0);
}

/** Bytes of the data area of a ring. @throws AssertionError when the buffer is not a ring */
export function capacityOf(ring: SharedArrayBuffer): number {
	const capacity = ring.byteLength - dataOffset;
	assertCapacity(capacity);
	return capacity;
}

function assertCapacity(capacity: number): void {
	assert(
		Number.isInteger(capacity) && capacity >= ringSizeMin && capacity <= ringSizeMax,
		`ring size ${capacity} is not in ${ringSizeMin}..${ringSizeMax}`,
	);
	assert((capacity & (capacity - 1)) === 0, `ring size ${capacity} is not a power of two`);
}

/** Longest payload in bytes that travels inside a ring of this capacity; longer ones are oversized. */
export function inlineSizeMax(capacity: number): number {
	return Math.floor(capacity / ringInlineFraction);
}

/** Bytes a payload of `payloadSize` bytes takes in the data area. */
export function recordSizeOf(payloadSize: number): number {
	return recordHeaderSize + align8(payloadSize);
}
