/** Exceptions excuse what they name, are all still needed, and each has a reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorTable } from '../../src/base/errors.js';
import { exceptions, staleExceptions, unexcused } from './exceptions.js';
import { cycleProblems, wallProblems } from './import-rules.js';
import { files, sources, textOf } from './repository.js';
import * as repositoryRules from './repository-rules.js';
import * as sourceRules from './source-rules.js';

void test('an exception excuses its problem and must be needed', () => {
	const excuses = [{ problem: 'src/a.ts: ', reason: 'for this test' }];
	assert.deepEqual(unexcused(['src/a.ts: x', 'src/b.ts: y'], excuses), ['src/b.ts: y']);
	assert.deepEqual(staleExceptions(['src/a.ts: x'], excuses), []);
	assert.equal(staleExceptions(['src/b.ts: y'], excuses).length, 1);
});

void test('every exception is still needed and says why', () => {
	const product = sources('src', 'workers');
	const all = sources('src', 'workers', 'native-bench', 'test');
	const problems = [
		...wallProblems(product),
		...cycleProblems(product),
		...all.flatMap(sourceRules.fileLength),
		...all.flatMap(sourceRules.functionLength),
		...all.flatMap(sourceRules.lineLength),
		...all.flatMap(sourceRules.noPostponements),
		...all.flatMap(sourceRules.noSkippedTests),
		...all.flatMap(sourceRules.opensWithModel),
		...repositoryRules.formatPageProblems(files),
		...repositoryRules.orphanTestProblems(files),
		...repositoryRules.machineProblems(files),
		...repositoryRules.dependencyProblems(textOf('package.json'), textOf('docs/dependencies.md')),
		...repositoryRules.errorPageProblems(errorTable, textOf('docs/errors.md')),
	];
	assert.deepEqual(staleExceptions(problems), []);
	for (const { problem, reason } of exceptions) assert.ok(reason.length > 10, problem);
});
