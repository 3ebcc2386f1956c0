/**
 * Iterators with bounds, limits and seeks, at random, against a sorted array. (abstract-level's suite has a table of seeks within
 * ranges, but never runs it.)
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MillraceLevel } from '../../src/level/index.js';
import { MemoryStore } from '../support/memory-store.js';
import { testSeed } from '../support/seed.js';

const key = fc.uint8Array({ maxLength: 3, max: 2 });
const maybeKey = fc.option(key, { nil: undefined });
const bounds = fc.record({ gt: maybeKey, gte: maybeKey, lt: maybeKey, lte: maybeKey });
type Bounds = Partial<Record<'gt' | 'gte' | 'lt' | 'lte', Uint8Array | undefined>>;

const step = fc.oneof(
	fc.constant({ kind: 'next' as const }),
	fc.record({ kind: fc.constant('nextv' as const), size: fc.integer({ min: 1, max: 5 }) }),
	fc.record({ kind: fc.constant('seek' as const), target: key }),
);

/** As abstract-level says it: the inclusive bound takes precedence. */
function isWithin(name: Uint8Array, { gt, gte, lt, lte }: Bounds): boolean {
	if (gte !== undefined ? Buffer.compare(name, gte) < 0 : gt !== undefined && Buffer.compare(name, gt) <= 0)
		return false;
	return lte !== undefined ? Buffer.compare(name, lte) <= 0 : lt === undefined || Buffer.compare(name, lt) < 0;
}

/** The names of an iterator that are still to come. */
class ModelIterator {
	#left: number;
	readonly #all: Buffer[];
	#rest: Buffer[];
	readonly #bounds: Bounds;
	readonly #isReverse: boolean;

	constructor(names: readonly Uint8Array[], range: Bounds, isReverse: boolean, limit: number) {
		const unique = new Map(names.map((name) => [Buffer.from(name).toString('hex'), Buffer.from(name)]));
		const ordered = [...unique.values()].sort(Buffer.compare).filter((name) => isWithin(name, range));
		this.#all = isReverse ? ordered.reverse() : ordered;
		this.#rest = [...this.#all];
		this.#left = limit < 0 ? Number.POSITIVE_INFINITY : limit;
		this.#bounds = range;
		this.#isReverse = isReverse;
	}

	take(count: number): string[] {
		const taken = this.#rest.splice(0, Math.min(count, this.#left));
		this.#left -= taken.length;
		return taken.map((name) => name.toString('hex'));
	}

	seek(target: Uint8Array): void {
		const sign = this.#isReverse ? -1 : 1;
		const isInside = isWithin(target, this.#bounds);
		this.#rest = isInside ? this.#all.filter((name) => Buffer.compare(name, target) * sign >= 0) : [];
	}
}

test('iterators, keys and values with bounds, limits and seeks, against a sorted array', async () => {
	const seed = testSeed('level-iterators') | 0;
	const drawn = [fc.array(key), bounds, fc.boolean(), fc.integer({ min: -1, max: 6 }), fc.array(step)] as const;
	const property = fc.asyncProperty(...drawn, fc.nat({ max: 2 }), async (names, range, reverse, limit, steps, kind) => {
		const level = new MillraceLevel<Uint8Array, Uint8Array>(new MemoryStore(), {
			keyEncoding: 'view',
			valueEncoding: 'view',
		});
		await level.batch(names.map((name) => ({ type: 'put' as const, key: name, value: name })));
		const given = Object.fromEntries(Object.entries(range).filter(([, bound]) => bound !== undefined));
		const options = { ...given, reverse, limit };
		const iterator = kind === 0 ? level.keys(options) : kind === 1 ? level.values(options) : level.iterator(options);
		const model = new ModelIterator(names, range, reverse, limit);
		const hexOf = (item: unknown): string => {
			const [name, value] = Array.isArray(item) ? item : [item, item];
			assert.deepEqual(Buffer.from(name), Buffer.from(value));
			return Buffer.from(name).toString('hex');
		};
		for (const each of steps) {
			if (each.kind === 'seek') {
				iterator.seek(each.target);
				model.seek(each.target);
			} else if (each.kind === 'next') {
				const item: unknown = await iterator.next();
				assert.deepEqual(item === undefined ? [] : [hexOf(item)], model.take(1));
			} else {
				const items: unknown[] = await iterator.nextv(each.size);
				assert.deepEqual(items.map(hexOf), model.take(each.size));
			}
		}
		await level.close();
	});
	await fc.assert(property, { seed, numRuns: 500 });
});
