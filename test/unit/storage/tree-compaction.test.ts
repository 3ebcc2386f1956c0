/**
 * A tree that is compacted all the time against a map with all versions: after every step reads now and at every pinned snapshot,
 * and walks in both directions, must agree. The levels themselves are checked as well.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusOk } from '../../../src/base/errors.js';
import { spaceRetryMsMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { opDelete } from '../../../src/command/command-format.js';
import { spaceAmplification } from '../../../src/storage/lsm/compaction/level-targets.js';
import type { PartitionOptions } from '../../../src/storage/lsm/partition-options.js';
import { LiveCursor } from '../../../src/storage/lsm/scan/live-cursor.js';
import { compareKeys } from '../../../src/storage/lsm/table/table-meta.js';
import { testSeed } from '../../support/seed.js';
import { TreeHarness } from '../../support/tree-harness.js';

interface Version {
	readonly sequence: number;
	/** undefined: deleted. */
	readonly value: string | undefined;
	readonly expiresAtMs: number;
}

const keyCount = 400;

function keyOf(number: number): string {
	return `key${String(number).padStart(4, '0')}`;
}

class Comparison {
	readonly harness: TreeHarness;
	/** Oldest first. */
	readonly versions = new Map<string, Version[]>();
	readonly totals = { deepest: 0, moves: 0, compactions: 0, snapshots: 0, ranges: 0 };
	readonly #prng: Prng;

	constructor(prng: Prng, options: Partial<PartitionOptions>) {
		this.#prng = prng;
		this.harness = new TreeHarness(options);
	}

	step(): void {
		const prng = this.#prng;
		const { harness } = this;
		const style = prng.below(1000);
		const first = prng.below(keyCount);
		if (style < 640) this.#put(first, prng);
		else if (style < 760) this.#remember(keyOf(first), harness.remove(keyOf(first)), undefined, 0);
		else if (style < 775) this.#deleteRange(first, first + prng.below(60));
		else if (style < 776) this.#clear();
		else if (style < 800) for (let i = first; i < first + 30; i++) this.#put(i % keyCount, prng);
		else if (style < 810) this.#snapshot();
		else if (style < 825) harness.rotate();
		else if (style < 900) harness.runJob(prng);
		else if (style < 930) harness.settleEdits();
		else if (style < 940) this.#compactRange(first, first + prng.below(keyCount));
		else if (style < 950) this.#idle(prng);
		else if (style < 960) harness.settle();
		else this.#compareSome(prng);
		this.totals.deepest = Math.max(this.totals.deepest, harness.tree.levels.all.filter(({ size }) => size > 0).length);
	}

	checkLevels(): void {
		const { all } = this.harness.tree.levels;
		for (const { metas } of all.slice(1)) {
			for (let i = 1; i < metas.length; i++) {
				assert(compareKeys(metas[i - 1].lastKey, metas[i].firstKey) < 0, this.harness.draw());
			}
		}
		assert.equal(this.harness.maintenance.refusal, undefined);
	}

