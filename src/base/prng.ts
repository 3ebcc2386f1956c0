/**
 * Seeded pseudo-random numbers for tests, benchmarks and jitter: xorshift128 (Marsaglia, "Xorshift RNGs",
 * 2003). Same seed, same sequence, on every machine. Not for secrets.
 */
export class Prng {
	#x: number;
	#y: number;
	#z: number;
	#w: number;

	/** @param seed any integer; only its low 32 bits count. */
	constructor(seed: number) {
		this.#x = seed >>> 0 || 0x9e3779b9;
		this.#y = 0x243f6a88;
		this.#z = 0xb7e15162;
		this.#w = 0xdeadbeef;
		for (let i = 0; i < 16; i++) this.nextU32();
	}

	/** Uniform in [0, 2^32). */
	nextU32(): number {
		const t = this.#x ^ (this.#x << 11);
		this.#x = this.#y;
		this.#y = this.#z;
		this.#z = this.#w;
		this.#w = (this.#w ^ (this.#w >>> 19) ^ t ^ (t >>> 8)) >>> 0;
		return this.#w;
	}

	/** Uniform integer in [0, bound). @param bound 1..2^32 */
	below(bound: number): number {
		return Math.floor((this.nextU32() / 0x1_0000_0000) * bound);
	}

	/** True with probability `p` (0..1). */
	chance(p: number): boolean {
		return this.nextU32() < p * 0x1_0000_0000;
	}

	/** Fills `target[offset, offset + size)` with random bytes. */
	fill(target: Uint8Array, offset = 0, size = target.length - offset): void {
		for (let i = offset; i < offset + size; i++) target[i] = this.nextU32() & 0xff;
	}
}
