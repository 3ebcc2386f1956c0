/** Every program in the guide, the recipes and the pages for newcomers runs, and its values are what the page says. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { packageRoot, programsOf, runProgram } from './page-programs.js';

const pages = [
	'docs/guide.md',
	'docs/from-classic-level.md',
	'docs/from-lmdb.md',
	...readdirSync(join(packageRoot, 'docs', 'recipes'))
		.sort()
		.map((name) => `docs/recipes/${name}`),
];

for (const page of pages) {
	const programs = programsOf(readFileSync(join(packageRoot, page), 'utf8'));
	void test(`${page} has programs`, () => assert.ok(programs.length > 0));
	for (const program of programs) {
		void test(`${page}: ${program.title}`, async () => {
			await runProgram(program);
		});
	}
}

void test("the README's embedded program runs", async () => {
	const sections = programsOf(readFileSync(join(packageRoot, 'README.md'), 'utf8'));
	const embedded = sections.filter(({ main }) => main.includes('open('));
	assert.ok(embedded.length > 0);
	for (const program of embedded) await runProgram(program);
});

void test('a program whose value is not what the page says fails, and so does one that leaves something open', async () => {
	const page = (code: string): string => `## One\n\n\`\`\`js\n${code}\n\`\`\`\n`;
	const [right] = programsOf(page("await db.put('a', '1');\n(await db.has('a')); //=> true"));
	await runProgram(right);
	const [wrong] = programsOf(page("(await db.has('a')); //=> true"));
	await assert.rejects(runProgram(wrong), /AssertionError/);
	const [noisy] = programsOf(page("process.emitWarning('left open')"));
	await assert.rejects(runProgram(noisy), /left open/);
});
