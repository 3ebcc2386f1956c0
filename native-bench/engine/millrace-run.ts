/** Runs the plan on a partition of the real engine, with the benchmark's worker in place of the partition's. */
import { Engine } from '../../src/engine/engine.js';
import { engineOptions } from '../../src/open.js';
import type { PartitionOptions } from '../../src/storage/lsm/partition-options.js';
import { type BenchPlan, type BenchReport, planVariable, reportPrefix } from './bench-plan.js';

/** @returns the report, and milliseconds until the engine was open and until it was closed again */
export async function runMillrace(
	directory: string,
	plan: BenchPlan,
	storageOptions: Partial<PartitionOptions>,
): Promise<{ report: BenchReport; engineOpenMs: number; engineCloseMs: number }> {
	process.env[planVariable] = JSON.stringify(plan);
	const startMs = performance.now();
	let settle: { resolve: (report: BenchReport) => void; reject: (error: Error) => void } | undefined;
	const reported = new Promise<BenchReport>((resolve, reject) => {
		settle = { resolve, reject };
	});
	// A worker that dies at once must not be an unhandled rejection before anybody waits.
	reported.catch(() => {});
	const engine = await Engine.start({
		...engineOptions(directory, { partitions: 1, durability: 'none' }),
		storageOptionsFor: () => ({ ...storageOptions }),
		partitionWorkerUrl: new URL('bench-worker.js', import.meta.url),
		onNote: (text) => {
			if (text.startsWith(reportPrefix)) settle?.resolve(JSON.parse(text.slice(reportPrefix.length)) as BenchReport);
			else process.stderr.write(`note: ${text}\n`);
		},
		onDeath: (error) => settle?.reject(error),
	});
	const engineOpenMs = performance.now() - startMs;
	// An idle engine lets the process end: what it waits for here is no call.
	const alive = setInterval(() => undefined, 60_000);
	const report = await reported;
	clearInterval(alive);
	const closeStartMs = performance.now();
	await engine.close();
	return { report, engineOpenMs, engineCloseMs: performance.now() - closeStartMs };
}
