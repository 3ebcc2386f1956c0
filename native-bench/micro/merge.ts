/** The k-way merge by itself: what compactions and scans run through. Sources are flat arrays, which cost next to nothing. */
import { Prng } from '../../src/base/prng.js';
import { type EntryIterator, kindPut } from '../../src/storage/lsm/entry.js';
import { MergeIterator } from '../../src/storage/lsm/scan/merge-iterator.js';
import { isTiny, printHeader, printRounds } from './harness.js';

const entryCount = isTiny ? 1000 : 1_000_000;
const roundCount = isTiny ? 2 : 5;
const keySize = 16;
const valueSize = 100;

/** Sorted keys of one size, side by side. */
class FlatSource implements EntryIterator {
	valid = false;
	readonly key: Uint8Array;
	keyOffset = 0;
	readonly keySize = keySize;
	sequence = 0;
	readonly kind = kindPut;
	readonly expiresAtMs = 0;
	readonly value: Uint8Array;
	valueOffset = 0;
	readonly valueSize = valueSize;
	readonly #count: number;
	#index = 0;
	#step = 1;

	constructor(keys: Uint8Array) {
		this.key = keys;
		this.value = keys;
		this.#count = keys.length / keySize;
	}

	seekFirst(): void {
		this.#show(0, 1);
	}

	seekLast(): void {
		this.#show(this.#count - 1, -1);
	}

	seek(): void {
		this.seekFirst();
	}

	seekBackward(): void {
		this.seekLast();
	}

	next(): void {
		this.#show(this.#index + this.#step, this.#step);
	}

	#show(index: number, step: number): void {
		this.#index = index;
		this.#step = step;
		this.valid = index >= 0 && index < this.#count;
		this.keyOffset = index * keySize;
		this.sequence = index + 1;
	}
}

function makeSources(count: number, shape: 'decimal' | 'random'): FlatSource[] {
	const prng = new Prng(1);
	const hands: Buffer[][] = Array.from({ length: count }, () => []);
	for (let i = 0; i < entryCount; i++) {
		const key = Buffer.alloc(keySize);
		if (shape === 'random') prng.fill(key);
		else key.write(String(i).padStart(keySize, '0'), 'latin1');
		hands[prng.below(count)].push(key);
	}
	return hands.map((hand) => new FlatSource(Buffer.concat(hand.sort(Buffer.compare))));
}

function measure(sourceCount: number, shape: 'decimal' | 'random'): void {
	const merge = new MergeIterator(makeSources(sourceCount, shape));
	const rates: number[] = [];
	for (let round = 0; round < roundCount; round++) {
		const start = process.hrtime.bigint();
		let count = 0;
		for (merge.seekFirst(); merge.valid; merge.next()) count++;
		rates.push(count / (Number(process.hrtime.bigint() - start) / 1e9));
	}
	printRounds(`${sourceCount} sources, ${shape} keys`, rates);
}

printHeader('merge', `${entryCount} entries of ${keySize} B keys dealt to the sources at random, ${roundCount} rounds`);
for (const shape of ['decimal', 'random'] as const) {
	for (const sourceCount of [1, 2, 4, 8]) measure(sourceCount, shape);
}
