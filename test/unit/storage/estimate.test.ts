/** Estimates of counts, over partitions of several shapes: within the factors that estimate.ts states. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { flagArgument, opDelete, opDeleteRange, opPut } from '../../../src/command/command-format.js';
import { type ScanRange, wholeRange } from '../../../src/command/scan-options.js';
import { encodeFilter, Filter } from '../../../src/storage/lsm/table/filter.js';
import { commonKeyCount } from '../../../src/storage/lsm/table/filter-overlap.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const keyCount = 6000;
const blockKeys = 40;
const value = 'v'.repeat(20);
const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`;

/** What is stored, beside the partition. */
class Shape {
	readonly harness = new PartitionHarness(new SimulatedDisk(), {
		partition: { memtableSize: 2 << 20, tableFileSize: 64 * 1024, baseLevelSize: 128 * 1024 },
		nowMs: 1000,
	});
	readonly live = new Set<string>();
	#count = 0;

	put(key: string, expiresAtMs = 0): void {
		const flags = expiresAtMs === 0 ? 0 : flagArgument;
		this.harness.execute({ opcode: opPut, flags, argument: expiresAtMs, key, value });
		this.live.add(key);
		this.#pace();
	}

	delete(key: string): void {
		this.harness.execute({ opcode: opDelete, key });
		this.live.delete(key);
		this.#pace();
	}

	deleteRange(start: string, end: string): void {
		this.harness.execute({ opcode: opDeleteRange, key: start, value: end });
		for (const key of this.live) if (key >= start && (end === '' || key < end)) this.live.delete(key);
	}

	putAll(step = 1, from = 0): void {
		for (let i = from; i < keyCount; i += step) this.put(keyOf(i));
	}

	/** @returns the estimate and the truth */
	count(lower?: string, upper?: string): [estimate: number, exact: number] {
		const bound = (text: string | undefined): Buffer | undefined =>
			text === undefined ? undefined : Buffer.from(text);
		const range: ScanRange = { ...wholeRange, lower: bound(lower), upper: bound(upper), isLowerInclusive: true };
		const exact = [...this.live].filter((key) => (lower ?? '') <= key && (upper === undefined || key < upper)).length;
		return [this.harness.partition.estimate(range), exact];
	}

	#pace(): void {
		if (++this.#count % 50 === 0) this.harness.settle();
	}
}

/** The whole, halves and tenths are within `factor`; narrow ranges within some blocks. */
function check(shape: Shape, factor: number, tableCount: number, what: string): void {
	const wide: [string?, string?][] = [
		[],
		[keyOf(0), keyOf(keyCount / 2)],
		[keyOf(keyCount / 2)],
		[keyOf(3000), keyOf(3600)],
	];
	for (const [lower, upper] of wide) {
		const [estimate, exact] = shape.count(lower, upper);
		const slack = blockKeys * tableCount;
		const says = `${what}: ${estimate} for ${exact} in ${lower} … ${upper}`;
		assert.ok(estimate <= exact * factor + slack && estimate >= exact / factor - slack, says);
	}
	const [narrow, exact] = shape.count(keyOf(1234), keyOf(1240));
	assert.ok(Math.abs(narrow - exact) <= blockKeys * tableCount + exact, `${what}: ${narrow} for ${exact}`);
	assert.equal(shape.count('nothing', 'nothing has this')[0], 0, what);
}

test('memtables only: few keys exactly, many by a sample; deleted, overwritten and covered ones are not counted', () => {
	const shape = new Shape();
	assert.deepEqual(shape.count(), [0, 0]);
	for (let i = 0; i < 900; i++) shape.put(keyOf(i));
	for (let i = 0; i < 900; i += 3) shape.put(keyOf(i));
	for (let i = 0; i < 900; i += 5) shape.delete(keyOf(i));
	shape.deleteRange(keyOf(100), keyOf(200));
	for (let i = 0; i < 50; i++) shape.put(`expired ${i}`, 1001);
	for (let i = 0; i < 50; i++) shape.live.delete(`expired ${i}`);
	shape.harness.settle();
	shape.harness.nowMs = 5000;
	shape.put(keyOf(150));
	const exact: (string | undefined)[][] = [[], [keyOf(10)], [keyOf(50), keyOf(500)], [undefined, keyOf(7)], ['x', 'y']];
	for (const [lower, upper] of exact) {
		const [estimate, count] = shape.count(lower, upper);
		assert.equal(estimate, count);
	}
	shape.putAll();
	check(shape, 1.1, 0, 'many');
	shape.harness.close();
});

