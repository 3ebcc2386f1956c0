/**
 * Tells whether two walks met the same rows, in whatever order: sums of a hash of each row, 64 bits in all. A verify walks the
 * entries in order of keys and the expiry rows in order of time, and need not hold either in memory to compare them.
 */
export class ExpiryFingerprint {
	#sumA = 0;
	#sumB = 0;

	add(expiresAtMs: number, blockNumber: number, entryNumber: number): void {
		let hash = Math.imul(expiresAtMs >>> 0, 0x9e37_79b1) ^ Math.floor(expiresAtMs / 0x1_0000_0000);
		hash = scramble(hash) ^ Math.imul(blockNumber, 0x85eb_ca77);
		hash = scramble(hash) ^ Math.imul(entryNumber, 0xc2b2_ae3d);
		this.#sumA = (this.#sumA + scramble(hash)) | 0;
		this.#sumB = (this.#sumB + scramble(hash ^ blockNumber ^ (entryNumber << 16) ^ expiresAtMs)) | 0;
	}

	equals(other: ExpiryFingerprint): boolean {
		return this.#sumA === other.#sumA && this.#sumB === other.#sumB;
	}
}

/** The finalizer of MurmurHash3: every bit of the input moves every bit of the result. */
function scramble(hash: number): number {
	hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
	return hash ^ (hash >>> 16);
}
