/**
 * What is to be said of a partition's levels and of the work on them: the pressure that write control goes by, and statistics as
 * plain data. Computed when asked; what only changes with the levels is kept. Partition's thread.
 */
import type { Compactor } from '../compaction/compactor.js';
import { compactionDebt, levelTargets, spaceAmplification } from '../compaction/level-targets.js';
import type { Level, Levels } from '../levels.js';
import type { Flusher } from './flusher.js';
import type { Upkeep } from './upkeep.js';
import type { WritePressure } from './write-control.js';

export class LevelReport {
	readonly #upkeep: Upkeep;
	readonly #flusher: Flusher;
	readonly #compactor: Compactor;
	/** What `#debt` was computed for. */
	#levels: Levels | undefined;
	#debt = 0;

	constructor(upkeep: Upkeep, flusher: Flusher, compactor: Compactor) {
		this.#upkeep = upkeep;
		this.#flusher = flusher;
		this.#compactor = compactor;
	}

	/** Bytes that compactions have to read and write until all levels are within their targets. */
	get debtBytes(): number {
		const { levels } = this.#upkeep.tree;
		if (levels !== this.#levels) {
			this.#levels = levels;
			const { options } = this.#upkeep;
			const isTiered = options.compaction === 'tiered';
			this.#debt = isTiered ? 0 : compactionDebt(sizesOf(levels), levels.all[0].tables.length, options);
		}
		return this.#debt;
	}

	pressure(): WritePressure {
		const { tree, options, disk } = this.#upkeep;
		return {
			immutableCount: tree.immutableCount,
			memtableCountMax: options.memtableCountMax,
			activeShare: tree.active.usedBytes / options.memtableSize,
			levelZeroCount: tree.levels.all[0].tables.length,
			debtBytes: this.debtBytes,
			isDiskFull: disk.isFull,
			flushBytesPerSecond: this.#flusher.rate.bytesPerSecond,
			compactionBytesPerSecond: this.#compactor.counters.rate.bytesPerSecond,
		};
	}

	statistics(): Record<string, unknown> {
		const { tree, options } = this.#upkeep;
		const { counters, running, manual } = this.#compactor;
		const { userBytes, flushedBytes, flushCount, flushMs, rate } = this.#flusher;
		const sizes = sizesOf(tree.levels);
		const { baseLevel, targets } = levelTargets(sizes, options);
		const tableBytes = flushedBytes + counters.writtenBytes;
		return {
			levels: tree.levels.all.map((level, number) => this.#levelRow(level, number, targets[number])),
			baseLevel,
			spaceAmplification: round(spaceAmplification(sizes)),
			writeAmplification: {
				// The log takes each command once.
				all: userBytes === 0 ? 0 : round((userBytes + tableBytes) / userBytes),
				tables: userBytes === 0 ? 0 : round(tableBytes / userBytes),
			},
			userBytes,
			debtBytes: Math.round(this.debtBytes),
			flushes: {
				count: flushCount,
				bytes: flushedBytes,
				ms: flushMs,
				bytesPerSecond: Math.round(rate.bytesPerSecond),
				isRunning: this.#flusher.isRunning,
				waiting: tree.immutableCount,
			},
			compactions: {
				count: counters.count,
				moves: counters.moveCount,
				readBytes: counters.readBytes,
				writtenBytes: counters.writtenBytes,
				busyMs: counters.busyMs,
				levelZeroBytesPerSecond: Math.round(counters.rate.bytesPerSecond),
				reasons: { ...counters.reasons },
				dropped: { ...counters.dropped },
				manualWaiting: manual.count,
				running: running.map(({ reason, inputLevel, outputLevel, inputs }) => ({
					reason,
					inputLevel,
					outputLevel,
					files: inputs.length,
					bytes: inputs.reduce((sum, { meta }) => sum + meta.size, 0),
				})),
			},
			rangeTombstoneFragments: tree.rangeTombstones.fragmentCount,
		};
	}

	#levelRow(level: Level, number: number, target: number): Record<string, unknown> {
		const { metas } = level;
		const sum = (of: (meta: (typeof metas)[number]) => number): number =>
			metas.reduce((all, meta) => all + of(meta), 0);
		const { count, readBytes, writtenBytes } = this.#compactor.counters.levels[number];
		return {
			level: number,
			files: metas.length,
			bytes: level.size,
			targetBytes: Number.isFinite(target) ? Math.round(target) : null,
			entries: sum((meta) => meta.entryCount),
			tombstones: sum((meta) => meta.tombstoneCount),
			rangeTombstones: sum((meta) => meta.rangeTombstones.length),
			reads: this.#upkeep.tree.readCounts[number],
			compactions: count,
			compactionReadBytes: readBytes,
			compactionWrittenBytes: writtenBytes,
		};
	}
}

function sizesOf(levels: Levels): number[] {
	return levels.all.map((level) => level.size);
}

function round(ratio: number): number {
	return Math.round(ratio * 100) / 100;
}
