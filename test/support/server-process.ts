/**
 * A real server in a process of its own, for end-to-end and crash tests: the built binary, on a port the system chose.
 *
 *   startServer -> running -- stop: SIGTERM, kill: SIGKILL, signal: any --> exited (code or signal, all of stderr kept)
 *              `-> ended before its ready line: ServerEndedEarly, with exit code and stderr
 *
 * Invariant: every process started here is killed by its pid at the latest when the test's process ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The binary as built beside this file: <out>/test/support/… and <out>/src/cli/main.js. */
export const mainPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** A launcher that takes options the binary does not offer. */
export const smallServerPath = fileURLToPath(new URL('./small-server.js', import.meta.url));

const readyPattern = /^millrace ready on .*:(\d+) .*$/m;
const readyTimeoutMs = 60_000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
	for (const child of running) child.kill('SIGKILL');
});

export interface ExitStatus {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
	readonly directory: string;
	/** Further arguments of `millrace serve`. */
	readonly extra?: readonly string[];
	/** 0, the default: the system chooses. */
	readonly port?: number;
	/** Another script than the binary; it gets the same arguments, without `serve`. */
	readonly script?: string;
	/** What to run node under: a program and its arguments that end up executing node in the same process. */
	readonly under?: readonly string[];
	/** Flags for node itself. */
	readonly nodeFlags?: readonly string[];
}

/** The server ended before it was ready. */
export class ServerEndedEarly extends Error {
	readonly exit: ExitStatus;
	readonly stderr: string;

	constructor(exit: ExitStatus, stderr: string) {
		super(`the server ended (${exit.code ?? exit.signal}) before it was ready: ${stderr}`);
		this.exit = exit;
		this.stderr = stderr;
	}
}

export class ServerProcess implements AsyncDisposable {
	readonly exited: Promise<ExitStatus>;
	readonly ready: Promise<void>;
	readonly #child: ChildProcess;
	#stdout = '';
	#stderr = '';
	#port = 0;

	constructor(options: StartOptions) {
		const { directory, extra = [], port = 0, script, under = [], nodeFlags = [] } = options;
		const command = script === undefined ? [mainPath, 'serve'] : [script];
		const argv = [
			...under,
			process.execPath,
			...nodeFlags,
			...command,
			'--dir',
			directory,
			'--port',
			String(port),
			...extra,
		];
		this.#child = spawn(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
		running.add(this.#child);
		this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
			this.#stderr += text;
		});
		this.exited = new Promise((resolve) => {
			this.#child.once('close', (code, signal) => {
				running.delete(this.#child);
				resolve({ code, signal });
			});
		});
		this.ready = this.#waitForReady();
		// Who kills a server during its start does not wait for it to be ready.
		this.ready.catch(() => {});
	}

	get pid(): number {
		return this.#child.pid as number;
	}

	get port(): number {
		return this.#port;
	}

	get stdout(): string {
		return this.#stdout;
	}

	get stderr(): string {
		return this.#stderr;
	}

	signal(signal: NodeJS.Signals): void {
		this.#child.kill(signal);
	}

	/** SIGTERM. @returns how it ended */
	stop(): Promise<ExitStatus> {
		this.signal('SIGTERM');
		return this.exited;
	}

	/** SIGKILL; fine when it has ended. */
	kill(): Promise<ExitStatus> {
		this.signal('SIGKILL');
		return this.exited;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.kill();
	}

	/** Resident memory in bytes. */
	residentSize(): number {
		const pages = readFileSync(`/proc/${this.pid}/statm`, 'utf8').split(' ')[1];
		return Number(pages) * 4096;
	}

	/** CPU time used so far by all threads, in clock ticks of 10 ms. */
	cpuTicks(): number {
		const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1].split(' ');
		return Number(fields[11]) + Number(fields[12]);
	}

	#waitForReady(): Promise<void> {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				reject(new Error(`the server is not ready after ${readyTimeoutMs} ms: ${this.#stderr}`));
			}, readyTimeoutMs);
			this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
				this.#stdout += text;
				const match = readyPattern.exec(this.#stdout);
				if (match === null || this.#port !== 0) return;
				this.#port = Number(match[1]);
				clearTimeout(timer);
				resolve();
			});
			this.#child.once('error', reject);
			void this.exited.then((exit) => {
				clearTimeout(timer);
				reject(new ServerEndedEarly(exit, this.#stderr));
			});
		});
	}
}

/** Starts a server and waits for its ready line. @throws ServerEndedEarly */
export async function startServer(options: StartOptions): Promise<ServerProcess> {
	const server = new ServerProcess(options);
	try {
		await server.ready;
		return server;
	} catch (error) {
		await server.kill();
		throw error;
	}
}

/** Starts a server that is expected to fail. @returns how it ended */
export async function startToFail(options: StartOptions): Promise<ServerEndedEarly> {
	try {
		await using server = await startServer(options);
		throw new Error(`the server started: ${server.stdout}`);
	} catch (error) {
		if (error instanceof ServerEndedEarly) return error;
		throw error;
	}
}

/** A new directory below the system's temporary one, removed when it goes out of scope. */
export class TemporaryDirectory implements Disposable {
	readonly path = mkdtempSync(join(tmpdir(), 'millrace-test-'));

	[Symbol.dispose](): void {
		rmSync(this.path, { recursive: true, force: true });
	}
}