	compareAll(): void {
		for (const at of [Number.MAX_SAFE_INTEGER, ...this.harness.snapshots]) {
			const expected = [...this.versions.keys()]
				.sort()
				.map((key) => [key, this.#expected(key, at)] as const)
				.filter(([, value]) => value !== undefined);
			for (let i = 0; i < keyCount; i++) {
				const key = keyOf(i);
				assert.equal(this.harness.get(key, at), this.#expected(key, at), `${key} at ${at}`);
			}
			assert.deepEqual(this.#scan(at), expected, `scan at ${at}`);
		}
	}

	#scan(at: number): (readonly [string, string])[] {
		const { tree, nowMs, sequence } = this.harness;
		const cursor = new LiveCursor(tree.view, Math.min(at, sequence), nowMs);
		const entries: (readonly [string, string])[] = [];
		cursor.start();
		while (!cursor.isAtEnd) {
			if (!cursor.step()) continue;
			const { key, keyOffset, keySize, value, valueOffset, valueSize } = cursor.entry;
			entries.push([
				Buffer.from(key.subarray(keyOffset, keyOffset + keySize)).toString('latin1'),
				Buffer.from(value.subarray(valueOffset, valueOffset + valueSize)).toString('latin1'),
			]);
			cursor.pass();
		}
		cursor.close();
		return entries;
	}

	#compareSome(prng: Prng): void {
		const { snapshots } = this.harness;
		const at =
			snapshots.length > 0 && prng.chance(0.5) ? snapshots[prng.below(snapshots.length)] : Number.MAX_SAFE_INTEGER;
		for (let i = 0; i < 20; i++) {
			const key = keyOf(prng.below(keyCount));
			assert.equal(this.harness.get(key, at), this.#expected(key, at), `${key} at ${at}`);
		}
	}

	#expected(key: string, at: number): string | undefined {
		const version = this.versions.get(key)?.findLast(({ sequence }) => sequence <= at);
		const isExpired = version !== undefined && version.expiresAtMs !== 0 && version.expiresAtMs <= this.harness.nowMs;
		return isExpired ? undefined : version?.value;
	}

	#put(number: number, prng: Prng): void {
		const key = keyOf(number);
		const value = `${this.harness.sequence} `.repeat(1 + prng.below(20));
		const expiresAtMs = prng.chance(0.1) ? this.harness.nowMs + prng.below(20_000) : 0;
		this.#remember(key, this.harness.put(key, value, expiresAtMs), value, expiresAtMs);
	}

	#remember(key: string, sequence: number, value: string | undefined, expiresAtMs: number): void {
		const versions = this.versions.get(key);
		if (versions === undefined) this.versions.set(key, [{ sequence, value, expiresAtMs }]);
		else versions.push({ sequence, value, expiresAtMs });
	}

	#deleteRange(first: number, end: number): void {
		this.totals.ranges++;
		const sequence = this.harness.deleteRange(keyOf(first), keyOf(end));
		for (let i = first; i < end; i++) this.#remember(keyOf(i), sequence, undefined, 0);
	}

	#clear(): void {
		this.harness.clear();
		this.versions.clear();
	}

	#snapshot(): void {
		const { snapshots, sequence } = this.harness;
		if (snapshots.length >= 3) snapshots.splice(this.#prng.below(3), 1);
		if (snapshots.at(-1) !== sequence) snapshots.push(sequence);
		this.totals.snapshots++;
	}

	#compactRange(first: number, last: number): void {
		const bytes = (number: number): Uint8Array => Buffer.from(keyOf(number));
		this.harness.maintenance.compactRange(bytes(first), bytes(last), () => undefined);
	}

	#idle(prng: Prng): void {
		this.harness.nowMs += prng.below(5000);
		this.harness.tick();
	}
}

const shapes: [string, Partial<PartitionOptions>][] = [
	['leveled', {}],
	['leveled, two at once', { compactionConcurrency: 2, tableFileSize: 1024 }],
	['leveled, one at once, another codec below', { compactionConcurrency: 1, lastLevelCodec: 'zstd' }],
	['tiered', { compaction: 'tiered' }],
];

for (const [name, options] of shapes) {
	test(`a tree under compaction is a map with versions: ${name}`, () => {
		const prng = new Prng(testSeed(`tree-compaction ${name}`));
		const comparison = new Comparison(prng, options);
		const { harness, totals } = comparison;
		for (let i = 0; i < 6000; i++) {
			comparison.step();
			if (i % 50 === 0) comparison.checkLevels();
			if (i % 1000 === 999) comparison.compareAll();
		}
		harness.settle();
		comparison.checkLevels();
		comparison.compareAll();
		const { compactions, levels } = harness.maintenance.statistics() as {
			compactions: { count: number; moves: number };
			levels: { reads: number }[];
		};
		assert(compactions.count > 20, JSON.stringify(compactions));
		if (options.compaction !== 'tiered') {
			assert(totals.deepest >= 3, `${totals.deepest} levels, ${harness.draw()}`);
			assert((levels.at(-1)?.reads ?? 0) > 0);
		}
		harness.tree.close();
	});
}

