/**
 * The tree of one partition as it stands in memory: the active memtable, the rotated ones, the levels of tables, the range
 * tombstones over all, and the view that reads go through. Knows nothing of logs, jobs or time; others decide when to rotate,
 * flush and compact.
 *
 *   put ─> active memtable ──rotate──> immutable memtables ──installFlush──> level 0 ──installCompaction──> deeper levels
 *                                                               └> flushed memtables, read until their arenas are needed
 *
 * Memory: at most `memtableCountMax` arenas exist, reused for ever; an arena is free when no view and no flush holds it. Readers
 * in other threads (shared/partition-reader.ts) hold nothing: what they look into is published whenever the view changes, before
 * an arena that is not part of it any more can be used again.
 */
import { assert } from '../../base/assert.js';
import { levelCountMax } from '../../base/limits.js';
import type { EntryStore } from './apply/entry-store.js';
import type { EntryView, RangeTombstone } from './entry.js';
import { ExpiryIndex } from './expiry/expiry-index.js';
import { Levels } from './levels.js';
import { Memtable } from './memtable/memtable.js';
import { arenaUsedWord } from './memtable/memtable-format.js';
import type { PartitionOptions } from './partition-options.js';
import { Pinned } from './pinned.js';
import { ReadView } from './read-view.js';
import { RangeTombstoneSet } from './scan/range-tombstone-set.js';
import { SharedViewWriter } from './shared/shared-view-writer.js';
import type { StorageMemory } from './shared/storage-memory.js';
import type { TableReader } from './table/table-reader.js';

/** An open table and where it belongs. */
export interface LeveledTable {
	readonly table: TableReader;
	readonly level: number;
}

export class LsmTree implements EntryStore {
	readonly #options: PartitionOptions;
	readonly #freeMemtables: Memtable[] = [];
	/** Given by whoever opened the partition, and not used yet. */
	readonly #givenArenas: SharedArrayBuffer[];
	/** Tells readers in other threads; undefined: there are none. */
	readonly shared: SharedViewWriter | undefined;
	/** No newer sequence is stored in tables and dropped memtables. */
	#newestSequence = 0;
	#arenaCount = 0;
	#active: Pinned<Memtable>;
	/** Rotated and not yet flushed, newest first. */
	#immutables: Pinned<Memtable>[] = [];
	/** Flushed, but still read from while nobody needs their arenas: faster than their tables. Newest first. */
	#flushed: Pinned<Memtable>[] = [];
	#levels: Levels;
	/** Of all memtables and tables. May still hold some that a compaction dropped: they cover nothing any more. */
	#rangeTombstones: RangeTombstoneSet;
	#view: ReadView;
	/** When the entries of all memtables and tables expire. */
	readonly expiries: ExpiryIndex;
	/** Tables asked by reads of a key, for each level. */
	readonly readCounts = new Float64Array(levelCountMax);
	/**
	 * Commands up to this one may be why nothing is stored for a key: the last clear, and the tombstones that compactions dropped.
	 * What finds nothing depends on all of them (a read at a snapshot only on those up to the snapshot).
	 */
	absenceSequence = 0;
	/** Where reads can still come, beside now: the pinned snapshots, ascending. */
	pinnedSequences: () => readonly number[] = () => [];

	/**
	 * @param tables in any order
	 * @param openedAtMs what the clock shows: what expired before is no news
	 * @param memory to share; none: arenas are made here, and nothing is published
	 */
	constructor(
		options: PartitionOptions,
		tables: readonly LeveledTable[],
		openedAtMs: number,
		memory: StorageMemory = noMemory,
	) {
		this.#options = options;
		this.#givenArenas = [...memory.arenas];
		if (memory.view.byteLength > 0) this.shared = new SharedViewWriter(memory);
		for (const { table } of tables) this.#newestSequence = Math.max(this.#newestSequence, table.meta.maxSequence);
		this.expiries = new ExpiryIndex(openedAtMs);
		for (const { table } of tables) this.expiries.addTable(table);
		const pinned = tables.map(({ table, level }) => ({ table: pinnedTable(table), level }));
		this.#levels = Levels.arrange(pinned);
		for (const { table } of pinned) table.unpin();
		this.#active = this.#mustTakeMemtable();
		this.#rangeTombstones = this.#collectRangeTombstones();
		this.#view = this.#makeView();
		this.#publish();
	}

	get view(): ReadView {
		return this.#view;
	}

	get active(): Memtable {
		return this.#active.value;
	}

	get immutableCount(): number {
		return this.#immutables.length;
	}

	get levels(): Levels {
		return this.#levels;
	}

