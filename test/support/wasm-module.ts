/**
 * Compiles src/codec/wasm with AssemblyScript and gives the text of the TypeScript file that holds the module. The same
 * sources and the compiler of the lock file always give the same bytes, so what is committed can be checked.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../tidy/repository.js';

export const wasmModulePath = join(root, 'src/codec/wasm-module.ts');

/** Characters of base64 on a line. */
const lineSize = 112;

/** Memory is imported and has no runtime of AssemblyScript in it; checks of ours are in the sources, traps are not needed. */
const compilerOptions = [
	'-O3',
	'--converge',
	'--noAssert',
	'--runtime=stub',
	'--importMemory',
	'--zeroFilledMemory',
	'--use=abort=',
];

/** @throws Error with the compiler's words when the sources do not compile */
export function compileWasmModule(): Buffer {
	const directory = mkdtempSync(join(tmpdir(), 'millrace-wasm-'));
	try {
		const target = join(directory, 'block.wasm');
		const compiler = join(root, 'node_modules/assemblyscript/bin/asc.js');
		const source = join(root, 'src/codec/wasm/block.ts');
		execFileSync(process.execPath, [compiler, source, `--outFile=${target}`, ...compilerOptions], { cwd: root });
		return readFileSync(target);
	} finally {
		rmSync(directory, { recursive: true });
	}
}

/** The text of src/codec/wasm-module.ts for a module. */
export function wasmModuleText(module: Buffer): string {
	const lines = module.toString('base64').match(new RegExp(`.{1,${lineSize}}`, 'g')) ?? [];
	return [
		'/** The compiled form of src/codec/wasm, base64. Made by `make wasm`; a test compares it with its sources. */',
		'export const wasmModule = [',
		...lines.map((line) => `\t'${line}',`),
		"].join('');",
		'',
	].join('\n');
}
