/**
 * Opens what a partition left on disk: manifest, tables, log. Afterwards the tree holds every command the log can prove, the
 * log's tail is synced, a fresh manifest is live, dead files are gone and an empty segment is ready.
 *
 *   manifest ─> tables ─> segments in order of id: groups in order of sequence, from flushedSequence + 1 on, without a gap
 *
 * A torn tail ends the replay quietly: nobody was promised what it held. Damage before something that was durable is refused
 * (or, asked for, cut there; the segments concerned are kept beside the log with the ending .damaged).
 */
import { assert } from '../../base/assert.js';
import { MillraceError } from '../../base/errors.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	opClear,
	readCommandKeySize,
	readCommandSize,
	sequenceCountOf,
} from '../../command/command-format.js';
import type { FileSystem } from '../../env/ports.js';
import { parentOf } from './checkpoint.js';
import { CommandApplier, roomAfterRotation } from './command-applier.js';
import { CommandResult } from './command-result.js';
import { flushMemtable } from './jobs.js';
import { keyHash } from './key-hash.js';
import { type LeveledTable, LsmTree } from './lsm-tree.js';
import { tableFileName, tableIdOf } from './manifest/manifest-format.js';
import { ManifestStore } from './manifest/manifest-store.js';
import type { PartitionOptions } from './partition-options.js';
import { removeOrphans } from './remove-orphans.js';
import { hasReserve } from './reserve-file.js';
import { BlockCache } from './table/block-cache.js';
import { TableReader } from './table/table-reader.js';
import { SegmentAllocator } from './wal/segment-allocator.js';
import { prepareSegment } from './wal/segment-preparer.js';
import { SegmentReader, type WalGroup } from './wal/segment-reader.js';
import { segmentFileName, segmentIdOf } from './wal/wal-format.js';

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
	/** What a person should know: tails dropped, damage cut. */
	readonly notes: readonly string[];
}

interface UsedSegment {
	readonly id: number;
	readonly lastSequence: number;
}

class Recovery {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #options: PartitionOptions;
	readonly #manifest: ManifestStore;
	readonly #cache: BlockCache;
	readonly #tree: LsmTree;
	readonly #used: UsedSegment[] = [];
	readonly #blankIds: number[] = [];
	readonly #notes: string[] = [];
	#damagedIds: readonly number[] = [];
	/** Set when the log goes on after something that is missing: says where. */
	#gap = '';
	readonly #applier: CommandApplier;
	readonly #result = new CommandResult();
	#lastSequence: number;
	#lastTimestampMs = 0;
	#replayedCount = 0;

