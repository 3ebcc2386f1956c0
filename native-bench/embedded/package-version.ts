/** The version of an installed package, also of one that does not export its package.json. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export function packageVersion(name: string): string {
	let directory = dirname(createRequire(import.meta.url).resolve(name));
	for (;;) {
		const file = join(directory, 'package.json');
		if (existsSync(file)) {
			const found = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
			if (found.name === name) return found.version ?? '?';
		}
		if (dirname(directory) === directory) throw new Error(`${name} is not installed`);
		directory = dirname(directory);
	}
}
