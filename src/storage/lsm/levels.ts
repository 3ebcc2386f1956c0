/**
 * The tables of a partition by level: what stands where at one moment. Immutable; shared by the views and walks that hold it,
 * and its tables are pinned as long as it is.
 *
 *   level 0      newest first; tables overlap, each is asked
 *   level 1..6   sorted by key; no key is in two tables, and all versions of a key are in one: one table is asked
 *
 * For one key, everything in a younger level is newer than everything in an older one, and so in level 0 from table to table.
 */
import { assert } from '../../base/assert.js';
import { levelCountMax } from '../../base/limits.js';
import { KeyBounds } from './key-bounds.js';
import type { Pinnable, Pinned } from './pinned.js';
import { compareKeys, reachesKey, type TableMeta } from './table/table-meta.js';
import type { TableReader } from './table/table-reader.js';

export class Level {
	readonly tables: readonly Pinned<TableReader>[];
	/** Of the entries; range tombstones reach farther. */
	readonly bounds: KeyBounds;
	/** Bytes of the files. */
	readonly size: number;

	constructor(tables: readonly Pinned<TableReader>[]) {
		this.tables = tables;
		this.bounds = new KeyBounds(tables.map((table) => table.value.meta));
		this.size = tables.reduce((sum, table) => sum + table.value.meta.size, 0);
	}

	get metas(): TableMeta[] {
		return this.tables.map((table) => table.value.meta);
	}
}

const emptyLevel = new Level([]);

export class Levels implements Pinnable {
	/** Always `levelCountMax` of them. */
	readonly all: readonly Level[];
	readonly tableCount: number;
	/** One more than the number of the last level that has tables. */
	readonly depth: number;
	/** Some table has entries that expire. */
	readonly hasExpiries: boolean;
	#pinCount = 1;

	/** Pins the tables; starts with one pin, the creator's. */
	private constructor(all: readonly Level[]) {
		this.all = all;
		this.tableCount = all.reduce((sum, level) => sum + level.tables.length, 0);
		this.depth = all.findLastIndex((level) => level.tables.length > 0) + 1;
		this.hasExpiries = all.some((level) => level.tables.some((table) => table.value.meta.expiryCount > 0));
		for (const level of all) for (const table of level.tables) table.pin();
	}

	static empty(): Levels {
		return new Levels(Array.from({ length: levelCountMax }, () => emptyLevel));
	}

	/** @param tables in any order, with their levels */
	static arrange(tables: readonly { readonly table: Pinned<TableReader>; readonly level: number }[]): Levels {
		const all = Array.from({ length: levelCountMax }, (_, number) => {
			const own = tables.filter(({ level }) => level === number).map(({ table }) => table);
			if (own.length === 0) return emptyLevel;
			if (number === 0) return new Level(own.sort((a, b) => b.value.meta.maxSequence - a.value.meta.maxSequence));
			return new Level(sorted(own));
		});
		return new Levels(all);
	}

	pin(): void {
		assert(this.#pinCount > 0, 'levels let go are not pinned again');
		this.#pinCount++;
	}

	unpin(): void {
		assert(this.#pinCount > 0, 'one unpin for each pin');
		this.#pinCount--;
		if (this.#pinCount > 0) return;
		for (const level of this.all) for (const table of level.tables) table.unpin();
	}

	/** Level by level, in their order. */
	*tables(): Generator<Pinned<TableReader>> {
		for (const level of this.all) yield* level.tables;
	}

	/** The level a table is in, or -1. */
	levelOf(id: number): number {
		return this.all.findIndex((level) => level.tables.some((table) => table.value.meta.id === id));
	}

	/** With a new table in front of level 0. */
	withNewest(table: Pinned<TableReader>): Levels {
		return this.#with(0, new Level([table, ...this.all[0].tables]));
	}

	/**
	 * With `added` in place of `removedIds`. In level 0 they take the place of the newest that goes; deeper ones are sorted in.
	 * @param removedIds of tables that are here
	 */
	replace(removedIds: readonly number[], outputLevel: number, added: readonly Pinned<TableReader>[]): Levels {
		const gone = new Set(removedIds);
		const all = this.all.map((level, number) => {
			const kept = level.tables.filter((table) => !gone.has(table.value.meta.id));
			if (number !== outputLevel) return kept.length === level.tables.length ? level : new Level(kept);
			if (number > 0) return new Level(sorted([...kept, ...added]));
			const place = level.tables.findIndex((table) => gone.has(table.value.meta.id));
			assert(place >= 0, 'what replaces tables of level 0 has a place');
			return new Level([...kept.slice(0, place), ...added, ...kept.slice(place)]);
		});
		return new Levels(all);
	}

	#with(number: number, level: Level): Levels {
		return new Levels(this.all.map((other, index) => (index === number ? level : other)));
	}
}

/** In order of keys. @throws AssertionError when two share a key */
function sorted(tables: Pinned<TableReader>[]): Pinned<TableReader>[] {
	tables.sort((a, b) => compareKeys(a.value.meta.firstKey, b.value.meta.firstKey));
	for (let i = 1; i < tables.length; i++) {
		const before = tables[i - 1].value.meta;
		const { id, firstKey } = tables[i].value.meta;
		assert(compareKeys(before.lastKey, firstKey) < 0, `tables ${before.id} and ${id} of one level share no key`);
	}
	return tables;
}

/** What a table covers. */
export type KeySpan = Pick<TableMeta, 'lowerBound' | 'upperBound' | 'lastKey'>;

/** True when a key may be in both: by their entries and by what their range tombstones delete. */
export function tablesOverlap(a: KeySpan, b: KeySpan): boolean {
	return reachesKey(a, b.lowerBound) && reachesKey(b, a.lowerBound);
}
