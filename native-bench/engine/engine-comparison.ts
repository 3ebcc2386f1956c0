/**
 * `make bench-engine`: one partition of ours against RocksDB's db_bench, one thread each beside its background threads, in the
 * same run and with the same load (workload.ts).
 *
 *   for every key count and round: ours, then db_bench (the order alternates)
 *     fillrandom ─> overwrite ─> wait until compaction is settled ─> readrandom ─> seekrandom ─> readseq ─> sizes, compact all
 *
 * Neither syncs its log. db_bench calls write() for the log with every put; ours hands groups of `--group` puts to the log
 * thread, as the partition's loop does. Our gets copy the value out, db_bench's may point into a block. Both make a cursor for
 * each seek. Block sizes are the defaults of both; ours reads flushed memtables until their arenas are needed.
 * Debian builds db_bench with assertions, as it says itself. Prints medians and ratios, and writes everything as JSON.
 * Options: --keys 1000000,10000000 --rounds N --reads N --group N --storage JSON --out FILE --no-db-bench --tiny
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { blockCacheSizeDefault } from '../../src/base/limits.js';
import type { PartitionOptions } from '../../src/storage/lsm/partition-options.js';
import type { BenchPlan } from './bench-plan.js';
import { dbBenchArguments, hasDbBench, type RocksReport, runDbBench } from './db-bench.js';
import { runMillrace } from './millrace-run.js';
import { printSeries, type Run, type Series } from './print-series.js';

const { values: options } = parseArgs({
	options: {
		keys: { type: 'string', default: '1000000,10000000' },
		rounds: { type: 'string', default: '1' },
		reads: { type: 'string', default: '1000000' },
		group: { type: 'string', default: '512' },
		storage: { type: 'string', default: '{}' },
		out: { type: 'string', default: '' },
		'no-db-bench': { type: 'boolean', default: false },
		tiny: { type: 'boolean', default: false },
	},
});

const keyCounts = options.tiny ? [5000] : options.keys.split(',').map(Number);
const rounds = options.tiny ? 1 : Number(options.rounds);
const cacheSize = blockCacheSizeDefault;
/** In tiny mode everything is small, so that a few thousand keys are flushed and compacted. */
const storageOptions = {
	blockCacheSize: cacheSize,
	...(options.tiny ? { memtableSize: 1 << 16, segmentSize: 1 << 20, tableFileSize: 1 << 16, reserveFileSize: 0 } : {}),
	...(JSON.parse(options.storage) as Partial<PartitionOptions>),
};
const isAlone = options.tiny || options['no-db-bench'];
const outFile = options.out || (options.tiny ? '' : 'bench-results/engine-comparison.json');

async function runOurs(directory: string, keyCount: number, seed: number): Promise<Run> {
	const readCount = options.tiny ? keyCount : Number(options.reads);
	const plan: BenchPlan = { phase: 'load', keyCount, readCount, groupCount: Number(options.group), seed };
	const load = await runMillrace(directory, plan, storageOptions);
	const reopen = await runMillrace(directory, { ...plan, phase: 'reopen' }, storageOptions);
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

function configuration(peer: RocksReport | undefined): Record<string, string> {
	const model = cpus()[0]?.model ?? 'unknown';
	const threads = 'one partition in a worker thread, log thread, pool';
	const groups = `durability none, groups of ${options.group} puts`;
	const flags = dbBenchArguments(0, Number(options.reads), cacheSize, 'DIR').join(' ');
	return {
		date: new Date().toISOString(),
		machine: `${cpus().length} x ${model}`,
		millrace: `node ${process.version}; ${threads}; ${groups}; ${JSON.stringify(storageOptions)}`,
		db_bench: isAlone ? 'not run' : `${peer?.version ?? '?'}; ${flags}; ${peer?.warnings.join('; ') ?? ''}`,
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
	for (const series of all) printSeries(series);
	if (outFile !== '') {
		mkdirSync(join(outFile, '..'), { recursive: true });
		writeFileSync(outFile, `${JSON.stringify({ configuration: config, series: all }, undefined, '\t')}\n`);
		console.log(`written to ${outFile}`);
	}
} finally {
	rmSync(directory, { recursive: true, force: true });
}
