/**
 * A reader's own copy of a partition's view (shared-view-format.ts), taken anew when the version has changed. One thread.
 *
 * While the version is the one that was copied, or the odd one right behind it, the copy is what the partition consists of: the
 * partition does not go on before it has published what comes next, so a writer that stands still in the middle holds nobody up.
 */
import { assert } from '../../../base/assert.js';
import { compareBytes } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { levelCountMax } from '../../../base/limits.js';
import {
	readSequence,
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
} from './shared-view-format.js';

/** A partition publishes in microseconds; one that has not for so long has died in the middle. */
const publicationMsMax = 10_000;

export class SharedViewCopy {
	baseSequence = 0;
	absenceSequence = 0;
	arenaCount = 0;
	/** Newest first. */
	readonly arenaIndexes = new Int32Array(viewArenaCountMax);
	readonly arenaGenerations = new Int32Array(viewArenaCountMax);
	/** Another number when the rows are others; -1: there are none yet. */
	rowsVersion = -1;
	tableCount = 0;
	/** Level i has the rows from `levelStarts[i]` to `levelStarts[i + 1]`. */
	readonly levelStarts = new Int32Array(levelCountMax + 1);
	/** Times a view was taken. */
	takeCount = 0;
	readonly #words: Int32Array;
	readonly #rowCountMax: number;
	/** This reader's own: nobody looks at it. */
	readonly #fence = new Int32Array(new SharedArrayBuffer(4));
	/** Of what is copied; 0: nothing is, or not whole. */
	#version = 0;
	#flags = 0;
	#snapshotFloor = 0;
	#droppedCount = 0;
	readonly #dropped = new Float64Array(viewDroppedCountMax);
	#copiedRowsVersion = 0;
	#rowWords = new Int32Array(0);
	#rowBytes = new Uint8Array(0);

	constructor(view: SharedArrayBuffer) {
		this.#words = new Int32Array(view);
		this.#rowCountMax = tableCountMaxOf(view.byteLength);
	}

