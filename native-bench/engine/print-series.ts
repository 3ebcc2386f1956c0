/** What the engine benchmark prints: a table of rates, and lines for all that is no rate. */
import { processMemorySize, threadMemorySize } from '../../src/base/limits.js';
import { poolThreadCountMax } from '../../src/engine/background-pool.js';
import { type BenchReport, type CellName, cellNames } from './bench-plan.js';
import type { RocksReport } from './db-bench.js';

/** What the project wants, as ratios to db_bench. */
const aims: Record<CellName, number> = { fillrandom: 1, overwrite: 1, readrandom: 1, seekrandom: 0.7, readseq: 0.3 };

export interface Run {
	readonly load: BenchReport;
	readonly reopen: BenchReport;
	readonly engineOpenMs: number;
	readonly engineReopenMs: number;
	readonly engineCloseMs: number;
}

export interface Series {
	readonly keyCount: number;
	readonly ours: Run[];
	readonly rocks: RocksReport[];
}

export function printSeries(series: Series): void {
	printSpeed(series);
	printRest(series);
}

function median(numbers: readonly number[]): number {
	const sorted = [...numbers].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function perSecond(reports: readonly { opsPerSecond: Partial<Record<CellName, number>> }[], cell: CellName): number {
	return median(reports.map((report) => report.opsPerSecond[cell] ?? Number.NaN));
}

const whole = (number: number): string => Math.round(number).toLocaleString('en');
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function printSpeed({ keyCount, ours, rocks }: Series): void {
	console.log(`\n${keyCount.toLocaleString('en')} keys   |     ours/s | CPU us | db_bench/s | ratio | aim`);
	for (const cell of cellNames) {
		const own = perSecond(
			ours.map(({ load }) => load),
			cell,
		);
		const cpuUs = median(ours.map(({ load }) => load.cpuUsPerOp[cell] ?? 0));
		const columns = [cell.padEnd(15), whole(own).padStart(10), cpuUs.toFixed(2).padStart(6)];
		if (rocks.length > 0) {
			const other = perSecond(rocks, cell);
			const ratio = own / other;
			columns.push(whole(other).padStart(10), ratio.toFixed(2).padStart(5));
			columns.push(`${aims[cell].toFixed(1)} ${ratio >= aims[cell] ? 'met' : 'missed'}`);
		}
		console.log(columns.join(' | '));
	}
}

/** The rest, of the last round. */
function printRest({ ours, rocks }: Series): void {
	const run = ours.at(-1);
	const peer = rocks.at(-1);
	if (run === undefined) return;
	const { load, reopen } = run;
	const { writes, space, putLatency, memory } = load;
	if (writes !== undefined) {
		const all = (writes.writtenBytes / writes.userBytes).toFixed(2);
		const tables = ((writes.flushedBytes + writes.compactedBytes) / writes.flushedBytes).toFixed(2);
		const other = peer === undefined ? '' : `, RocksDB ${peer.tableWriteAmplification.toFixed(2)}`;
		console.log(`write amplification: ${all} (all bytes the process wrote / bytes of keys and values)`);
		console.log(`  tables only, as RocksDB counts it (flushed and compacted / flushed): ${tables}${other}`);
	}
	if (space !== undefined) {
		const of = (settled: number, compacted: number): string =>
			`${megabytes(settled)} / ${megabytes(compacted)} = ${(settled / compacted).toFixed(2)}`;
		const other = peer === undefined ? '' : `; RocksDB ${of(peer.settledTableBytes, peer.compactedTableBytes)}`;
		const own = of(space.settledTableBytes, space.compactedTableBytes);
		console.log(`space amplification (tables settled / fully compacted): ${own}${other}`);
	}
	for (const [name, { p50Us, p999Us, maxMs }] of Object.entries(putLatency ?? {})) {
		console.log(
			`one put, ${name}: p50 ${p50Us.toFixed(1)} us, p99.9 ${p999Us.toFixed(1)} us, longest ${maxMs.toFixed(1)} ms`,
		);
	}
	console.log(
		`puts were held up by the engine for ${whole(load.stallMs)} ms in all, ${load.stallMsMax.toFixed(1)} ms at once`,
	);
	const { budgetBytes } = (load.statistics as { memory: { budgetBytes: number } }).memory;
	const budget = budgetBytes + processMemorySize + poolThreadCountMax() * threadMemorySize;
	const other = peer === undefined ? '' : `; db_bench peak ${megabytes(peer.peakBytes)}`;
	console.log(
		`memory of the process: peak ${megabytes(memory.peakBytes)}, at the end ${megabytes(memory.residentBytes)}; ` +
			`budget ${megabytes(budget)}, ${(memory.peakBytes / budget).toFixed(2)} of it${other}`,
	);
	console.log(
		`settled after ${whole(load.settleMs)} ms; closed in ${whole(run.engineCloseMs)} ms; ` +
			`reopened in ${whole(reopen.openMs)} ms (partition), ${whole(run.engineReopenMs)} ms (engine with its threads)`,
	);
}