test('when nobody writes, the levels settle: hardly more is stored than the last level holds', () => {
	const harness = new TreeHarness({ lastLevelCodec: 'lz4' });
	for (let round = 0; round < 6; round++) {
		for (let i = 0; i < 1000; i++) harness.put(keyOf((i * 7) % 1000), `value ${round} of ${i} ${'x'.repeat(40)}`);
	}
	harness.rotate();
	harness.settle();
	assert(harness.maintenance.tickDelayMs(harness.nowMs) !== undefined, 'something is left to settle');
	harness.nowMs += 3000;
	harness.tick();
	harness.settle();
	assert(spaceAmplification(harness.levelSizes) <= 1.15, harness.levelSizes.join(' '));
	assert(harness.tree.levels.all[0].tables.length < 2);
	assert.equal(harness.maintenance.tickDelayMs(harness.nowMs), undefined, 'and then it rests');
});

test('a manual compaction leaves one level, without tombstones, deleted ranges, old versions and expired entries', () => {
	const harness = new TreeHarness();
	for (let i = 0; i < 2000; i++) harness.put(keyOf(i % keyCount), `value ${i}`, i % 5 === 0 ? harness.nowMs + 1000 : 0);
	for (let i = 0; i < keyCount; i += 3) harness.remove(keyOf(i));
	harness.deleteRange(keyOf(100), keyOf(200));
	harness.rotate();
	harness.nowMs += 1500;
	harness.tick();
	harness.settle();
	let outcome = '';
	harness.maintenance.compactRange(new Uint8Array(0), new Uint8Array(0), (result, failure) => {
		outcome = failure === undefined ? 'done' : String(failure);
		assert((result?.stepCount ?? 0) > 0);
	});
	harness.settle();
	assert.equal(outcome, 'done');
	assert.deepEqual(
		harness.levelSizes.map((size) => size > 0),
		[false, false, false, false, false, false, true],
	);
	for (const { meta } of harness.tree.tables) {
		assert.equal(meta.tombstoneCount + meta.rangeTombstones.length, 0);
		assert.equal(meta.entryCount, meta.keyCount);
		assert.equal(meta.expiryCount, 0);
	}
	for (let i = 0; i < keyCount; i++) {
		const isThere = i % 3 !== 0 && (i < 100 || i >= 200) && i % 5 !== 0;
		assert.equal(harness.get(keyOf(i)) !== undefined, isThere, keyOf(i));
	}
});

test('a deleted range that is compacted away takes flushed memtables along, which held what it covered', () => {
	const harness = new TreeHarness();
	harness.put('k', 'old');
	harness.rotate();
	harness.settle();
	harness.deleteRange('a', 'z');
	harness.rotate();
	harness.settle();
	harness.maintenance.compactRange(new Uint8Array(0), new Uint8Array(0), () => undefined);
	harness.settle();
	assert.equal(harness.tree.tableCount, 0, 'nothing is left of either on the disk');
	assert.equal(harness.tree.view.readableMemtables.length, 1, 'nor in memory');
	assert.equal(harness.get('k'), undefined);
});

test('compactions that fail for hours use up no ids: the disk may be full for as long as it likes', () => {
	const harness = new TreeHarness();
	for (let i = 0; !harness.jobs.some((job) => job.kind === 'compact'); i++) {
		harness.put(keyOf(i % keyCount), `value ${i} `.repeat(12));
		while (harness.jobs[0]?.kind === 'flush' || harness.jobs[0]?.kind === 'prepareSegment') harness.runJob();
	}
	harness.disk.failNext({ operation: 'write', path: /sst$/, error: 'ENOSPC', persistent: true });
	let tryCount = 0;
	for (let i = 0; i < 1000; i++) {
		tryCount += harness.jobs.filter(({ kind }) => kind === 'compact').length;
		while (harness.runJob());
		harness.nowMs += 1001;
		harness.tick();
	}
	assert(tryCount < 30, `${tryCount} tries in 1000 s: each writes the disk full`);
	// What piled up for compaction does not hold deletes.
	assert.equal(harness.maintenance.admit(opDelete), statusOk);
	assert.equal(harness.maintenance.compactionCount, 0);
	harness.disk.clearFaults();
	harness.nowMs += spaceRetryMsMax + 1;
	harness.tick();
	harness.settle();
	assert(harness.maintenance.compactionCount > 0);
	assert.equal(harness.maintenance.refusal, undefined);
});
