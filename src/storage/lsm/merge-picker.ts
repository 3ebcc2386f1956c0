/**
 * Which tables to merge: pure. Size-tiered, as RocksDB's universal style: from the newest table on, take the next older
 * one as long as it is not much larger than all taken so far, so that every merge about doubles a table and a byte is
 * rewritten once for each doubling.
 */

/** Fewest tables worth a merge. */
const mergeCountMin = 4;
/** A table joins when its size is at most this times the sum of the newer ones. */
const sizeRatioMax = 1.5;

/**
 * @param sizes bytes of the tables, newest first
 * @param countTrigger tables before anything is merged
 * @returns how many of the newest tables to merge into one; 0: none
 */
export function pickMerge(sizes: readonly number[], countTrigger: number): number {
	if (sizes.length < countTrigger) return 0;
	let count = 1;
	let total = sizes[0];
	while (count < sizes.length && sizes[count] <= total * sizeRatioMax) {
		total += sizes[count];
		count++;
	}
	if (count >= mergeCountMin) return count;
	return sizes.length >= 2 * countTrigger ? sizes.length : 0;
}
