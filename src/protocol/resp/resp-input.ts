/**
 * The bytes of a connection that were received and not consumed. The usual chunk is parsed where it arrived; only
 * when a command is cut by its end are bytes copied, once, into a buffer that grows geometrically.
 *
 *   bytes: consumed | start ... end | spare (only in a buffer of our own)
 */
import { copyBytes } from '../../base/bytes.js';

const emptyBytes = Buffer.alloc(0);
/** A new buffer is at most this many times what it must hold: a client cannot make us allocate what it only announces. */
const growthFactor = 4;

export class RespInput {
	bytes: Buffer = emptyBytes;
	start = 0;
	end = 0;

	/** Adds a chunk, which belongs to this input from now on. `neededSize`: bytes wanted from `start` at least. */
	append(chunk: Buffer, neededSize: number): void {
		const leftSize = this.end - this.start;
		if (leftSize === 0) {
			this.bytes = chunk;
			this.start = 0;
			this.end = chunk.length;
			return;
		}
		const size = leftSize + chunk.length;
		if (this.end + chunk.length > this.bytes.length) {
			const capacity = Math.max(size, Math.min(neededSize + chunk.length, growthFactor * size));
			const larger = Buffer.allocUnsafeSlow(capacity);
			copyBytes(this.bytes, this.start, larger, 0, leftSize);
			this.bytes = larger;
			this.start = 0;
			this.end = leftSize;
		}
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
		this.bytes = emptyBytes;
		this.start = 0;
		this.end = 0;
	}
}
