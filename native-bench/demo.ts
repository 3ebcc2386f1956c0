/**
 * `make demo`: the machine's own package index through a real server process, which is then killed in the middle of
 * work.
 *
 *   load generation 1 -> read all back, compare -> load generation 2 -> SIGKILL in the middle -> restart ->
 *   every key holds generation 1, or 2 where 2 was sent, and surely 2 where 2 was acknowledged; nothing else
 *
 * Exits with 1 on any mismatch. The data goes to a new temporary directory that is removed at the end (--keep leaves
 * it there). `--limit N` takes only the first N records.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Client, connect } from '../src/client/client.js';
import { type ServerProcess, startServer } from '../test/support/server-process.js';

/** Calls not yet answered at which the loader waits. */
const pendingMax = 2048;
/** The server is killed when so much of the second load is acknowledged. */
const killFraction = 0.4;
const batchCount = 1000;

type Records = Map<string, string>;

function section(line: string): void {
	console.log(`\n${line}`);
}

function rate(count: number, startedAt: number): string {
	const seconds = (performance.now() - startedAt) / 1000;
	return `${count} in ${seconds.toFixed(2)} s, ${Math.round(count / seconds)}/s`;
}

/** @returns the text of `apt-cache dumpavail`, after an update when there is none */
function readPackageIndex(): string {
	const dump = (): string => {
		const result = spawnSync('apt-cache', ['dumpavail'], { encoding: 'utf8', maxBuffer: 2 ** 30 });
		return result.stdout ?? '';
	};
	const text = dump();
	if (text.length > 1_000_000) return text;
	console.log('the package index is empty: running apt-get update');
	spawnSync('apt-get', ['update'], { stdio: 'ignore' });
	return dump();
}

/** Key: package/version/architecture; value: the whole record. */
function readRecords(limit: number): Records {
	const records: Records = new Map();
	for (const record of readPackageIndex().split('\n\n')) {
		const name = /^Package: (.+)$/m.exec(record)?.[1];
		const version = /^Version: (.+)$/m.exec(record)?.[1];
		if (name === undefined || version === undefined) continue;
		const architecture = /^Architecture: (.+)$/m.exec(record)?.[1] ?? '';
		records.set(`${name}/${version}/${architecture}`, record.trim());
		if (records.size === limit) break;
	}
	return records;
}

/** @returns the value of a generation; the second has something behind it that no record holds */
function generationValue(record: string, generation: number): string {
	return generation === 1 ? record : `${record}\n#generation ${generation}`;
}

/**
 * Puts every record, pipelined.
 * @param onAcknowledged called with each key the server answered for
 * @returns when all are answered, or the connection is lost
 */
async function load(
	client: Client,
	records: Records,
	generation: number,
	onSent: (key: string) => void,
	onAcknowledged: (key: string) => void,
): Promise<void> {
	let pendingCount = 0;
	let failure: unknown;
	let wake = (): void => {};
	const changed = (): Promise<void> =>
		new Promise((resolve) => {
			wake = resolve;
		});
	for (const [key, record] of records) {
		while (pendingCount >= pendingMax && failure === undefined) await changed();
		if (failure !== undefined) break;
		pendingCount++;
		onSent(key);
		void client
			.put(key, generationValue(record, generation))
			.then(
				() => onAcknowledged(key),
				(error: unknown) => {
					failure ??= error;
				},
			)
			.finally(() => {
				pendingCount--;
				wake();
			});
	}
	while (pendingCount > 0) await changed();
	if (failure !== undefined) throw failure;
}

/**
 * Reads every key back. @returns the number of keys whose value `isRight` does not accept; the first few are shown
 */
async function verify(
	client: Client,
	records: Records,
	isRight: (key: string, record: string, value: string | undefined) => boolean,
): Promise<number> {
	const keys = [...records.keys()];
	let wrongCount = 0;
	for (let start = 0; start < keys.length; start += batchCount) {
		const batch = keys.slice(start, start + batchCount);
		const values = await client.getMany(batch);
		for (const [i, key] of batch.entries()) {
			const bytes = values[i];
			const value = bytes === undefined ? undefined : Buffer.from(bytes).toString();
			if (isRight(key, records.get(key) as string, value)) continue;
			wrongCount++;
			if (wrongCount <= 5) console.log(`  WRONG ${key}: ${value === undefined ? 'missing' : 'altered'}`);
		}
	}
	return wrongCount;
}

