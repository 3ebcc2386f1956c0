/**
 * The bytes of a connection that were received and not consumed. The usual chunk is parsed where it arrived; only
 * when a command is cut by its end are bytes copied: into the front of the same buffer if both fit, else into a join
 * buffer (large chunks of a busy pipeline; pooled, since making one costs more than parsing what is in it), else into
 * a buffer that grows geometrically.
 *
 *   bytes: consumed | start ... end | spare
 *
 * Main thread only. Owns `bytes`: a chunk it was given, a join buffer until `clear`, or a buffer it made.
 */
import { copyBytes } from '../../base/bytes.js';

const emptyBytes = Buffer.alloc(0);
/** A new buffer is at most this many times what it must hold: a client cannot make us allocate what it only announces. */
const growthFactor = 4;
/** Bytes of a join buffer: a largest chunk of the socket and what a chunk of ordinary commands leaves over. */
const joinSize = 128 * 1024;
/** Chunks smaller than this are not worth a join buffer: 10,000 slow clients would hold one each. */
const joinChunkSizeMin = 16 * 1024;
const joinCountMax = 16;
const joinPool: Buffer[] = [];

export class RespInput {
	bytes: Buffer = emptyBytes;
	start = 0;
	end = 0;
	#isJoin = false;

	/** Adds a chunk, which belongs to this input from now on. `neededSize`: bytes wanted from `start` at least. */
	append(chunk: Buffer, neededSize: number): void {
		const leftSize = this.end - this.start;
		if (leftSize === 0) {
			this.#replace(chunk, false);
			this.end = chunk.length;
			return;
		}
		if (this.end + chunk.length > this.bytes.length) this.#makeRoom(leftSize, chunk.length, neededSize);
		copyBytes(chunk, 0, this.bytes, this.end, chunk.length);
		this.end += chunk.length;
	}

	/** The next `size` bytes are done with. */
	consume(size: number): void {
		this.start += size;
		if (this.start === this.end) this.clear();
	}

	/** Lets go of the memory. */
	clear(): void {
		this.#replace(emptyBytes, false);
	}

	#makeRoom(leftSize: number, chunkSize: number, neededSize: number): void {
		const size = leftSize + chunkSize;
		if (size <= this.bytes.length) {
			this.bytes.copyWithin(0, this.start, this.end);
			this.start = 0;
		} else {
			const isJoin = chunkSize >= joinChunkSizeMin && size <= joinSize && neededSize <= joinSize;
			const capacity = Math.max(size, Math.min(neededSize + chunkSize, growthFactor * size));
			const larger = isJoin ? (joinPool.pop() ?? Buffer.allocUnsafeSlow(joinSize)) : Buffer.allocUnsafeSlow(capacity);
			copyBytes(this.bytes, this.start, larger, 0, leftSize);
			this.#replace(larger, isJoin);
		}
		this.end = leftSize;
	}

	#replace(bytes: Buffer, isJoin: boolean): void {
		if (this.#isJoin && joinPool.length < joinCountMax) joinPool.push(this.bytes);
		this.bytes = bytes;
		this.#isJoin = isJoin;
		this.start = 0;
		this.end = 0;
	}
}
