/**
 * Versions of keys and deleted ranges, dealt out by age to sources as a partition does (memtables newest), and what a scan of
 * them must find, worked out one key at a time from their meaning.
 */
import type { Prng } from '../../src/base/prng.js';
import type { ScanOptions } from '../../src/command/scan-options.js';
import {
	type EntryIterator,
	isExpired,
	kindPut,
	kindSlidingPut,
	kindTombstone,
	type RangeTombstone,
	slidingPrefixSize,
} from '../../src/storage/lsm/entry.js';
import { keyHash } from '../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../src/storage/lsm/memtable/memtable.js';
import { MemtableIterator } from '../../src/storage/lsm/memtable/memtable-iterator.js';
import type { Walkable } from '../../src/storage/lsm/scan/live-cursor.js';
import { RangeTombstoneSet } from '../../src/storage/lsm/scan/range-tombstone-set.js';
import { Walk } from '../../src/storage/lsm/scan/walk.js';
import { type ArrayEntry, ArrayIterator, compareArrayEntries } from './array-iterator.js';

export interface LiveEntry {
	/** Latin-1, as is the value: without the prefix of a sliding entry. */
	readonly key: string;
	readonly value: string;
	readonly version: number;
	readonly expiresAtMs: number;
}

export class ScanWorld implements Walkable {
	rangeTombstones = new RangeTombstoneSet();
	readonly versions: ArrayEntry[] = [];
	readonly ranges: RangeTombstone[] = [];
	lastSequence = 0;
	/** Sources that a walk holds. */
	pinCount = 0;
	/** Whether walks are told how new the sources are. */
	isAgeKnown = true;
	/** The iterators of the last walk. */
	iterators: EntryIterator[] = [];
	/** Sequences at which a source ends and a newer one begins. */
	#cuts: number[] = [];
	readonly #memtableCount: number;

	/** @param memtableCount of the newest sources; older ones are arrays */
	constructor(memtableCount = 2) {
		this.#memtableCount = memtableCount;
	}

	add(key: string, kind: number, value = '', expiresAtMs = 0): void {
		this.lastSequence++;
		this.versions.push({
			key: Buffer.from(key, 'latin1'),
			sequence: this.lastSequence,
			kind,
			expiresAtMs,
			value: Buffer.from(value, 'latin1'),
		});
	}

	deleteRange(start: string, end: string): void {
		this.lastSequence++;
		const range = {
			start: Buffer.from(start, 'latin1'),
			end: Buffer.from(end, 'latin1'),
			sequence: this.lastSequence,
		};
		this.ranges.push(range);
		this.rangeTombstones.add(range);
	}

	/** What follows is newer than what a source holds that ends here. */
	cut(): void {
		this.#cuts.push(this.lastSequence);
	}

	startWalk(): Walk {
		const ends = [...this.#cuts, this.lastSequence].reverse();
		const parts = ends.map((end, i) => {
			const begin = ends[i + 1] ?? 0;
			return this.versions.filter(({ sequence }) => sequence > begin && sequence <= end);
		});
		const iterators = parts.map((part, i) => (i < this.#memtableCount ? memtableOver(part) : arrayOver(part)));
		const pins = parts.map(() => ({ pin: () => this.pinCount++, unpin: () => this.pinCount-- }));
		this.iterators = iterators;
		return new Walk(iterators, pins, this.isAgeKnown ? ends : undefined).begin();
	}

	/** The live entries of a range, in its order. */
	live(options: ScanOptions, maxSequence: number, nowMs: number): LiveEntry[] {
		const newest = new Map<string, ArrayEntry>();
		for (const version of this.versions) {
			if (version.sequence <= maxSequence) newest.set(version.key.toString('latin1'), version);
		}
		const found: LiveEntry[] = [];
		for (const [key, version] of newest) {
			if (!isInRange(version.key, options) || !this.#isLive(version, maxSequence, nowMs)) continue;
			const from = version.kind === kindSlidingPut ? slidingPrefixSize : 0;
			const value = options.isKeysOnly ? '' : version.value.toString('latin1', from);
			found.push({ key, value, version: version.sequence, expiresAtMs: version.expiresAtMs });
		}
		found.sort((a, b) => (a.key < b.key ? -1 : 1));
		return options.isReverse ? found.reverse() : found;
	}

	#isLive(version: ArrayEntry, maxSequence: number, nowMs: number): boolean {
		if (version.kind === kindTombstone || isExpired(version.expiresAtMs, nowMs)) return false;
		return !this.ranges.some(
			({ start, end, sequence }) =>
				sequence <= maxSequence &&
				sequence > version.sequence &&
				Buffer.compare(start, version.key) <= 0 &&
				(end.length === 0 || Buffer.compare(version.key, end) < 0),
		);
	}
}

export function isInRange(key: Buffer, options: ScanOptions): boolean {
	const { lower, upper, isLowerInclusive, isUpperInclusive } = options;
	if (lower !== undefined && Buffer.compare(key, lower) < (isLowerInclusive ? 0 : 1)) return false;
	return upper === undefined || Buffer.compare(key, upper) < (isUpperInclusive ? 1 : 0);
}

function arrayOver(versions: readonly ArrayEntry[]): EntryIterator {
	return new ArrayIterator([...versions].sort(compareArrayEntries));
}

function memtableOver(versions: readonly ArrayEntry[]): EntryIterator {
	const memtable = new Memtable(new SharedArrayBuffer(4 << 20));
	for (const { key, sequence, kind, expiresAtMs, value } of versions) {
		const hash = keyHash(key, 0, key.length);
		memtable.put(hash, key, 0, key.length, sequence, kind, expiresAtMs, value, 0, value.length);
	}
	return new MemtableIterator(memtable);
}

/** Latin-1 text over few characters, so that keys, bounds and prefixes meet. */
export function randomText(prng: Prng, sizeMin: number): string {
	let text = '';
	for (let size = sizeMin + prng.below(3); size > 0; size--) text += 'abc\xff'[prng.below(4)];
	return text;
}

/** A world of everything that can happen to a key. */
export function randomWorld(prng: Prng, writeCount: number): ScanWorld {
	const world = new ScanWorld(prng.below(3));
	for (let i = 0; i < writeCount; i++) {
		const key = randomText(prng, 1);
		const roll = prng.below(20);
		const expiresAtMs = prng.chance(0.3) ? 900 + prng.below(200) : 0;
		if (roll < 11) world.add(key, kindPut, randomText(prng, 0), expiresAtMs);
		else if (roll < 14) world.add(key, kindSlidingPut, `${'\0'.repeat(slidingPrefixSize)}${randomText(prng, 0)}`, 1001);
		else if (roll < 18) world.add(key, kindTombstone);
		else if (roll < 19) world.deleteRange(randomText(prng, 0), randomText(prng, 0));
		else if (prng.chance(0.5)) world.cut();
	}
	return world;
}

export function randomRange(prng: Prng): ScanOptions {
	const bound = (): Buffer | undefined => (prng.chance(0.4) ? Buffer.from(randomText(prng, 0), 'latin1') : undefined);
	return {
		isReverse: prng.chance(0.5),
		lower: bound(),
		isLowerInclusive: prng.chance(0.5),
		upper: bound(),
		isUpperInclusive: prng.chance(0.5),
		isKeysOnly: prng.chance(0.2),
		pageSizeMax: 0,
	};
}
