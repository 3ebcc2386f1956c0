/** Scans over partitions that cut their pages anywhere and are written to meanwhile, against the plainest meaning. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { hasCode, MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opEstimate, opScan, opSnapshot } from '../../../src/command/command-format.js';
import { createDatabaseMemory, GateSlot } from '../../../src/command/database-memory.js';
import { checkScan } from '../../../src/command/scan-options.js';
import type { StoreScanOptions } from '../../../src/command/store.js';
import { EpochGate } from '../../../src/engine/epoch-gate.js';
import type { ScanIterator } from '../../../src/engine/scan-iterator.js';
import { Scanner } from '../../../src/engine/scanner.js';
import { Snapshots } from '../../../src/engine/snapshots.js';
import { FakePartitions } from '../../support/fake-partitions.js';
import { isInRange, randomText } from '../../support/scan-world.js';
import { testSeed } from '../../support/seed.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface World {
	readonly partitions: FakePartitions;
	readonly snapshots: Snapshots;
	readonly scanner: Scanner;
	readonly prng: Prng;
	/** What is stored now. */
	readonly model: Map<string, string>;
	write(): void;
}

function makeWorld(seed: number, partitionCount: number): World {
	const prng = new Prng(seed);
	const partitions = new FakePartitions(partitionCount, prng);
	const gate = new EpochGate(new GateSlot(createDatabaseMemory(), 0));
	const snapshots = new Snapshots(partitions, gate);
	const model = new Map<string, string>();
	let count = 0;
	const write = (): void => {
		const key = randomText(prng, 1);
		const value = prng.chance(0.8) ? `value ${count++}` : undefined;
		partitions.write(key, value);
		if (value === undefined) model.delete(key);
		else model.set(key, value);
	};
	return { partitions, snapshots, scanner: new Scanner(partitions, snapshots), prng, model, write };
}

function randomOptions(prng: Prng): StoreScanOptions {
	const options: Record<string, unknown> = { reverse: prng.chance(0.5), keysOnly: prng.chance(0.2) };
	const bound = (): Buffer => Buffer.from(randomText(prng, 0), 'latin1');
	if (prng.chance(0.3)) options[prng.chance(0.5) ? 'gt' : 'gte'] = bound();
	if (prng.chance(0.3)) options[prng.chance(0.5) ? 'lt' : 'lte'] = bound();
	if (prng.chance(0.2)) options.prefix = bound();
	if (prng.chance(0.3)) options.limit = prng.below(30);
	return options;
}

/** What a scan of the model finds. */
function expected(model: ReadonlyMap<string, string>, options: StoreScanOptions): [string, string][] {
	const { snapshot: _, signal: __, ...selection } = options;
	const checked = checkScan(selection);
	const found = [...model]
		.filter(([key]) => isInRange(Buffer.from(key, 'latin1'), checked.options))
		.sort(([a], [b]) => (a < b ? -1 : 1))
		.map(([key, value]): [string, string] => [key, checked.options.isKeysOnly ? '' : value]);
	if (checked.options.isReverse) found.reverse();
	return found.slice(0, Math.min(found.length, checked.limit));
}

const text = ([key, value]: [Uint8Array, Uint8Array]): [string, string] => [
	Buffer.from(key).toString('latin1'),
	Buffer.from(value).toString('latin1'),
];

/** Reads on to the end, in one of the ways there are. */
async function readAll(scan: ScanIterator, { prng, write }: World): Promise<[string, string][]> {
	const found: [string, string][] = [];
	const way = prng.below(4);
	if (way === 0) {
		for await (const entry of scan) {
			found.push(text(entry));
			if (prng.chance(0.2)) write();
		}
		return found;
	}
	for (;;) {
		if (prng.chance(0.3)) write();
		if (way === 1) {
			const entries = await scan.nextMany(1 + prng.below(6));
			if (entries.length === 0) return found;
			found.push(...entries.map(text));
		} else if (way === 2) {
			// Nobody waits for the one before.
			const results = await Promise.all([scan.next(), scan.next(), scan.next()]);
			for (const { value } of results) if (value !== undefined) found.push(text(value));
			if (results[2].done === true) return found;
		} else {
			for (let entry = scan.maybeNext(); entry !== undefined; entry = scan.maybeNext()) found.push(text(entry));
			const { value } = await scan.next();
			if (value === undefined) return found;
			found.push(text(value));
		}
	}
}

