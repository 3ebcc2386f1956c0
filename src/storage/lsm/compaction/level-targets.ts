/**
 * How large each level should be, and what follows from it: scores, debt, space amplification. Pure.
 *
 * The last level holds nearly everything; each level above it may hold a `levelSizeRatio`th. So space beyond the data is about a
 * ninth, however large the data is. Level 0 is compacted into the base level, the first whose target is worth a level:
 *
 *   last level   40 MiB: base 6, level 0 goes straight to the last level        with 256 MiB for the base level and ratio 10
 *                 2 GiB: base 5 of 205 MiB
 *                30 GiB: base 3 of 31 MiB, then 307 MiB, 3 GiB
 *
 * Levels above the base should be empty: what is left there (the data shrank) goes down first.
 */
import { levelCountMax } from '../../../base/limits.js';

export const lastLevel = levelCountMax - 1;
/** When nobody writes, the upper levels are emptied until at most this much is stored for each byte of the last level. */
export const idleSpaceAmplification = 1.15;

export interface LevelShape {
	readonly levelZeroCountTrigger: number;
	readonly levelSizeRatio: number;
	readonly baseLevelSize: number;
}

export interface LevelTargets {
	/** Where level 0 goes. Levels between are empty. */
	readonly baseLevel: number;
	/** Bytes; 0 above the base level, and infinite for level 0 and the last. */
	readonly targets: readonly number[];
}

/** @param sizes bytes of each level */
export function levelTargets(sizes: readonly number[], shape: LevelShape): LevelTargets {
	const targets: number[] = new Array(levelCountMax).fill(0);
	targets[0] = Number.POSITIVE_INFINITY;
	targets[lastLevel] = Number.POSITIVE_INFINITY;
	let size = Math.max(...sizes.slice(1));
	let wanted = lastLevel;
	while (wanted > 1 && size > shape.baseLevelSize) {
		size /= shape.levelSizeRatio;
		wanted--;
		targets[wanted] = size;
	}
	const firstUsed = sizes.findIndex((levelSize, number) => number > 0 && levelSize > 0);
	return { baseLevel: firstUsed < 0 ? wanted : Math.min(wanted, firstUsed), targets };
}

/** How much a level asks to be compacted: 1 and more is due. @param size bytes that no running compaction takes */
export function levelScore(level: number, size: number, { targets }: LevelTargets): number {
	if (size === 0 || level === lastLevel) return 0;
	// A level that should be empty comes before those that are a little too large.
	return targets[level] === 0 ? 2 + size / 2 ** 40 : size / targets[level];
}

/** Bytes that compactions still have to read and write until every level is within its target. */
export function compactionDebt(sizes: readonly number[], levelZeroCount: number, shape: LevelShape): number {
	const { baseLevel, targets } = levelTargets(sizes, shape);
	const isZeroDue = levelZeroCount >= shape.levelZeroCountTrigger;
	let debt = isZeroDue ? sizes[0] + sizes[baseLevel] : 0;
	let carried = isZeroDue ? sizes[0] : 0;
	for (let level = baseLevel; level < lastLevel; level++) {
		const size = sizes[level] + carried;
		carried = Math.max(0, size - targets[level]);
		if (carried > 0) debt += carried * (sizes[level + 1] / size + 1);
	}
	return debt;
}

/** Bytes on disk for each byte of the last level in use: what is above it may all be newer versions of the same keys. */
export function spaceAmplification(sizes: readonly number[]): number {
	const last = sizes.findLastIndex((size) => size > 0);
	if (last < 0) return 1;
	return sizes.reduce((sum, size) => sum + size, 0) / sizes[last];
}
