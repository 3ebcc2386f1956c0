/**
 * A redis-server of our own on loopback, for benchmarks beside it: fresh directory, append-only file, no snapshots.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';

export interface RedisProcess {
	readonly port: number;
	stop(): Promise<void>;
}

/** First line of `redis-server --version`. @throws when it is not installed (make bench installs it) */
export function redisVersion(): string {
	return execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).trim();
}

/** @param fsync appendfsync: always, everysec or no */
export async function startRedisProcess(directory: string, fsync: string): Promise<RedisProcess> {
	const port = await freePort();
	mkdirSync(directory, { recursive: true });
	const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory];
	const child = spawn('redis-server', [...place, '--save', '', '--appendonly', 'yes', '--appendfsync', fsync], {
		stdio: 'ignore',
	});
	await waitForPort(port);
	return {
		port,
		stop: async () => {
			const ended = new Promise((resolve) => child.once('exit', resolve));
			child.kill('SIGTERM');
			await ended;
		},
	};
}

async function freePort(): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1');
	await new Promise((resolve) => server.once('listening', resolve));
	const { port } = server.address() as { port: number };
	await new Promise((resolve) => server.close(resolve));
	return port;
}

async function waitForPort(port: number): Promise<void> {
	for (let attempt = 0; attempt < 200; attempt++) {
		const isOpen = await new Promise<boolean>((resolve) => {
			const socket = createConnection({ port, host: '127.0.0.1' });
			socket.once('error', () => resolve(false));
			socket.once('connect', () => {
				socket.destroy();
				resolve(true);
			});
		});
		if (isOpen) return;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	throw new Error(`nothing listens on port ${port} after 10 s`);
}