test('tables: stored once, overwritten, deleted, in levels and with memtables above', () => {
	const shape = new Shape();
	shape.putAll();
	shape.harness.flush();
	check(shape, 1.1, 1, 'flushed');
	shape.putAll();
	check(shape, 1.1, 1, 'overwritten in a memtable');
	shape.harness.flush();
	check(shape, 1.1, 2, 'overwritten in a table');
	shape.harness.compact('', '');
	check(shape, 1.1, 1, 'compacted');
	for (let i = 0; i < keyCount; i += 3) shape.put(keyOf(i));
	for (let i = 0; i < keyCount; i += 3) shape.put(`${keyOf(i)} more`);
	check(shape, 1.25, 2, 'some overwritten and some new in a memtable');
	shape.harness.flush();
	check(shape, 1.25, 2, 'some overwritten and some new in a table');
	for (let i = 0; i < keyCount; i += 2) shape.delete(keyOf(i));
	check(shape, 1.25, 3, 'half deleted in a memtable');
	shape.harness.flush();
	check(shape, 1.25, 3, 'half deleted in a table');
	for (const key of [...shape.live]) shape.delete(key);
	shape.harness.flush();
	const [estimate] = shape.count();
	assert.ok(estimate < keyCount / 10, `${estimate} of none`);
	shape.harness.close();
});

test('deleted ranges and expired entries of tables are taken off', () => {
	const shape = new Shape();
	shape.putAll();
	shape.harness.flush();
	shape.deleteRange(keyOf(1000), keyOf(4000));
	check(shape, 1.1, 2, 'a range deleted');
	shape.harness.flush();
	shape.putAll(2);
	check(shape, 1.25, 2, 'half written again');
	shape.harness.flush();
	check(shape, 1.25, 2, 'half written again, flushed');
	shape.deleteRange('', '');
	assert.deepEqual(shape.count(), [0, 0]);
	for (let i = 0; i < 3000; i++) shape.put(keyOf(i), 10_000);
	shape.harness.flush();
	assert.ok(Math.abs(shape.count()[0] - 3000) < 300);
	shape.harness.nowMs = 20_000;
	shape.put('now');
	assert.ok(shape.count()[0] <= 1);
	shape.harness.close();
});

test('filters of any two sizes tell how many keys are common', () => {
	const prng = new Prng(testSeed('filter overlap'));
	const hashes = Array.from({ length: 60_000 }, () => prng.nextU32());
	const filterOf = (keys: readonly number[], bitsPerKey: number): Filter => {
		const filter = Filter.decode(encodeFilter(Uint32Array.from(keys), keys.length, bitsPerKey));
		assert.ok(filter !== undefined);
		return filter;
	};
	for (let round = 0; round < 60; round++) {
		const sizes = [0, 1].map(() => 3000 + prng.below(20_000)) as [number, number];
		const common = Math.floor(Math.min(...sizes) * (prng.below(5) / 4));
		const a = hashes.slice(0, sizes[0]);
		const b = hashes.slice(sizes[0] - common, sizes[0] - common + sizes[1]);
		const [bitsA, bitsB] = [0, 1].map(() => (prng.chance(0.5) ? 10 : 14)) as [number, number];
		const found = commonKeyCount(
			{ filter: filterOf(a, bitsA), keyCount: sizes[0] },
			{ filter: filterOf(b, bitsB), keyCount: sizes[1] },
		);
		const off = Math.abs((found ?? 0) - common) / Math.max(...sizes);
		assert.ok(off < 0.06, `${found} for ${common} of ${sizes} with ${bitsA}, ${bitsB} bits`);
	}
	const none = filterOf([1, 2, 3], 0);
	assert.equal(commonKeyCount({ filter: none, keyCount: 3 }, { filter: none, keyCount: 3 }), undefined);
});
