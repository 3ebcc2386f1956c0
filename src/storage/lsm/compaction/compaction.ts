/**
 * A compaction, chosen: which tables become which level, and what the job needs to know of their surroundings. Pure.
 *
 * Its range is what its inputs cover, entries and deleted ranges. Two compactions run at once only when no table is in both and,
 * where they write into the same level, their ranges are disjoint.
 */
import { levelCountMax } from '../../../base/limits.js';
import { tablesOverlap } from '../levels.js';
import type { TableMeta } from '../table/table-meta.js';
import { compareKeys } from '../table/table-meta.js';

/** Why tables are compacted. */
export type CompactionReason = 'level-0' | 'size' | 'garbage' | 'idle' | 'manual' | 'tiered';

/** Keys from `lowerBound` to `upperBound` (undefined: to the end), as a table covers them. */
export type CompactionRange = Pick<TableMeta, 'lowerBound' | 'upperBound' | 'lastKey'>;

export interface CompactionInput {
	readonly level: number;
	readonly meta: TableMeta;
}

export interface Compaction {
	readonly reason: CompactionReason;
	/** Newer data first: level 0 from its newest table on, then level by level in order of keys. */
	readonly inputs: readonly CompactionInput[];
	readonly inputLevel: number;
	readonly outputLevel: number;
	readonly range: CompactionRange;
	/** The tables go to the output level as they are. */
	readonly isMove: boolean;
	/** Nothing older than the inputs lies anywhere below: tombstones have nothing left to hide. */
	readonly isBottom: boolean;
	/** Tables below the output level that its tables will meet one day. */
	readonly grandparents: readonly TableMeta[];
}

export type LevelMetas = readonly (readonly TableMeta[])[];

/** What all of these tables cover together. */
export function rangeOf(metas: readonly TableMeta[]): CompactionRange {
	let { lowerBound, upperBound, lastKey } = metas[0];
	for (const meta of metas) {
		if (compareKeys(meta.lowerBound, lowerBound) < 0) lowerBound = meta.lowerBound;
		if (compareKeys(meta.lastKey, lastKey) > 0) lastKey = meta.lastKey;
		if (upperBound === undefined || meta.upperBound === undefined) upperBound = undefined;
		else if (compareKeys(meta.upperBound, upperBound) > 0) upperBound = meta.upperBound;
	}
	return { lowerBound, upperBound, lastKey };
}

/** True when a key may be in both. */
export function rangesOverlap(a: CompactionRange, b: CompactionRange): boolean {
	return tablesOverlap(a, b);
}

export function overlapping(metas: readonly TableMeta[], range: CompactionRange): TableMeta[] {
	return metas.filter((meta) => rangesOverlap(meta, range));
}

export function sizeOf(metas: readonly TableMeta[]): number {
	return metas.reduce((sum, meta) => sum + meta.size, 0);
}

/** Bytes the outputs should take: a tombstone takes one entry with it, and at the bottom itself. */
export function outputSizeEstimate({ inputs, isBottom }: Pick<Compaction, 'inputs' | 'isBottom'>): number {
	const metas = inputs.map(({ meta }) => meta);
	const tombstoneCount = metas.reduce((sum, meta) => sum + meta.tombstoneCount, 0);
	const otherCount = metas.reduce((sum, meta) => sum + meta.entryCount, 0) - tombstoneCount;
	const livingShare = otherCount === 0 ? 0 : Math.max(0, 1 - tombstoneCount / otherCount);
	const tombstoneSize = sizeOf(metas.filter((meta) => meta.tombstoneCount === meta.entryCount));
	return (sizeOf(metas) - tombstoneSize) * livingShare + (isBottom ? 0 : tombstoneSize);
}

/** True when these tables, and this range of the output level, are free for a compaction beside those running. */
export function isFree(
	running: readonly Compaction[],
	inputs: readonly CompactionInput[],
	outputLevel: number,
	range: CompactionRange,
): boolean {
	const ids = new Set(inputs.map(({ meta }) => meta.id));
	const takesZero = inputs.some(({ level }) => level === 0);
	return running.every((other) => {
		if (takesZero && other.inputLevel === 0) return false;
		if (other.inputs.some(({ meta }) => ids.has(meta.id))) return false;
		return other.outputLevel !== outputLevel || !rangesOverlap(other.range, range);
	});
}

/**
 * Completes a choice: takes in what the output level holds in the range, and looks below it.
 * @param chosen tables of `inputLevel`, newer data first; of level 0, all that are older and overlap are among them
 * @param canMove tables may go as they are, should nothing be in their way
 * @returns undefined when a running compaction is in the way
 */
export function completeCompaction(
	levels: LevelMetas,
	running: readonly Compaction[],
	reason: CompactionReason,
	chosen: readonly TableMeta[],
	inputLevel: number,
	outputLevel: number,
	canMove: (grandparentSize: number, isBottom: boolean) => boolean,
): Compaction | undefined {
	const chosenRange = rangeOf(chosen);
	const met = outputLevel === inputLevel ? [] : overlapping(levels[outputLevel], chosenRange);
	const range = rangeOf([...chosen, ...met]);
	const inputs = [
		...chosen.map((meta) => ({ level: inputLevel, meta })),
		...met.map((meta) => ({ level: outputLevel, meta })),
	];
	if (!isFree(running, inputs, outputLevel, range)) return undefined;
	const below = levels.slice(outputLevel + 1).map((metas) => overlapping(metas, range));
	const isOldest = inputLevel > 0 || outputLevel > 0 || levels[0].at(-1) === chosen.at(-1);
	const isBottom = isOldest && below.every((metas) => metas.length === 0);
	const grandparents = outputLevel + 1 < levelCountMax ? below[0] : [];
	const isMove =
		outputLevel !== inputLevel &&
		met.length === 0 &&
		arePairwiseDisjoint(chosen) &&
		canMove(sizeOf(grandparents), isBottom);
	return { reason, inputs, inputLevel, outputLevel, range, isMove, isBottom, grandparents };
}

/** Tables that could stand side by side in one level. */
function arePairwiseDisjoint(metas: readonly TableMeta[]): boolean {
	const sorted = [...metas].sort((a, b) => compareKeys(a.lowerBound, b.lowerBound));
	let widest = sorted[0];
	for (const meta of sorted.slice(1)) {
		if (tablesOverlap(widest, meta)) return false;
		widest = meta;
	}
	return true;
}
