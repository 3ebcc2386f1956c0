/**
 * `make bench-engine`: one partition of ours against RocksDB's db_bench, one thread each beside its background threads, in the
 * same run and with the same load (workload.ts).
 *
 *   for every key count and round: ours, then db_bench (the order alternates)
 *     fillrandom ─> overwrite ─> wait until compaction is settled ─> readrandom ─> seekrandom ─> readseq ─> sizes, compact all
 *
 * Neither syncs its log. db_bench calls write() for the log with every put; ours hands groups of `--group` puts to the log thread,
 * as the partition's loop does. Prints medians and ratios, and writes everything as JSON.
 * Options: --keys 1000000,10000000 --rounds N --reads N --group N --memtable BYTES (of ours) --out FILE --no-db-bench --tiny
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
	blockCacheSizeDefault,
	logRingSizeDefault,
	memtableCountMax,
	memtableSizeDefault,
} from '../../src/base/limits.js';
import { type BenchPlan, type BenchReport, type CellName, cellNames } from './bench-plan.js';
import { dbBenchArguments, hasDbBench, type RocksReport, runDbBench } from './db-bench.js';
import { runMillrace } from './millrace-run.js';

const { values: options } = parseArgs({
	options: {
		keys: { type: 'string', default: '1000000,10000000' },
		rounds: { type: 'string', default: '1' },
		reads: { type: 'string', default: '1000000' },
		group: { type: 'string', default: '512' },
		memtable: { type: 'string', default: String(memtableSizeDefault) },
		out: { type: 'string', default: '' },
		'no-db-bench': { type: 'boolean', default: false },
		tiny: { type: 'boolean', default: false },
	},
});

const keyCounts = options.tiny ? [5000] : options.keys.split(',').map(Number);
const rounds = options.tiny ? 1 : Number(options.rounds);
const cacheSize = blockCacheSizeDefault;
/** In tiny mode a memtable as small as an application may choose. */
const memtableSize = options.tiny ? 1 << 20 : Number(options.memtable);
const isAlone = options.tiny || options['no-db-bench'];
const outFile = options.out || (options.tiny ? '' : 'bench-results/engine-comparison.json');

/** What the project wants, as ratios to db_bench. */
const aims: Record<CellName, number> = { fillrandom: 1, overwrite: 1, readrandom: 1, seekrandom: 0.7, readseq: 0.3 };

interface Run {
	readonly load: BenchReport;
	readonly reopen: BenchReport;
	readonly engineOpenMs: number;
	readonly engineReopenMs: number;
	readonly engineCloseMs: number;
}

interface Series {
	readonly keyCount: number;
	readonly ours: Run[];
	readonly rocks: RocksReport[];
}

