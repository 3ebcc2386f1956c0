/**
 * Reads of one partition without a message, from any thread: out of its memtables' arenas and its table files, as they are named
 * by the view it publishes. One reader for each thread and partition.
 *
 *   view ─> durable sequence ─> deleted ranges, arenas newest first ─> [tables] ─> copy ─> still the same arenas? ─> answer
 *     ^                                                                                     │ no, or a file is gone
 *     └─────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Nothing is locked and nobody is told: the partition goes on as if there were no readers, and a reader that finds that it did
 * takes the view anew. What was read is the newest durable version at some moment between call and return; docs/architecture.md,
 * "Synchronous reads", proves it. Values are the caller's own; small ones share pools of 8 KiB, as `Buffer.allocUnsafe` does.
 */
import { assert } from '../../../base/assert.js';
import { readU53 } from '../../../base/bytes.js';
import { MillraceError, systemCodeOf } from '../../../base/errors.js';
import { rowCacheShare, syncReadTriesMax, syncReadWaitMsMax } from '../../../base/limits.js';
import { readPoison } from '../../../command/poison-note.js';
import type { MakeSyncReader, SyncEntry, SyncReader, SyncReaderMemory } from '../../../command/sync-reader.js';
import { sharedDurableLowWord, sharedPoisonWord } from '../../../command/worker-boot.js';
import type { FileSystem } from '../../../env/ports.js';
import { isTouchDue } from '../apply/apply-read.js';
import { isExpired, kindPut, kindSlidingPut, kindTombstone, makeEntryView, slidingPrefixSize } from '../entry.js';
import { keyHash } from '../key-hash.js';
import { ArenaReader } from './arena-reader.js';
import { ReaderRanges } from './reader-ranges.js';
import { ReaderTables, TableGone } from './reader-tables.js';
import { SharedViewCopy } from './shared-view-copy.js';

/** What one try comes to. */
const tryLive = 0;
const tryAbsent = 1;
/** The view was old, or became it. */
const tryAgain = 2;
/** What was found is not durable yet. */
const tryLater = 3;

/** Bytes that are copied from an arena without another look at it before. */
const copiedSizeMax = 64 * 1024;

const noValue = Buffer.alloc(0);

/** Moments of a read: the view holds, the durable sequence is loaded, an entry was looked for, copied, is not durable yet. */
export type ReadStep = 'view' | 'durable' | 'looked' | 'copied' | 'wait';

export interface PartitionReaderHooks {
	/** Milliseconds since the epoch. */
	readonly nowMs?: () => number;
	/** Called between two steps of a read: for tests that change everything under it. */
	readonly onStep?: (step: ReadStep) => void;
	/** For benchmarks. */
	readonly rowCacheShare?: number;
}

export class PartitionReader implements SyncReader {
	/** See SyncReader. */
	wantsTouch = false;
	readonly #shared: Int32Array;
	readonly #sharedMemory: SharedArrayBuffer;
	readonly #view: SharedViewCopy;
	readonly #arenas: readonly ArenaReader[];
	readonly #tables: ReaderTables;
	readonly #ranges: ReaderRanges;
	readonly #nowMs: () => number;
	readonly #onStep: PartitionReaderHooks['onStep'];
	readonly #found = makeEntryView();
	#value: Uint8Array = noValue;
	/** What has to be durable before the try can count. */
	#observedSequence = 0;
	#isClosed = false;
	#arenaCount = 0;
	#retryCount = 0;
	#waitCount = 0;

	constructor(fileSystem: FileSystem, memory: SyncReaderMemory, hooks: PartitionReaderHooks = {}) {
		this.#sharedMemory = memory.shared;
		this.#shared = new Int32Array(memory.shared);
		this.#view = new SharedViewCopy(memory.view);
		this.#arenas = memory.arenas.map((arena) => new ArenaReader(arena));
		this.#tables = new ReaderTables(fileSystem, memory, this.#view, hooks.rowCacheShare ?? rowCacheShare);
		this.#ranges = new ReaderRanges(this.#view, this.#arenas, this.#tables);
		this.#nowMs = hooks.nowMs ?? Date.now;
		this.#onStep = hooks.onStep;
	}

