/**
 * Ranges of keys as commands that take [start, end): opDeleteRange and opCompact, whose bounds are keys, and where an empty
 * one means that there is none.
 *
 *   gt a      start = the first key above a           gte a     start = a
 *   lt b      end = b                                 lte b     end = the first key above b
 *
 * Keys have at most `keySizeMax` bytes: the first key above a shorter one is that one and a zero byte; above a longest one
 * there is none that begins with it, so it is the next prefix. Pure.
 */
import { compareBytes, prefixUpperBound } from '../base/bytes.js';
import { keySizeMax } from '../base/limits.js';
import { checkScan, type ScanRange } from '../command/scan-options.js';
import type { KeyRange } from '../command/store.js';

export interface CommandRange {
	/** Empty: from the first key. */
	readonly start: Uint8Array;
	/** Empty: to the last key. */
	readonly end: Uint8Array;
}

const noBytes = new Uint8Array(0);

/**
 * @returns undefined when no key can be in the range
 * @throws TypeError for options that are unknown or of the wrong kind; MILLRACE_KEY_SIZE for a long bound
 */
export function commandRangeOf(range: KeyRange | undefined): CommandRange | undefined {
	return toCommandRange(checkScan(range, true).options);
}

export function toCommandRange({
	lower,
	isLowerInclusive,
	upper,
	isUpperInclusive,
}: ScanRange): CommandRange | undefined {
	const start = lower === undefined || isLowerInclusive ? (lower ?? noBytes) : firstAbove(lower);
	if (start === undefined) return undefined;
	if (upper === undefined) return { start, end: noBytes };
	const end = isUpperInclusive ? firstAbove(upper) : upper;
	if (end === undefined) return { start, end: noBytes };
	return compareBytes(start, 0, start.length, end, 0, end.length) < 0 ? { start, end } : undefined;
}

/** @returns undefined when there is none */
function firstAbove(key: Uint8Array): Uint8Array | undefined {
	if (key.length === keySizeMax) return prefixUpperBound(key);
	const above = new Uint8Array(key.length + 1);
	above.set(key);
	return above;
}
