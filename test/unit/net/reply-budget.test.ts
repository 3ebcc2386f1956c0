import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outputSizeMax, valueSizeMax } from '../../../src/base/limits.js';
import { ReplyBudget } from '../../../src/net/reply-budget.js';

test('the limit grows by one a reply up to its most, and large replies shrink it at once', () => {
	const budget = new ReplyBudget(64);
	const start = budget.limit;
	assert.ok(start * valueSizeMax < outputSizeMax, 'the first burst of largest values does not cut a client off');
	budget.onReply(10);
	assert.equal(budget.limit, start + 1);
	for (let i = 0; i < 100; i++) budget.onReply(10);
	assert.equal(budget.limit, 64);
	budget.onReply(valueSizeMax);
	assert.ok(budget.limit >= 1 && budget.limit * valueSizeMax <= 64 * 1024 * 1024);
	budget.onReply(2 * 64 * 1024 * 1024);
	assert.equal(budget.limit, 1);
});
