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

/** What the lanes of a cell share: how much has been begun, and whether there is more to do. */
class Budget {
	readonly #countMax: number;
	readonly #endMs: number;
	begunCount = 0;

	constructor(countMax: number, secondsMax: number) {
		this.#countMax = countMax;
		this.#endMs = performance.now() + secondsMax * 1000;
	}

	/** False: the lane is to end. Looks at the clock now and then. */
	begin(): boolean {
		if (this.begunCount >= this.#countMax) return false;
		if ((this.begunCount & 63) === 0 && performance.now() >= this.#endMs) return false;
		this.begunCount++;
		return true;
	}
}

/** Runs so many lanes at once. Each is a loop that begins an operation, awaits it and begins the next. */
async function inLanes(laneCount: number, lane: () => Promise<void>): Promise<void> {
	await Promise.all(Array.from({ length: laneCount }, lane));
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
	return measure(async () => {
		const budget = new Budget(countMax, secondsMax);
		await inLanes(plan.inFlight, async () => {
			while (budget.begin()) {
				const number = walk.next();
				await store.put(load.key(number), load.value(number));
			}
		});
		return budget.begunCount;
	});
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
		const budget = new Budget(Math.ceil(numbers.length / batchCount), Number.POSITIVE_INFINITY);
		await inLanes(laneCount, async () => {
			while (budget.begin()) {
				const keys: Buffer[] = [];
				const values: Buffer[] = [];
				for (let i = 0; i < batchCount; i++) {
					const number = walk.next();
					keys.push(load.key(number));
					values.push(load.value(number));
				}
				await store.batch(keys, values);
			}
		});
		return budget.begunCount * batchCount;
	});
}

/** @param countMin reads to do even when the time is over @returns reads done, every one found */
export function readSync(get: SyncGet, load: Load, numbers: Uint32Array, secondsMax: number, countMin = 0): number {
	const walk = new Walk(numbers);
	const endMs = performance.now() + secondsMax * 1000;
	let count = 0;
	do {
		for (let i = 0; i < stretchCount; i++) {
			const number = walk.next();
			load.mustBe(number, get(load.key(number)));
		}
		count += stretchCount;
	} while (count < countMin || performance.now() < endMs);
	return count;
}

/** Passes over keys that are to be hot, after which they are in every cache that can hold them. */
const warmPassCount = 4;

export function warmSync(get: SyncGet, load: Load, numbers: Uint32Array, plan: Plan): void {
	const countMin = numbers.length <= plan.hotCount ? warmPassCount * numbers.length : 0;
	readSync(get, load, numbers, plan.secondsMax / 2, countMin);
}

export function readInFlight(
	get: (key: Buffer) => Promise<Uint8Array | undefined>,
	load: Load,
	numbers: Uint32Array,
	plan: Plan,
): Promise<CellResult> {
	const walk = new Walk(numbers);
	return measure(async () => {
		const budget = new Budget(Number.POSITIVE_INFINITY, plan.secondsMax);
		await inLanes(plan.inFlight, async () => {
			while (budget.begin()) {
				const number = walk.next();
				load.mustBe(number, await get(load.key(number)));
			}
		});
		return budget.begunCount;
	});
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

/**
 * Whole scans, one after the other, until the time is over: at least one, and each must see everything. Warmed like point reads.
 */
export async function scanAll(scan: () => Promise<ScanSum>, plan: Plan, entrySize: number): Promise<CellResult> {
	const scanFor = async (seconds: number): Promise<number> => {
		const endMs = performance.now() + seconds * 1000;
		let count = 0;
		do {
			const { entryCount, byteCount } = await scan();
			if (entryCount !== plan.keyCount || byteCount !== entryCount * entrySize) {
				throw new Error(`a scan saw ${entryCount} entries of ${byteCount} bytes`);
			}
			count += entryCount;
		} while (performance.now() < endMs);
		return count;
	};
	await scanFor(plan.secondsMax / 2);
	return measure(() => scanFor(plan.secondsMax));
}
