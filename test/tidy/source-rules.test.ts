/** Every source file keeps the house style that no formatter checks, and each rule can fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unexcused } from './exceptions.js';
import { files, sources } from './repository.js';
import {
	fileLength,
	fileLineCountMax,
	functionLength,
	functionLineCountMax,
	lineColumnCountMax,
	lineLength,
	noPostponements,
	noSkippedTests,
	opensWithModel,
} from './source-rules.js';

const all = sources('src', 'workers', 'native-bench', 'test');
const fixture = (text: string) => ({ path: 'src/a.ts', text });

void test('the project has sources to check', () => assert.ok(all.length > 20));

void test('files are short', () => assert.deepEqual(unexcused(all.flatMap(fileLength)), []));

void test('functions are short', () => assert.deepEqual(unexcused(all.flatMap(functionLength)), []));

void test('lines fit a screen', () => assert.deepEqual(unexcused(all.flatMap(lineLength)), []));

void test('nothing is postponed in comments', () => {
	const texts = files.filter(({ path }) => /\.(ts|sh|yml)$|^Makefile$/.test(path));
	assert.deepEqual(unexcused(texts.flatMap(noPostponements)), []);
});

void test('product files open with what they are', () => {
	assert.deepEqual(unexcused(sources('src', 'workers', 'native-bench').flatMap(opensWithModel)), []);
});

void test('no test is skipped, kept for later or run alone', () => {
	assert.deepEqual(unexcused(sources('test').flatMap(noSkippedTests)), []);
});

void test('each rule can fail, and passes at its limit', () => {
	const lines = (count: number) => fixture('a\n'.repeat(count));
	assert.equal(fileLength(lines(fileLineCountMax + 1)).length, 1);
	assert.equal(fileLength(lines(fileLineCountMax)).length, 0);
	const body = (count: number) => fixture(`function a() {${'\n'.repeat(count - 1)}}`);
	assert.equal(functionLength(body(functionLineCountMax + 1)).length, 1);
	assert.equal(functionLength(body(functionLineCountMax)).length, 0);
	assert.equal(lineLength(fixture(`\t${'a'.repeat(lineColumnCountMax - 1)}`)).length, 1);
	assert.equal(lineLength(fixture(`\t${'a'.repeat(lineColumnCountMax - 2)}`)).length, 0);
	for (const word of ['TO' + 'DO', 'FIX' + 'ME']) assert.equal(noPostponements(fixture(`// ${word}: later`)).length, 1);
	assert.equal(noPostponements(fixture('// a hackney coach')).length, 0);
	assert.equal(opensWithModel(fixture("import 'a';\n/** late */")).length, 1);
	assert.equal(opensWithModel(fixture('#!/usr/bin/env node\n/** What it is. */')).length, 0);
	for (const word of ['only', 'skip', 'todo']) {
		assert.equal(noSkippedTests(fixture(`test.${word}('x', () => {})`)).length, 1);
		assert.equal(noSkippedTests(fixture(`test('x', { ${word}: true }, () => {})`)).length, 1);
	}
	assert.equal(noSkippedTests(fixture("test('test.only in a string', () => {})")).length, 0);
});
