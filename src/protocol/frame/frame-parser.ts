/**
 * Cuts a stream of chunks into the preface and frame bodies. Knows lengths, not messages.
 *
 *   buffer  |....[ bytes not yet taken         ]....spare....|
 *                ^start                        ^end
 *
 * When nothing is left over, a chunk is parsed where it lies; a frame cut by the end of a chunk is gathered in a
 * buffer that at most doubles until the frame fits, so a lying length costs its sender the bytes before it costs us
 * the memory, and a frame of n bytes costs O(n) however it is cut. Bytes once given out are never moved or
 * overwritten: a body stays readable after `next` and `push`, for as long as someone holds `bytes`.
 *
 * Main thread (or the client's thread). The parser owns the chunks it is given.
 */
import { readU32 } from '../../base/bytes.js';
import { frameSizeMax } from '../../base/limits.js';
import { frameHeaderSize, prefaceByte0, prefaceByte1, prefaceByte2, prefaceSize } from './frame-format.js';

/** More bytes are needed. */
export const foundNothing = 0;
/** `bytes[offset, offset + size)` is a frame body. */
export const foundFrame = 1;
/** The preface; `size` is the version. Once, before any frame. */
export const foundPreface = 2;
/** The first bytes are not the preface. Final. */
export const foundBadPreface = 3;
/** A frame says it is longer than `frameSizeMax`, or empty; `size` is what it says. Final. */
export const foundBadSize = 4;

const prefaceBytes = [prefaceByte0, prefaceByte1, prefaceByte2];
const noBytes = new Uint8Array(0);

export class FrameParser {
	/** Of what `next` found. */
	bytes: Uint8Array = noBytes;
	offset = 0;
	size = 0;

	#buffer: Uint8Array = noBytes;
	#start = 0;
	#end = 0;
	#prefaceSeen = false;

	/** Bytes pushed and not yet given out. */
	get leftoverSize(): number {
		return this.#end - this.#start;
	}

	/** Takes a chunk, which is the parser's from now on. */
	push(chunk: Uint8Array): void {
		if (this.#start === this.#end) {
			this.#buffer = chunk;
			this.#start = 0;
			this.#end = chunk.length;
			return;
		}
		if (this.#end + chunk.length > this.#buffer.length) this.#grow(chunk.length);
		this.#buffer.set(chunk, this.#end);
		this.#end += chunk.length;
	}

	/** Steps to the next thing in the stream. @returns one of the found… numbers */
	next(): number {
		const start = this.#start;
		const available = this.#end - start;
		if (!this.#prefaceSeen) return this.#nextPreface(available);
		if (available < frameHeaderSize) return this.#nothing(available);
		const size = readU32(this.#buffer, start);
		if (size === 0 || size > frameSizeMax) {
			this.size = size;
			return foundBadSize;
		}
		if (available < frameHeaderSize + size) return foundNothing;
		this.bytes = this.#buffer;
		this.offset = start + frameHeaderSize;
		this.size = size;
		this.#start = this.offset + size;
		return foundFrame;
	}

	/** Lets go of the last chunk once it is used up: an idle connection keeps no 64 KiB behind its back. */
	#nothing(available: number): number {
		if (available === 0) {
			this.#buffer = noBytes;
			this.bytes = noBytes;
			this.#start = 0;
			this.#end = 0;
		}
		return foundNothing;
	}

	#nextPreface(available: number): number {
		for (let i = 0; i < available && i < prefaceBytes.length; i++) {
			if (this.#buffer[this.#start + i] !== prefaceBytes[i]) return foundBadPreface;
		}
		if (available < prefaceSize) return foundNothing;
		this.size = this.#buffer[this.#start + prefaceSize - 1] as number;
		this.#start += prefaceSize;
		this.#prefaceSeen = true;
		return foundPreface;
	}

	#grow(chunkSize: number): void {
		const leftover = this.#end - this.#start;
		const needed = leftover + chunkSize;
		let capacity = needed * 2;
		if (this.#prefaceSeen && leftover >= frameHeaderSize) {
			const frameSize = frameHeaderSize + Math.min(readU32(this.#buffer, this.#start), frameSizeMax);
			// Enough for this frame is enough; when whole frames wait already, doubling keeps repeated pushes linear.
			if (frameSize > leftover) capacity = Math.max(needed, Math.min(frameSize, capacity));
		}
		const grown = new Uint8Array(capacity);
		grown.set(this.#buffer.subarray(this.#start, this.#end));
		this.#buffer = grown;
		this.#start = 0;
		this.#end = leftover;
	}
}
