/**
 * Runs a program to its end, with input, and tells what it said. And: what to do on a machine that lacks a program.
 */
import { spawn, spawnSync } from 'node:child_process';

export interface Outcome {
	readonly code: number | null;
	readonly stdout: Buffer;
	readonly stderr: string;
	/** Standard output as text, without the last line end. */
	readonly text: string;
}

const timeoutMs = 60_000;

/** @throws Error when the program cannot be started */
export function runProgram(program: string, argv: readonly string[], input?: string | Uint8Array): Promise<Outcome> {
	const child = spawn(program, argv, { stdio: ['pipe', 'pipe', 'pipe'], timeout: timeoutMs });
	const chunks: Buffer[] = [];
	let stderr = '';
	child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		stderr += text;
	});
	child.stdin.on('error', () => {});
	child.stdin.end(input);
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code) => {
			const stdout = Buffer.concat(chunks);
			resolve({ code, stdout, stderr, text: stdout.toString('utf8').replace(/\n$/, '') });
		});
	});
}

/**
 * For the `skip` of a test that needs a program: false when it is here, or when the machine is CI's, where its absence
 * must fail the test; else the reason.
 */
export function skipWithout(program: string): string | false {
	if (process.env.CI === 'true') return false;
	const isHere = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
	return isHere ? false : `${program} is not installed (make test installs it where apt-get works)`;
}
