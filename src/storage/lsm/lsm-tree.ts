/**
 * The tree of one partition as it stands in memory: the active memtable, the rotated ones, the tables, newest first, and the
 * view that reads go through. Knows nothing of logs, jobs or time; the partition decides when to rotate, flush and merge.
 *
 *   put ─> active memtable ──rotate──> immutable memtables ──installFlush──> tables ──installMerge──> tables
 *                                                               └> flushed memtables, read until their arenas are needed
 *
 * Memory: at most `memtableCountMax` arenas exist, reused for ever; an arena is free when no view and no flush holds it.
 */
import { assert } from '../../base/assert.js';
import type { EntryView } from './entry.js';
import { Memtable } from './memtable/memtable.js';
import type { PartitionOptions } from './partition-options.js';
import { Pinned } from './pinned.js';
import { ReadView } from './read-view.js';
import type { TableReader } from './table/table-reader.js';

export class LsmTree {
	readonly #options: PartitionOptions;
	readonly #freeMemtables: Memtable[] = [];
	#arenaCount = 0;
	#active: Pinned<Memtable>;
	/** Rotated and not yet flushed, newest first. */
	#immutables: Pinned<Memtable>[] = [];
	/** Flushed, but still read from while nobody needs their arenas: faster than their tables. Newest first. */
	#flushed: Pinned<Memtable>[] = [];
	/** Newest first. */
	#tables: Pinned<TableReader>[];
	#view: ReadView;
	/**
	 * Commands up to this one may be why nothing is stored for a key: the last clear, and the tombstones that merges dropped.
	 * What finds nothing depends on all of them.
	 */
	absenceSequence = 0;

	/** @param tables newest first */
	constructor(options: PartitionOptions, tables: readonly TableReader[]) {
		this.#options = options;
		this.#tables = tables.map((table) => this.#pinnedTable(table));
		this.#active = this.#mustTakeMemtable();
		this.#view = new ReadView([this.#active], [], this.#tables);
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

	/** Newest first. */
	get tables(): readonly TableReader[] {
		return this.#tables.map((table) => table.value);
	}

	get tableCount(): number {
		return this.#tables.length;
	}

	/** Bytes of arenas that exist. */
	get arenaBytes(): number {
		return this.#arenaCount * this.#options.memtableSize;
	}

	/** Newest version of a key, tombstones included. @param hash `keyHash` of the key */
	get(hash: number, key: Uint8Array, keyOffset: number, keySize: number, view: EntryView): boolean {
		return this.#view.get(hash, key, keyOffset, keySize, Number.MAX_SAFE_INTEGER, view);
	}

	/** Makes sure of an arena for a new memtable, giving up flushed ones. @returns false when all are in use */
	maybeFreeArena(): boolean {
		while (!this.#hasFreeArena && this.#flushed.length > 0) {
			const oldest = this.#flushed.pop();
			this.#renewView();
			oldest?.unpin();
		}
		return this.#hasFreeArena;
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
		const droppedTables = this.#tables;
		this.#active = this.#mustTakeMemtable();
		this.#immutables = [];
		this.#flushed = [];
		this.#tables = [];
		this.absenceSequence = sequence;
		this.#renewView();
		for (const memtable of dropped) memtable.unpin();
		for (const table of droppedTables) table.unpin();
		return droppedTables.map((table) => table.value.meta.id);
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
		// A new array: views, which must not change, share the old one.
		if (table !== undefined) this.#tables = [this.#pinnedTable(table), ...this.#tables];
		this.#flushed.unshift(memtable);
		this.#renewView();
		return true;
	}

	/** True when all of these tables are still part of the tree. */
	hasTables(ids: readonly number[]): boolean {
		return ids.every((id) => this.#tables.some((table) => table.value.meta.id === id));
	}

	/** One table (or none) takes the place of neighbours. @returns false when they are no longer part of the tree */
	installMerge(inputIds: readonly number[], output: TableReader | undefined): boolean {
		const first = this.#tables.findIndex((table) => table.value.meta.id === inputIds[0]);
		if (first < 0) return false;
		const inputs = this.#tables.slice(first, first + inputIds.length);
		assert(
			inputs.every((table, index) => table.value.meta.id === inputIds[index]),
			'merged tables are neighbours',
		);
		if (first + inputs.length === this.#tables.length) {
			this.absenceSequence = Math.max(this.absenceSequence, inputs[0].value.meta.maxSequence);
		}
		const replacement = output === undefined ? [] : [this.#pinnedTable(output)];
		this.#tables = [...this.#tables.slice(0, first), ...replacement, ...this.#tables.slice(first + inputIds.length)];
		this.#renewView();
		for (const table of inputs) table.unpin();
		return true;
	}

	/** Closes the tables. Nothing may be read afterwards. */
	close(): void {
		this.#view.release();
		for (const table of this.#tables) table.unpin();
	}

	get #hasFreeArena(): boolean {
		return this.#freeMemtables.length > 0 || this.#arenaCount < this.#options.memtableCountMax;
	}

	#renewView(): void {
		const old = this.#view;
		this.#view = new ReadView([this.#active, ...this.#immutables], this.#flushed, this.#tables);
		old.release();
	}

	#mustTakeMemtable(): Pinned<Memtable> {
		assert(this.#hasFreeArena, 'a free arena was made sure of');
		let memtable = this.#freeMemtables.pop();
		if (memtable === undefined) {
			memtable = new Memtable(new SharedArrayBuffer(this.#options.memtableSize));
			this.#arenaCount++;
		}
		memtable.reset();
		return new Pinned(memtable, (free) => this.#freeMemtables.push(free));
	}

	#pinnedTable(table: TableReader): Pinned<TableReader> {
		return new Pinned(table, (free) => free.close());
	}
}