	constructor(fileSystem: FileSystem, directory: string, options: PartitionOptions, openedAtMs: number) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
		this.#options = options;
		fileSystem.makeDirectory(directory);
		// Also when it was there: the process that made it may have ended before this.
		fileSystem.syncDirectory(parentOf(directory));
		this.#manifest = ManifestStore.open(fileSystem, directory, { editCountMax: options.manifestEditCountMax });
		this.#refuseLostTables();
		this.#cache = new BlockCache(options.blockCacheSize, options.blockSize);
		this.#lastSequence = this.#manifest.state.flushedSequence;
		this.#tree = new LsmTree(options, this.#openTables(), openedAtMs);
		this.#applier = new CommandApplier(this.#tree, options.memtableSize);
	}

	run(): RecoveredPartition {
		const ids = [...this.#manifest.state.segments].sort((a, b) => a - b);
		const reader = new SegmentReader(this.#fileSystem, this.#directory);
		this.#refuseStrays(reader, ids.at(-1) ?? 0);
		for (let index = 0; index < ids.length; index++) {
			const expected = this.#lastSequence + 1;
			const end = reader.read(ids[index], (group) => this.#replay(ids[index], group));
			if (end.provenSequence > this.#lastSequence && this.#gap === '') {
				this.#gap = `${this.#path(ids[index])} is damaged at offset ${end.offset}`;
			}
			if (this.#gap !== '') {
				this.#cutAt(ids.slice(index));
				break;
			}
			if (end.isBlank) this.#blankIds.push(ids[index]);
			if (this.#lastSequence >= expected) this.#used.push({ id: ids[index], lastSequence: this.#lastSequence });
		}
		this.#syncUsed();
		const segments = this.#readySegments();
		this.#manifest.writeFresh();
		this.#keepDamaged();
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
			notes: this.#notes,
		};
	}

	#path(segmentId: number): string {
		return `${this.#directory}/${segmentFileName(segmentId)}`;
	}

	#openTables(): LeveledTable[] {
		return [...this.#manifest.state.tables.values()].map((entry) => {
			const path = `${this.#directory}/${tableFileName(entry.id)}`;
			if (!this.#fileSystem.exists(path)) {
				throw new MillraceError('MILLRACE_CORRUPT', `${path} is missing, though the manifest names it`);
			}
			const table = TableReader.open(this.#fileSystem, path, entry.id, this.#cache);
			return { table, level: entry.level };
		});
	}

	#replay(segmentId: number, group: WalGroup): void {
		const last = group.firstSequence + group.count - 1;
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
		} else {
			const keySize = readCommandKeySize(bytes, at);
			const hash = keyHash(bytes, at + commandKeyOffset(bytes[at + commandFlagsOffset]), keySize);
			const room = this.#applier.prepare(sequence, timestampMs, hash, bytes, at);
			if (room === roomAfterRotation) this.#flushAll();
			this.#applier.apply(sequence, timestampMs, hash, bytes, at, this.#result);
			assert(this.#result.hasWritten, `sequence ${sequence} wrote when it was logged, and writes again`);
		}
		this.#lastSequence = sequence + count - 1;
		this.#replayedCount++;
	}

	/** Memory is full in the middle of a replay: write a table here and now. Named by the fresh manifest at the end. */
	#flushAll(): void {
		assert(this.#tree.maybeFreeArena(), 'nothing but flushed memtables holds an arena during a replay');
		this.#tree.rotate();
		const memtable = this.#tree.pinOldestImmutable();
		assert(memtable !== undefined, 'a memtable was rotated out');
		// A table's id is promised on the disk before the table is there.
		if (!this.#manifest.isFresh) this.#manifest.writeFresh();
		const { state } = this.#manifest;
		const id = this.#manifest.takeFileIds(1);
		const { blockSize } = this.#options;
		const meta = flushMemtable(this.#fileSystem, this.#directory, memtable.value.arena, id, blockSize);
		const path = `${this.#directory}/${tableFileName(id)}`;
		const table = meta && TableReader.open(this.#fileSystem, path, id, this.#cache);
		const addTables = meta === undefined ? [] : [{ id, level: 0, size: meta.size }];
		state.apply({ addTables, flushedSequence: memtable.value.maxSequence });
		this.#tree.installFlush(memtable, table);
		memtable.unpin();
	}

	/** Replayed groups may still be only in the page cache; what is served must be durable. */
	#syncUsed(): void {
		for (const { id } of this.#used) {
			const file = this.#fileSystem.open(this.#path(id), 'write');
			file.sync();
			file.close();
		}
	}

	/** The log has a hole: refuse, or (asked for) end it here and keep the segments from here on out of the way. */
	#cutAt(ids: readonly number[]): void {
		if (this.#options.damagedLog === 'refuse') {
			throw new MillraceError(
				'MILLRACE_CORRUPT',
				`${this.#gap}, before data that had been durable. Restore a backup; or open with the option damagedLog: 'truncate' ` +
					`(millrace serve --damaged-log truncate) to keep everything up to sequence ${this.#lastSequence} and give up the rest`,
			);
		}
		this.#notes.push(`${this.#gap}: everything after sequence ${this.#lastSequence} was given up, as asked`);
		if (!this.#tree.active.isEmpty) this.#flushAll();
		this.#manifest.state.apply({ removeSegments: ids, flushedSequence: this.#lastSequence });
		this.#damagedIds = ids;
	}

	/** Only once no manifest names them: a crash before that must find them where they were. */
	#keepDamaged(): void {
		if (this.#damagedIds.length === 0) return;
		for (const id of this.#damagedIds) {
			this.#fileSystem.rename(this.#path(id), `${this.#path(id)}.damaged`);
		}
		this.#fileSystem.syncDirectory(this.#directory);
	}

	/** Ids are promised by the manifest before a table gets one, so a table beyond them was promised by a record that is lost. */
	#refuseLostTables(): void {
		const { state, promisesIds, number } = this.#manifest;
		if (!promisesIds) return;
		for (const name of this.#fileSystem.list(this.#directory)) {
			if (tableIdOf(name) < state.nextFileId) continue;
			throw new MillraceError(
				'MILLRACE_CORRUPT',
				`${this.#directory}/${name} is newer than anything manifest ${number} knows of: the manifest is an old one, or has lost ` +
					'records. Restore a backup, or move that file away to give up what it holds',
			);
		}
	}

	/**
	 * A segment is named before it is written, and a released one is older than some that are named. So groups in a segment that
	 * is newer than all named ones show that the manifest lost a record (a damaged last one looks like a torn one), or is gone.
	 */
	#refuseStrays(reader: SegmentReader, newestId: number): void {
		for (const name of this.#fileSystem.list(this.#directory)) {
			const id = segmentIdOf(name);
			if (id <= newestId || !reader.holdsGroups(id)) continue;
			throw new MillraceError(
				'MILLRACE_CORRUPT',
				`${this.#path(id)} holds data, though the manifest does not name it: the manifest's last record, or ${this.#directory}/` +
					'CURRENT, is lost. Restore a backup, or move that file away to give up what it holds',
			);
		}
	}

	/**
	 * A blank segment after all used ones becomes the active one; further ones are spares; others leave the manifest. A segment
	 * that holds anything of its own, be it only groups that nobody was promised, is never written again under its number.
	 */
	#readySegments(): SegmentAllocator {
		const { state } = this.#manifest;
		const lastUsed = this.#used.at(-1)?.id ?? 0;
		const empty = this.#blankIds.filter((id) => id > lastUsed);
		const kept = new Set([...this.#used.map(({ id }) => id), ...empty]);
		state.apply({ removeSegments: [...state.segments].filter((id) => !kept.has(id)) });
		let active = empty.shift();
		if (active === undefined) {
			active = this.#manifest.takeFileIds(1);
			prepareSegment(this.#fileSystem, this.#directory, active, this.#options.segmentSize);
			state.apply({ addSegments: [active] });
		}
		const segments = new SegmentAllocator(this.#options.segmentSize, active, this.#used);
		for (const id of empty) segments.addSpare(id);
		return segments;
	}
}

/**
 * Recovers a partition, or creates it in an empty directory.
 * @param openedAtMs what the clock shows
 * @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER, or the system's error
 */
export function recoverPartition(
	fileSystem: FileSystem,
	directory: string,
	options: PartitionOptions,
	openedAtMs: number,
): RecoveredPartition {
	return new Recovery(fileSystem, directory, options, openedAtMs).run();
}
