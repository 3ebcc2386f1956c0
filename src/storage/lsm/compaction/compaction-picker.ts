/**
 * Which tables to compact next: pure, levels in, choice out.
 *
 *   leveled   1. the level that is most over its target: level 0 by the number of its tables, all of them at once; another by its
 *                bytes, first the table with the least below it (and much garbage in it), with neighbours while it is far over
 *             2. tables of which a quarter or more is garbage: down a level, or rewritten where they are at the bottom
 *             3. when nobody writes: level 0 and the upper levels, until hardly more is stored than the last level holds
 *   tiered    level 0 alone: from the newest table on, as many as are of about one size (see `tieredCount`)
 */

import { grandparentOverlapFactor } from '../../../base/limits.js';
import type { PartitionOptions } from '../partition-options.js';
import type { TableMeta } from '../table/table-meta.js';
import {
	type Compaction,
	type CompactionReason,
	completeCompaction,
	type LevelMetas,
	overlapping,
	rangesOverlap,
	sizeOf,
} from './compaction.js';
import { idleSpaceAmplification, lastLevel, levelScore, levelTargets, spaceAmplification } from './level-targets.js';

/** Table sizes that one compaction of a level takes at most, unless a single table and what is below it are more. */
const compactionTableCountMax = 25;
/** Share of a table that is worth a compaction of its own when it is garbage. */
const garbageShareMin = 0.25;
/** Level-0 tables worth a compaction when nobody writes. */
const idleLevelZeroCount = 2;

export type PickerOptions = Pick<
	PartitionOptions,
	'compaction' | 'levelZeroCountTrigger' | 'levelSizeRatio' | 'baseLevelSize' | 'tableFileSize' | 'lastLevelCodec'
>;

export interface PickerState {
	/** Level 0 newest first, others in order of keys. */
	readonly levels: LevelMetas;
	readonly running: readonly Compaction[];
	/** Nobody has written for a while. */
	readonly isIdle: boolean;
	/** The disk is full, or the budget is used up: what frees space does not wait for more of its kind. */
	readonly isSpaceShort?: boolean;
	/** The oldest pinned snapshot; infinite when there is none. */
	readonly oldestSnapshot: number;
	/** Entries of a table that a compaction may drop because they have expired. */
	readonly expiredCountOf: (meta: TableMeta) => number;
	/** Tables whose garbage a compaction could not remove. */
	readonly exemptIds: ReadonlySet<number>;
}

export function pickCompaction(state: PickerState, options: PickerOptions): Compaction | undefined {
	return options.compaction === 'tiered' ? pickTiered(state, options) : new LeveledPicker(state, options).pick();
}

/** What someone asked to be compacted: a range of keys, the tables of `level` whose ids are below `idLimit`. */
export interface ManualRequest {
	/** Empty: from the beginning. */
	readonly lower: Uint8Array;
	/** Last key of the range; undefined: to the end. */
	readonly upper: Uint8Array | undefined;
	readonly level: number;
	readonly idLimit: number;
}

/** @returns 'done' when the level has nothing more to give, 'blocked' when a running compaction is in the way */
export function pickManual(
	state: PickerState,
	options: PickerOptions,
	request: ManualRequest,
): Compaction | 'done' | 'blocked' {
	return options.compaction === 'tiered'
		? pickAllTiered(state, request)
		: new LeveledPicker(state, options).pickManual(request);
}

/** True when so much of a table is garbage that could be removed that a compaction is worth it for that alone. */
export function isGarbage(meta: TableMeta, state: Pick<PickerState, 'oldestSnapshot' | 'expiredCountOf'>): boolean {
	const isSeen = meta.maxSequence > state.oldestSnapshot;
	if (!isSeen && meta.rangeTombstones.length > 0) return true;
	const garbageCount = (isSeen ? 0 : meta.tombstoneCount) + state.expiredCountOf(meta);
	return garbageCount >= meta.entryCount * garbageShareMin && garbageCount > 0;
}

class LeveledPicker {
	readonly #state: PickerState;
	readonly #options: PickerOptions;
	readonly #levels: LevelMetas;
	readonly #sizes: readonly number[];
	readonly #busy: ReadonlySet<number>;
	readonly #baseLevel: number;

	constructor(state: PickerState, options: PickerOptions) {
		this.#state = state;
		this.#options = options;
		this.#levels = state.levels;
		this.#sizes = state.levels.map(sizeOf);
		this.#busy = new Set(state.running.flatMap(({ inputs }) => inputs.map(({ meta }) => meta.id)));
		this.#baseLevel = levelTargets(this.#sizes, options).baseLevel;
	}

