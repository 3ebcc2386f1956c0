/**
 * `millrace serve`: starts the server in this process and waits for its end.
 *
 *   start -> ready line -> ... -> first SIGTERM or SIGINT: close, exit 0 -> second: exit at once with 128 + signal
 *                            `-> the server ends by itself: its own exit code
 */
import { constants } from 'node:os';
import { type ServerOptions, startServer } from '../server/server.js';
import { type CommandIo, exitOk } from './command-io.js';

const stopSignals = ['SIGTERM', 'SIGINT'] as const;

export interface ServeOptions {
	readonly directory: string;
	readonly host: string;
	readonly port: number;
	readonly partitions: number | undefined;
	readonly durability: 'always' | 'interval' | 'none';
	readonly damagedLog: 'refuse' | 'truncate';
	readonly compaction?: 'leveled' | 'tiered';
	readonly lastLevelCodec?: 'lz4' | 'zstd';
	readonly compactionBytesPerSecond?: number;
	readonly diskBudget?: number;
	readonly reserveFileSize?: number;
}

/** @returns the exit code, when the server has ended */
export async function serve(options: ServeOptions, io: CommandIo): Promise<number> {
	const { partitions, ...others } = options;
	const { directory, host, durability } = options;
	const serverOptions: ServerOptions = {
		...others,
		log: (line) => io.stderr.write(`${line}\n`),
		...(partitions === undefined ? {} : { partitions }),
	};
	const server = await startServer(serverOptions);
	const stopped = new Promise<number>((resolve, reject) => {
		let isStopping = false;
		for (const signal of stopSignals) {
			process.on(signal, () => {
				if (isStopping) process.exit(128 + constants.signals[signal]);
				isStopping = true;
				server.close().then(() => resolve(exitOk), reject);
			});
		}
	});
	// Only now: who reads the ready line may send a signal at once.
	const { partitionCount } = server;
	const count = partitionCount === 1 ? '1 partition' : `${partitionCount} partitions`;
	const where = host.includes(':') ? `[${host}]:${server.port}` : `${host}:${server.port}`;
	io.stdout.write(`millrace ready on ${where} (${count}, durability ${durability}, data in ${directory})\n`);
	return Promise.race([stopped, server.ended]);
}