test('a scan finds what was stored when it began, in order, and pins nothing afterwards', async () => {
	const seed = testSeed('scanner');
	for (let round = 0; round < 150; round++) {
		const world = makeWorld(seed + round, 1 + (round % 5));
		const { scanner, snapshots, prng, model, write, partitions } = world;
		for (let i = prng.below(120); i > 0; i--) write();
		const options = randomOptions(prng);
		const isGiven = prng.chance(0.3);
		const snapshot = isGiven ? snapshots.acquireSoon() : undefined;
		await snapshot?.ready;
		const before = new Map(model);
		if (isGiven) for (let i = prng.below(20); i > 0; i--) write();
		const scan = scanner.scan({ ...options, snapshot });
		if (!isGiven) {
			// The fakes pin when they are asked, each a little later than the other: nothing is written until then.
			const first = await scan.next();
			const rest = await readAll(scan, world);
			assert.deepEqual(first.value === undefined ? rest : [text(first.value), ...rest], expected(before, options));
		} else {
			assert.deepEqual(await readAll(scan, world), expected(before, options));
		}
		assert.deepEqual(await scan.next(), { done: true, value: undefined });
		snapshot?.close();
		for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
		assert.equal(partitions.pinnedCount, 0, `round ${round}`);
	}
});

test('a seek goes on anywhere in the range, at the same cut, and outside of it ends the scan', async () => {
	const seed = testSeed('scan seek');
	for (let round = 0; round < 80; round++) {
		const world = makeWorld(seed + round, 1 + (round % 4));
		const { scanner, snapshots, prng, model, write } = world;
		for (let i = prng.below(80); i > 0; i--) write();
		const options = { ...randomOptions(prng), limit: undefined };
		const { options: range } = checkScan(options);
		using snapshot = await snapshots.acquire();
		const before = new Map(model);
		const scan = scanner.scan({ ...options, snapshot });
		for (let i = 0; i < 5; i++) {
			for (let read = prng.below(10); read > 0; read--) await scan.next();
			write();
			const target = randomText(prng, 0);
			scan.seek(Buffer.from(target, 'latin1'));
			const isInside = isInRange(Buffer.from(target, 'latin1'), range);
			const rest = expected(before, options).filter(([key]) => (range.isReverse ? key <= target : key >= target));
			const many = await scan.nextMany(1000);
			assert.deepEqual(many.map(text), isInside ? rest.slice(0, many.length) : []);
			assert.equal(many.length === 0, !isInside || rest.length === 0);
			if (prng.chance(0.3)) assert.deepEqual(await readAll(scan, world), isInside ? rest.slice(many.length) : []);
		}
		await scan.return();
		scan.seek('a');
		assert.deepEqual(await scan.nextMany(3), [], 'ended by return');
	}
});

test('whoever stops, fails or aborts in the middle lets go', async () => {
	const seed = testSeed('scan stop');
	for (let round = 0; round < 40; round++) {
		const world = makeWorld(seed + round, 1 + (round % 3));
		const { scanner, prng, write, partitions } = world;
		for (let i = 0; i < 100; i++) write();
		const way = round % 4;
		const controller = new AbortController();
		const scan = scanner.scan({ signal: controller.signal });
		let left = prng.below(way === 2 ? 2 : 40);
		if (way === 2) {
			partitions.onRequest = (_, { opcode }) => {
				if (opcode === opScan && left-- <= 0) throw new MillraceError('MILLRACE_CORRUPT', 'a page is damaged');
			};
			await assert.rejects(readAll(scan, world), (error) => hasCode(error, 'MILLRACE_CORRUPT'));
		} else if (way === 3) {
			const reason = new Error('enough');
			setImmediate(() => setImmediate(() => controller.abort(reason)));
			await assert.rejects(readAll(scan, world), (error) => error === reason);
		} else {
			for await (const _ of scan) {
				if (left-- <= 0) {
					if (way === 0) break;
					void scan.next();
					await scan.return();
				}
			}
		}
		partitions.onRequest = () => undefined;
		assert.equal((await scan.next()).done, true);
		for (let i = 0; i < 12; i++) await new Promise((resolve) => setImmediate(resolve));
		assert.equal(partitions.pinnedCount, 0, `way ${way}`);
	}
});

