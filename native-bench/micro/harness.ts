/**
 * The harness of the micro benchmarks: prints what ran where, then one line for each case. Single-threaded cases are
 * timed by the `benchmark` package; cases it does not fit (two threads) are timed by rounds and reported alike.
 * MILLRACE_BENCH_TINY=1 runs everything for a moment only: the tests do, so that no benchmark rots.
 */
import os from 'node:os';
import Benchmark from 'benchmark';

export const isTiny = process.env.MILLRACE_BENCH_TINY === '1';

export interface BenchCase {
	readonly name: string;
	/** What one call of `run` does, in operations. */
	readonly operationCount: number;
	readonly run: () => void;
}

/** One line that says what the numbers below it depend on. */
export function printHeader(title: string, config: string): void {
	const cpus = os.cpus();
	console.log(`# ${title}${isTiny ? ' (tiny: the numbers mean nothing)' : ''}`);
	console.log(`# node ${process.version}, ${cpus.length} x ${cpus[0]?.model ?? 'unknown'}, ${os.platform()}`);
	console.log(`# ${config}`);
}

/** @param rmePercent relative margin of error of the mean at 95 % */
export function printResult(name: string, opsPerSecond: number, rmePercent: number): void {
	const ops = Math.round(opsPerSecond).toLocaleString('en-US').padStart(14);
	const nanoseconds = (1e9 / opsPerSecond).toFixed(1).padStart(9);
	console.log(`${name.padEnd(48)} ${ops} ops/s ${nanoseconds} ns/op  +-${rmePercent.toFixed(1)} %`);
}

/** Times each case by `benchmark` and prints it. @throws what a case throws */
export function runCases(title: string, config: string, cases: readonly BenchCase[]): void {
	printHeader(title, config);
	const options = isTiny ? { minTime: 0.001, maxTime: 0.002, minSamples: 2 } : { maxTime: 1 };
	for (const { name, operationCount, run } of cases) {
		let failure: unknown;
		const bench = new Benchmark(name, run, {
			...options,
			onError: (event: { target: { error?: unknown } }) => {
				failure = event.target.error ?? new Error(`${name} failed`);
			},
		});
		bench.run({ async: false });
		if (failure !== undefined) throw failure;
		printResult(name, bench.hz * operationCount, bench.stats.rme);
	}
}

/** Mean and relative margin of error (95 %, normal approximation) of the rounds' rates, printed as one result. */
export function printRounds(name: string, opsPerSecond: readonly number[]): void {
	const mean = opsPerSecond.reduce((sum, rate) => sum + rate, 0) / opsPerSecond.length;
	const squares = opsPerSecond.reduce((sum, rate) => sum + (rate - mean) ** 2, 0);
	const deviation = Math.sqrt(squares / Math.max(1, opsPerSecond.length - 1));
	printResult(name, mean, ((1.96 * deviation) / Math.sqrt(opsPerSecond.length) / mean) * 100);
}

/** Nanoseconds of a clock that all threads of the process share. Exact in a double for 104 days of uptime. */
export function sharedClockNs(): number {
	const [seconds, nanoseconds] = process.hrtime();
	return seconds * 1e9 + nanoseconds;
}
