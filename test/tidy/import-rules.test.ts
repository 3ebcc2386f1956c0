/** The walls between the rooms stand, and the rules that say so can fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unexcused } from './exceptions.js';
import { cycleProblems, roomOf, wallProblems } from './import-rules.js';
import { sources } from './repository.js';

const one = (path: string, specifier: string) => wallProblems([{ path, text: `import { x } from '${specifier}';` }]);

void test('every room imports only what the table allows', () => {
	assert.deepEqual(unexcused(wallProblems(sources('src', 'workers'))), []);
});

void test('no files import each other in a circle', () => {
	assert.deepEqual(unexcused(cycleProblems(sources('src', 'workers'))), []);
});

void test('imports over a wall are found', () => {
	const forbidden: [string, string][] = [
		['src/base/a.ts', '../env/ports.js'],
		['src/base/a.ts', 'node:worker_threads'],
		['src/storage/lsm/a.ts', '../../env/node-file-system.js'],
		['src/storage/lsm/a.ts', 'node:fs'],
		['src/server/a.ts', 'node:fs/promises'],
		['src/protocol/resp/a.ts', '../frame/b.js'],
		['src/client/a.ts', '../protocol/resp/b.js'],
		['src/engine/a.ts', '../storage/lsm/b.js'],
		['src/server/a.ts', '../../test/support/seed.js'],
		['src/newroom/a.ts', '../base/bytes.js'],
		['workers/a.ts', '../src/net/b.js'],
		['src/cli/a.ts', '../engine/b.js'],
	];
	for (const [path, specifier] of forbidden) assert.equal(one(path, specifier).length, 1, `${path} ${specifier}`);
});

void test('imports within the table pass', () => {
	const allowed: [string, string][] = [
		['src/storage/lsm/wal/a.ts', '../../../env/ports.js'],
		['src/storage/lsm/a.ts', '../memory/b.js'],
		['src/protocol/resp/a.ts', './b.js'],
		['src/protocol/resp/a.ts', '../../net/b.js'],
		['src/client/a.ts', '../protocol/frame/b.js'],
		['src/cli/a.ts', 'node:fs'],
		['src/server/a.ts', '../engine/b.js'],
		['src/index.ts', './server/b.js'],
		['workers/a.ts', '../src/storage/lsm/b.js'],
		['test/unit/a.test.ts', '../../src/engine/b.js'],
	];
	for (const [path, specifier] of allowed) assert.deepEqual(one(path, specifier), [], `${path} ${specifier}`);
	assert.equal(roomOf('src/protocol/resp/a.ts'), 'protocol/resp');
	assert.equal(roomOf('src/index.ts'), 'index');
});

void test('cycles are found, and types alone do not make one', () => {
	const file = (name: string, imported: string, word = 'import') => ({
		path: `src/base/${name}.ts`,
		text: `${word} { x } from './${imported}.js';`,
	});
	const cycle = cycleProblems([file('a', 'b'), file('b', 'c'), file('c', 'b')]);
	assert.deepEqual(cycle, ['import cycle: src/base/b.ts -> src/base/c.ts -> src/base/b.ts']);
	assert.deepEqual(cycleProblems([file('a', 'b'), file('b', 'a', 'import type')]), []);
});