	/** True when the copy still holds. The first look of a read. */
	get isCurrent(): boolean {
		const version = Atomics.load(this.#words, viewVersionWord);
		return (version - this.#version) >>> 0 <= 1 && this.#version !== 0;
	}

	/** Readers wait until this sequence is durable when they meet it: somebody knows of it already. Its low word. */
	get promisedLow(): number {
		// Plain: who was told of it was told after it was stored.
		return this.#words[viewPromisedWord];
	}

	/** False: what a snapshot at this sequence sees is not kept any more. */
	hasSnapshot(sequence: number): boolean {
		if (sequence < this.#snapshotFloor) return false;
		for (let i = 0; i < this.#droppedCount; i++) if (this.#dropped[i] === sequence) return false;
		return true;
	}

	/**
	 * Between plain loads and the atomic one that says whether they hold: those before are over before it (docs/architecture.md).
	 */
	fence(): void {
		Atomics.store(this.#fence, 0, 1);
	}

	/**
	 * Copies the view.
	 * @throws MillraceError MILLRACE_CLOSED; MILLRACE_BUSY when there are more tables than it holds; MILLRACE_WORKER_DIED
	 */
	take(): void {
		const words = this.#words;
		this.#version = 0;
		for (let sinceMs = 0; ; ) {
			const version = Atomics.load(words, viewVersionWord);
			if ((version & 1) === 0 && this.#copy()) {
				this.fence();
				if (Atomics.load(words, viewVersionWord) === version) {
					this.#accept(version);
					return;
				}
			}
			const nowMs = Date.now();
			sinceMs ||= nowMs;
			if (nowMs - sinceMs > publicationMsMax) {
				throw new MillraceError('MILLRACE_WORKER_DIED', 'the partition stands still in the middle of a change');
			}
			if ((version & 1) === 1) Atomics.wait(words, viewVersionWord, version, 1);
		}
	}

	/** Id of the table of a row. */
	tableId(row: number): number {
		return readSequence(this.#rowWords, row * rowWords + rowIdWord);
	}

	/** The table of a row has range tombstones. */
	hasRanges(row: number): boolean {
		return ((this.#rowWords[row * rowWords + rowShapeWord] >>> 8) & rowFlagRanges) !== 0;
	}

	/** False: the key is certainly below the first of the table. */
	isFromFirst(row: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		const size = (this.#rowWords[row * rowWords + rowShapeWord] >>> 16) & 0xff;
		const at = (row * rowWords + rowFirstKeyWord) * 4;
		return compareBytes(this.#rowBytes, at, size, key, keyOffset, keySize) <= 0;
	}

	/** False: the key is certainly above the last of the table. */
	isUpToLast(row: number, key: Uint8Array, keyOffset: number, keySize: number): boolean {
		const size = this.#rowWords[row * rowWords + rowShapeWord] >>> 24;
		const at = (row * rowWords + rowLastKeyWord) * 4;
		// Where the row has only the beginning of the last key, that of the key is what can be compared.
		const comparedSize = size === rowKeySizeMax ? Math.min(keySize, size) : keySize;
		return compareBytes(this.#rowBytes, at, size, key, keyOffset, comparedSize) >= 0;
	}

	/** In the rows of a sorted level: the first whose table may reach up to the key; the end when there is none. */
	findRow(level: number, key: Uint8Array, keyOffset: number, keySize: number): number {
		let low = this.levelStarts[level];
		let high = this.levelStarts[level + 1];
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.isUpToLast(middle, key, keyOffset, keySize)) high = middle;
			else low = middle + 1;
		}
		return low;
	}

	/**
	 * What is copied may be torn until the version was looked at again: nothing is believed here but what keeps within bounds.
	 * @returns false when it is certainly torn
	 */
	#copy(): boolean {
		const words = this.#words;
		this.#flags = words[viewFlagsWord];
		this.baseSequence = readSequence(words, viewBaseWord);
		this.absenceSequence = readSequence(words, viewAbsenceWord);
		this.#snapshotFloor = readSequence(words, viewSnapshotFloorWord);
		this.#droppedCount = Math.min(words[viewDroppedCountWord], viewDroppedCountMax);
		for (let i = 0; i < this.#droppedCount; i++) this.#dropped[i] = readSequence(words, viewDroppedWord + i * 2);
		this.arenaCount = words[viewArenaCountWord];
		for (let i = 0; i < viewArenaCountMax; i++) {
			this.arenaIndexes[i] = words[viewArenasWord + i * viewArenaWords];
			this.arenaGenerations[i] = words[viewArenasWord + i * viewArenaWords + 1];
		}
		const rowsVersion = words[viewRowsVersionWord];
		if (rowsVersion === this.rowsVersion) return true;
		this.rowsVersion = -1;
		this.#copiedRowsVersion = rowsVersion;
		this.tableCount = words[viewTableCountWord];
		if (this.tableCount === tablesUncounted) return true;
		if (this.tableCount < 0 || this.tableCount > this.#rowCountMax) return false;
		this.#rowWords = words.slice(viewRowsWord, viewRowsWord + this.tableCount * rowWords);
		this.#rowBytes = new Uint8Array(this.#rowWords.buffer);
		return true;
	}

	/** What was copied is whole. */
	#accept(version: number): void {
		if (this.#flags === viewFlagClosed) throw new MillraceError('MILLRACE_CLOSED', 'the database was closed');
		if (this.tableCount === tablesUncounted) {
			const most = `${this.#rowCountMax} tables`;
			throw new MillraceError('MILLRACE_BUSY', `there are more than ${most} of a partition: read with get() instead`);
		}
		assert(this.arenaCount > 0 && this.arenaCount <= viewArenaCountMax, 'a partition has a memtable');
		this.takeCount++;
		if (this.rowsVersion < 0) this.#arrangeRows();
		this.#version = version;
	}

	#arrangeRows(): void {
		let row = 0;
		for (let level = 0; level < levelCountMax; level++) {
			this.levelStarts[level] = row;
			while (row < this.tableCount && (this.#rowWords[row * rowWords + rowShapeWord] & 0xff) === level) row++;
		}
		assert(row === this.tableCount, 'rows are in order of levels');
		this.levelStarts[levelCountMax] = row;
		this.rowsVersion = this.#copiedRowsVersion;
	}
}
