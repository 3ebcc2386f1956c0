/** The clock of tests moves when told to, both ways, and only then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../support/manual-clock.js';

void test('a manual clock stands still until it is moved', () => {
	const clock = new ManualClock(1000);
	assert.equal(clock.nowMs(), 1000);
	clock.advance(500);
	assert.equal(clock.nowMs(), 1500);
	clock.advance(-1000);
	assert.equal(clock.nowMs(), 500);
	assert.equal(new ManualClock().nowMs(), new ManualClock().nowMs());
});
