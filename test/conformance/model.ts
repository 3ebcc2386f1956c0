/**
 * Conformance: random operations, done by the store under test and by the memory store, must come to the same. Versions are the
 * store's own affair: a condition is put in words ('the version it has'), and each store is asked for its number.
 *
 * A batch that is refused may name any of its failures: the partitions look at their parts side by side.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MillraceError } from '../../src/base/errors.js';
import type { BatchOperation, KeyRange, Snapshot, Store, StorePutOptions } from '../../src/command/store.js';
import { MemoryStore } from '../support/memory-store.js';
import { testSeed } from '../support/seed.js';
import { bytes, entriesOf, type MakeSubject, text } from './subject.js';

type Wanted = 'any' | 'current' | 'stale' | 'absent';
type Step = (store: Store, state: State) => Promise<unknown>;

/** What one of the two has beside its entries. */
interface State {
	readonly snapshots: Snapshot[];
}

/** A step and how it is printed when a run fails. */
interface Operation {
	readonly name: string;
	readonly run: Step;
}

const farMs = 4_000_000_000_000;
const keys = ['\x00', 'a', 'a\x00', 'ab', 'b', 'b\xff', 'c', 'd', 'e{t}', 'f{t}', '\xff', '\xff\xff'];
const key = fc.constantFrom(...keys);
const value = fc.oneof(
	fc.constantFrom('', '0', '7', '-12', 'word', '\x00\xff', '9223372036854775807'),
	fc.string({ unit: fc.constantFrom('x', 'y', '\x00'), maxLength: 40 }),
);
const delta = fc.oneof(fc.integer({ min: -50, max: 50 }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const wanted = fc.constantFrom<Wanted>('any', 'any', 'any', 'current', 'stale', 'absent');
const putOptions = fc.record(
	{
		expiresAtMs: fc.constantFrom(1, farMs, farMs + 1),
		ifAbsent: fc.constant(true),
		sliding: fc.constant(true),
	},
	{ requiredKeys: [] },
);

async function versionOf(store: Store, name: string, want: Wanted): Promise<{ ifVersion?: number }> {
	if (want === 'any') return {};
	if (want === 'absent') return { ifVersion: 0 };
	const version = (await store.getEntry(bytes(name)))?.version ?? 0;
	return { ifVersion: want === 'current' ? version : version + 1_000_000 };
}

function checked(options: StorePutOptions): StorePutOptions {
	const { sliding, ...others } = options;
	return sliding && others.expiresAtMs !== undefined ? options : others;
}

const batchOperation = fc.oneof(
	fc.tuple(key, wanted, value, putOptions).map(([name, want, content, options]) => async (store: Store) => ({
		type: 'put' as const,
		key: bytes(name),
		value: bytes(content),
		...checked(options),
		...(await versionOf(store, name, want)),
	})),
	fc.tuple(key, wanted).map(([name, want]) => async (store: Store) => ({
		type: 'delete' as const,
		key: bytes(name),
		...(await versionOf(store, name, want)),
	})),
	fc.tuple(key, delta).map(([name, step]) => async () => ({
		type: 'increment' as const,
		key: bytes(name),
		delta: step,
	})),
	fc.tuple(key, value).map(([name, tail]) => async () => ({
		type: 'append' as const,
		key: bytes(name),
		value: bytes(tail),
	})),
);

const bound = fc.constantFrom('', ...keys);
const range: fc.Arbitrary<KeyRange> = fc.oneof(
	fc.constant({}),
	bound.map((prefix) => ({ prefix: bytes(prefix) })),
	fc.tuple(bound, bound, fc.boolean(), fc.boolean()).map(([low, high, isLow, isHigh]) => ({
		...(isLow ? { gt: bytes(low) } : { gte: bytes(low) }),
		...(isHigh ? { lt: bytes(high) } : { lte: bytes(high) }),
	})),
);
/** Which of the snapshots held, or none. */
const snapshotIndex = fc.option(fc.nat({ max: 2 }), { nil: undefined, freq: 2 });

const at = (state: State, index: number | undefined): { snapshot?: Snapshot } => {
	const snapshot = index === undefined ? undefined : state.snapshots[index];
	return snapshot === undefined ? {} : { snapshot };
};

/** The name of a step is its kind and what was drawn for it. */
function step<T>(kind: string, drawn: fc.Arbitrary<T>, run: (given: T) => Step): fc.Arbitrary<Operation> {
	return drawn.map((given) => ({ name: `${kind} ${fc.stringify(given)}`, run: run(given) }));
}

const writes: fc.Arbitrary<Operation>[] = [
	step('put', fc.tuple(key, value, wanted, putOptions), ([name, content, want, options]) => async (store) => {
		const condition = await versionOf(store, name, want);
		return (await store.put(bytes(name), bytes(content), { ...checked(options), ...condition })) !== undefined;
	}),
	step('put kept', fc.tuple(key, value), ([name, content]) => async (store) => {
		return (await store.put(bytes(name), bytes(content), { keepExpiry: true, ifPresent: true })) !== undefined;
	}),
	step('delete', fc.tuple(key, wanted), ([name, want]) => async (store) => {
		return store.delete(bytes(name), await versionOf(store, name, want));
	}),
	step('increment', fc.tuple(key, delta, wanted), ([name, by, want]) => async (store) => {
		return store.increment(bytes(name), by, await versionOf(store, name, want));
	}),
	step('append', fc.tuple(key, value, wanted), ([name, tail, want]) => async (store) => {
		return store.append(bytes(name), bytes(tail), await versionOf(store, name, want));
	}),
	step('setExpiry', fc.tuple(key, putOptions), ([name, { expiresAtMs }]) => async (store) => {
		return store.setExpiry(bytes(name), expiresAtMs === undefined ? {} : { expiresAtMs });
	}),
	step('batch', fc.array(batchOperation, { maxLength: 6 }), (makers) => async (store) => {
		const operations: BatchOperation[] = [];
		for (const make of makers) operations.push(await make(store));
		try {
			return (await store.batch(operations)) ?? 'refused';
		} catch (error) {
			if (error instanceof MillraceError && /INTEGER|OVERFLOW/.test(error.code)) return 'refused';
			throw error;
		}
	}),
	step('deleteRange', range, (given) => (store) => store.deleteRange(given)),
];

const reads: fc.Arbitrary<Operation>[] = [
	step('get', fc.tuple(key, snapshotIndex), ([name, index]) => async (store, state) => {
		return text(await store.get(bytes(name), at(state, index)));
	}),
	step('getEntry', fc.tuple(key, snapshotIndex), ([name, index]) => async (store, state) => {
		const entry = await store.getEntry(bytes(name), at(state, index));
		return [text(entry?.value), entry?.expiresAtMs];
	}),
	step('getMany', fc.tuple(fc.array(key), snapshotIndex), ([names, index]) => async (store, state) => {
		return (await store.getMany(names.map(bytes), at(state, index))).map(text);
	}),
	step('has, getExpiry', key, (name) => async (store) => [
		await store.has(bytes(name)),
		await store.getExpiry(bytes(name)),
	]),
	step('scan', fc.tuple(range, snapshotIndex, fc.boolean(), fc.nat({ max: 14 })), (drawn) => async (store, state) => {
		const [given, index, reverse, limit] = drawn;
		return entriesOf(store, { ...given, reverse, limit, ...at(state, index) });
	}),
	step('count', fc.tuple(range, snapshotIndex), ([given, index]) => (store, state) => {
		return store.count({ ...given, ...at(state, index) });
	}),
];

const others: fc.Arbitrary<Operation>[] = [
	step('snapshot', fc.nat({ max: 2 }), (index) => async (store, { snapshots }) => {
		snapshots[index]?.close();
		snapshots[index] = await store.snapshot();
	}),
	step('flush', fc.constant(undefined), () => (store) => store.flush()),
	step('compact', range, (given) => (store) => store.compact(given)),
];

const operation = fc.oneof(
	{ arbitrary: fc.oneof(...writes), weight: 10 },
	{ arbitrary: fc.oneof(...reads), weight: 5 },
	{ arbitrary: fc.oneof(...others), weight: 1 },
);

/** What a step came to: its answer, or the kind of its error. */
async function outcomeOf(run: () => Promise<unknown>): Promise<unknown> {
	try {
		return await run();
	} catch (error) {
		if (error instanceof MillraceError) return error.code;
		throw error;
	}
}

export async function modelTests(name: string, makeSubject: MakeSubject, runCount: number): Promise<void> {
	let subject = await makeSubject();
	const seed = testSeed(`conformance, ${name}`) | 0;
	const runs = fc.asyncProperty(
		fc.array(operation, { maxLength: 60, size: 'max' }),
		fc.nat({ max: 7 }),
		async (operations, again) => {
			await subject.store.deleteRange();
			const model = new MemoryStore();
			const ours: State = { snapshots: [] };
			const theirs: State = { snapshots: [] };
			try {
				for (const [index, { name: title, run }] of operations.entries()) {
					const expected = await outcomeOf(() => run(model, theirs));
					const found = await outcomeOf(() => run(subject.store, ours));
					assert.deepEqual(found, expected, `operation ${index}: ${title}`);
				}
				assert.deepEqual(await entriesOf(subject.store), await entriesOf(model));
			} finally {
				for (const snapshot of [...ours.snapshots, ...theirs.snapshots]) snapshot?.close();
			}
			// One run in eight: opening takes its time.
			if (again === 0 && subject.reopen !== undefined) {
				subject = await subject.reopen();
				assert.deepEqual(await entriesOf(subject.store), await entriesOf(model), 'after opening it again');
			}
		},
	);
	try {
		await fc.assert(runs, { seed, numRuns: runCount, endOnFailure: false });
	} finally {
		await subject.close();
	}
}
