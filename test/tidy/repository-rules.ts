/** Rules on how files agree with each other: pages with sources, tables with code, commands with the Makefile. */
import type { RepositoryFile } from './repository.js';

/** Every layout has a page that names it, and every page names only sources that live. */
export function formatPageProblems(files: readonly RepositoryFile[]): string[] {
	const problems: string[] = [];
	const paths = new Set(files.map(({ path }) => path));
	const pages = files.filter(({ path }) => /^docs\/formats\/(?!README)[^/]+\.md$/.test(path));
	for (const path of paths) {
		if (!/^src\/.*-format\.ts$/.test(path)) continue;
		if (!pages.some(({ text }) => text.includes(path))) problems.push(`${path}: no page in docs/formats names it`);
	}
	for (const page of pages) {
		const named = page.text.match(/src\/[\w/.-]+\.ts/g) ?? [];
		if (named.length === 0) problems.push(`${page.path}: names no source file`);
		for (const path of named) if (!paths.has(path)) problems.push(`${page.path}: names ${path}, which is gone`);
	}
	return problems;
}

/** `make` targets that a document tells people to type, and the Makefile does not have. */
export function makeTargetProblems(documents: readonly RepositoryFile[], makefile: string): string[] {
	const targets = new Set([...makefile.matchAll(/^([a-z][\w-]*)\s*:(?!=)/gm)].map((match) => match[1]));
	return documents.flatMap(({ path, text }) =>
		[...text.matchAll(/(?:^\s*|`|\$ |&& )make ([a-z][\w-]*)/gm)]
			.filter((match) => !targets.has(match[1]))
			.map((match) => `${path}: make ${match[1]} is not in the Makefile`),
	);
}

/** Code below test/ that nothing runs: neither a *.test.ts nor named by another source or the Makefile. */
export function orphanTestProblems(files: readonly RepositoryFile[]): string[] {
	const callers = files.filter(({ path }) => /\.(ts|sh)$|^Makefile$/.test(path));
	return files
		.filter(({ path }) => path.startsWith('test/') && /\.[cm]?[jt]sx?$/.test(path) && !path.endsWith('.test.ts'))
		.filter(({ path }) => {
			const name = (path.split('/').at(-1) as string).replace(/\.ts$/, '.js');
			return !callers.some((caller) => caller.path !== path && caller.text.includes(`/${name}`));
		})
		.map(({ path }) => `${path}: neither a *.test.ts nor used by anything`);
}

interface PackageFile {
	readonly dependencies?: Record<string, string>;
	readonly devDependencies?: Record<string, string>;
}

/** The dependency table and package.json, both ways, with the same version ranges. */
export function dependencyProblems(packageText: string, page: string): string[] {
	const { dependencies, devDependencies } = JSON.parse(packageText) as PackageFile;
	const declared = new Map(Object.entries({ ...dependencies, ...devDependencies }));
	const described = new Map<string, string>();
	for (const match of page.matchAll(/^\| `([^`]+)` \| `([^`]+)` \|/gm))
		described.set(match[1] as string, match[2] as string);
	const problems: string[] = [];
	for (const [name, range] of declared) {
		if (!described.has(name)) problems.push(`${name}: no line in docs/dependencies.md`);
		else if (described.get(name) !== range) problems.push(`${name}: docs/dependencies.md does not say ${range}`);
	}
	for (const name of described.keys()) {
		if (!declared.has(name)) problems.push(`${name}: in docs/dependencies.md but not in package.json`);
	}
	return problems;
}

/** docs/errors.md and the error table, both ways, with the same status bytes and RESP words. */
export function errorPageProblems(
	table: Readonly<Record<string, { readonly status: number; readonly resp: string }>>,
	page: string,
): string[] {
	const sections = new Map<string, string>();
	for (const match of page.matchAll(/^## (MILLRACE_\w+)\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)) {
		sections.set(match[1] as string, match[2] as string);
	}
	const problems: string[] = [];
	for (const [code, { status, resp }] of Object.entries(table)) {
		const section = sections.get(code);
		if (section === undefined) problems.push(`${code}: no heading in docs/errors.md`);
		else if (!section.includes(`Status ${status}.`)) problems.push(`${code}: does not say "Status ${status}."`);
		else if (!section.includes(`\`-${resp} `)) problems.push(`${code}: does not show "-${resp} "`);
	}
	for (const code of sections.keys()) if (!(code in table)) problems.push(`${code}: in docs/errors.md only`);
	return problems;
}

const machinePath = /(?:^|[\s"'`(=:])\/(?:work|root)\/[\w.]/m;
const otherRegistry = /https?:\/\/(?!registry\.npmjs\.org\b)[^\s/"'`]*(?:registry|artifactory|nexus)[^\s/"'`]*/;

/** What only makes sense on the machine a file was written on. */
export function machineProblems(files: readonly RepositoryFile[]): string[] {
	return files.flatMap(({ path, text }) => {
		const found = machinePath.exec(text) ?? otherRegistry.exec(text);
		return found === null ? [] : [`${path}: ${found[0].trim()} exists on one machine only`];
	});
}

/** Packages the lock file would fetch from elsewhere than the public registry. */
export function lockFileProblems(lockText: string): string[] {
	return [...lockText.matchAll(/"resolved": "([^"]+)"/g)]
		.map((match) => match[1] as string)
		.filter((url) => !url.startsWith('https://registry.npmjs.org/'))
		.map((url) => `package-lock.json: fetches ${url}`);
}
