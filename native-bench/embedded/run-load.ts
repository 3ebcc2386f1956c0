/** `--load`: a load through the writer, its rate and memory printed. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LoadPlan, LoadReport } from './load-process.js';

const processPath = fileURLToPath(new URL('./load-process.js', import.meta.url));
const whole = (number: number): string => Math.round(number).toLocaleString('en');

export async function runLoad(plan: LoadPlan): Promise<LoadReport> {
	const child = promisify(execFile)(process.execPath, [processPath, JSON.stringify(plan)]);
	const { stdout } = await child;
	return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as LoadReport;
}

export function printLoad(plan: LoadPlan, report: LoadReport): void {
	const { seconds, recordsPerSecond, peakBytes, residentBytes, heapBytesMax, countedCount } = report;
	const resident = residentBytes.map((bytes) => whole(bytes / 1e6)).join(' ');
	console.log(
		`${whole(plan.recordCount)} records loaded: ${whole(recordsPerSecond)} records/s, ${seconds.toFixed(1)} s, ` +
			`db.writer() from an iterator, random order, open(${JSON.stringify(plan.options)})`,
	);
	console.log(
		`memory of the process: peak ${whole(peakBytes / 1e6)} MB; resident at each tenth: ${resident} MB; ` +
			`heap of the main thread at most ${whole(heapBytesMax / 1e6)} MB`,
	);
	console.log(`counted ${whole(countedCount)} afterwards`);
}
