/**
 * `make bench`: redis-benchmark against this server and against redis-server, both durable, in the same run.
 *
 *   for every round, durability, command and pipeline depth: ours, then Redis (the order alternates)
 *
 * Four servers live side by side on loopback, each with a fresh directory; only one is under load at a time. Prints medians and
 * ratios, and writes everything as JSON. Options: --rounds N --requests N (at P=64) --partitions N --depths 1,16,64 --tiny
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startServer } from '../test/support/server-process.js';
import { redisVersion, startRedisProcess } from './redis-process.js';

const { values: options } = parseArgs({
	options: {
		rounds: { type: 'string', default: '5' },
		requests: { type: 'string', default: '1500000' },
		partitions: { type: 'string', default: '' },
		depths: { type: 'string', default: '64,16,1' },
		out: { type: 'string', default: 'bench-results/redis-comparison.json' },
		tiny: { type: 'boolean', default: false },
	},
});

const rounds = options.tiny ? 1 : Number(options.rounds);
const depths = options.depths.split(',').map(Number);
const durabilities = [
	{ name: 'always', ours: 'always', redis: 'always' },
	{ name: 'interval', ours: 'interval', redis: 'everysec' },
] as const;

/** The aims, as ratios to Redis with the same durability; SET has one with 'always' only. */
const aims: Record<string, number> = {
	'SET 64': 1.3,
	'SET 16': 1.2,
	'SET 1': 0.7,
	'GET 64': 1.1,
	'GET 16': 0.8,
	'GET 1': 0.7,
};

interface Cell {
	readonly durability: string;
	readonly test: string;
	readonly depth: number;
	readonly ours: number[];
	readonly redis: number[];
}

/** Requests per second of one run of redis-benchmark. */
function load(port: number, test: string, depth: number): number {
	const full = options.tiny ? 20_000 : Number(options.requests);
	const count = Math.ceil(full * (depth >= 64 ? 1 : depth >= 16 ? 0.6 : 0.1));
	const args = ['-h', '127.0.0.1', '-p', String(port), '-c', '50', '-d', '100', '-r', '100000'];
	const output = execFileSync(
		'redis-benchmark',
		[...args, '-P', String(depth), '-n', String(count), '-t', test, '--csv'],
		{
			encoding: 'utf8',
			stdio: ['ignore', 'pipe', 'ignore'],
		},
	);
	const row = output.split('\n').find((line) => line.startsWith(`"${test.toUpperCase()}"`));
	if (row === undefined) throw new Error(`redis-benchmark printed no ${test} row:\n${output}`);
	return Number(row.split(',')[1].replaceAll('"', ''));
}

function median(numbers: readonly number[]): number {
	const sorted = [...numbers].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function configuration(): Record<string, string> {
	const model = cpus()[0]?.model ?? 'unknown';
	return {
		date: new Date().toISOString(),
		node: process.version,
		redis: redisVersion(),
		machine: `${cpus().length} x ${model}, client and server share them`,
		load: `redis-benchmark -c 50 -d 100 -r 100000, ${rounds} rounds, alternating, median`,
		partitions: options.partitions === '' ? 'default (cores - 1)' : options.partitions,
	};
}

async function measure(directory: string, durability: (typeof durabilities)[number]): Promise<Cell[]> {
	const partitions = options.partitions === '' ? [] : ['--partitions', options.partitions];
	const oursArguments = ['--durability', durability.ours, ...partitions];
	const ours = await startServer({ directory: join(directory, `ours-${durability.name}`), extra: oursArguments });
	const redis = await startRedisProcess(join(directory, `redis-${durability.name}`), durability.redis);
	const cells: Cell[] = ['set', 'get'].flatMap((test) =>
		depths.map((depth) => ({
			durability: durability.name,
			test: test.toUpperCase(),
			depth,
			ours: [],
			redis: [],
		})),
	);
	// One unmeasured round: code is compiled, files are allocated, keys exist.
	for (const peer of [ours, redis]) for (const test of ['set', 'get']) load(peer.port, test, 64);
	for (let round = 0; round < rounds; round++) {
		for (const cell of cells) {
			const test = cell.test.toLowerCase();
			const runOurs = (): unknown => cell.ours.push(load(ours.port, test, cell.depth));
			const runRedis = (): unknown => cell.redis.push(load(redis.port, test, cell.depth));
			for (const run of round % 2 === 0 ? [runOurs, runRedis] : [runRedis, runOurs]) run();
		}
		process.stderr.write(`${durability.name}: round ${round + 1} of ${rounds}\n`);
	}
	await ours.stop();
	await redis.stop();
	return cells;
}

function printTable(cells: readonly Cell[]): void {
	console.log('durability | cell     |     ours/s |    redis/s | ratio | aim');
	for (const { durability, test, depth, ours, redis } of cells) {
		const ratio = median(ours) / median(redis);
		const hasAim = test === 'GET' || durability === 'always';
		const aim = aims[`${test} ${depth}`] ?? 0;
		const columns = [
			durability.padEnd(10),
			`${test} P=${depth}`.padEnd(8),
			Math.round(median(ours)).toLocaleString('en').padStart(10),
			Math.round(median(redis)).toLocaleString('en').padStart(10),
			ratio.toFixed(2).padStart(5),
			hasAim ? `${aim.toFixed(1)} ${ratio >= aim ? 'met' : 'missed'}` : '-',
		];
		console.log(columns.join(' | '));
	}
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
try {
	const config = configuration();
	for (const [name, value] of Object.entries(config)) console.log(`${name}: ${value}`);
	const cells: Cell[] = [];
	for (const durability of durabilities) cells.push(...(await measure(directory, durability)));
	printTable(cells);
	mkdirSync(join(options.out, '..'), { recursive: true });
	writeFileSync(options.out, `${JSON.stringify({ configuration: config, cells }, undefined, '\t')}\n`);
	console.log(`written to ${options.out}`);
} finally {
	rmSync(directory, { recursive: true, force: true });
}
