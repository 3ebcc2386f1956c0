/**
 * About how many keys two sets have in common, from their filters alone: for estimates, which read no data.
 *
 *   finer     | line | line | line | line | …      a key is in the line of its hash's share of all hashes, and sets there
 *   coarser   |    line     |    line     | …      the same bits in every filter (the first `probeCount` of one series)
 *
 * So of the bits of a line, those of common keys are set in the line (or two) for the same hashes of the other filter, and the
 * rest by chance, more or less often as that one is full. With loads (bits set in a line, repetitions counted, for each bit
 * there is) x of the finer one, y of it by probes that the coarser one makes too, and f the share of its keys that are common:
 *
 *   P(bit is not set there | set here) = (1 - exp(y f - x)) / (1 - exp(-x)) * P(bit is not set there)
 *
 * Error: with 64 lines of some 50 keys, 1 to 2 % of the larger set, in either direction. A result below 0 stays so: cut off
 * there, what many sets hide of one would come out too high. Pure.
 */

import type { Filter } from './filter.js';
import { filterLineSize } from './table-format.js';

const lineBitCount = filterLineSize * 8;
const lineWordCount = filterLineSize / 4;
/** More lines do not make it much better: chance has its limits. */
const lineSampleCountMax = 64;

/** A set of keys by its filter and size. */
export interface FilteredKeys {
	readonly filter: Filter;
	readonly keyCount: number;
}

/** @returns how many keys are in both, about, or a little below 0; undefined when a filter is missing and nothing is known */
export function commonKeyCount(a: FilteredKeys, b: FilteredKeys): number | undefined {
	if (a.filter.isEmpty || b.filter.isEmpty) return undefined;
	const [fine, coarse] = a.filter.lineCount >= b.filter.lineCount ? [a, b] : [b, a];
	const share = commonShare(fine.filter, coarse.filter, fine.keyCount);
	return Math.min(share * fine.keyCount, coarse.keyCount);
}

/** The share of keys that are not there which a filter lets through. */
export function falsePositiveShare({ filter, keyCount }: FilteredKeys): number {
	const load = (keyCount * filter.probeCount) / (filter.lineCount * lineBitCount);
	return (1 - Math.exp(-load)) ** filter.probeCount;
}

/** The share of the finer one's keys that the coarser one has. */
function commonShare(fine: Filter, coarse: Filter, keyCount: number): number {
	const sampleCount = Math.min(lineSampleCountMax, fine.lineCount);
	let setCount = 0;
	let missingCount = 0;
	let freeCount = 0;
	for (let sample = 0; sample < sampleCount; sample++) {
		const line = Math.floor(((sample + 0.5) * fine.lineCount) / sampleCount);
		const first = Math.floor((line * coarse.lineCount) / fine.lineCount);
		const last = Math.min(coarse.lineCount, Math.ceil(((line + 1) * coarse.lineCount) / fine.lineCount)) - 1;
		for (let word = 0; word < lineWordCount; word++) {
			const own = fine.wordAt(line, word);
			const other = coarse.wordAt(first, word) | (last > first ? coarse.wordAt(last, word) : 0);
			setCount += bitCountOf(own);
			missingCount += bitCountOf(own & ~other);
			freeCount += bitCountOf(~other);
		}
	}
	if (freeCount === 0 || setCount === 0) return 0;
	const load = (keyCount * fine.probeCount) / (fine.lineCount * lineBitCount);
	const commonLoad = load * Math.min(1, coarse.probeCount / fine.probeCount);
	const ratio = missingCount / setCount / (freeCount / (sampleCount * lineBitCount));
	const rest = 1 - ratio * (1 - Math.exp(-load));
	if (rest <= 0) return 0;
	return Math.min(1, (load + Math.log(rest)) / commonLoad);
}

function bitCountOf(word: number): number {
	let bits = word - ((word >>> 1) & 0x5555_5555);
	bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
	return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