	pick(): Compaction | undefined {
		return this.#pickByScore() ?? this.#pickGarbage() ?? (this.#state.isIdle ? this.#pickIdle() : undefined);
	}

	#pickByScore(): Compaction | undefined {
		const shape = levelTargets(this.#sizes, this.#options);
		const candidates: { level: number; score: number }[] = [];
		for (let level = 0; level < lastLevel; level++) {
			const free = this.#levels[level].filter((meta) => !this.#busy.has(meta.id));
			const trigger = this.#state.isIdle ? idleLevelZeroCount : this.#options.levelZeroCountTrigger;
			const score = level === 0 ? free.length / trigger : levelScore(level, sizeOf(free), shape);
			if (score >= 1) candidates.push({ level, score });
		}
		candidates.sort((a, b) => b.score - a.score);
		for (const { level } of candidates) {
			const excess = level === 0 ? 0 : this.#sizes[level] - shape.targets[level];
			const found = level === 0 ? this.#compactZero('level-0') : this.#compactLevel(level, excess, 'size');
			if (found !== undefined) return found;
		}
		return undefined;
	}

	/** All tables of level 0 go to the base level. */
	#compactZero(reason: CompactionReason, chosen: readonly TableMeta[] = this.#levels[0]): Compaction | undefined {
		return chosen.length === 0 ? undefined : this.#complete(reason, chosen, 0, this.#baseLevel);
	}

	/** The table of a level that costs least, and neighbours until `excess` bytes are taken. */
	#compactLevel(level: number, excess: number, reason: CompactionReason): Compaction | undefined {
		const metas = this.#levels[level];
		const costs = metas.map((meta, index) => ({ index, cost: this.#costOf(meta, level) }));
		costs.sort((a, b) => a.cost - b.cost);
		for (const { index } of costs) {
			const found = this.#complete(reason, [metas[index]], level, level + 1);
			if (found !== undefined) return this.#withNeighbours(found, level, index, excess);
		}
		return undefined;
	}

	/** Bytes to rewrite below for each byte moved down; less for a table with garbage, which gets smaller. */
	#costOf(meta: TableMeta, level: number): number {
		if (this.#busy.has(meta.id)) return Number.POSITIVE_INFINITY;
		const cost = sizeOf(overlapping(this.#levels[level + 1], meta)) / meta.size;
		return isGarbage(meta, this.#state) ? cost / 4 : cost;
	}

	/** Several tables at once rewrite those below that two of them reach only once. */
	#withNeighbours(first: Compaction, level: number, index: number, excess: number): Compaction {
		const metas = this.#levels[level];
		let best = first;
		for (let end = index + 2; end <= metas.length; end++) {
			const chosen = metas.slice(index, end);
			if (sizeOf(chosen.slice(0, -1)) >= excess) break;
			const larger = this.#complete(best.reason, chosen, level, level + 1);
			if (larger === undefined || larger.isMove !== best.isMove) break;
			if (sizeOf(larger.inputs.map(({ meta }) => meta)) > this.#sizeMax) break;
			best = larger;
		}
		return best;
	}

	get #sizeMax(): number {
		return compactionTableCountMax * this.#options.tableFileSize;
	}

	#pickGarbage(): Compaction | undefined {
		if (this.#state.isSpaceShort && this.#levels[0].some((meta) => isGarbage(meta, this.#state))) {
			const found = this.#compactZero('garbage');
			if (found !== undefined) return found;
		}
		for (let level = lastLevel; level > 0; level--) {
			for (const meta of this.#levels[level]) {
				const isExempt = this.#busy.has(meta.id) || this.#state.exemptIds.has(meta.id);
				if (isExempt || !isGarbage(meta, this.#state)) continue;
				const found = this.#complete('garbage', [meta], level, Math.min(level + 1, lastLevel));
				if (found !== undefined) return found;
			}
		}
		return undefined;
	}

	#pickIdle(): Compaction | undefined {
		if (spaceAmplification(this.#sizes) <= idleSpaceAmplification) return undefined;
		const last = this.#sizes.findLastIndex((size) => size > 0);
		for (let level = 0; level < last; level++) {
			if (this.#sizes[level] === 0) continue;
			const found = level === 0 ? this.#compactZero('idle') : this.#compactLevel(level, this.#sizes[level], 'idle');
			if (found !== undefined) return found;
		}
		return undefined;
	}

	pickManual({ lower, upper, level, idLimit }: ManualRequest): Compaction | 'done' | 'blocked' {
		const isAsked = (meta: TableMeta): boolean =>
			meta.id < idLimit &&
			rangesOverlap(meta, { lowerBound: lower, upperBound: upper, lastKey: upper ?? meta.lastKey });
		const asked = this.#levels[level].filter(isAsked);
		if (level === 0) {
			if (asked.length === 0) return 'done';
			// From the newest that was asked for on: nothing older may stay above it.
			const chosen = this.#levels[0].slice(this.#levels[0].indexOf(asked[0]));
			return this.#compactZero('manual', chosen) ?? 'blocked';
		}
		const isWorth = (meta: TableMeta): boolean => level < lastLevel || hasGarbage(meta, this.#state);
		const first = asked.find(isWorth);
		if (first === undefined) return 'done';
		const outputLevel = Math.min(level + 1, lastLevel);
		const found = this.#complete('manual', [first], level, outputLevel);
		if (found === undefined) return 'blocked';
		if (level === lastLevel) return found;
		const end = this.#levels[level].indexOf(asked[asked.length - 1]) + 1;
		const index = this.#levels[level].indexOf(first);
		return this.#withNeighbours(found, level, index, sizeOf(this.#levels[level].slice(index, end)));
	}

	#complete(
		reason: CompactionReason,
		chosen: readonly TableMeta[],
		inputLevel: number,
		outputLevel: number,
	): Compaction | undefined {
		const { tableFileSize, lastLevelCodec } = this.#options;
		return completeCompaction(
			this.#levels,
			this.#state.running,
			reason,
			chosen,
			inputLevel,
			outputLevel,
			(grandparentSize, isBottom) => {
				const isSameCodec = outputLevel < lastLevel || inputLevel === lastLevel || lastLevelCodec === 'lz4';
				if (!isSameCodec || grandparentSize > grandparentOverlapFactor * tableFileSize) return false;
				return !isBottom || !chosen.some((meta) => isGarbage(meta, this.#state));
			},
		);
	}
}

/** Anything at all that a rewrite at the bottom would remove. */
function hasGarbage(meta: TableMeta, state: PickerState): boolean {
	if (state.expiredCountOf(meta) > 0) return true;
	if (meta.maxSequence > state.oldestSnapshot) return false;
	return meta.tombstoneCount > 0 || meta.rangeTombstones.length > 0 || meta.entryCount > meta.keyCount;
}

/** Fewest tables worth a tiered compaction. */
const tieredCountMin = 4;
/** A table joins when its size is at most this times the sum of the newer ones. */
const tieredSizeRatioMax = 1.5;

/**
 * Size-tiered, as RocksDB's universal style: from the newest table on, take the next older one as long as it is not much larger
 * than all taken so far, so that every compaction about doubles a table and a byte is rewritten once for each doubling.
 * @param sizes bytes of the tables, newest first
 * @param countTrigger tables before anything is compacted
 * @returns how many of the newest tables to make one of; 0: none
 */
export function tieredCount(sizes: readonly number[], countTrigger: number): number {
	if (sizes.length < countTrigger) return 0;
	let count = 1;
	let total = sizes[0];
	while (count < sizes.length && sizes[count] <= total * tieredSizeRatioMax) {
		total += sizes[count];
		count++;
	}
	if (count >= tieredCountMin) return count;
	return sizes.length >= 2 * countTrigger ? sizes.length : 0;
}

function pickTiered(state: PickerState, options: PickerOptions): Compaction | undefined {
	const [tables] = state.levels;
	const count = tieredCount(
		tables.map((meta) => meta.size),
		options.levelZeroCountTrigger,
	);
	return count === 0 ? undefined : completeTiered(state, 'tiered', tables.slice(0, count));
}

function pickAllTiered(state: PickerState, { level, idLimit }: ManualRequest): Compaction | 'done' | 'blocked' {
	const [tables] = state.levels;
	const first = tables.findIndex((meta) => meta.id < idLimit);
	if (level > 0 || first < 0) return 'done';
	if (first === tables.length - 1 && !hasGarbage(tables[first], state)) return 'done';
	return completeTiered(state, 'manual', tables.slice(first)) ?? 'blocked';
}

function completeTiered(
	state: PickerState,
	reason: CompactionReason,
	chosen: readonly TableMeta[],
): Compaction | undefined {
	return completeCompaction(state.levels, state.running, reason, chosen, 0, 0, () => false);
}
