/**
 * Do reads wait for fsync? One connection asks GET after GET of settled keys, one at a time, first alone, then beside a load of
 * durable SETs on other keys (`always`), on this server and on Redis in the same run. Prints percentiles of the GETs.
 * Options: --seconds N (each measurement) --inflight N (SETs under way)
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { startServer } from '../test/support/server-process.js';
import { redisVersion, startRedisProcess } from './redis-process.js';

const { values: options } = parseArgs({
	options: { seconds: { type: 'string', default: '5' }, inflight: { type: 'string', default: '64' } },
});
const seconds = Number(options.seconds);
const inFlight = Number(options.inflight);
const keyCount = 1000;
const value = 'v'.repeat(100);

function command(...words: string[]): string {
	return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

async function connect(port: number): Promise<Socket> {
	const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
	await once(socket, 'connect');
	return socket;
}

/** Writes SETs, `inFlight` of them unanswered at any time, until stopped. @returns how many were answered */
async function load(port: number, isOver: () => boolean): Promise<number> {
	const socket = await connect(port);
	let sent = 0;
	let answered = 0;
	const send = (): void => {
		let batch = '';
		for (; sent - answered < inFlight; sent++) batch += command('SET', `load:${sent % 100_000}`, value);
		socket.write(batch);
	};
	const over = new Promise<void>((resolve) => {
		socket.on('data', (chunk) => {
			for (let i = 0; i < chunk.length; i++) if (chunk[i] === 0x0a) answered++;
			if (isOver()) resolve();
			else send();
		});
	});
	send();
	await over;
	socket.destroy();
	return answered;
}

/** One GET after the other for a while. */
async function readAlone(port: number, histogram: RecordableHistogram): Promise<void> {
	const socket = await connect(port);
	const endMs = performance.now() + seconds * 1000;
	for (let i = 0; performance.now() < endMs; i++) {
		const startNs = process.hrtime.bigint();
		socket.write(command('GET', `settled:${i % keyCount}`));
		let size = 0;
		while (size < value.length + 8) size += ((await once(socket, 'data')) as [Buffer])[0].length;
		histogram.record(process.hrtime.bigint() - startNs);
	}
	socket.destroy();
}

async function measure(name: string, port: number): Promise<void> {
	const socket = await connect(port);
	for (let i = 0; i < keyCount; i++) socket.write(command('SET', `settled:${i}`, value));
	for (let size = 0; size < keyCount * 5; ) size += ((await once(socket, 'data')) as [Buffer])[0].length;
	socket.destroy();
	for (const isLoaded of [false, true]) {
		const histogram = createHistogram();
		let isOver = false;
		const loading = isLoaded ? load(port, () => isOver) : Promise.resolve(0);
		await readAlone(port, histogram);
		isOver = true;
		const sets = await loading;
		const microseconds = [50, 99, 99.9].map((percent) => Math.round(histogram.percentile(percent) / 1000));
		const beside = isLoaded ? `beside ${Math.round(sets / seconds).toLocaleString('en')} SET/s` : 'alone';
		console.log(`${name} | ${beside.padEnd(22)} | ${microseconds.map((us) => String(us).padStart(6)).join(' | ')}`);
	}
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-latency-'));
try {
	console.log(`node ${process.version}; ${redisVersion()}; ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`);
	console.log(`one GET at a time, ${seconds} s each; SETs of 100 B, ${inFlight} in flight, durability always on both`);
	console.log('server   | GETs                   | p50 us | p99 us | p99.9 us');
	const ours = await startServer({ directory: join(directory, 'ours'), extra: ['--durability', 'always'] });
	await measure('millrace', ours.port);
	await ours.stop();
	const redis = await startRedisProcess(join(directory, 'redis'), 'always');
	await measure('redis   ', redis.port);
	await redis.stop();
} finally {
	rmSync(directory, { recursive: true, force: true });
}
