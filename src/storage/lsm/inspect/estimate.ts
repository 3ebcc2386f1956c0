/**
 * About how many live entries a range has, without reading data blocks: from the properties, indexes and filters of tables, which
 * are in memory, and from the memtables.
 *
 *   source (a memtable, a table of level 0, a deeper level), newest first
 *     keys in the range                    memtable: counted, or by a sample;  table: its keys by the share of its blocks
 *     less what is dead                    tombstones, what is expired, what newer deleted ranges cover
 *     less what newer sources hide         a memtable: its sample is looked for in filters;  a table: common bits of filters
 *
 * Sums up what is left of each. Error, where nothing of a range is expired in part and blocks are filled evenly:
 *   - a range of up to `walkCountMax` keys that are in memtables only: exact
 *   - a wide range: within 10 % when each key is stored once, or everything was overwritten or deleted; 25 % for mixtures
 *   - a small range: one block (4 KiB) for each table, added to that: where in a block a bound lies is not known
 *   - what only part of a table shows (tombstones, expiries) is taken to be spread evenly over it, by key and by age
 *   - tables without a filter (`bloomBitsPerKey: 0`) are taken to hide nothing
 * Time: some 10,000 keys of memtables and 64 lines of filters for each two sources are looked at, at most: 1 ms, 10 ms when
 * level 0 is full. The partition's thread only.
 */
import { compareBytes } from '../../../base/bytes.js';
import type { ScanRange } from '../../../command/scan-options.js';
import { isExpired, kindTombstone, makeEntryView } from '../entry.js';
import { keyHash } from '../key-hash.js';
import type { Level } from '../levels.js';
import type { Memtable } from '../memtable/memtable.js';
import type { ReadView } from '../read-view.js';
import type { RangeTombstoneSet } from '../scan/range-tombstone-set.js';
import { commonKeyCount, type FilteredKeys, falsePositiveShare } from '../table/filter-overlap.js';
import type { TableReader } from '../table/table-reader.js';
import { type MemtableSample, sampleMemtable } from './memtable-sample.js';

/** Tables of a source whose filters are compared with others'. */
const comparedTableCountMax = 8;
/** Steps over deleted ranges, for all tables together. */
const fragmentStepCountMax = 10_000;

/** A table and how much of it is in the range. */
interface TablePart {
	readonly table: TableReader;
	/** Distinct keys in the range. */
	readonly keyCount: number;
	/** Of these, those that live as far as the table and deleted ranges know. */
	readonly liveCount: number;
}

/** Tables that share no key. */
interface TableSource {
	readonly parts: readonly TablePart[];
	readonly level: Level;
	/** False: one table of level 0. */
	readonly isSorted: boolean;
	readonly keyCount: number;
	readonly liveCount: number;
	/** The share of its keys that newer sources have, as far as they are reckoned; may come out above 1. */
	hiddenShare: number;
}

export function estimateCount(view: ReadView, range: ScanRange, nowMs: number): number {
	const bounds = new EstimateBounds(range, view.rangeTombstones);
	const sources = tableSourcesOf(view, bounds, nowMs);
	let sum = 0;
	for (const [age, { value: memtable }] of view.memtables.entries()) {
		const newer = view.memtables.slice(0, age).map((pinned) => pinned.value);
		sum += shownCount(sampleMemtable(memtable, range), newer, sources, bounds, nowMs);
	}
	for (const [age, source] of sources.entries()) {
		// Of a newer source only what is shown itself: the rest is hidden by what hides it.
		for (let i = 0; i < age; i++) source.hiddenShare += commonShare(source, sources[i]) * shownShare(sources[i]);
		sum += source.liveCount * shownShare(source);
	}
	return Math.round(sum);
}

/** The bounds of the range, and what is deleted in it. */
class EstimateBounds {
	/** Lower bound, or undefined. Whether it is inclusive makes one key's difference. */
	readonly lower: Uint8Array | undefined;
	readonly upper: Uint8Array | undefined;
	readonly tombstones: RangeTombstoneSet;
	#stepCount = 0;

	constructor(range: ScanRange, tombstones: RangeTombstoneSet) {
		this.lower = range.lower;
		this.upper = range.upper;
		this.tombstones = tombstones;
	}

