/**
 * Opens what a partition left on disk: manifest, tables, log. Afterwards the tree holds every command the log can prove, the
 * log's tail is synced, a fresh manifest is live, dead files are gone and an empty segment is ready.
 *
 *   manifest ─> tables ─> segments in order of id: groups in order of sequence, from flushedSequence + 1 on, without a gap
 *
 * A torn tail ends the replay quietly: nobody was promised what it held. Damage before something that was durable is refused
 * (or, asked for, cut there; the segments concerned are kept beside the log with the ending .damaged: damaged-log.ts). What an
 * opening cannot do without gets room on a full disk, too (make-room.ts).
 *
 * The head file of the data directory says whether the partition must be there, or must be empty: what it promises and is not
 * there is refused, and so is data where there can be none yet.
 */
import { assert } from '../../../base/assert.js';
import { hasCode, MillraceError } from '../../../base/errors.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	opClear,
	opDecide,
	opPrepare,
	readCommandKeySize,
	readCommandSize,
	sequenceCountOf,
} from '../../../command/command-format.js';
import type { FileSystem } from '../../../env/ports.js';
import { CommandApplier, roomAfterRotation, roomNowhere } from '../apply/command-applier.js';
import { CommandResult } from '../apply/command-result.js';
import type { Transactions } from '../apply/transactions.js';
import { parentOf } from '../inspect/checkpoint.js';
import { keyHash } from '../key-hash.js';
import { type LeveledTable, LsmTree } from '../lsm-tree.js';
import { tableFileName } from '../manifest/manifest-format.js';
import { ManifestStore } from '../manifest/manifest-store.js';
import type { PartitionOptions } from '../partition-options.js';
import type { StorageMemory } from '../shared/storage-memory.js';
import { BlockCache } from '../table/block-cache.js';
import { TableReader } from '../table/table-reader.js';
import { flushMemtable } from '../upkeep/jobs.js';
import { hasReserve } from '../upkeep/reserve-file.js';
import type { SegmentAllocator } from '../wal/segment-allocator.js';
import { type SegmentEnd, SegmentReader, type WalGroup } from '../wal/segment-reader.js';
import { segmentFileName } from '../wal/wal-format.js';
import { damagedEnding, keepDamaged, lossText } from './damaged-log.js';
import { withRoom } from './make-room.js';
import {
	makeSegment,
	readySegments,
	renewHeader,
	type SizedSegment,
	syncFile,
	type UsedSegment,
} from './make-segment.js';
import { type OnRecovery, RecoveryProgress } from './recovery-progress.js';
import { refuseAbsent, refuseLostTables, refuseStrays, refuseUnexpectedData } from './refusals.js';
import { removeOrphans } from './remove-orphans.js';
import { TransactionReplay } from './transaction-replay.js';

export interface RecoveredPartition {
	readonly tree: LsmTree;
	readonly manifest: ManifestStore;
	readonly segments: SegmentAllocator;
	readonly cache: BlockCache;
	readonly lastSequence: number;
	readonly lastTimestampMs: number;
	readonly replayedCount: number;
	/** The reserve file stands in its size. */
	readonly hasReserve: boolean;
	/** Batches over several partitions that are not settled. */
	readonly transactions: Transactions;
	/** Records written down again behind the end of the log: so many of the sequences are theirs. */
	readonly carriedCount: number;
	/** The oldest time that a batch in the memtables was carried out as of; infinite: there is none. */
	readonly evaluatedMs: number;
	/** What a person should know: tails dropped, damage cut. */
	readonly notes: readonly string[];
}

/** What the head file of the data directory says of a partition; undefined: nobody asked. */
export type Existence = 'new' | 'existing' | undefined;

class Recovery {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #options: PartitionOptions;
	readonly #manifest: ManifestStore;
	readonly #cache: BlockCache;
	readonly #tree: LsmTree;
	readonly #used: UsedSegment[] = [];
	/** Segments without a group, and the bytes of each. */
	readonly #blanks: SizedSegment[] = [];
	readonly #notes: string[] = [];
	readonly #existence: Existence;
	/** Set when the log goes on after something that is missing: says where. */
	#gap = '';
	readonly #applier: CommandApplier;
	readonly #result = new CommandResult();
	readonly #progress: RecoveryProgress;
	#lastSequence: number;
	#lastTimestampMs = 0;
	#replayedCount = 0;
	readonly #transactions: TransactionReplay;
	/** The segment for what is to be written down again, named on the disk; 0: none is needed. */
	#carrierId = 0;
	#carriedCount = 0;

