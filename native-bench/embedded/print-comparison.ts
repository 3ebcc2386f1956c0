/** What the embedded comparison prints: medians of the rounds, and how many times the others' rate ours is. */
import {
	aimsOf,
	type CellName,
	type CellResult,
	cellNames,
	cells,
	phaseOfCell,
	type Report,
	type StoreName,
	storeNames,
	threadsAim,
} from './bench-plan.js';

/** Reports of one key count by store, phase and round. */
export interface Series {
	readonly keyCount: number;
	readonly reports: Partial<Record<StoreName, Record<string, Report[]>>>;
}

function median(numbers: readonly number[]): number {
	const sorted = [...numbers].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

interface Median {
	readonly rate: number;
	readonly cpuUs: number;
}

export function medianOf(series: Series, store: StoreName, cell: CellName): Median | undefined {
	const reports = series.reports[store]?.[phaseOfCell[cell]] ?? [];
	const results = reports
		.map((report) => report.cells[cell])
		.filter((result): result is CellResult => result !== undefined);
	if (results.length === 0) return undefined;
	return {
		rate: median(results.map(({ count, seconds }) => count / seconds)),
		cpuUs: median(results.map(({ cpuUs }) => cpuUs)),
	};
}

const whole = (number: number): string => Math.round(number).toLocaleString('en');

export function printSeries(series: Series): void {
	const peers = storeNames.slice(1);
	const head = `${whole(series.keyCount)} keys`.padEnd(40);
	console.log(`\n${head} | ${storeNames.map((name) => `${name}/s`.padStart(15)).join(' | ')} | ours / other (wanted)`);
	for (const cell of cellNames) {
		const medians = storeNames.map((store) => medianOf(series, store, cell));
		if (medians.every((one) => one === undefined)) continue;
		const columns = medians.map((one) => (one === undefined ? '' : whole(one.rate)).padStart(15));
		const own = medians[0];
		const ratios = peers.map((peer, i) => ratioText(cell, peer, own, medians[i + 1])).filter((text) => text !== '');
		console.log(`${cells[cell].label.padEnd(40)} | ${columns.join(' | ')} | ${ratios.join(', ')}`);
	}
	printThreads(series);
	printCpu(series);
	printMemory(series);
}

function ratioText(cell: CellName, peer: StoreName, own: Median | undefined, other: Median | undefined): string {
	if (own === undefined || other === undefined) return '';
	const ratio = own.rate / other.rate;
	const aim = aimsOf(cell)[peer];
	const verdict = aim === undefined ? '' : ` (${aim} ${ratio >= aim ? 'met' : 'missed'})`;
	return `${peer} ${ratio.toFixed(2)}${verdict}`;
}

function printThreads(series: Series): void {
	const parts = storeNames.flatMap((store) => {
		const one = medianOf(series, store, 'oneThread');
		const two = medianOf(series, store, 'twoThreads');
		return one === undefined || two === undefined ? [] : [`${store} ${(two.rate / one.rate).toFixed(2)}`];
	});
	if (parts.length > 0) console.log(`two reading threads / one: ${parts.join(', ')} (ours: ${threadsAim} wanted)`);
}

/** Processor time says who does the work where rates are disturbed by what else the machine does. */
function printCpu(series: Series): void {
	console.log('processor time of the process for one operation, all threads, microseconds:');
	for (const cell of cellNames) {
		const texts = storeNames.flatMap((store) => {
			const one = medianOf(series, store, cell);
			return one === undefined ? [] : [`${store} ${one.cpuUs.toFixed(2)}`];
		});
		if (texts.length > 0) console.log(`  ${cells[cell].label.padEnd(40)} ${texts.join(', ')}`);
	}
}

function printMemory(series: Series): void {
	for (const store of storeNames) {
		const byPhase = Object.entries(series.reports[store] ?? {});
		const texts = byPhase.map(
			([phase, reports]) => `${phase} ${whole(median(reports.map(({ peakBytes }) => peakBytes)) / 1e6)}`,
		);
		if (texts.length > 0)
			console.log(`peak memory of ${store}'s process (MB, mapped files included): ${texts.join(', ')}`);
	}
}