	/** The share of a table's entries that newer deleted ranges cover, of those in the range. */
	deletedShare(table: TableReader, rangeShare: number): number {
		const { fragments } = this.tombstones;
		const { firstKey, lastKey, minSequence, maxSequence } = table.meta;
		if (fragments.count === 0 || rangeShare === 0) return 0;
		const start = this.lower !== undefined && compare(this.lower, firstKey) > 0 ? this.lower : firstKey;
		const end = this.upper !== undefined && compare(this.upper, lastKey) < 0 ? this.upper : lastKey;
		let deleted = 0;
		for (let i = Math.max(0, fragments.find(start, 0, start.length)); i < fragments.count; i++) {
			if (fragments.compareBound(i, end, 0, end.length) > 0 || this.#stepCount >= fragmentStepCountMax) break;
			this.#stepCount++;
			const sequence = fragments.sequenceAt(i, Number.MAX_SAFE_INTEGER);
			if (sequence <= minSequence) continue;
			const bound = fragments.boundAt(i);
			const from = compare(bound, start) > 0 ? bound : start;
			const next = i + 1 < fragments.count ? fragments.boundAt(i + 1) : undefined;
			const to = next === undefined || compare(next, end) > 0 ? undefined : next;
			const age = Math.min(1, (sequence - minSequence) / (maxSequence - minSequence + 1));
			deleted += shareOf(table, from, to ?? (end === lastKey ? undefined : end)) * age;
		}
		return Math.min(1, deleted / rangeShare);
	}
}

function tableSourcesOf({ levels }: ReadView, bounds: EstimateBounds, nowMs: number): TableSource[] {
	const sources: TableSource[] = [];
	for (const [number, level] of levels.all.entries()) {
		const parts: TablePart[] = [];
		for (const { value: table } of level.tables) {
			const { meta } = table;
			const share = shareOf(table, bounds.lower, bounds.upper);
			if (share === 0) continue;
			const keyCount = meta.keyCount * share;
			const putShare = Math.max(0, 1 - meta.tombstoneCount / Math.max(1, meta.keyCount));
			const liveShare = putShare * (1 - expiredShare(table, nowMs)) * (1 - bounds.deletedShare(table, share));
			parts.push({ table, keyCount, liveCount: keyCount * liveShare });
		}
		// Tables of level 0 overlap: each is a source.
		if (number === 0) for (const part of parts) sources.push(sourceOf([part], level, false));
		else if (parts.length > 0) sources.push(sourceOf(parts, level, true));
	}
	return sources;
}

function sourceOf(parts: readonly TablePart[], level: Level, isSorted: boolean): TableSource {
	const keyCount = parts.reduce((sum, part) => sum + part.keyCount, 0);
	const liveCount = parts.reduce((sum, part) => sum + part.liveCount, 0);
	return { parts, level, isSorted, keyCount, liveCount, hiddenShare: 0 };
}

function shownShare({ hiddenShare }: TableSource): number {
	return Math.min(1, Math.max(0, 1 - hiddenShare));
}

/** The share of a table's data that lies from one key to another; undefined: without that bound. */
function shareOf(table: TableReader, from: Uint8Array | undefined, to: Uint8Array | undefined): number {
	const { firstKey, lastKey } = table.meta;
	if (from !== undefined && compare(from, lastKey) > 0) return 0;
	if (to !== undefined && compare(to, firstKey) < 0) return 0;
	const { blockOffsets, blockCount } = table.index;
	const isFromStart = from === undefined || compare(from, firstKey) <= 0;
	const isToEnd = to === undefined || compare(to, lastKey) > 0;
	const first = isFromStart ? 0 : blockOf(table, from);
	const last = isToEnd ? blockCount - 1 : blockOf(table, to);
	const size = blockOffsets[last + 1] - blockOffsets[first];
	// A bound lies in the middle of its block, on the average; two of them a third of it apart.
	let outside = 0;
	if (!isFromStart && !isToEnd && first === last) outside = (size * 2) / 3;
	else {
		if (!isFromStart) outside += (blockOffsets[first + 1] - blockOffsets[first]) / 2;
		if (!isToEnd) outside += (blockOffsets[last + 1] - blockOffsets[last]) / 2;
	}
	return Math.max(0, size - outside) / blockOffsets[blockCount];
}

function blockOf(table: TableReader, key: Uint8Array): number {
	const block = table.index.find(key, 0, key.length, Number.MAX_SAFE_INTEGER);
	return Math.min(block, table.index.blockCount - 1);
}

/** Of a table's entries, those whose time is past, if times are spread evenly. */
function expiredShare({ meta }: TableReader, nowMs: number): number {
	const { expiryCount, minExpiresAtMs, maxExpiresAtMs, entryCount } = meta;
	if (expiryCount === 0 || nowMs < minExpiresAtMs) return 0;
	const pastShare = nowMs >= maxExpiresAtMs ? 1 : (nowMs - minExpiresAtMs) / (maxExpiresAtMs - minExpiresAtMs);
	return (expiryCount / entryCount) * pastShare;
}

/** How many keys of a memtable live and are in no newer one; the tables hear which of their keys it hides. */
function shownCount(
	sample: MemtableSample,
	newer: readonly Memtable[],
	sources: readonly TableSource[],
	{ tombstones }: EstimateBounds,
	nowMs: number,
): number {
	const { entry, keysEach } = sample;
	const view = makeEntryView();
	const hiddenCounts = new Float64Array(sources.length);
	let shown = 0;
	while (sample.next()) {
		const { key, keyOffset, keySize } = entry;
		const hash = keyHash(key, keyOffset, keySize);
		if (newer.some((memtable) => memtable.get(hash, key, keyOffset, keySize, Number.MAX_SAFE_INTEGER, view))) continue;
		for (const [i, source] of sources.entries()) {
			hiddenCounts[i] += keysEach * likelihoodOf(source, hash, key, keyOffset, keySize);
		}
		if (entry.kind === kindTombstone || isExpired(entry.expiresAtMs, nowMs)) continue;
		if (tombstones.coverSequence(key, keyOffset, keySize, Number.MAX_SAFE_INTEGER) > entry.sequence) continue;
		shown += keysEach;
	}
	for (const [i, source] of sources.entries()) {
		if (source.keyCount > 0) source.hiddenShare += hiddenCounts[i] / source.keyCount;
	}
	return shown;
}

/**
 * How likely a source has a key, so that sums come out right: a filter lets other keys through as well, and what it says of those
 * that it does not let through is to make up for them.
 */
function likelihoodOf(source: TableSource, hash: number, key: Uint8Array, offset: number, size: number): number {
	const { tables, bounds } = source.level;
	let table: TableReader | undefined;
	if (source.isSorted) {
		const i = bounds.find(key, offset, size);
		if (i < tables.length && bounds.compareFirst(i, key, offset, size) <= 0) table = tables[i].value;
	} else {
		const { firstKey, lastKey } = source.parts[0].table.meta;
		const isFrom = compareBytes(firstKey, 0, firstKey.length, key, offset, size) <= 0;
		if (isFrom && compareBytes(lastKey, 0, lastKey.length, key, offset, size) >= 0) table = source.parts[0].table;
	}
	if (table === undefined || table.filter.isEmpty) return 0;
	const byChance = falsePositiveShare(keysOf(table));
	return (Number(table.mayContain(hash)) - byChance) / (1 - byChance);
}

/** The share of a source's keys that a newer one has, by some of its tables. */
function commonShare(source: TableSource, newer: TableSource): number {
	const step = Math.max(1, Math.floor(source.parts.length / comparedTableCountMax));
	let keyCount = 0;
	let hiddenCount = 0;
	for (let i = 0; i < source.parts.length; i += step) {
		const { table } = source.parts[i];
		keyCount += table.meta.keyCount;
		let comparedCount = 0;
		let common = 0;
		for (const { table: other } of newer.parts) {
			if (!haveCommonKeys(table, other)) continue;
			common += commonKeyCount(keysOf(table), keysOf(other)) ?? 0;
			comparedCount++;
			if (comparedCount === comparedTableCountMax) break;
		}
		hiddenCount += Math.min(common, table.meta.keyCount);
	}
	return keyCount === 0 ? 0 : hiddenCount / keyCount;
}

function keysOf({ filter, meta }: TableReader): FilteredKeys {
	return { filter, keyCount: meta.keyCount };
}

function haveCommonKeys(a: TableReader, b: TableReader): boolean {
	return compare(a.meta.firstKey, b.meta.lastKey) <= 0 && compare(b.meta.firstKey, a.meta.lastKey) <= 0;
}

function compare(a: Uint8Array, b: Uint8Array): number {
	return compareBytes(a, 0, a.length, b, 0, b.length);
}
