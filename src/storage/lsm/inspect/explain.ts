/**
 * What one read of a key touches, step by step and timed: the same walk that `ReadView.get` takes, told as it goes. For people
 * who wonder where the time goes; rare, so it may make objects.
 *
 *   range tombstones ─> memtables, newest first ─> level 0, table by table ─> one table of each deeper level ─> verdict
 *
 * It reads through the cache like any read, and so changes what is in it. Partition's thread.
 */
import { performance } from 'node:perf_hooks';
import { newestSequence } from '../apply/find-live.js';
import { isExpired, kindSlidingPut, kindTombstone, makeEntryView, slidingPrefixSize } from '../entry.js';
import { keyHash } from '../key-hash.js';
import type { LsmTree } from '../lsm-tree.js';
import { ReadTrace, type TableStep } from '../table/read-trace.js';

export interface MemtableTrace {
	readonly source: 'memtable';
	readonly state: 'active' | 'waiting for its flush' | 'flushed';
	readonly entries: number;
	readonly isFound: boolean;
	readonly tookUs: number;
}

export interface TableTrace extends TableStep {
	readonly source: 'table';
	readonly level: number;
}

export interface Explanation {
	readonly keyHash: number;
	readonly result: 'live' | 'absent' | 'deleted' | 'deleted by a range' | 'expired';
	/** Where the newest version was found; '' when there is none. */
	readonly where: string;
	/** Of the newest version; 0 when there is none. */
	readonly version: number;
	/** 0: never, or nothing found. */
	readonly expiresAtMs: number;
	readonly isSliding: boolean;
	readonly valueSize: number;
	/** The newest deletion of a range that covers the key; 0: none. */
	readonly deletedBySequence: number;
	readonly rangeTombstones: { readonly fragments: number; readonly tookUs: number };
	readonly steps: readonly (MemtableTrace | TableTrace)[];
	/** Tables that could not hold the key and were not asked, for their bounds. */
	readonly tablesPassed: number;
	readonly tookUs: number;
}

const view = makeEntryView();

/** @param nowUs microseconds of a clock that does not jump */
export function explainRead(
	tree: LsmTree,
	key: Uint8Array,
	nowMs: number,
	nowUs: () => number = () => performance.now() * 1000,
): Explanation {
	const startUs = nowUs();
	const hash = keyHash(key, 0, key.length);
	const cover = tree.coverSequence(key, 0, key.length, newestSequence);
	const coverUs = nowUs() - startUs;
	const steps: (MemtableTrace | TableTrace)[] = [];
	let where = askMemtables(tree, hash, key, nowUs, steps);
	if (where === '') where = askTables(tree, hash, key, nowUs, steps);
	const isFound = where !== '';
	const isSliding = isFound && view.kind === kindSlidingPut;
	const asked = steps.filter((step) => step.source === 'table').length;
	return {
		keyHash: hash,
		result: isFound ? verdictOn(cover, nowMs) : 'absent',
		where,
		version: isFound ? view.sequence : 0,
		expiresAtMs: isFound ? view.expiresAtMs : 0,
		isSliding,
		valueSize: isFound ? view.valueSize - (isSliding ? slidingPrefixSize : 0) : 0,
		deletedBySequence: cover,
		rangeTombstones: { fragments: tree.rangeTombstones.fragmentCount, tookUs: rounded(coverUs) },
		steps,
		tablesPassed: isFound ? 0 : tree.tableCount - asked,
		tookUs: rounded(nowUs() - startUs),
	};
}

function verdictOn(cover: number, nowMs: number): Explanation['result'] {
	if (view.sequence < cover) return 'deleted by a range';
	if (view.kind === kindTombstone) return 'deleted';
	return isExpired(view.expiresAtMs, nowMs) ? 'expired' : 'live';
}

/** @returns where `view` was found, or '' */
function askMemtables(
	tree: LsmTree,
	hash: number,
	key: Uint8Array,
	nowUs: () => number,
	steps: (MemtableTrace | TableTrace)[],
): string {
	const memtables = tree.view.readableMemtables;
	const unflushedCount = 1 + tree.immutableCount;
	for (let i = 0; i < memtables.length; i++) {
		const startUs = nowUs();
		const isFound = memtables[i].get(hash, key, 0, key.length, newestSequence, view);
		const tookUs = rounded(nowUs() - startUs);
		const state = i === 0 ? 'active' : i < unflushedCount ? 'waiting for its flush' : 'flushed';
		steps.push({ source: 'memtable', state, entries: memtables[i].entryCount, isFound, tookUs });
		if (isFound) return `memtable (${state})`;
	}
	return '';
}

function askTables(
	tree: LsmTree,
	hash: number,
	key: Uint8Array,
	nowUs: () => number,
	steps: (MemtableTrace | TableTrace)[],
): string {
	const trace = new ReadTrace(nowUs);
	const { all } = tree.view.levels;
	for (let number = 0; number < all.length; number++) {
		const { bounds, tables } = all[number];
		for (let i = 0; i < tables.length; i++) {
			if (!bounds.holds(i, key, 0, key.length)) continue;
			const isFound = tables[i].value.get(key, 0, key.length, hash, newestSequence, view, trace);
			const step = trace.steps[trace.steps.length - 1];
			steps.push({ source: 'table', level: number, ...step, tookUs: rounded(step.tookUs) });
			if (isFound) return `level ${number}, table ${tables[i].value.meta.id}`;
		}
	}
	return '';
}

function rounded(us: number): number {
	return Math.round(us * 10) / 10;
}
