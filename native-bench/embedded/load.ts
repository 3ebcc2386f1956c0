/**
 * Keys and values, the same for every store and every run of a seed.
 *
 *   key    16 bytes of ASCII: 'user0000' and the number in eight hexadecimal digits. Sorts as its number.
 *   value  100 bytes: 50 random printable ones, twice (half compressible); one of 10,486, told from the number
 *
 * Keys come from a ring of buffers, so that none is made for an operation and none is overwritten while it is in flight.
 */
import { Prng } from '../../src/base/prng.js';
import { keySize, Values, valueSize } from '../engine/workload.js';

const keyRingCount = 1 << 14;
const valueCount = 10_486;
const prefix = 'user0000';
const digits = Buffer.from('0123456789abcdef', 'latin1');

export class Load {
	readonly #keys: Buffer[];
	readonly #values: Buffer[];
	readonly #prng: Prng;
	#keyIndex = 0;

	constructor(seed: number) {
		this.#prng = new Prng(seed);
		this.#keys = Array.from({ length: keyRingCount }, () => Buffer.from(prefix.padEnd(keySize, '0'), 'latin1'));
		const { bytes } = new Values(new Prng(seed + 1));
		this.#values = Array.from({ length: valueCount }, (_, i) =>
			Buffer.from(bytes.subarray(i * valueSize, (i + 1) * valueSize)),
		);
	}

	/** The key of a number: valid until `keyRingCount` more have been asked for. */
	key(number: number): Buffer {
		const key = this.#keys[this.#keyIndex++ & (keyRingCount - 1)];
		let rest = number;
		for (let i = keySize - 1; i >= prefix.length; i--) {
			key[i] = digits[rest & 15];
			rest >>>= 4;
		}
		return key;
	}

	value(number: number): Buffer {
		return this.#values[number % valueCount];
	}

	/** A cheap look that what was read is what was written: size, and two bytes. @throws Error */
	mustBe(number: number, value: Uint8Array | undefined): void {
		const wanted = this.value(number);
		if (value === undefined) throw new Error(`key ${number} is missing`);
		if (value.length !== valueSize || value[0] !== wanted[0] || value[49] !== wanted[49]) {
			throw new Error(`key ${number} has another value`);
		}
	}

	/** Every number below the count, in random order. */
	shuffled(count: number): Uint32Array {
		const numbers = new Uint32Array(count);
		for (let i = 0; i < count; i++) numbers[i] = i;
		return this.shuffle(numbers);
	}

	shuffle(numbers: Uint32Array): Uint32Array {
		for (let i = numbers.length - 1; i > 0; i--) {
			const j = this.#prng.below(i + 1);
			const number = numbers[i];
			numbers[i] = numbers[j];
			numbers[j] = number;
		}
		return numbers;
	}
}

/** The hot keys of a plan: some of all, far apart, in random order; the same in every process of a seed. */
export function hotNumbers(keyCount: number, hotCount: number, seed: number): Uint32Array {
	const load = new Load(seed + 2);
	return load.shuffle(load.shuffled(keyCount).slice(0, hotCount));
}
