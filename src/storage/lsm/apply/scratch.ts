/**
 * Memory for values that are put together on the way (an appended one, one with a prefix): used and overwritten by each command
 * in turn, so that small ones allocate nothing. One per thread.
 */

/** Values above this get memory of their own, which the collector takes back: one large value must not be kept for ever. */
const scratchSizeMax = 64 * 1024;
const scratch = Buffer.allocUnsafeSlow(scratchSizeMax);

/** At least `size` bytes, valid until the next call. */
export function scratchFor(size: number): Buffer {
	return size <= scratchSizeMax ? scratch : Buffer.allocUnsafe(size);
}
