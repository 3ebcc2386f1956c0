/**
 * Loads records through `db.writer()` in a process of its own: rate and memory, a line for each tenth on standard error, the
 * report as the last line on standard output. Constant memory is what the tenths show: it must not go on growing.
 *
 *   argument: JSON of LoadPlan
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type OpenOptions, open } from '../../src/index.js';
import { Load } from './load.js';

export interface LoadPlan {
	readonly directory: string;
	readonly recordCount: number;
	readonly seed: number;
	readonly options: OpenOptions;
}

export interface LoadReport {
	readonly seconds: number;
	readonly recordsPerSecond: number;
	readonly peakBytes: number;
	/** Resident bytes when so many tenths of the records were made. */
	readonly residentBytes: number[];
	readonly heapBytesMax: number;
	readonly countedCount: number;
}

const plan = JSON.parse(process.argv[2]) as LoadPlan;
const { recordCount } = plan;
const load = new Load(plan.seed);
const numbers = load.shuffled(recordCount);
const residentBytes: number[] = [];
let heapBytesMax = 0;

function* records(): Generator<[Buffer, Buffer]> {
	const tenth = Math.ceil(recordCount / 10);
	for (let i = 0; i < recordCount; i++) {
		if ((i + 1) % tenth === 0 || i + 1 === recordCount) {
			residentBytes.push(process.memoryUsage.rss());
			heapBytesMax = Math.max(heapBytesMax, process.memoryUsage().heapUsed);
			process.stderr.write(`${i + 1} records, ${Math.round((residentBytes.at(-1) ?? 0) / 1e6)} MB resident\n`);
		}
		const number = numbers[i];
		yield [load.key(number), load.value(number)];
	}
}

const db = await open(plan.directory, plan.options);
const startMs = performance.now();
const writer = db.writer();
await pipeline(Readable.from(records()), writer);
const seconds = (performance.now() - startMs) / 1000;
const peakBytes = process.resourceUsage().maxRSS * 1024;
const countedCount = await db.count();
await db.close();
const recordsPerSecond = recordCount / seconds;
const report: LoadReport = { seconds, recordsPerSecond, peakBytes, residentBytes, heapBytesMax, countedCount };
console.log(JSON.stringify(report));
