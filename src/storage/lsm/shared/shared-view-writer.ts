/**
 * Publishes what a partition consists of (shared-view-format.ts), whenever that changes. The partition's thread only.
 *
 *   version odd ─> words, and the rows when the tables changed ─> version even, two higher
 *
 * When `publish` returns, every reader that looks at the version afterwards sees the new view. Only then may the partition reset
 * an arena that is not in it, and remove a file of a table that is not in it.
 */
import { assert } from '../../../base/assert.js';
import type { Levels } from '../levels.js';
import type { Memtable } from '../memtable/memtable.js';
import { arenaGenerationWord } from '../memtable/memtable-format.js';
import {
	baseDistance,
	rowFirstKeyWord,
	rowFlagRanges,
	rowIdWord,
	rowKeySizeMax,
	rowLastKeyWord,
	rowShapeWord,
	rowWords,
	tableCountMaxOf,
	tablesUncounted,
	viewAbsenceWord,
	viewArenaCountMax,
	viewArenaCountWord,
	viewArenasWord,
	viewArenaWords,
	viewBaseWord,
	viewDroppedCountMax,
	viewDroppedCountWord,
	viewDroppedWord,
	viewFlagClosed,
	viewFlagsWord,
	viewPromisedWord,
	viewRowsVersionWord,
	viewRowsWord,
	viewSnapshotFloorWord,
	viewTableCountWord,
	viewVersionWord,
	writeSequence,
} from './shared-view-format.js';
import type { StorageMemory } from './storage-memory.js';

/** What there is to read. */
export interface PublishedState {
	/** Newest first: those that readers look into. */
	readonly memtables: readonly Memtable[];
	readonly levels: Levels;
	/** LsmTree.absenceSequence. */
	readonly absenceSequence: number;
	/** The newest sequence that is stored, or any before it that is at most a memtable away. */
	readonly newestSequence: number;
}

export class SharedViewWriter {
	readonly #words: Int32Array;
	readonly #bytes: Uint8Array;
	readonly #arenaIndexes = new Map<SharedArrayBuffer, number>();
	readonly #tableCountMax: number;
	/** The levels whose rows are in the view. */
	#levels: Levels | undefined;
	#promisedSequence = 0;
	/** Snapshots below it are gone. */
	#snapshotFloor = 0;
	/** Others that were dropped before they were released, ascending. */
	#dropped: number[] = [];

	constructor({ view, arenas }: StorageMemory) {
		assert(arenas.length <= viewArenaCountMax, `a view of ${arenas.length} arenas`);
		this.#words = new Int32Array(view);
		this.#bytes = new Uint8Array(view);
		this.#tableCountMax = tableCountMaxOf(view.byteLength);
		assert(this.#tableCountMax >= 0, `a view of ${view.byteLength} bytes`);
		for (const [index, arena] of arenas.entries()) this.#arenaIndexes.set(arena, index);
	}

	publish({ memtables, levels, absenceSequence, newestSequence }: PublishedState): void {
		const words = this.#words;
		this.#begin();
		const base = Math.max(0, newestSequence - baseDistance);
		writeSequence(words, viewBaseWord, base);
		writeSequence(words, viewAbsenceWord, absenceSequence);
		words[viewArenaCountWord] = memtables.length;
		for (let i = 0; i < memtables.length; i++) {
			const { arena, words: arenaWords } = memtables[i];
			const index = this.#arenaIndexes.get(arena);
			assert(index !== undefined, 'memtables lie in the arenas that were given');
			words[viewArenasWord + i * viewArenaWords] = index;
			words[viewArenasWord + i * viewArenaWords + 1] = arenaWords[arenaGenerationWord];
		}
		if (levels !== this.#levels) this.#writeRows(levels);
		this.#end();
		// Never so far behind that its low word looks as if it were ahead.
		this.promise(Math.max(this.#promisedSequence, newestSequence - baseDistance / 2));
	}

	/** All snapshots below this sequence are gone. */
	raiseSnapshotFloor(sequence: number): void {
		this.#dropped = this.#dropped.filter((dropped) => dropped >= sequence);
		this.#snapshotFloor = Math.max(this.#snapshotFloor, sequence);
		this.#writeSnapshots();
	}

	/** What the snapshot at this sequence sees is not kept any more, or (once more) it is. */
	dropSnapshot(sequence: number, isDropped: boolean): void {
		if (this.#dropped.includes(sequence) === isDropped) return;
		this.#dropped = isDropped
			? [...this.#dropped, sequence].sort((a, b) => a - b)
			: this.#dropped.filter((dropped) => dropped !== sequence);
		while (this.#dropped.length > viewDroppedCountMax) this.#snapshotFloor = (this.#dropped.shift() ?? 0) + 1;
		this.#writeSnapshots();
	}

	/** Somebody was told of this sequence, which may not be durable yet: readers who meet it wait until it is. */
	promise(sequence: number): void {
		assert(sequence >= this.#promisedSequence, 'what was promised stays promised');
		this.#promisedSequence = sequence;
		Atomics.store(this.#words, viewPromisedWord, sequence | 0);
	}

	/** Readers are refused from now on. */
	close(): void {
		this.#begin();
		this.#words[viewFlagsWord] = viewFlagClosed;
		this.#words[viewArenaCountWord] = 0;
		this.#words[viewTableCountWord] = 0;
		this.#words[viewRowsVersionWord]++;
		this.#end();
	}

	#writeSnapshots(): void {
		const words = this.#words;
		this.#begin();
		writeSequence(words, viewSnapshotFloorWord, this.#snapshotFloor);
		words[viewDroppedCountWord] = this.#dropped.length;
		for (const [i, sequence] of this.#dropped.entries()) writeSequence(words, viewDroppedWord + i * 2, sequence);
		this.#end();
	}

	#begin(): void {
		Atomics.store(this.#words, viewVersionWord, this.#words[viewVersionWord] + 1);
		// A load after the store: what is written next cannot be seen before the odd version (docs/architecture.md).
		const version = Atomics.load(this.#words, viewVersionWord);
		assert((version & 1) === 1, 'one publication at a time');
	}

	#end(): void {
		Atomics.store(this.#words, viewVersionWord, this.#words[viewVersionWord] + 1);
	}

	#writeRows(levels: Levels): void {
		const words = this.#words;
		this.#levels = levels;
		words[viewRowsVersionWord]++;
		if (levels.tableCount > this.#tableCountMax) {
			words[viewTableCountWord] = tablesUncounted;
			return;
		}
		words[viewTableCountWord] = levels.tableCount;
		let row = viewRowsWord;
		for (let level = 0; level < levels.all.length; level++) {
			for (const { value: table } of levels.all[level].tables) {
				const { id, firstKey, lastKey, rangeTombstones } = table.meta;
				const firstSize = this.#writeKey(row + rowFirstKeyWord, firstKey);
				const lastSize = this.#writeKey(row + rowLastKeyWord, lastKey);
				const flags = rangeTombstones.length > 0 ? rowFlagRanges : 0;
				writeSequence(words, row + rowIdWord, id);
				words[row + rowShapeWord] = level | (flags << 8) | (firstSize << 16) | (lastSize << 24);
				row += rowWords;
			}
		}
	}

	/** @returns bytes of the key that the row holds */
	#writeKey(word: number, key: Uint8Array): number {
		const size = Math.min(key.length, rowKeySizeMax);
		for (let i = 0; i < size; i++) this.#bytes[word * 4 + i] = key[i];
		return size;
	}
}
