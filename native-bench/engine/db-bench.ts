/** Runs Debian's db_bench (RocksDB) with the same load in a process of its own, and reads what it prints. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { type CellName, cellNames } from './bench-plan.js';

export interface RocksReport {
	readonly version: string;
	readonly opsPerSecond: Partial<Record<CellName, number>>;
	/** Table bytes written (flush and compaction) for each byte flushed: its own W-Amp. */
	readonly tableWriteAmplification: number;
	readonly settledTableBytes: number;
	readonly compactedTableBytes: number;
	readonly peakBytes: number;
	/** Its warnings: Debian builds with assertions. */
	readonly warnings: readonly string[];
}

const writeSteps = ['fillrandom', 'overwrite', 'waitforcompaction'];
const steps = [...writeSteps, 'readrandom', 'seekrandom', 'readseq', 'stats', 'compact', 'stats'];

export function hasDbBench(): boolean {
	return spawnSync('sh', ['-c', 'command -v db_bench']).status === 0;
}

export function dbBenchArguments(keyCount: number, readCount: number, cacheSize: number, directory: string): string[] {
	return [
		`--benchmarks=${steps.join(',')}`,
		`--num=${keyCount}`,
		`--reads=${readCount}`,
		'--threads=1',
		'--key_size=16',
		'--value_size=100',
		'--compression_type=lz4',
		'--bloom_bits=10',
		`--cache_size=${cacheSize}`,
		'--max_background_jobs=2',
		`--db=${directory}`,
	];
}

/** @throws Error when it fails or prints something else than expected */
export async function runDbBench(
	keyCount: number,
	readCount: number,
	cacheSize: number,
	directory: string,
): Promise<RocksReport> {
	const child = spawn('db_bench', dbBenchArguments(keyCount, readCount, cacheSize, directory), {
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let output = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text: string) => {
			output += text;
		});
	}
	let peakBytes = 0;
	const watch = setInterval(() => {
		peakBytes = Math.max(peakBytes, peakOf(child.pid));
	}, 200);
	const code = await new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', resolve);
	});
	clearInterval(watch);
	rmSync(directory, { recursive: true, force: true });
	if (code !== 0) throw new Error(`db_bench ended with ${String(code)}:\n${output.slice(-2000)}`);
	return { ...parseDbBench(output), peakBytes };
}

function peakOf(processId: number | undefined): number {
	try {
		const status = readFileSync(`/proc/${processId}/status`, 'utf8');
		return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
	} catch {
		// It has ended.
		return 0;
	}
}

const unitBytes: Record<string, number> = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

export function parseDbBench(output: string): Omit<RocksReport, 'peakBytes'> {
	const opsPerSecond: Partial<Record<CellName, number>> = {};
	for (const cell of cellNames) {
		const found = new RegExp(`${cell}\\s*:.*?(\\d+) ops/sec`).exec(output);
		if (found === null) throw new Error(`db_bench printed no ${cell}:\n${output.slice(-2000)}`);
		opsPerSecond[cell] = Number(found[1]);
	}
	// A row "Sum": files, size and unit, score, six columns of GB, W-Amp. First after the reads, then after the full compaction.
	const sums = [...output.matchAll(/^ Sum\s+\S+\s+([\d.]+) (KB|MB|GB)\s+[\d.]+((?:\s+[\d.]+){7})/gm)];
	if (sums.length !== 2) throw new Error(`db_bench printed ${sums.length} level tables, not 2`);
	const sizeOf = (row: RegExpMatchArray): number => Number(row[1]) * unitBytes[row[2]];
	return {
		version: /RocksDB:\s+(.*)/.exec(output)?.[1] ?? 'unknown',
		opsPerSecond,
		tableWriteAmplification: Number(sums[0][3].trim().split(/\s+/)[6]),
		settledTableBytes: sizeOf(sums[0]),
		compactedTableBytes: sizeOf(sums[1]),
		warnings: [...output.matchAll(/WARNING: (.*)/g)].map((match) => match[1]),
	};
}
