/**
 * kill -9, again and again: a real server under load is killed at a random moment and started anew on the same directory,
 * and must hold every acknowledged write, nothing altered, nothing invented.
 *
 *   start (sometimes killed while it starts, recovers or flushes) ─> check ─> two writers, one by client, one by RESP ─>
 *   kill the server at a random moment ─> writers end ─> read their ledgers ─> …
 *
 * Small memtables, so that flushes and merges are under way at most kills. A command too:
 * `node kill-loop.js --cycles N --durability always|interval|none`; MILLRACE_SEED repeats its random choices, though not
 * the moments the machine makes of them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Prng } from '../../src/base/prng.js';
import { connect } from '../../src/client/client.js';
import { RawConnection } from '../support/raw-connection.js';
import { testSeed } from '../support/seed.js';
import { ServerProcess, smallServerPath, startServer, TemporaryDirectory } from '../support/server-process.js';
import { KillLedger } from './kill-ledger.js';

const writerPath = fileURLToPath(new URL('./kill-writer.js', import.meta.url));
const writerKinds = ['client', 'resp'] as const;
const partitionCount = 2;
/** More than a writer sends in one cycle: keeps the generations of cycles apart. */
const generationsPerCycle = 1_000_000;
/** The kill comes at most this long after the writers' first acknowledgements. */
const loadMsMax = 400;
/** A kill during the start comes at most this long after it: node alone takes some 100 ms. */
const startMsMax = 350;

export interface KillLoopOptions {
	readonly cycles: number;
	readonly durability: string;
	readonly seed: number;
	/** Flags for the server's node: how the canary gets in. */
	readonly nodeFlags?: readonly string[];
}

export interface KillLoopResult {
	readonly problems: readonly string[];
	readonly cycles: number;
	readonly killedAtStart: number;
	readonly sent: number;
	readonly acknowledged: number;
	readonly keys: number;
	readonly replayed: number;
	/** Most tables seen after a restart: flushes were at work. */
	readonly tables: number;
}

/** One directory, its server, its writers and what is known about them. */
export class KillLoop implements AsyncDisposable {
	readonly ledger = new KillLedger();
	readonly #directory = new TemporaryDirectory();
	readonly #ledgers = new TemporaryDirectory();
	readonly #random: Prng;
	readonly #durability: string;
	readonly #nodeFlags: readonly string[];
	#server: ServerProcess | undefined;
	#cycle = 0;
	killedAtStart = 0;
	replayed = 0;
	tables = 0;

	constructor({ durability, seed, nodeFlags = [] }: Omit<KillLoopOptions, 'cycles'>) {
		this.#nodeFlags = nodeFlags;
		this.#random = new Prng(seed);
		this.#durability = durability;
	}

	/** Where the server's data is. */
	get path(): string {
		return join(this.#directory.path, 'data');
	}

	/** Starts the server; every third time after having killed it in the middle of a start. */
	async start(): Promise<void> {
		const extra = ['--partitions', String(partitionCount), '--durability', this.#durability];
		const options = { directory: this.path, script: smallServerPath, extra, nodeFlags: this.#nodeFlags };
		if (this.#random.below(3) === 0) {
			await using hasty = new ServerProcess(options);
			await sleep(this.#random.below(startMsMax));
			await hasty.kill();
			this.killedAtStart++;
		}
		this.#server = await startServer(options);
	}

	/**
	 * Lets both writers write.
	 * @param writeCount writes of each after which they stop by themselves; without it the server is killed under them
	 */
	async writeAndKill(writeCount?: number): Promise<void> {
		const server = this.#mustRun();
		this.#cycle++;
		const paths = writerKinds.map((kind) => join(this.#ledgers.path, `${this.#cycle}-${kind}`));
		const writers = writerKinds.map((kind, i) => {
			const seed = this.#random.nextU32();
			const first = this.#cycle * generationsPerCycle;
			const most = writeCount ?? generationsPerCycle - 1;
			const argv = [kind, server.port, paths[i], `by-${kind}`, seed, first, most].map(String);
			const child = spawn(process.execPath, [writerPath, ...argv], { stdio: 'inherit' });
			return once(child, 'exit');
		});
		if (writeCount === undefined) {
			while (!paths.every(hasAcknowledgement)) await sleep(5);
			await sleep(this.#random.below(loadMsMax));
			await server.kill();
		}
		await Promise.all(writers);
		await server.kill();
		for (const path of paths) this.ledger.readLines(readFileSync(path, 'utf8'));
	}

	/** Compares everything the server holds with the ledger. @returns what is wrong */
	async check(): Promise<string[]> {
		const { port } = this.#mustRun();
		await using client = await connect({ port });
		const { keys } = this.ledger;
		const values = await client.getMany(keys);
		const problems = this.ledger.check(keys, values);
		const present = new Set(keys.filter((_, i) => values[i] !== undefined));
		const exported = new Set<string>();
		for await (const entry of client.exportEntries()) exported.add(Buffer.from(entry.key).toString());
		for (const key of exported) if (!present.has(key)) problems.push(`the scan finds ${key}, which is not there`);
		for (const key of present) if (!exported.has(key)) problems.push(`the scan misses ${key}`);
		using raw = await RawConnection.open(port);
		const size = await raw.command('DBSIZE');
		if (size !== present.size) problems.push(`DBSIZE is ${String(size)}, ${present.size} keys are there`);
		const info = String(await raw.command('INFO', 'persistence'));
		this.replayed += Number(/replayed_commands:(\d+)/.exec(info)?.[1]);
		this.tables = Math.max(this.tables, Number(/tables:(\d+)/.exec(info)?.[1]));
		return problems;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#server?.kill();
		this.#directory[Symbol.dispose]();
		this.#ledgers[Symbol.dispose]();
	}

	get port(): number {
		return this.#mustRun().port;
	}

	#mustRun(): ServerProcess {
		if (this.#server === undefined) throw new Error('the server was not started');
		return this.#server;
	}
}

function hasAcknowledgement(path: string): boolean {
	return existsSync(path) && readFileSync(path, 'utf8').includes('\na ');
}

/** Runs the loop; stops at the first cycle that finds something wrong. */
export async function runKillLoop(options: KillLoopOptions): Promise<KillLoopResult> {
	await using loop = new KillLoop(options);
	let problems: string[] = [];
	let cycles = 0;
	await loop.start();
	while (problems.length === 0 && cycles < options.cycles) {
		await loop.writeAndKill();
		await loop.start();
		problems = await loop.check();
		cycles++;
	}
	const { sentCount, acknowledgedCount, keys } = loop.ledger;
	const { killedAtStart, replayed, tables } = loop;
	return {
		problems,
		cycles,
		killedAtStart,
		sent: sentCount,
		acknowledged: acknowledgedCount,
		keys: keys.length,
		replayed,
		tables,
	};
}

async function main(): Promise<number> {
	const { values } = parseArgs({
		options: {
			cycles: { type: 'string', default: '20' },
			durability: { type: 'string', default: 'always' },
		},
	});
	const cycles = Number(values.cycles);
	const result = await runKillLoop({ cycles, durability: values.durability, seed: testSeed('kill-loop') });
	console.log(result);
	return result.problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main();