function directorySize(directory: string): number {
	let size = 0;
	for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
		if (entry.isFile()) size += statSync(join(entry.parentPath, entry.name)).size;
	}
	return size;
}

const megabytes = (size: number): string => `${(size / 1e6).toFixed(1)} MB`;

async function firstLoad(server: ServerProcess, records: Records): Promise<number> {
	await using client = await connect({ port: server.port });
	section('first load');
	const loadStartedAt = performance.now();
	await load(
		client,
		records,
		1,
		() => {},
		() => {},
	);
	console.log(`  written: ${rate(records.size, loadStartedAt)}`);
	const readStartedAt = performance.now();
	const wrongCount = await verify(client, records, (_, record, value) => value === record);
	console.log(`  read back and compared: ${rate(records.size, readStartedAt)}; ${wrongCount} wrong`);
	return wrongCount;
}

interface SecondLoad {
	readonly sent: Set<string>;
	readonly acknowledged: Set<string>;
}

async function killDuringSecondLoad(server: ServerProcess, records: Records): Promise<SecondLoad> {
	await using client = await connect({ port: server.port });
	section('second load, killed in the middle with SIGKILL');
	const sent = new Set<string>();
	const acknowledged = new Set<string>();
	const killAt = Math.floor(records.size * killFraction);
	const onAcknowledged = (key: string): void => {
		acknowledged.add(key);
		if (acknowledged.size === killAt) server.signal('SIGKILL');
	};
	const outcome = await load(client, records, 2, (key) => sent.add(key), onAcknowledged).then(
		() => 'finished, which it should not have',
		(error: unknown) => String(error),
	);
	await server.exited;
	console.log(`  sent ${sent.size}, acknowledged ${acknowledged.size}; the client says: ${outcome}`);
	return { sent, acknowledged };
}

async function verifyAfterCrash(server: ServerProcess, records: Records, second: SecondLoad): Promise<number> {
	await using client = await connect({ port: server.port });
	let newCount = 0;
	let unacknowledgedCount = 0;
	const wrongCount = await verify(client, records, (key, record, value) => {
		if (value === generationValue(record, 2) && second.sent.has(key)) {
			newCount++;
			if (!second.acknowledged.has(key)) unacknowledgedCount++;
			return true;
		}
		return value === record && !second.acknowledged.has(key);
	});
	const count = await client.count();
	console.log(`  ${newCount} of generation 2 (${unacknowledgedCount} of them not acknowledged in time), the rest of 1`);
	console.log(`  ${count} keys in all, ${records.size} expected; ${wrongCount} wrong`);
	return wrongCount + Math.abs(count - records.size);
}

async function main(): Promise<number> {
	const { values } = parseArgs({
		options: { keep: { type: 'boolean', default: false }, limit: { type: 'string', default: '0' } },
	});
	const records = readRecords(Number(values.limit));
	if (records.size === 0) {
		console.error('there is no package index here (apt-cache dumpavail), so there is nothing to load');
		return 1;
	}
	const size = [...records.values()].reduce((sum, record) => sum + Buffer.byteLength(record), 0);
	console.log(`${records.size} package records, ${megabytes(size)} of text, from apt-cache dumpavail`);
	const directory = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
	let wrongCount = 0;
	let server = await startServer({ directory });
	try {
		console.log(server.stdout.trimEnd());
		wrongCount += await firstLoad(server, records);
		const second = await killDuringSecondLoad(server, records);
		section('restart');
		const startedMs = performance.now();
		server = await startServer({ directory });
		console.log(`  ready ${(performance.now() - startedMs).toFixed(0)} ms after its start (recovery included)`);
		wrongCount += await verifyAfterCrash(server, records, second);
		console.log(`  ${megabytes(directorySize(directory))} on disk for ${megabytes(size)} of text`);
		await server.stop();
	} finally {
		await server.kill();
		if (values.keep) console.log(`the data is in ${directory}`);
		else rmSync(directory, { recursive: true });
	}
	section(wrongCount === 0 ? 'nothing acknowledged is missing, nothing is altered' : `${wrongCount} WRONG`);
	return wrongCount === 0 ? 0 : 1;
}

process.exitCode = await main();
