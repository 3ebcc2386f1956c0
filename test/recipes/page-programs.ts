/**
 * The programs in a page of Markdown: a `##` section is one, its ```js blocks put together in their order.
 *
 *   ## Threads                      a block whose first line is `// reader.js` is that file beside the program
 *   ```js                           a page without `##` is one program
 *   const db = await open('./data');
 *   await db.get('a'); //=> undefined       is checked: assert.deepEqual(await db.get('a'), undefined)
 *   ```
 *
 * A program that names `db` without declaring it gets an open and empty one, which is closed behind it: so pages need not open a
 * database again in each section. Programs import 'millrace' like anyone's: they are written below the package's own
 * package.json, by whose `exports` its name resolves.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface PageProgram {
	readonly title: string;
	readonly main: string;
	/** Further files by name. */
	readonly files: ReadonlyMap<string, string>;
}

const fence = /^```js\n([\s\S]*?)^```$/gm;
const fileName = /^\/\/ ([\w-]+\.js)\n/;
/** `expression; //=> value`, at the start of a line or within a block, the expression on this line alone. */
const expectation = /^(\s*)(.+);[ \t]*\/\/=>[ \t]*(.+)$/gm;

const timeoutMs = 60_000;

/** The programs of a page, in their order; sections without any are left out. */
export function programsOf(text: string): PageProgram[] {
	return text.split(/^## /m).flatMap((section) => {
		const title = section.slice(0, section.indexOf('\n')).replace(/^# /, '');
		const files = new Map<string, string>();
		const parts: string[] = [];
		for (const [, block] of section.matchAll(fence)) {
			const name = fileName.exec(block)?.[1];
			if (name === undefined) parts.push(block);
			else files.set(name, checked(block));
		}
		return parts.length === 0 ? [] : [{ title, main: framed(checked(parts.join('\n'))), files }];
	});
}

/** Expectations as assertions. */
function checked(code: string): string {
	return code.replace(expectation, '$1__assert.deepEqual($2, $3);');
}

function framed(code: string): string {
	const isAsserting = code.includes('__assert.');
	const needsDatabase = /\bdb\b/.test(code) && !/\bconst db\b/.test(code);
	const imports = [...code.matchAll(/^import [\s\S]*?;$/gm)].map(([line]) => line);
	const rest = code.replace(/^import [\s\S]*?;$/gm, '');
	return [
		...(isAsserting ? ["import __assert from 'node:assert/strict';"] : []),
		...(needsDatabase ? ["import { open as __open } from 'millrace';"] : []),
		...imports,
		...(needsDatabase ? ["const db = await __open('./database', { partitions: 2 });"] : []),
		rest,
		...(needsDatabase ? ['await db.close();'] : []),
	].join('\n');
}

/** The directory of the package.json that this file was compiled below. */
export const packageRoot = findPackageRoot();

function findPackageRoot(): string {
	let directory = dirname(fileURLToPath(import.meta.url));
	while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
	return directory;
}

/**
 * Runs a program in an empty working directory.
 * @returns what it printed
 * @throws what it died of: a failed assertion, a warning that something was not closed
 */
export async function runProgram({ title, main, files }: PageProgram): Promise<string> {
	const programs = join(packageRoot, 'dist', 'programs');
	mkdirSync(programs, { recursive: true });
	const codeDirectory = mkdtempSync(join(programs, `${title.toLowerCase().replace(/\W+/g, '-')}-`));
	const workDirectory = mkdtempSync(join(tmpdir(), 'millrace-recipe-'));
	try {
		writeFileSync(join(codeDirectory, 'main.js'), main);
		for (const [name, code] of files) writeFileSync(join(codeDirectory, name), code);
		const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(codeDirectory, 'main.js')], {
			cwd: workDirectory,
			timeout: timeoutMs,
		});
		if (stderr !== '') throw new Error(`it said on standard error: ${stderr}`);
		return stdout;
	} finally {
		rmSync(codeDirectory, { recursive: true, force: true });
		rmSync(workDirectory, { recursive: true, force: true });
	}
}
