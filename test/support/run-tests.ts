/**
 * Runs every test of the project: each *.test.js below dist/test in a process of its own, two at a time, with node's
 * own runner. Its exit code is ours, so a failing, hanging-up or crashing test file fails the build.
 *
 * Arguments, if any, are parts of paths: only files that contain one of them run.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Two, not one for each core: end-to-end tests start servers with threads of their own. */
const concurrency = 2;

/** All test files below a directory, in the order of their paths. */
export function findTestFiles(directory: string): string[] {
	return readdirSync(directory, { recursive: true, encoding: 'utf8' })
		.filter((path) => path.endsWith('.test.js'))
		.sort()
		.map((path) => join(directory, path));
}

/**
 * Runs test files with node's runner, its report on our standard output.
 * @returns the runner's exit code; 1 when there is nothing to run or a signal ended the runner
 */
export function runTestFiles(files: readonly string[]): Promise<number> {
	if (files.length === 0) return Promise.resolve(1);
	const flags = ['--test', '--test-reporter=spec', `--test-concurrency=${concurrency}`];
	// NODE_TEST_CONTEXT would make a runner inside a test report to that test's runner instead of to us.
	const { NODE_TEST_CONTEXT: _, ...env } = process.env;
	const child = spawn(process.execPath, [...flags, ...files], { stdio: 'inherit', env });
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('exit', (code) => resolve(code ?? 1));
	});
}

async function main(): Promise<void> {
	const root = dirname(dirname(fileURLToPath(import.meta.url)));
	const wanted = process.argv.slice(2);
	const files = findTestFiles(root).filter(
		(file) => wanted.length === 0 || wanted.some((part) => relative(root, file).includes(part)),
	);
	if (files.length === 0) console.error('no test file matches');
	process.exitCode = await runTestFiles(files);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
