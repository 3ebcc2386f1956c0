/** Bytes that are appended to and grow by doubling. Owned by one builder; not shared between threads. */
import { copyBytes } from '../../../base/bytes.js';

export class GrowingBytes {
	bytes: Uint8Array;
	size = 0;

	constructor(capacity: number) {
		this.bytes = new Uint8Array(capacity);
	}

	/** Makes room for `size` more bytes behind the present ones. The array may be replaced. */
	reserve(size: number): void {
		const needed = this.size + size;
		if (needed <= this.bytes.length) return;
		const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
		grown.set(this.bytes.subarray(0, this.size));
		this.bytes = grown;
	}

	append(source: Uint8Array, offset: number, size: number): void {
		this.reserve(size);
		copyBytes(source, offset, this.bytes, this.size, size);
		this.size += size;
	}
}
