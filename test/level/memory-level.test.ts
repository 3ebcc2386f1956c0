/** The adapter by itself: abstract-level's suite over the memory store, which is the model of what it stands on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceLevel } from '../../src/level/index.js';
import { MemoryStore } from '../support/memory-store.js';
import { runAbstractSuite } from './abstract-suite.js';

test('abstract-level: its suite over the memory store', async (t) => {
	const { tests, assertions } = await runAbstractSuite((options) => new MillraceLevel(new MemoryStore(), options));
	t.diagnostic(`${tests} tests, ${assertions} assertions`);
	assert.ok(tests > 1000 && assertions > 4000);
});