	/** Level 0 newest first, then level by level in order of keys. */
	get tables(): readonly TableReader[] {
		return [...this.#levels.tables()].map((table) => table.value);
	}

	get tableCount(): number {
		return this.#levels.tableCount;
	}

	get rangeTombstones(): RangeTombstoneSet {
		return this.#rangeTombstones;
	}

	/** Bytes of arenas that exist. */
	get arenaBytes(): number {
		return this.#arenaCount * this.#options.memtableSize;
	}

	/** Newest version of a key with sequence <= maxSequence, tombstones included. @param hash `keyHash` of the key */
	get(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		maxSequence: number,
		view: EntryView,
	): boolean {
		return this.#view.get(hash, key, keyOffset, keySize, maxSequence, view);
	}

	/** Newest deletion of a range with sequence <= maxSequence that covers a key; 0: none. */
	coverSequence(key: Uint8Array, keyOffset: number, keySize: number, maxSequence: number): number {
		return this.#rangeTombstones.coverSequence(key, keyOffset, keySize, maxSequence);
	}

	/** Adds a version to the active memtable. The caller made sure of room. */
	put(
		hash: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		sequence: number,
		kind: number,
		expiresAtMs: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
	): void {
		const { active } = this;
		const entry = active.words[arenaUsedWord];
		active.put(hash, key, keyOffset, keySize, sequence, kind, expiresAtMs, value, valueOffset, valueSize);
		if (expiresAtMs !== 0) this.expiries.addMemtableEntry(active, entry, expiresAtMs);
	}

	/** Adds a deleted range, newer than all that is stored, to the active memtable. The caller made sure of room. */
	deleteRange(
		start: Uint8Array,
		startOffset: number,
		startSize: number,
		end: Uint8Array,
		endOffset: number,
		endSize: number,
		sequence: number,
	): void {
		this.hideRanges([this.putRange(start, startOffset, startSize, end, endOffset, endSize, sequence)]);
	}

	/** First half of `deleteRange`: into the memtable. It hides nothing before `hideRanges`, which no read may precede. */
	putRange(
		start: Uint8Array,
		startOffset: number,
		startSize: number,
		end: Uint8Array,
		endOffset: number,
		endSize: number,
		sequence: number,
	): RangeTombstone {
		this.active.putRangeTombstone(sequence, start, startOffset, startSize, end, endOffset, endSize);
		return {
			start: new Uint8Array(start.subarray(startOffset, startOffset + startSize)),
			end: new Uint8Array(end.subarray(endOffset, endOffset + endSize)),
			sequence,
		};
	}

	/** Second half: those of one command, all at once. One by one, each would cost a copy of all there are. */
	hideRanges(tombstones: readonly RangeTombstone[]): void {
		if (tombstones.length === 1) this.#rangeTombstones.add(tombstones[0], this.pinnedSequences());
		else this.#rangeTombstones.addAll(tombstones, this.pinnedSequences());
	}

	/** Makes sure of an arena for a new memtable, giving up flushed ones. @returns false when all are in use */
	maybeFreeArena(): boolean {
		while (!this.hasFreeArena && this.#flushed.length > 0) {
			const oldest = this.#flushed.pop();
			this.#renewView();
			oldest?.unpin();
		}
		return this.hasFreeArena;
	}

	/** The active memtable becomes immutable and a fresh one active. `maybeFreeArena` said yes. */
	rotate(): void {
		this.#immutables.unshift(this.#active);
		this.#active = this.#mustTakeMemtable();
		this.#renewView();
	}

	/** Everything stored so far is gone. `maybeFreeArena` said yes. @returns ids of the tables dropped */
	clear(sequence: number): number[] {
		const dropped = [this.#active, ...this.#immutables, ...this.#flushed];
		const old = this.#levels;
		this.expiries.replace({
			removedMemtables: dropped.map((memtable) => memtable.value),
			removedTableIds: [...old.tables()].map((table) => table.value.meta.id),
		});
		this.#active = this.#mustTakeMemtable();
		this.#immutables = [];
		this.#flushed = [];
		this.#levels = Levels.empty();
		this.#rangeTombstones = new RangeTombstoneSet();
		this.absenceSequence = sequence;
		this.shared?.raiseSnapshotFloor(sequence);
		this.#renewView();
		for (const memtable of dropped) memtable.unpin();
		const ids = [...old.tables()].map((table) => table.value.meta.id);
		old.unpin();
		return ids;
	}

	/** The oldest immutable memtable, pinned for a flush. */
	pinOldestImmutable(): Pinned<Memtable> | undefined {
		const oldest = this.#immutables.at(-1);
		oldest?.pin();
		return oldest;
	}

	/**
	 * The table takes the place of the oldest immutable memtable.
	 * @returns false when that memtable is no longer part of the tree (it was cleared)
	 */
	installFlush(memtable: Pinned<Memtable>, table: TableReader | undefined): boolean {
		if (this.#immutables.at(-1) !== memtable) return false;
		this.#immutables.pop();
		this.#flushed.unshift(memtable);
		this.expiries.replace({ removedMemtables: [memtable.value], addedTables: table === undefined ? [] : [table] });
		if (table !== undefined) {
			const pinned = pinnedTable(table);
			this.#setLevels(this.#levels.withNewest(pinned));
			pinned.unpin();
		}
		this.#renewView();
		return true;
	}

	/** True when all of these tables are still part of the tree. */
	hasTables(ids: readonly number[]): boolean {
		return ids.every((id) => this.#levels.levelOf(id) >= 0);
	}

	/**
	 * Tables (or none) take the place of others.
	 * @param hasDroppedAbsent true when tombstones may have been dropped: nothing older lies below
	 * @returns false when the inputs are no longer part of the tree
	 */
	installCompaction(
		inputIds: readonly number[],
		outputLevel: number,
		outputs: readonly TableReader[],
		hasDroppedAbsent: boolean,
	): boolean {
		if (!this.hasTables(inputIds)) return false;
		const gone = new Set(inputIds);
		const inputs = [...this.#levels.tables()]
			.filter((table) => gone.has(table.value.meta.id))
			.map(({ value }) => value);
		this.expiries.replace({ removedTableIds: inputIds, addedTables: outputs });
		const added = outputs.map(pinnedTable);
		this.#setLevels(this.#levels.replace(inputIds, outputLevel, added));
		for (const table of added) table.unpin();
		for (const { meta } of inputs) {
			if (hasDroppedAbsent) this.absenceSequence = Math.max(this.absenceSequence, meta.maxSequence);
		}
		if (inputs.every(({ meta }) => meta.rangeTombstones.length === 0)) {
			this.#renewView();
			return true;
		}
		// Flushed memtables may hold what the dropped tombstones hid: reads must not find it there again.
		const flushed = this.#flushed;
		this.#flushed = [];
		this.#rangeTombstones = this.#collectRangeTombstones();
		this.#renewView();
		for (const memtable of flushed) memtable.unpin();
		return true;
	}

	/** Tables go to another level as they are: nothing there overlaps them. */
	moveTables(ids: readonly number[], outputLevel: number): void {
		const moving = new Set(ids);
		const tables = [...this.#levels.tables()].filter((table) => moving.has(table.value.meta.id));
		assert(tables.length === ids.length, 'what moves is part of the tree');
		this.#setLevels(this.#levels.replace(ids, outputLevel, tables));
		this.#renewView();
	}

	/** Closes the tables. Nothing may be read afterwards. */
	close(): void {
		this.shared?.close();
		this.#view.release();
		this.#levels.unpin();
	}

	/** False: a rotation has to wait for a flush, or for a walk that holds an old memtable. */
	get hasFreeArena(): boolean {
		return this.#freeMemtables.length > 0 || this.#arenaCount < this.#options.memtableCountMax;
	}

	/** False: a rotation has to wait for a flush. */
	get canRotate(): boolean {
		return this.hasFreeArena || this.#flushed.length > 0;
	}

	#setLevels(levels: Levels): void {
		this.#levels.unpin();
		this.#levels = levels;
	}

	#collectRangeTombstones(): RangeTombstoneSet {
		const found: RangeTombstone[] = [];
		// One by one: what is spread into arguments lies on the stack, which thousands overflow.
		for (const { value: memtable } of [this.#active, ...this.#immutables]) {
			for (const tombstone of memtable.rangeTombstones()) found.push(tombstone);
		}
		for (const { value: table } of this.#levels.tables()) {
			for (const tombstone of table.meta.rangeTombstones) found.push(tombstone);
		}
		return RangeTombstoneSet.build(found, this.pinnedSequences());
	}

	#renewView(): void {
		const old = this.#view;
		this.#view = this.#makeView();
		this.#publish();
		old.release();
	}

	/** Recovery is over: whatever is stored from here on is newer than this. */
	beginAfter(sequence: number): void {
		this.#newestSequence = Math.max(this.#newestSequence, sequence);
		this.#publish();
	}

	#publish(): void {
		const { shared } = this;
		if (shared === undefined) return;
		const memtables = this.#view.readableMemtables;
		for (const { maxSequence } of memtables) this.#newestSequence = Math.max(this.#newestSequence, maxSequence);
		this.#newestSequence = Math.max(this.#newestSequence, this.absenceSequence);
		shared.publish({
			memtables,
			levels: this.#levels,
			absenceSequence: this.absenceSequence,
			newestSequence: this.#newestSequence,
		});
	}

	#makeView(): ReadView {
		const memtables = [this.#active, ...this.#immutables];
		return new ReadView(memtables, this.#flushed, this.#levels, this.#rangeTombstones, this.readCounts);
	}

	#mustTakeMemtable(): Pinned<Memtable> {
		assert(this.hasFreeArena, 'a free arena was made sure of');
		let memtable = this.#freeMemtables.pop();
		if (memtable === undefined) {
			memtable = new Memtable(this.#givenArenas.pop() ?? new SharedArrayBuffer(this.#options.memtableSize));
			assert(memtable.arena.byteLength === this.#options.memtableSize, 'arenas have the size of the option');
			this.#arenaCount++;
		}
		memtable.reset();
		return new Pinned(memtable, (free) => this.#freeMemtables.push(free));
	}
}

const noMemory: StorageMemory = { view: new SharedArrayBuffer(0), arenas: [] };

function pinnedTable(table: TableReader): Pinned<TableReader> {
	return new Pinned(table, (free) => free.close());
}
