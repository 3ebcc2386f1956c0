/** The project's own files, as the tidy rules see them. The root is found from where this file was compiled to. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface RepositoryFile {
	/** Relative to the root, with slashes. */
	readonly path: string;
	readonly text: string;
}

function findRoot(): string {
	const fromEnvironment = process.env.MILLRACE_ROOT;
	if (fromEnvironment !== undefined) return fromEnvironment;
	let directory = dirname(fileURLToPath(import.meta.url));
	while (!existsSync(join(directory, 'package-lock.json'))) {
		if (directory === dirname(directory)) throw new Error('no package-lock.json above this file');
		directory = dirname(directory);
	}
	return directory;
}

export const root = findRoot();

const ignoredDirectories = new Set(['node_modules', 'dist', '.git', 'bench-results', '.demo', 'data']);

/** Tracked and untracked files that are not ignored; outside a git checkout, all but what builds make. */
function listPaths(): string[] {
	if (existsSync(join(root, '.git'))) {
		const output = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root });
		return output.toString().split('\0').filter(Boolean);
	}
	const walk = (directory: string): string[] =>
		readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
			const path = join(directory, entry.name);
			if (!entry.isDirectory()) return [path];
			return ignoredDirectories.has(entry.name) ? [] : walk(path);
		});
	return walk('.');
}

function load(): RepositoryFile[] {
	const files: RepositoryFile[] = [];
	for (const path of listPaths()) {
		const absolute = join(root, path);
		if (!existsSync(absolute) || !statSync(absolute).isFile()) continue;
		const bytes = readFileSync(absolute);
		if (!bytes.includes(0)) files.push({ path, text: bytes.toString('utf8') });
	}
	return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Every text file of the project. */
export const files: readonly RepositoryFile[] = load();

/** The TypeScript sources below some top directories. */
export function sources(...directories: string[]): RepositoryFile[] {
	return files.filter(({ path }) => path.endsWith('.ts') && directories.includes(path.split('/')[0] as string));
}

/** The text of one file. @throws Error when the project does not have it */
export function textOf(path: string): string {
	const found = files.find((file) => file.path === path);
	if (found === undefined) throw new Error(`the project has no ${path}`);
	return found.text;
}