function median(numbers: readonly number[]): number {
	const sorted = [...numbers].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

async function runOurs(directory: string, keyCount: number, seed: number): Promise<Run> {
	const readCount = options.tiny ? keyCount : Number(options.reads);
	const plan: BenchPlan = { phase: 'load', keyCount, readCount, groupCount: Number(options.group), seed };
	const settings = { memtableSize, blockCacheSize: cacheSize };
	const load = await runMillrace(directory, plan, settings);
	const reopen = await runMillrace(directory, { ...plan, phase: 'reopen' }, settings);
	rmSync(directory, { recursive: true, force: true });
	return {
		load: load.report,
		reopen: reopen.report,
		engineOpenMs: load.engineOpenMs,
		engineReopenMs: reopen.engineOpenMs,
		engineCloseMs: load.engineCloseMs,
	};
}

async function measure(directory: string, keyCount: number): Promise<Series> {
	const series: Series = { keyCount, ours: [], rocks: [] };
	for (let round = 0; round < rounds; round++) {
		const ours = async (): Promise<void> => {
			series.ours.push(await runOurs(join(directory, 'ours'), keyCount, 1000 + round));
		};
		const rocks = async (): Promise<void> => {
			if (isAlone) return;
			series.rocks.push(await runDbBench(keyCount, Number(options.reads), cacheSize, join(directory, 'rocks')));
		};
		for (const run of round % 2 === 0 ? [ours, rocks] : [rocks, ours]) await run();
		process.stderr.write(`${keyCount.toLocaleString('en')} keys: round ${round + 1} of ${rounds}\n`);
	}
	return series;
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
		const total = writes.writtenBytes / writes.userBytes;
		const tables = (writes.flushedBytes + writes.compactedBytes) / writes.flushedBytes;
		console.log(
			`write amplification: ${total.toFixed(2)} (every byte the process wrote / bytes of keys and values); tables only, as RocksDB ` +
				`counts it: ${tables.toFixed(2)}${peer === undefined ? '' : `, RocksDB ${peer.tableWriteAmplification.toFixed(2)}`}`,
		);
	}
	if (space !== undefined) {
		const of = (settled: number, compacted: number): string =>
			`${megabytes(settled)} / ${megabytes(compacted)} = ${(settled / compacted).toFixed(2)}`;
		const other = peer === undefined ? '' : `; RocksDB ${of(peer.settledTableBytes, peer.compactedTableBytes)}`;
		console.log(
			`space amplification (tables settled / fully compacted): ${of(space.settledTableBytes, space.compactedTableBytes)}${other}`,
		);
	}
	for (const [name, { p50Us, p999Us, maxMs }] of Object.entries(putLatency ?? {})) {
		console.log(
			`one put, ${name}: p50 ${p50Us.toFixed(1)} us, p99.9 ${p999Us.toFixed(1)} us, longest ${maxMs.toFixed(1)} ms`,
		);
	}
	console.log(
		`puts were held up by the engine for ${whole(load.stallMs)} ms in all, ${load.stallMsMax.toFixed(1)} ms at once`,
	);
	const budget = memtableCountMax * memtableSize + cacheSize + 3 * (1 << 20) + logRingSizeDefault;
	const other = peer === undefined ? '' : `; db_bench peak ${megabytes(peer.peakBytes)}`;
	console.log(
		`memory of the process: peak ${megabytes(memory.peakBytes)}, at the end ${megabytes(memory.residentBytes)}; budget of arenas, ` +
			`cache and rings ${megabytes(budget)}${other}`,
	);
	console.log(
		`settled after ${whole(load.settleMs)} ms; closed in ${whole(run.engineCloseMs)} ms; reopened in ${whole(reopen.openMs)} ms ` +
			`(partition), ${whole(run.engineReopenMs)} ms (engine with its threads)`,
	);
}

function configuration(peer: RocksReport | undefined): Record<string, string> {
	const model = cpus()[0]?.model ?? 'unknown';
	return {
		date: new Date().toISOString(),
		machine: `${cpus().length} x ${model}`,
		millrace: `node ${process.version}; one partition in a worker thread, log thread, pool of 2; durability none, groups of ${options.group} puts; memtable ${memtableSize}, block cache ${cacheSize}`,
		db_bench: isAlone
			? 'not run'
			: `${peer?.version ?? '?'}; ${dbBenchArguments(0, Number(options.reads), cacheSize, 'DIR').join(' ')}; ${peer?.warnings.join('; ') ?? ''}`,
		load: `16 B keys as db_bench makes them, 100 B values half compressible; ${rounds} rounds, alternating, median`,
	};
}

if (!isAlone && !hasDbBench()) {
	console.error('db_bench is not installed: apt-get install rocksdb-tools, or --no-db-bench');
	process.exit(1);
}
const directory = mkdtempSync(join(tmpdir(), 'millrace-engine-bench-'));
try {
	const all: Series[] = [];
	for (const keyCount of keyCounts) all.push(await measure(directory, keyCount));
	const config = configuration(all[0].rocks[0]);
	console.log(`# engine${options.tiny ? ' (tiny: the numbers mean nothing)' : ''}`);
	for (const [name, text] of Object.entries(config)) console.log(`# ${name}: ${text}`);
	for (const series of all) {
		printSpeed(series);
		printRest(series);
	}
	if (outFile !== '') {
		mkdirSync(join(outFile, '..'), { recursive: true });
		writeFileSync(outFile, `${JSON.stringify({ configuration: config, series: all }, undefined, '\t')}\n`);
		console.log(`written to ${outFile}`);
	}
} finally {
	rmSync(directory, { recursive: true, force: true });
}