	get(key: Uint8Array, keyOffset: number, keySize: number, snapshot?: number): Uint8Array | undefined {
		if (!this.#read(key, keyOffset, keySize, snapshot)) return undefined;
		return this.#takeValue();
	}

	getEntry(key: Uint8Array, keyOffset: number, keySize: number, snapshot?: number): SyncEntry | undefined {
		if (!this.#read(key, keyOffset, keySize, snapshot)) return undefined;
		const { sequence, expiresAtMs } = this.#found;
		return { value: this.#takeValue(), version: sequence, expiresAtMs };
	}

	statistics(): Record<string, number> {
		return {
			readsInMemtables: this.#arenaCount,
			retries: this.#retryCount,
			waitsForLog: this.#waitCount,
			viewsTaken: this.#view.takeCount,
			...this.#tables.statistics(),
		};
	}

	close(): void {
		this.#isClosed = true;
		this.#tables.close();
	}

	/** A value that was handed out is not held here: a large one would be for long. */
	#takeValue(): Uint8Array {
		const value = this.#value;
		this.#value = noValue;
		return value;
	}

	/** @returns true when the key is there: `#found` has its version and expiry, `#value` its value */
	#read(key: Uint8Array, keyOffset: number, keySize: number, snapshot: number | undefined): boolean {
		if (this.#isClosed) throw new MillraceError('MILLRACE_CLOSED', 'the database was closed');
		const hash = keyHash(key, keyOffset, keySize);
		for (let tries = 0; tries < syncReadTriesMax; tries++) {
			const outcome = this.#try(hash, key, keyOffset, keySize, snapshot);
			if (outcome === tryLive) return true;
			if (outcome === tryAbsent) return false;
			if (outcome === tryLater) this.#waitFor(this.#observedSequence);
			else this.#retryCount++;
		}
		throw new MillraceError('MILLRACE_BUSY', 'the partition changes faster than it can be read');
	}

	#try(hash: number, key: Uint8Array, keyOffset: number, keySize: number, snapshot: number | undefined): number {
		try {
			if (!this.#view.isCurrent) this.#takeView();
			if (this.#onStep !== undefined) this.#onStep('view');
			return this.#look(hash, key, keyOffset, keySize, snapshot);
		} catch (error) {
			return this.#judgeFailure(error);
		}
	}

	/** The view held a moment ago. From here on the order of loads matters: the durable sequence first, then all else. */
	#look(hash: number, key: Uint8Array, keyOffset: number, keySize: number, snapshot: number | undefined): number {
		const view = this.#view;
		this.wantsTouch = false;
		const durable = this.#durableSequence();
		// What somebody was told of is seen, and waited for.
		const known = durable + Math.max(0, (view.promisedLow - durable) | 0);
		if (snapshot !== undefined && !view.hasSnapshot(snapshot)) throw snapshotGone(snapshot);
		if (this.#onStep !== undefined) this.#onStep('durable');
		if (!this.#ranges.refresh(Math.max(known, snapshot ?? 0))) return tryAgain;
		const maxSequence = snapshot ?? known;
		const found = this.#found;
		let arenaCount = 0;
		let entry = 0;
		while (entry === 0 && arenaCount < view.arenaCount) {
			const arena = this.#arenas[view.arenaIndexes[arenaCount++]];
			entry = arena.find(hash, key, keyOffset, keySize, maxSequence);
			if (entry > 0 && !arena.show(entry, found)) return tryAgain;
		}
		if (entry < 0) return tryAgain;
		if (this.#onStep !== undefined) this.#onStep('looked');
		let isStored = entry > 0;
		// Before tables are asked, and before much memory is taken for what may be garbage.
		if ((!isStored || found.valueSize > copiedSizeMax) && !this.#areIntact(arenaCount)) return tryAgain;
		if (!isStored) {
			// Tables may lack what is durable in favour of what is not: of them the newest is asked, and waited for.
			isStored = this.#tables.find(hash, key, keyOffset, keySize, snapshot, found);
		}
		const cover = this.#ranges.coverSequence(key, keyOffset, keySize, snapshot);
		const isLive = this.#judge(isStored, cover, maxSequence, snapshot !== undefined);
		if (entry > 0) {
			if (this.#onStep !== undefined) this.#onStep('copied');
			if (!this.#areIntact(arenaCount)) return tryAgain;
			this.#arenaCount++;
			if (isLive && found.kind !== kindPut && found.kind !== kindSlidingPut) throw unreadable(found.kind);
		}
		if (this.#observedSequence > durable) return tryLater;
		return isLive ? tryLive : tryAbsent;
	}

	/**
	 * Whether what was found (perhaps garbage, yet) is there for the reader, and what that depends on; copies the value.
	 * As findLive of the partition.
	 */
	#judge(isStored: boolean, cover: number, maxSequence: number, isAtSnapshot: boolean): boolean {
		const found = this.#found;
		if (!isStored) {
			const absence = this.#view.absenceSequence;
			this.#observedSequence = Math.max(isAtSnapshot ? Math.min(absence, maxSequence) : absence, cover);
			return false;
		}
		if (found.sequence < cover) {
			this.#observedSequence = cover;
			return false;
		}
		this.#observedSequence = found.sequence;
		if (found.kind === kindTombstone) return false;
		const nowMs = found.expiresAtMs === 0 ? 0 : this.#nowMs();
		if (isExpired(found.expiresAtMs, nowMs)) return false;
		if (found.kind === kindSlidingPut && found.valueSize >= slidingPrefixSize) {
			const slidingMs = readU53(found.value, found.valueOffset);
			found.valueOffset += slidingPrefixSize;
			found.valueSize -= slidingPrefixSize;
			this.wantsTouch = !isAtSnapshot && isTouchDue(found.expiresAtMs, slidingMs, nowMs);
		}
		const { value, valueOffset, valueSize } = found;
		this.#value = Buffer.allocUnsafe(valueSize);
		this.#value.set(value.subarray(valueOffset, valueOffset + valueSize));
		return true;
	}

	/** True when none of the first so many arenas of the view was reset: what was read in them is true. */
	#areIntact(arenaCount: number): boolean {
		const { arenaIndexes, arenaGenerations } = this.#view;
		this.#view.fence();
		for (let i = 0; i < arenaCount; i++) {
			if (!this.#arenas[arenaIndexes[i]].isIntact(arenaGenerations[i])) return false;
		}
		return true;
	}

	#takeView(): void {
		this.#view.take();
		this.#tables.adopt();
	}

	#durableSequence(): number {
		const { baseSequence } = this.#view;
		return baseSequence + ((Atomics.load(this.#shared, sharedDurableLowWord) - baseSequence) >>> 0);
	}

	/** @throws MillraceError MILLRACE_POISONED when it will never be durable; MILLRACE_BUSY when that takes too long */
	#waitFor(sequence: number): void {
		this.#waitCount++;
		const startMs = Date.now();
		while (this.#view.isCurrent && this.#durableSequence() < sequence) {
			const low = Atomics.load(this.#shared, sharedDurableLowWord);
			if (this.#onStep !== undefined) this.#onStep('wait');
			if (Atomics.load(this.#shared, sharedPoisonWord) !== 0) throw readPoison(this.#sharedMemory);
			if (Date.now() - startMs > syncReadWaitMsMax) {
				throw new MillraceError('MILLRACE_BUSY', 'what was read is not durable yet, and the log takes too long');
			}
			if (this.#durableSequence() < sequence) Atomics.wait(this.#shared, sharedDurableLowWord, low, 1);
		}
	}

	/** @returns tryAgain for a table that is gone because the view was old @throws what it is else, as a coded error */
	#judgeFailure(error: unknown): number {
		if (error instanceof TableGone) {
			if (!this.#view.isCurrent) return tryAgain;
			throw new MillraceError('MILLRACE_CORRUPT', error.message, { cause: error.cause });
		}
		if (error instanceof MillraceError || systemCodeOf(error) === '') throw error;
		throw new MillraceError('MILLRACE_CORRUPT', `a file could not be read: ${String(error)}`, { cause: error });
	}
}

/** What makes synchronous readers in a thread with this file system. */
export function syncReadersOver(fileSystem: FileSystem): MakeSyncReader {
	return (memory) => {
		assert(memory.view.byteLength > 0, 'the partition publishes a view');
		return new PartitionReader(fileSystem, memory);
	};
}

function snapshotGone(sequence: number): MillraceError {
	return new MillraceError(
		'MILLRACE_SNAPSHOT',
		`there is no snapshot at ${sequence}: it was held for too long, or the partition was cleared`,
	);
}

function unreadable(kind: number): MillraceError {
	return new MillraceError('MILLRACE_CORRUPT', `an entry of kind ${kind} cannot be read`);
}
