/**
 * The partition's thread of the engine benchmark: spawned by the real engine in place of workers/partition-worker.ts, on the same
 * parts (log thread, background pool, mail). Carries out the plan, reports, then serves its ring like any partition, so that the
 * engine can close it.
 */
import { readFileSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { Prng } from '../../src/base/prng.js';
import type { PartitionBoot } from '../../src/command/worker-boot.js';
import { openPartitionThread } from '../../workers/partition-thread.js';
import { BenchPartition } from './bench-partition.js';
import {
	type BenchPlan,
	type BenchReport,
	type CellName,
	type MemoryReport,
	planVariable,
	reportPrefix,
} from './bench-plan.js';
import { Durations, keySize, NumberSet, Values, valueSize } from './workload.js';

const plan = JSON.parse(process.env[planVariable] ?? '{}') as BenchPlan;
const idlePutCount = 20_000;

/** One number of /proc/self/status or /proc/self/io. */
function processNumber(file: 'status' | 'io', name: string): number {
	const line = readFileSync(`/proc/self/${file}`, 'utf8')
		.split('\n')
		.find((text) => text.startsWith(`${name}:`));
	return Number(line?.match(/\d+/)?.[0] ?? 0);
}

function memoryReport(): MemoryReport {
	return {
		residentBytes: processNumber('status', 'VmRSS') * 1024,
		peakBytes: processNumber('status', 'VmHWM') * 1024,
	};
}

/** Processor time of this thread so far, in microseconds; 0 where the kernel does not tell. */
function threadCpuUs(): number {
	try {
		return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1000;
	} catch {
		return 0;
	}
}

class LoadRun {
	readonly #bench: BenchPartition;
	readonly #prng = new Prng(plan.seed);
	readonly #values = new Values(new Prng(plan.seed + 1));
	readonly #written = new NumberSet(plan.keyCount);
	readonly #opsPerSecond: Partial<Record<CellName, number>> = {};
	readonly #cpuUsPerOp: Partial<Record<CellName, number>> = {};
	#foundCount = 0;

	constructor(bench: BenchPartition) {
		this.#bench = bench;
	}

	run(openMs: number): BenchReport {
		const startBytes = processNumber('io', 'wchar');
		const fillrandom = this.#putAll('fillrandom');
		const overwrite = this.#putAll('overwrite');
		const settleStartMs = performance.now();
		this.#bench.settle();
		const settleMs = performance.now() - settleStartMs;
		const writes = {
			userBytes: 2 * plan.keyCount * (keySize + valueSize),
			writtenBytes: processNumber('io', 'wchar') - startBytes,
			flushedBytes: this.#bench.flushedBytes,
			compactedBytes: this.#bench.compactedBytes,
		};
		const settledTableBytes = this.#bench.tableBytes;
		this.#readAll();
		const idle = this.#putSlowly();
		const memory = memoryReport();
		const { statistics } = this.#bench;
		return {
			openMs,
			opsPerSecond: this.#opsPerSecond,
			cpuUsPerOp: this.#cpuUsPerOp,
			putLatency: { fillrandom, overwrite, idle },
			stallMs: this.#bench.stallMs,
			stallMsMax: this.#bench.stallMsMax,
			settleMs,
			distinctKeys: this.#written.count,
			foundCount: this.#foundCount,
			writes,
			space: { settledTableBytes, compactedTableBytes: this.#bench.compactAll() },
			memory,
			statistics,
		};
	}

	#measure(cell: CellName, count: number, work: () => void): void {
		const startCpuUs = threadCpuUs();
		const startMs = performance.now();
		work();
		this.#opsPerSecond[cell] = (count * 1000) / (performance.now() - startMs);
		this.#cpuUsPerOp[cell] = (threadCpuUs() - startCpuUs) / count;
	}

	/** One clock reading for each put: the end of one is the start of the next. */
	#putAll(cell: 'fillrandom' | 'overwrite'): ReturnType<Durations['summary']> {
		const durations = new Durations();
		this.#measure(cell, plan.keyCount, () => {
			let lastMs = performance.now();
			for (let i = 0; i < plan.keyCount; i++) {
				const number = this.#prng.below(plan.keyCount);
				this.#written.add(number);
				this.#bench.put(number, this.#values.bytes, this.#values.nextOffset());
				const nowMs = performance.now();
				durations.add(nowMs - lastMs);
				lastMs = nowMs;
			}
		});
		return durations.summary();
	}

	#readAll(): void {
		const { readCount, keyCount } = plan;
		const check = (what: string, number: number, isFound: boolean): void => {
			if (isFound !== this.#written.has(number)) throw new Error(`${what} of key ${number}: found ${isFound}`);
		};
		this.#measure('readrandom', readCount, () => {
			for (let i = 0; i < readCount; i++) {
				const number = this.#prng.below(keyCount);
				const isFound = this.#bench.get(number);
				if (isFound) this.#foundCount++;
				check('get', number, isFound);
			}
		});
		this.#measure('seekrandom', readCount, () => {
			for (let i = 0; i < readCount; i++) {
				const number = this.#prng.below(keyCount);
				check('seek', number, this.#bench.seek(number));
			}
		});
		const walkCount = Math.min(readCount, this.#written.count);
		this.#measure('readseq', walkCount, () => {
			const count = this.#bench.walk(readCount);
			if (count !== walkCount) throw new Error(`a walk saw ${count} entries, not ${walkCount}`);
		});
	}

	/** Single puts while nothing else is going on. */
	#putSlowly(): ReturnType<Durations['summary']> {
		const durations = new Durations();
		for (let i = 0; i < Math.min(idlePutCount, plan.keyCount); i++) {
			const number = this.#prng.below(plan.keyCount);
			this.#written.add(number);
			const valueOffset = this.#values.nextOffset();
			const startMs = performance.now();
			this.#bench.put(number, this.#values.bytes, valueOffset);
			durations.add(performance.now() - startMs);
		}
		return durations.summary();
	}
}

/** Reads a little from a reopened partition. */
function reopened(bench: BenchPartition, openMs: number): BenchReport {
	const prng = new Prng(plan.seed + 2);
	let foundCount = 0;
	for (let i = 0; i < 1000; i++) if (bench.get(prng.below(plan.keyCount))) foundCount++;
	return {
		openMs,
		opsPerSecond: {},
		cpuUsPerOp: {},
		putLatency: undefined,
		stallMs: 0,
		stallMsMax: 0,
		settleMs: 0,
		distinctKeys: 0,
		foundCount,
		writes: undefined,
		space: undefined,
		memory: memoryReport(),
		statistics: bench.statistics,
	};
}

const startMs = performance.now();
const thread = openPartitionThread(workerData as PartitionBoot);
if (thread !== undefined) {
	const openMs = performance.now() - startMs;
	const bench = new BenchPartition(thread.host, plan.groupCount);
	const report = plan.phase === 'load' ? new LoadRun(bench).run(openMs) : reopened(bench, openMs);
	thread.host.parts.mail.note(`${reportPrefix}${JSON.stringify(report)}`);
	thread.loop.run();
}
