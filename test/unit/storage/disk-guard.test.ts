/** The disk guard as a transcript: what happens, and what it says afterwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskGuard, type ReserveTask } from '../../../src/storage/lsm/upkeep/disk-guard.js';

function stateOf(guard: DiskGuard): string {
	const puts = guard.mayWrite(false) ? 'puts' : 'no puts';
	const deletes = guard.mayWrite(true) ? 'deletes' : 'no deletes';
	return `${puts}, ${deletes}, ${guard.isPaused ? 'paused' : 'working'}`;
}

test('a full disk with a reserve', () => {
	const guard = new DiskGuard({ diskBudget: 0, reserveFileSize: 1000 }, true);
	const transcript: [string, ReserveTask | boolean | undefined, string][] = [];
	const step = (what: string, did: ReserveTask | boolean | undefined): void => {
		transcript.push([what, did, stateOf(guard)]);
	};
	step('a tick', guard.tick(100));
	step('a flush finds no space', guard.onJobFailed());
	step('a compaction finds none either', guard.onJobFailed());
	guard.onReserveRemoved();
	step('the reserve is gone; the flush is tried again', guard.maybeReserveTask(false));
	step('the flush is done', guard.maybeReserveTask(true));
	step('while the reserve is made', guard.maybeReserveTask(true));
	guard.onReservePrepared(true);
	step('there was no space for it', guard.maybeReserveTask(true));
	step('too early', guard.tick(1000));
	step('a second later', guard.tick(1100));
	step('again', guard.maybeReserveTask(true));
	guard.onReservePrepared(false);
	step('there was', guard.maybeReserveTask(true));
	assert.deepEqual(transcript, [
		['a tick', false, 'puts, deletes, working'],
		['a flush finds no space', 'remove', 'no puts, deletes, paused'],
		['a compaction finds none either', undefined, 'no puts, deletes, paused'],
		['the reserve is gone; the flush is tried again', undefined, 'no puts, deletes, working'],
		['the flush is done', 'prepare', 'no puts, deletes, working'],
		['while the reserve is made', undefined, 'no puts, deletes, working'],
		['there was no space for it', undefined, 'no puts, deletes, paused'],
		['too early', false, 'no puts, deletes, paused'],
		['a second later', true, 'no puts, deletes, working'],
		['again', 'prepare', 'no puts, deletes, working'],
		['there was', undefined, 'puts, deletes, working'],
	]);
	assert.equal(guard.statistics.diskFullCount, 1);
});

test('a full disk without a reserve is tried again after a second, also when the clock was put back', () => {
	const guard = new DiskGuard({ diskBudget: 0, reserveFileSize: 0 }, false);
	assert.equal(guard.tickDelayMs(5000), undefined);
	guard.tick(5000);
	assert.equal(guard.onJobFailed(), undefined);
	assert.match(guard.reason, /disk is full/);
	assert.equal(guard.tickDelayMs(5000), 1000);
	assert(!guard.tick(5999) && guard.isFull);
	assert(guard.tick(6000) && !guard.isFull && !guard.isPaused);
	guard.onJobFailed();
	assert.equal(guard.tickDelayMs(1000), 1, 'the clock was put back');
	assert(guard.tick(1000));
	assert.equal(guard.maybeReserveTask(true), undefined);
});

test('the budget: over it puts are refused, and taken again only 5 % below it; a full disk is another matter', () => {
	const guard = new DiskGuard({ diskBudget: 1000, reserveFileSize: 0 }, false);
	for (const [bytes, isFull] of [
		[1000, false],
		[1001, true],
		[960, true],
		[950, true],
		[949, false],
		[1000, false],
		[2000, true],
	] as const) {
		guard.onUsage(bytes - 10, 10);
		assert.equal(guard.isFull, isFull, `${bytes} bytes`);
		assert(guard.mayWrite(true) && !guard.isPaused, 'deletes and compactions go on');
	}
	assert.match(guard.reason, /2000 bytes of a disk budget of 1000.*below 950/);
	assert.equal(guard.tickDelayMs(0), undefined, 'nothing to wait for');
	guard.onJobFailed();
	guard.onUsage(0, 10);
	assert(guard.isFull && guard.statistics.diskState === 'full');
});

test('a new partition takes puts while its reserve is being made', () => {
	const guard = new DiskGuard({ diskBudget: 0, reserveFileSize: 1000 }, false);
	guard.onUsage(249, 5000);
	assert.equal(guard.maybeReserveTask(false), undefined, 'nothing is there that deletes could free');
	guard.onUsage(250, 5000);
	assert.equal(guard.maybeReserveTask(false), 'prepare');
	assert(guard.mayWrite(false));
	guard.onReservePrepared(true);
	assert(!guard.mayWrite(false), 'no space for the reserve: no space for puts');
});
