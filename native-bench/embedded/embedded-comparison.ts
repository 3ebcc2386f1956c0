/**
 * The embedded database beside lmdb and classic-level, in the same run: `make bench-embedded`. One process for each store and
 * phase (store-process.ts), the stores' order turned round after round, medians printed.
 *
 *   --keys 200000,5000000  --rounds 3  --seconds 3   how long a cell that is bounded by time takes
 *   --only millrace,lmdb   --phases put,read         a part of it (read needs put)
 *   --hot 5000             keys of the hot set       --in-flight 1000  --batch 1000
 *   --peer-defaults        classic-level with its own memory sizes instead of ours
 *   --millrace '{"partitions":2}'                    options of our open
 *   --load 10000000        nothing of that, but: load through db.writer(), say rate and memory
 *   --tiny                 everything small, one round: for the tests
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { blockCacheSizeDefault, memtableSizeDefault } from '../../src/base/limits.js';
import { type Phase, type Plan, phases, type Report, type StoreName, storeNames } from './bench-plan.js';
import { printSeries, type Series } from './print-comparison.js';
import { printLoad, runLoad } from './run-load.js';

const { values: options } = parseArgs({
	options: {
		keys: { type: 'string', default: '200000,5000000' },
		rounds: { type: 'string', default: '1' },
		seconds: { type: 'string', default: '3' },
		only: { type: 'string', default: storeNames.join(',') },
		phases: { type: 'string', default: phases.join(',') },
		hot: { type: 'string', default: '5000' },
		'in-flight': { type: 'string', default: '1000' },
		batch: { type: 'string', default: '1000' },
		'peer-defaults': { type: 'boolean', default: false },
		millrace: { type: 'string', default: '{}' },
		seed: { type: 'string', default: '1' },
		load: { type: 'string', default: '0' },
		out: { type: 'string', default: '' },
		tiny: { type: 'boolean', default: false },
	},
});

const { tiny: isTiny } = options;
const keyCounts = isTiny ? [2000] : options.keys.split(',').map(Number);
const rounds = isTiny ? 1 : Number(options.rounds);
const secondsMax = isTiny ? 0.02 : Number(options.seconds);
const stores = listOf('only', options.only, storeNames);
const phasesRun = listOf('phases', options.phases, phases);
const processUrl = fileURLToPath(new URL('./store-process.js', import.meta.url));

/** A comma-separated option, in the order of what is known. */
function listOf<T extends string>(option: string, text: string, known: readonly T[]): T[] {
	const given = text.split(',');
	for (const name of given) if (!known.some((one) => one === name)) throw new Error(`--${option}: ${known.join(', ')}`);
	return known.filter((name) => given.includes(name));
}

function optionsOf(store: StoreName): Record<string, unknown> {
	if (store === 'millrace') {
		const small = isTiny ? { memtableSize: 1 << 20, reserveFileSize: 0 } : {};
		return { ...small, ...(JSON.parse(options.millrace) as Record<string, unknown>) };
	}
	if (store === 'lmdb' || options['peer-defaults']) return {};
	return { cacheSize: blockCacheSizeDefault, writeBufferSize: memtableSizeDefault };
}

async function runPhase(store: StoreName, phase: Phase, base: string, keyCount: number, seed: number): Promise<Report> {
	const directory = join(base, store, phase === 'read' ? 'put' : phase);
	mkdirSync(dirname(directory), { recursive: true });
	const plan: Plan = {
		store,
		phase,
		directory,
		keyCount,
		hotCount: Math.min(keyCount, Number(options.hot)),
		inFlight: Number(options['in-flight']),
		batchCount: Number(options.batch),
		getManyCount: 100,
		seed,
		secondsMax,
		options: optionsOf(store),
	};
	const { stdout } = await promisify(execFile)(process.execPath, [processUrl, JSON.stringify(plan)], {
		maxBuffer: 1 << 26,
	});
	if (phase !== 'put') rmSync(directory, { recursive: true, force: true });
	return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Report;
}

async function measureSeries(base: string, keyCount: number): Promise<Series> {
	const series: Series = { keyCount, reports: {} };
	for (let round = 0; round < rounds; round++) {
		for (const phase of phasesRun) {
			for (let i = 0; i < stores.length; i++) {
				const store = stores[(i + round) % stores.length];
				const report = await runPhase(store, phase, base, keyCount, Number(options.seed) + round);
				const byPhase = series.reports[store] ?? {};
				series.reports[store] = { ...byPhase, [phase]: [...(byPhase[phase] ?? []), report] };
			}
			if (!isTiny)
				process.stderr.write(`${keyCount.toLocaleString('en')} keys, round ${round + 1} of ${rounds}: ${phase}\n`);
		}
		for (const store of stores) rmSync(join(base, store), { recursive: true, force: true });
	}
	return series;
}

function machine(): string {
	return `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, node ${process.version}, files in ${tmpdir()}`;
}

function configuration(all: readonly Series[]): Record<string, string> {
	const lines: Record<string, string> = {
		date: new Date().toISOString(),
		machine: machine(),
		load:
			`16 B keys, 100 B values half compressible, random order, ${options['in-flight']} in flight, ` +
			`batches of ${options.batch}; writes warmed with 20,000`,
		reads:
			`hot: ${options.hot} keys anywhere, whose blocks fit every cache; 100,000 keys anywhere; all keys; in random order, ` +
			'warmed before each cell, the files are in the page cache; reopened and settled before',
		rounds:
			`${rounds}, the stores' order turned, medians; cells of at most ${secondsMax} s; ` +
			'one process for each store and phase',
	};
	for (const store of stores) {
		for (const [phase, [report]] of Object.entries(all[0].reports[store] ?? {})) {
			lines[`${store} ${report.version}, ${phase}`] = report.settings;
		}
	}
	return lines;
}

async function compare(base: string): Promise<unknown> {
	const all: Series[] = [];
	for (const keyCount of keyCounts) all.push(await measureSeries(base, keyCount));
	const config = configuration(all);
	console.log(`# embedded${isTiny ? ' (tiny: the numbers mean nothing)' : ''}`);
	for (const [name, text] of Object.entries(config)) console.log(`# ${name}: ${text}`);
	for (const series of all) printSeries(series);
	return { configuration: config, series: all };
}

async function load(base: string): Promise<unknown> {
	const directory = join(base, 'load');
	const plan = {
		directory,
		recordCount: Number(options.load),
		seed: Number(options.seed),
		options: optionsOf('millrace'),
	};
	const report = await runLoad(plan);
	console.log(`# load, ${new Date().toISOString()}, ${machine()}`);
	printLoad(plan, report);
	return { machine: machine(), plan, report };
}

const base = mkdtempSync(join(tmpdir(), 'millrace-embedded-bench-'));
try {
	const isLoad = Number(options.load) > 0;
	const result = isLoad ? await load(base) : await compare(base);
	const outFile = options.out || (isTiny ? '' : `bench-results/embedded-${isLoad ? 'load' : 'comparison'}.json`);
	if (outFile !== '') {
		mkdirSync(dirname(outFile), { recursive: true });
		writeFileSync(outFile, `${JSON.stringify(result, undefined, '\t')}\n`);
		console.log(`written to ${outFile}`);
	}
} finally {
	rmSync(base, { recursive: true, force: true });
}