test('calls that wait when the scan is ended find its end, whatever becomes of their pages', async () => {
	const { scanner, partitions, write } = makeWorld(5, 3);
	for (let i = 0; i < 50; i++) write();
	const scan = scanner.scan();
	partitions.onRequest = (_, { opcode }) => {
		if (opcode !== opScan) return;
		void scan.return();
		throw new MillraceError('MILLRACE_SNAPSHOT', 'it was released');
	};
	const waiting = [scan.next(), scan.next(), scan.nextMany(3)];
	const [first, second, many] = await Promise.all(waiting);
	assert.deepEqual([first, second, many], [{ done: true, value: undefined }, { done: true, value: undefined }, []]);
});

test('misuse throws at once; a closed database ends scans; nothing is asked before the first entry', async () => {
	const { scanner, snapshots, partitions, write } = makeWorld(1, 3);
	const other = makeWorld(2, 3);
	for (let i = 0; i < 50; i++) write();
	const bad: unknown[] = [
		{ gt: 'a', gte: 'b' },
		{ limit: -1 },
		{ limt: 1 },
		{ signal: {} },
		{ reverse: 1 },
		{ lt: 5 },
		5,
		null,
	];
	for (const options of bad) assert.throws(() => scanner.scan(options as StoreScanOptions), TypeError);
	const foreign = await other.snapshots.acquire();
	assert.throws(() => scanner.scan({ snapshot: foreign }), TypeError);
	foreign.close();
	const scan = scanner.scan();
	assert.equal(partitions.counts.size, 0);
	assert.throws(() => scan.seek(undefined as unknown as string), TypeError);
	await assert.rejects(scan.nextMany(0), TypeError);
	const closed = await snapshots.acquire();
	closed.close();
	closed.close();
	await assert.rejects(scanner.scan({ snapshot: closed }).next(), (error) => hasCode(error, 'MILLRACE_SNAPSHOT'));
	await scan.next();
	const waiting = scanner.scan().next();
	scanner.end(new MillraceError('MILLRACE_CLOSED', 'closed'));
	for (const each of [scan.next(), waiting, scanner.scan().next(), scanner.count()]) {
		await assert.rejects(each, (error) => hasCode(error, 'MILLRACE_CLOSED'));
	}
	assert.equal(scan.maybeNext(), undefined);
});

test('an iterator that was dropped is let go of, with a word about where it was made', async () => {
	const { scanner, partitions, write } = makeWorld(3, 2);
	for (let i = 0; i < 50; i++) write();
	const warnings: Error[] = [];
	const hear = (warning: Error): number => warnings.push(warning);
	process.on('warning', hear);
	const signal = new AbortController().signal;
	const dropOne = async (): Promise<void> => {
		// Neither its pages under way nor the signal keep it.
		assert.equal((await scanner.scan({ signal }).next()).done, false);
	};
	await dropOne();
	for (let i = 0; i < 200 && warnings.length === 0; i++) {
		collectGarbage();
		await new Promise((resolve) => setImmediate(resolve));
	}
	process.off('warning', hear);
	for (let i = 0; i < 12; i++) await new Promise((resolve) => setImmediate(resolve));
	assert.equal(partitions.pinnedCount, 0);
	assert.deepEqual(
		warnings.map(({ name }) => name),
		['MillraceScanWarning'],
	);
	assert.match(warnings[0]?.message ?? '', /neither finished.*Made at dropOne .*scanner\.test\.js/s);
});

test('counts are of one cut, or of a snapshot; an estimate asks for nothing else', async () => {
	const seed = testSeed('count');
	for (let round = 0; round < 20; round++) {
		const { scanner, snapshots, partitions, prng, model, write } = makeWorld(seed + round, 1 + (round % 3));
		for (let i = 0; i < 60; i++) write();
		const { reverse: _, limit: __, keysOnly: ___, ...range } = randomOptions(prng);
		const found = expected(model, range).length;
		assert.equal(await scanner.count(range), found);
		using snapshot = await snapshots.acquire();
		for (let i = 0; i < 20; i++) write();
		assert.equal(await scanner.count({ ...range, snapshot }), found);
		const pinCount = partitions.counts.get(opSnapshot);
		assert.equal(await scanner.count({ ...range, estimate: true }), expected(model, range).length);
		assert.equal(partitions.counts.get(opEstimate), 1 + (round % 3));
		assert.equal(partitions.counts.get(opSnapshot), pinCount);
	}
});
