/** Which room may import which, as data, and the rules that read it: docs/architecture.md says why. */
import { posix } from 'node:path';
import type { RepositoryFile } from './repository.js';
import { importsOf, scanSource } from './source-scanner.js';

/**
 * What a room may import of ours, besides itself: rooms, single files (`env/ports.ts`), or everything in src (`*`).
 * A room that is missing here may import nothing, so a new room must be entered.
 */
const importTable: Record<string, readonly string[]> = {
	base: [],
	env: ['base'],
	codec: ['base'],
	command: ['base'],
	ring: ['base'],
	storage: ['base', 'codec', 'command', 'env/ports.ts'],
	routing: ['base'],
	engine: ['base', 'command', 'ring', 'routing', 'codec/message-pack.ts', 'env/ports.ts'],
	workers: ['base', 'env', 'command', 'ring', 'storage'],
	net: ['base'],
	protocol: ['base', 'codec', 'command', 'net'],
	client: ['base', 'codec', 'command', 'net', 'protocol/frame'],
	server: ['*'],
	cli: ['base', 'client', 'server'],
	// The abstract-level adapter: a package of its own on top of the embedded database.
	level: ['base', 'command', 'engine', 'open'],
	// src/index.ts, src/open.ts and src/attach.ts: the package's front door, and what wires a database in its threads.
	index: ['*'],
	open: ['*'],
	attach: ['*'],
};

/** Rooms that may touch files: env for everyone, cli for the user's own import and export files. */
const fileRooms = new Set(['env', 'cli']);

/** The room of a path: `src/<room>/…`, or the top directory; each protocol is a room of its own: `protocol/resp`. */
export function roomOf(path: string): string {
	const parts = path.split('/');
	if (parts[0] !== 'src') return parts[0] as string;
	if (parts.length === 2) return (parts[1] as string).replace(/\.ts$/, '');
	if (parts[1] === 'protocol' && parts.length > 3) return `protocol/${parts[2]}`;
	return parts[1] as string;
}

/** The path an import leads to, or undefined for packages. */
function targetOf(path: string, specifier: string): string | undefined {
	if (!specifier.startsWith('.')) return undefined;
	return posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts');
}

function mayImport(path: string, target: string): boolean {
	const room = roomOf(path);
	const targetRoom = roomOf(target);
	if (room === targetRoom) return true;
	const allowed = importTable[room.split('/')[0] as string] ?? [];
	if (allowed.includes('*')) return target.startsWith('src/');
	const insideSource = target.replace(/^src\//, '');
	return allowed.some((entry) => entry === targetRoom || entry === insideSource);
}

/** Imports over a wall, node:fs outside its rooms, and anything of Node in base. Tests and benchmarks are free. */
export function wallProblems(sourceFiles: readonly RepositoryFile[]): string[] {
	const problems: string[] = [];
	for (const { path, text } of sourceFiles) {
		const room = roomOf(path);
		if (room === 'test' || room === 'native-bench') continue;
		for (const { specifier } of importsOf(scanSource(text))) {
			const target = targetOf(path, specifier);
			if (target !== undefined && !mayImport(path, target)) {
				problems.push(`${path}: ${room} may not import ${target}`);
			}
			if (/^(node:)?fs(\/|$)/.test(specifier) && !fileRooms.has(room)) {
				problems.push(`${path}: only ${[...fileRooms].join(' and ')} may import ${specifier}`);
			}
			if (room === 'base' && target === undefined) {
				problems.push(`${path}: base imports nothing but itself, not ${specifier}`);
			}
		}
	}
	return problems;
}

/** Files that import each other in a circle, by imports that exist at run time. */
export function cycleProblems(sourceFiles: readonly RepositoryFile[]): string[] {
	const targets = new Map<string, string[]>();
	for (const { path, text } of sourceFiles) {
		const imports = importsOf(scanSource(text)).filter(({ isTypeOnly }) => !isTypeOnly);
		targets.set(
			path,
			imports.map(({ specifier }) => targetOf(path, specifier)).filter((t) => t !== undefined),
		);
	}
	const problems: string[] = [];
	const done = new Set<string>();
	const visit = (path: string, trail: string[]): void => {
		const start = trail.indexOf(path);
		if (start >= 0) problems.push(`import cycle: ${[...trail.slice(start), path].join(' -> ')}`);
		if (start >= 0 || done.has(path)) return;
		for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
		done.add(path);
	};
	for (const path of targets.keys()) visit(path, []);
	return problems;
}
