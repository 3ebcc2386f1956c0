/** Pages, tables, the Makefile and the sources agree, and each rule that says so can fail. */
import assert from 'node:assert/strict';
import { relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { errorTable } from '../../src/base/errors.js';
import { findTestFiles } from '../support/run-tests.js';
import { unexcused } from './exceptions.js';
import { files, textOf } from './repository.js';
import {
	dependencyProblems,
	errorPageProblems,
	formatPageProblems,
	lockFileProblems,
	machineProblems,
	makeTargetProblems,
	orphanTestProblems,
} from './repository-rules.js';

const one = (path: string, text: string) => ({ path, text });

void test('every byte layout has its page, every page its layout', () => {
	assert.deepEqual(unexcused(formatPageProblems(files)), []);
	const format = one('src/ring/ring-format.ts', '');
	const page = one('docs/formats/ring.md', 'Source: `src/ring/ring-format.ts`');
	assert.deepEqual(formatPageProblems([format, page]), []);
	assert.equal(formatPageProblems([format]).length, 1);
	assert.equal(formatPageProblems([page]).length, 1);
	assert.equal(formatPageProblems([one('docs/formats/ring.md', 'no source')]).length, 1);
});

void test('documents name only make targets that exist', () => {
	const documents = files.filter(({ path }) => /^(README|CONTRIBUTING)\.md$|^docs\/.*\.md$/.test(path));
	assert.deepEqual(unexcused(makeTargetProblems(documents, textOf('Makefile'))), []);
	const found = makeTargetProblems([one('README.md', 'Run `make tset`, then\nmake test\n')], 'test: build\n');
	assert.deepEqual(found, ['README.md: make tset is not in the Makefile']);
	assert.equal(makeTargetProblems([one('README.md', '`make CYCLES`')], 'CYCLES ?= 1\n').length, 0);
});

void test('every test file is run, and nothing below test/ is forgotten', () => {
	assert.deepEqual(unexcused(orphanTestProblems(files)), []);
	const built = fileURLToPath(new URL('../..', import.meta.url));
	const found = findTestFiles(fileURLToPath(new URL('..', import.meta.url))).map((path) => relative(built, path));
	const compiled = new Set(found.map((path) => path.replace(/\.js$/, '.ts')));
	const expected = files.filter(({ path }) => /^test\/.*\.test\.ts$/.test(path)).map(({ path }) => path);
	const missed = expected.filter((path) => !compiled.has(path));
	assert.deepEqual(missed, [], 'each is built and found by the runner');
	const helper = one('test/unit/helper.ts', '');
	assert.equal(orphanTestProblems([helper]).length, 1);
	assert.equal(orphanTestProblems([one('test/unit/a.spec.ts', '')]).length, 1);
	assert.equal(orphanTestProblems([helper, one('test/unit/a.test.ts', "import './helper.js'")]).length, 0);
	assert.equal(orphanTestProblems([helper, one('Makefile', 'node dist/test/unit/helper.js')]).length, 0);
});

void test('every dependency is argued for, with its version range', () => {
	assert.deepEqual(unexcused(dependencyProblems(textOf('package.json'), textOf('docs/dependencies.md'))), []);
	const declared = JSON.stringify({ dependencies: { a: '^1.0.0' }, devDependencies: { b: '^2.0.0' } });
	const found = dependencyProblems(declared, '| `a` | `^1.1.0` | x |\n| `c` | `^3.0.0` | x |\n');
	assert.equal(found.length, 3);
});

void test('every error code is explained as the table has it', () => {
	assert.deepEqual(unexcused(errorPageProblems(errorTable, textOf('docs/errors.md'))), []);
	const table = { MILLRACE_A: { status: 2, resp: 'ERR' } };
	const problems = (page: string) => errorPageProblems(table, page);
	assert.deepEqual(problems('## MILLRACE_A\nStatus 2. `-ERR text`\n'), []);
	assert.equal(problems('').length, 1);
	assert.equal(problems('## MILLRACE_A\nStatus 3. `-ERR text`\n').length, 1);
	assert.equal(problems('## MILLRACE_A\nStatus 2. `-BUSY text`\n').length, 1);
	assert.equal(problems('## MILLRACE_A\nStatus 2. `-ERR text`\n## MILLRACE_B\nx\n').length, 1);
});

void test('no file knows the machine it was written on', () => {
	assert.deepEqual(unexcused(machineProblems(files)), []);
	assert.equal(machineProblems([one('a.md', `see ${['', 'work', 'main'].join('/')}`)]).length, 1);
	assert.equal(machineProblems([one('a.md', `from ${'https:'}//registry.example.com/a`)]).length, 1);
	assert.equal(machineProblems([one('a.md', 'https://registry.npmjs.org/a and the/work/done')]).length, 0);
});

void test('the lock file fetches from the public registry only', () => {
	assert.deepEqual(unexcused(lockFileProblems(textOf('package-lock.json'))), []);
	assert.equal(lockFileProblems('"resolved": "https://mirror.example.com/a.tgz"').length, 1);
	assert.equal(lockFileProblems('"resolved": "https://registry.npmjs.org/a.tgz"').length, 0);
});
