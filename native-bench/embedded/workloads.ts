/**
 * The cells, the same code for every store. Each runs until there is nothing left to do or its time is over, and checks what it
 * reads. "In flight" is so many loops that each await their operation and begin the next: an application with so many requests.
 */
import type { CellResult, Plan } from './bench-plan.js';
import type { BenchStore, ScanSum, SyncGet } from './bench-store.js';
import type { Load } from './load.js';

/** Operations between two looks at the clock, where one takes less than a microsecond or so. */
const stretchCount = 1000;

/** @param run resolves to the operations done */
export async function measure(run: () => Promise<number>): Promise<CellResult> {
	const cpu = process.cpuUsage();
	const startMs = performance.now();
	const count = await run();
	const seconds = (performance.now() - startMs) / 1000;
	const { user, system } = process.cpuUsage(cpu);
	if (count === 0) throw new Error('nothing was done');
	return { count, seconds, cpuUs: (user + system) / count };
}

/** Walks numbers round and round. */
class Walk {
	readonly #numbers: Uint32Array;
	#index = 0;

	constructor(numbers: Uint32Array) {
		this.#numbers = numbers;
	}

	next(): number {
		if (this.#index === this.#numbers.length) this.#index = 0;
		return this.#numbers[this.#index++];
	}
}

/** One operation after the other in each of `laneCount` loops. @returns operations done */
async function inLanes(laneCount: number, countMax: number, endMs: number, one: () => Promise<void>): Promise<number> {
	let begun = 0;
	const lane = async (): Promise<void> => {
		while (begun < countMax && ((begun & 63) !== 0 || performance.now() < endMs)) {
			begun++;
			await one();
		}
	};
	await Promise.all(Array.from({ length: Math.min(laneCount, countMax) }, lane));
	return begun;
}

/** Puts every number once (round and round when `countMax` says more). */
export function putAll(
	store: BenchStore,
	load: Load,
	numbers: Uint32Array,
	plan: Plan,
	countMax: number,
	secondsMax: number,
): Promise<CellResult> {
	const walk = new Walk(numbers);
	return measure(() =>
		inLanes(plan.inFlight, countMax, performance.now() + secondsMax * 1000, async () => {
			const number = walk.next();
			await store.put(load.key(number), load.value(number));
		}),
	);
}

export function putBatches(
	store: BenchStore,
	load: Load,
	numbers: Uint32Array,
	plan: Plan,
	laneCount: number,
): Promise<CellResult> {
	const walk = new Walk(numbers);
	const { batchCount } = plan;
	return measure(async () => {
		const done = await inLanes(
			laneCount,
			Math.ceil(numbers.length / batchCount),
			Number.POSITIVE_INFINITY,
			async () => {
				const keys: Buffer[] = [];
				const values: Buffer[] = [];
				for (let i = 0; i < batchCount; i++) {
					const number = walk.next();
					keys.push(load.key(number));
					values.push(load.value(number));
				}
				await store.batch(keys, values);
			},
		);
		return done * batchCount;
	});
}

/** @returns reads done, every one found */
export function readSync(get: SyncGet, load: Load, numbers: Uint32Array, secondsMax: number): number {
	const walk = new Walk(numbers);
	const endMs = performance.now() + secondsMax * 1000;
	let count = 0;
	do {
		for (let i = 0; i < stretchCount; i++) {
			const number = walk.next();
			load.mustBe(number, get(load.key(number)));
		}
		count += stretchCount;
	} while (performance.now() < endMs);
	return count;
}

export function readInFlight(
	get: (key: Buffer) => Promise<Uint8Array | undefined>,
	load: Load,
	numbers: Uint32Array,
	plan: Plan,
): Promise<CellResult> {
	const walk = new Walk(numbers);
	const endMs = performance.now() + plan.secondsMax * 1000;
	return measure(() =>
		inLanes(plan.inFlight, Number.POSITIVE_INFINITY, endMs, async () => {
			const number = walk.next();
			load.mustBe(number, await get(load.key(number)));
		}),
	);
}

type ManyGet = (keys: Buffer[]) => Promise<(Uint8Array | undefined)[]> | (Uint8Array | undefined)[];

/** One call of `getManyCount` keys after the other; counted in keys. */
export function readMany(getMany: ManyGet, load: Load, numbers: Uint32Array, plan: Plan): Promise<CellResult> {
	const walk = new Walk(numbers);
	const endMs = performance.now() + plan.secondsMax * 1000;
	const asked = new Uint32Array(plan.getManyCount);
	return measure(async () => {
		let count = 0;
		do {
			const keys: Buffer[] = [];
			for (let i = 0; i < asked.length; i++) {
				asked[i] = walk.next();
				keys.push(load.key(asked[i]));
			}
			const answer = getMany(keys);
			const values = Array.isArray(answer) ? answer : await answer;
			for (let i = 0; i < asked.length; i++) load.mustBe(asked[i], values[i]);
			count += asked.length;
		} while (performance.now() < endMs);
		return count;
	});
}

/** Whole scans, one after the other, until the time is over: at least one, and each must see everything. */
export function scanAll(scan: () => Promise<ScanSum>, plan: Plan, entrySize: number): Promise<CellResult> {
	const endMs = performance.now() + plan.secondsMax * 1000;
	return measure(async () => {
		let count = 0;
		do {
			const { entryCount, byteCount } = await scan();
			if (entryCount !== plan.keyCount || byteCount !== entryCount * entrySize) {
				throw new Error(`a scan saw ${entryCount} entries of ${byteCount} bytes`);
			}
			count += entryCount;
		} while (performance.now() < endMs);
		return count;
	});
}
