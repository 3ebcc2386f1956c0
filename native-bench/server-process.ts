/**
 * A real server in a process of its own, for the demo: started, timed until its ready line, stopped or killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The command as built beside this file: dist/native-bench/… and dist/src/cli/main.js. */
const mainPath = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const readyPattern = /^millrace ready on .*:(\d+) /;

export interface ServerProcess {
	readonly port: number;
	readonly readyLine: string;
	/** From the start of the process to its ready line. */
	readonly readyMs: number;
	/** The exit code, or null after a signal. */
	readonly exited: Promise<number | null>;
	/** SIGKILL; fine when it has ended. */
	kill(): void;
	/** SIGTERM. @throws Error when the exit code is not 0 */
	stop(): Promise<void>;
}

/** @throws Error when the process ends before it is ready */
export async function startServerProcess(directory: string, extra: string[] = []): Promise<ServerProcess> {
	const startedAt = performance.now();
	const child = spawn(process.execPath, [mainPath, 'serve', '--dir', directory, '--port', '0', ...extra], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	const exited = new Promise<number | null>((resolve, reject) => {
		child.once('exit', resolve);
		child.once('error', reject);
	});
	const readyLine = await Promise.race([waitForReady(child), failOnExit(exited)]);
	return {
		port: Number(readyPattern.exec(readyLine)?.[1]),
		readyLine,
		readyMs: performance.now() - startedAt,
		exited,
		kill: () => child.kill('SIGKILL'),
		stop: async () => {
			child.kill('SIGTERM');
			const code = await exited;
			if (code !== 0) throw new Error(`the server ended with ${code} after SIGTERM`);
		},
	};
}

async function waitForReady(child: ChildProcess): Promise<string> {
	if (child.stdout === null) throw new Error('the server has no standard output');
	for await (const line of createInterface({ input: child.stdout })) {
		if (readyPattern.test(line)) return line;
	}
	return new Promise(() => {});
}

async function failOnExit(exited: Promise<number | null>): Promise<never> {
	throw new Error(`the server ended with ${await exited} before it was ready`);
}
