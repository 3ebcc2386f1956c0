/**
 * One phase of one store in a process of its own: nothing of another store is loaded, the memory is its own. The plan is the
 * argument, the report the only line on standard output.
 */
import { keySize, valueSize } from '../engine/workload.js';
import { type CellName, type CellResult, type Plan, type Report, spreadCount } from './bench-plan.js';
import { type BenchStore, storeModule } from './bench-store.js';
import { hotNumbers, Load } from './load.js';
import { readInThreads } from './thread-reads.js';
import { measure, putAll, putBatches, readInFlight, readMany, readSync, scanAll, warmSync } from './workloads.js';

const quietShare = 0.1;
const quietCheckMs = 250;
const quietCheckCount = 4;
const settleSecondsMax = 120;
/** Puts of the synced phase at most: so many that the fastest store needs seconds. */
const syncedCountMax = 1_000_000;
const warmCountMax = 20_000;

type Cells = Partial<Record<CellName, CellResult>>;

/** Waits until the process does nothing any more: flushes and compactions of what was loaded are over. */
async function settle(): Promise<void> {
	const endMs = performance.now() + settleSecondsMax * 1000;
	for (let quiet = 0; quiet < quietCheckCount && performance.now() < endMs; ) {
		const before = process.cpuUsage();
		await new Promise((resolve) => setTimeout(resolve, quietCheckMs));
		const { user, system } = process.cpuUsage(before);
		quiet = user + system < quietCheckMs * 1000 * quietShare ? quiet + 1 : 0;
	}
}

async function runReads(store: BenchStore, load: Load, plan: Plan): Promise<Cells> {
	const hot = hotNumbers(plan.keyCount, plan.hotCount, plan.seed);
	const all = load.shuffled(plan.keyCount);
	const spread = all.slice(0, spreadCount);
	const { secondsMax } = plan;
	await settle();
	const cells: Cells = {};
	cells.scan = await scanAll(store.scan, plan, keySize + valueSize);
	if (store.scanPages !== undefined) cells.scanPages = await scanAll(store.scanPages, plan, keySize + valueSize);
	const sync = (numbers: Uint32Array, get: BenchStore['getSync']): Promise<CellResult> => {
		warmSync(get, load, numbers, plan);
		return measure(async () => readSync(get, load, numbers, secondsMax));
	};
	cells.getSync = await sync(hot, store.getSync);
	if (store.getSyncVolatile !== undefined) cells.getSyncVolatile = await sync(hot, store.getSyncVolatile);
	cells.getSyncSpread = await sync(spread, store.getSync);
	cells.getSyncUniform = await sync(all, store.getSync);
	if (store.get !== undefined) {
		// The first time makes code and keys hot.
		for (let i = 0; i < 2; i++) cells.get = await readInFlight(store.get, load, hot, plan);
		for (let i = 0; i < 2; i++) cells.getUniform = await readInFlight(store.get, load, all, plan);
	}
	await readMany(store.getMany, load, hot, plan);
	cells.getMany = await readMany(store.getMany, load, hot, plan);
	if (store.getManySync !== undefined) cells.getManySync = await readMany(store.getManySync, load, hot, plan);
	cells.oneThread = await readInThreads(store, plan, 1);
	cells.twoThreads = await readInThreads(store, plan, 2);
	return cells;
}

async function runPhase(store: BenchStore, plan: Plan): Promise<Cells> {
	const load = new Load(plan.seed);
	if (plan.phase === 'read') return runReads(store, load, plan);
	const numbers = load.shuffled(plan.keyCount);
	// Code is compiled as it gets hot, in every store: some of the keys are put twice.
	const warmCount = Math.min(warmCountMax, plan.keyCount);
	await putAll(store, load, numbers, plan, warmCount, plan.secondsMax);
	if (plan.phase === 'put') {
		return { put: await putAll(store, load, numbers, plan, plan.keyCount, Number.POSITIVE_INFINITY) };
	}
	if (plan.phase === 'synced') {
		return { putSynced: await putAll(store, load, numbers, plan, syncedCountMax, plan.secondsMax) };
	}
	await putBatches(store, load, numbers.subarray(0, warmCount), plan, 4);
	const batch = await putBatches(store, load, numbers, plan, 1);
	await settle();
	return { batch, batchFour: await putBatches(store, load, load.shuffle(numbers), plan, 4) };
}

const plan = JSON.parse(process.argv[2]) as Plan;
const { openStore } = await storeModule(plan.store);
const store = await openStore(plan.directory, plan.phase, plan.options);
const cells = await runPhase(store, plan);
const { version, settings } = store;
await store.close();
const peakBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ version, settings, cells, peakBytes } satisfies Report));