	constructor(
		fileSystem: FileSystem,
		directory: string,
		options: PartitionOptions,
		openedAtMs: number,
		existence: Existence,
		memory: StorageMemory | undefined,
		onRecovery: OnRecovery | undefined,
	) {
		this.#progress = new RecoveryProgress(onRecovery);
		this.#fileSystem = fileSystem;
		this.#directory = directory;
		this.#options = options;
		this.#existence = existence;
		if (existence === 'existing') refuseAbsent(fileSystem, directory);
		fileSystem.makeDirectory(directory);
		// Also when it was there: the process that made it may have ended before this.
		fileSystem.syncDirectory(parentOf(directory));
		this.#manifest = ManifestStore.open(fileSystem, directory, { editCountMax: options.manifestEditCountMax });
		const { tables, flushedSequence } = this.#manifest.state;
		if (existence === 'new' && (tables.size > 0 || flushedSequence > 0)) refuseUnexpectedData(directory);
		refuseLostTables(fileSystem, directory, this.#manifest);
		this.#cache = new BlockCache(options.blockCacheSize, options.blockSize);
		this.#lastSequence = this.#manifest.state.flushedSequence;
		this.#tree = new LsmTree(options, this.#openTables(), openedAtMs, memory);
		this.#applier = new CommandApplier(this.#tree, options.memtableSize);
		this.#transactions = new TransactionReplay(this.#tree);
	}

	run(): RecoveredPartition {
		const ids = [...this.#manifest.state.segments].sort((a, b) => a - b);
		const reader = new SegmentReader(this.#fileSystem, this.#directory);
		refuseStrays(this.#fileSystem, this.#directory, reader, ids.at(-1) ?? 0);
		const sizes = ids.map((id) => this.#sizeOf(id));
		this.#progress.begin('log', sizes);
		for (let index = 0; index < ids.length; index++) {
			const expected = this.#lastSequence + 1;
			const end = this.#maybeRead(reader, ids[index]);
			if (end === undefined || this.#gap !== '') {
				this.#cutAt(reader, ids.slice(index));
				break;
			}
			if (end.isBlank) this.#blanks.push({ id: ids[index], size: end.size, isOlder: end.isOlder });
			if (this.#lastSequence >= expected) this.#used.push({ id: ids[index], lastSequence: this.#lastSequence });
			this.#progress.endPart(sizes[index]);
		}
		if (this.#transactions.separatedSequence > this.#manifest.state.flushedSequence) this.#flushAll();
		// Replayed groups may still be only in the page cache; what is served must be durable.
		for (const { id } of this.#used) syncFile(this.#fileSystem, this.#path(id));
		for (const { id, isOlder } of this.#blanks) if (isOlder === true) renewHeader(this.#fileSystem, this.#path(id), id);
		const { segmentSize } = this.#options;
		const segments = readySegments(this.#manifest, this.#used, this.#blanks, segmentSize, (id) =>
			this.#makeSegment(id),
		);
		this.#carryOver(segments);
		this.#withRoom(() => this.#manifest.writeFresh());
		const { reserveFileSize } = this.#options;
		const isReserveThere = hasReserve(this.#fileSystem, this.#directory, reserveFileSize);
		removeOrphans(this.#fileSystem, this.#directory, this.#manifest, isReserveThere && reserveFileSize > 0);
		return {
			hasReserve: isReserveThere && reserveFileSize > 0,
			tree: this.#tree,
			manifest: this.#manifest,
			segments,
			cache: this.#cache,
			lastSequence: this.#lastSequence,
			lastTimestampMs: this.#lastTimestampMs,
			replayedCount: this.#replayedCount,
			transactions: this.#transactions.transactions,
			carriedCount: this.#carriedCount,
			evaluatedMs: this.#transactions.evaluatedMs,
			notes: this.#notes,
		};
	}

	#path(segmentId: number): string {
		return `${this.#directory}/${segmentFileName(segmentId)}`;
	}

	#makeSegment(id: number): number {
		const { segmentSize } = this.#options;
		const mayBeShort = this.#lastSequence > 0;
		return makeSegment(this.#fileSystem, this.#directory, this.#manifest.state, id, segmentSize, mayBeShort);
	}

	#withRoom<T>(step: () => T): T {
		return withRoom(this.#fileSystem, this.#directory, this.#manifest.state, step);
	}

	/** Bytes of a segment; 0 when it is missing. */
	#sizeOf(segmentId: number): number {
		if (!this.#fileSystem.exists(this.#path(segmentId))) return 0;
		const file = this.#fileSystem.open(this.#path(segmentId), 'read');
		try {
			return file.size();
		} finally {
			file.close();
		}
	}

	/** Replays a segment; sets the gap when the log cannot go on with it. @returns undefined when it is missing or no segment */
	#maybeRead(reader: SegmentReader, id: number): SegmentEnd | undefined {
		try {
			reader.load(id);
		} catch (error) {
			if (!hasCode(error, 'MILLRACE_CORRUPT')) throw error;
			this.#gap = error.message;
			return undefined;
		}
		const end = reader.visit((group) => {
			this.#replay(id, group);
			this.#progress.reach(group.offset);
		});
		if (end.provenSequence > this.#lastSequence && this.#gap === '') {
			this.#gap = `${this.#path(id)} is damaged at offset ${end.offset}`;
		}
		return end;
	}

	#openTables(): LeveledTable[] {
		const entries = [...this.#manifest.state.tables.values()];
		this.#progress.begin(
			'tables',
			entries.map(() => 1),
		);
		return entries.map((entry) => {
			const path = `${this.#directory}/${tableFileName(entry.id)}`;
			if (!this.#fileSystem.exists(path)) {
				throw new MillraceError(
					'MILLRACE_CORRUPT',
					`${path} is missing, though the manifest names it: put it back, or restore a backup`,
				);
			}
			const table = TableReader.open(this.#fileSystem, path, entry.id, this.#cache);
			this.#progress.endPart(1);
			return { table, level: entry.level };
		});
	}

	#replay(segmentId: number, group: WalGroup): void {
		const last = group.firstSequence + group.count - 1;
		if (group.count > 0 && this.#existence === 'new') refuseUnexpectedData(this.#directory);
		if (last <= this.#lastSequence) return;
		if (group.firstSequence > this.#lastSequence + 1 && this.#gap === '') {
			this.#gap =
				`${this.#path(segmentId)}: the group at offset ${group.offset} begins with sequence ${group.firstSequence}, but the ` +
				`log before it ends at ${this.#lastSequence}: a segment or a part of one is lost`;
		}
		if (this.#gap !== '') return;
		this.#lastTimestampMs = Math.max(this.#lastTimestampMs, group.timestampMs);
		let at = group.payloadOffset;
		for (let sequence = group.firstSequence; sequence <= last; ) {
			const count = sequenceCountOf(group.bytes, at);
			// A batch is never cut in two: not by a flush, nor by a segment.
			assert(sequence > this.#lastSequence || sequence + count - 1 <= this.#lastSequence, 'commands are whole');
			if (sequence > this.#lastSequence) this.#applyOne(group, at, sequence, count);
			at += readCommandSize(group.bytes, at);
			sequence += count;
		}
		assert(at === group.payloadOffset + group.payloadSize, 'the commands fill the group');
	}

	#applyOne(group: WalGroup, at: number, sequence: number, count: number): void {
		const { bytes, timestampMs } = group;
		if (bytes[at] === opClear) {
			if (!this.#tree.maybeFreeArena()) this.#flushAll();
			const removeTables = this.#tree.clear(sequence);
			this.#manifest.state.apply({ removeTables, flushedSequence: sequence });
		} else if (bytes[at] === opPrepare || bytes[at] === opDecide) {
			const prepare = (applier: CommandApplier): number => this.#transactions.prepare(applier, sequence, bytes, at);
			this.#makeRoom(prepare);
			this.#transactions.apply(this.#applier, sequence, bytes, at, this.#manifest.state.flushedSequence);
		} else {
			const keySize = readCommandKeySize(bytes, at);
			const hash = keyHash(bytes, at + commandKeyOffset(bytes[at + commandFlagsOffset]), keySize);
			this.#makeRoom((applier) => applier.prepare(sequence, timestampMs, hash, bytes, at));
			this.#applier.apply(sequence, timestampMs, hash, bytes, at, this.#result);
			assert(this.#result.hasWritten, `sequence ${sequence} wrote when it was logged, and writes again`);
		}
		this.#lastSequence = sequence + count - 1;
		this.#replayedCount++;
	}

	/** @throws MILLRACE_OPTION when the partition was last open with larger memtables, and a write in its log needs one of those */
	#makeRoom(prepare: (applier: CommandApplier) => number): void {
		const room = prepare(this.#applier);
		if (room === roomAfterRotation) this.#flushAll();
		if (room !== roomNowhere) return;
		const needed = this.#applier.maybeNeededSize(prepare);
		assert(needed !== undefined, 'a memtable held what was logged');
		throw new MillraceError(
			'MILLRACE_OPTION',
			`the log of ${this.#directory} holds a write that no memtable of ${this.#options.memtableSize} bytes holds: open it with ` +
				`a memtableSize of ${needed}; once everything is flushed, a smaller one does`,
		);
	}

	/** Memory is full in the middle of a replay: write a table here and now. Named by the fresh manifest at the end. */
	#flushAll(): void {
		assert(this.#tree.maybeFreeArena(), 'nothing but flushed memtables holds an arena during a replay');
		this.#tree.rotate();
		const memtable = this.#tree.pinOldestImmutable();
		assert(memtable !== undefined, 'a memtable was rotated out');
		this.#beReadyToPass(memtable.value.maxSequence);
		const { state } = this.#manifest;
		const id = this.#manifest.takeFileIds(1);
		const { blockSize } = this.#options;
		const { arena } = memtable.value;
		const meta = this.#withRoom(() => flushMemtable(this.#fileSystem, this.#directory, arena, id, blockSize));
		const path = `${this.#directory}/${tableFileName(id)}`;
		const table = meta && TableReader.open(this.#fileSystem, path, id, this.#cache);
		const addTables = meta === undefined ? [] : [{ id, level: 0, size: meta.size }];
		state.apply({ addTables, flushedSequence: memtable.value.maxSequence });
		this.#tree.installFlush(memtable, table);
		memtable.unpin();
	}

	/**
	 * Before a table is written: its id is promised on the disk before it is there. And before the log is left up to a sequence: is
	 * something at or below it still needed, it will be written down again at the end of the log, in a segment that must be named
	 * by a manifest that does without the table.
	 */
	#beReadyToPass(sequence: number): void {
		const needsSegment = this.#carrierId === 0 && this.#transactions.transactions.oldestSequence <= sequence;
		if (needsSegment) {
			const id = this.#manifest.takeFileIds(1);
			this.#blanks.push({ id, size: this.#makeSegment(id) });
			this.#manifest.state.apply({ addSegments: [id] });
			this.#carrierId = id;
		}
		if (needsSegment || !this.#manifest.isFresh) this.#withRoom(() => this.#manifest.writeFresh());
	}

	/** What is needed and no longer in the log that the next manifest names is written down again. */
	#carryOver(segments: SegmentAllocator): void {
		const { transactions } = this.#transactions;
		const { flushedSequence } = this.#manifest.state;
		if (transactions.oldestSequence > flushedSequence) return;
		if (segments.activeId > this.#carrierId) {
			const text = `${this.#directory}: the disk has no room for a log segment, and batches that a crash left open need one`;
			throw new MillraceError('MILLRACE_DISK_FULL', text);
		}
		this.#carriedCount = this.#transactions.writeCarried(
			this.#fileSystem,
			this.#directory,
			segments,
			flushedSequence,
			this.#lastSequence,
			this.#lastTimestampMs,
		);
		this.#lastSequence += this.#carriedCount;
	}

	/** The log has a hole: refuse, or (asked for) end it here and keep the segments from here on out of the way. */
	#cutAt(reader: SegmentReader, ids: readonly number[]): void {
		if (this.#existence === 'new') refuseUnexpectedData(this.#directory);
		const loss = lossText(this.#fileSystem, this.#directory, reader, ids, this.#lastSequence);
		if (this.#options.damagedLog === 'refuse') {
			throw new MillraceError(
				'MILLRACE_CORRUPT',
				`${this.#gap} (${loss}). Restore a backup; or open with the option damagedLog: 'truncate' (millrace serve ` +
					`--damaged-log truncate) to keep everything up to sequence ${this.#lastSequence} and give up the rest`,
			);
		}
		this.#notes.push(
			`${this.#gap}: everything after sequence ${this.#lastSequence} was given up, as asked (${loss}); the segments are ` +
				`kept with the ending ${damagedEnding}`,
		);
		// Before any manifest does without them: a crash from here on finds their bytes under one of two names.
		this.#withRoom(() => keepDamaged(this.#fileSystem, this.#directory, ids));
		if (!this.#tree.active.isEmpty) this.#flushAll();
		if (this.#transactions.transactions.oldestSequence <= this.#lastSequence) this.#beReadyToPass(this.#lastSequence);
		this.#manifest.state.apply({ removeSegments: ids, flushedSequence: this.#lastSequence });
	}
}

/**
 * Recovers a partition, or creates it in an empty directory.
 * @param openedAtMs what the clock shows
 * @param existence whether it must be there, or must be empty
 * @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER, or the system's error
 */
export function recoverPartition(
	fileSystem: FileSystem,
	directory: string,
	options: PartitionOptions,
	openedAtMs: number,
	existence?: Existence,
	memory?: StorageMemory,
	onRecovery?: OnRecovery,
): RecoveredPartition {
	return new Recovery(fileSystem, directory, options, openedAtMs, existence, memory, onRecovery).run();
}
