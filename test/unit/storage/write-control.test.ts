/** Write control as tables: what piles up, and what becomes of writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, statusOk } from '../../../src/base/errors.js';
import { judgeWrites, type WritePressure, type WriteVerdict } from '../../../src/storage/lsm/upkeep/write-control.js';
import { statusWait, WriteGate } from '../../../src/storage/lsm/upkeep/write-gate.js';

const MB = 1_000_000;
const marks = {
	levelZeroSlowCount: 20,
	levelZeroStopCount: 36,
	compactionDebtSlow: 4000 * MB,
	compactionDebtStop: 16_000 * MB,
};

const calm: WritePressure = {
	immutableCount: 0,
	memtableCountMax: 3,
	activeShare: 0.9,
	levelZeroCount: 4,
	debtBytes: 100 * MB,
	isDiskFull: false,
	flushBytesPerSecond: 80 * MB,
	compactionBytesPerSecond: 20 * MB,
};

function words(changed: Partial<WritePressure>): string {
	const { state, reason, bytesPerSecond } = judgeWrites({ ...calm, ...changed }, marks);
	return state === 'slowed' ? `${reason}: ${(bytesPerSecond / MB).toFixed(1)} MB/s` : `${state} ${reason}`.trim();
}

const rows: [string, Partial<WritePressure>, string][] = [
	['nothing piles up', {}, 'open'],
	['one memtable waits', { immutableCount: 1 }, 'open'],
	['the last arena is fresh', { immutableCount: 2, activeShare: 0 }, 'memtables: 640.0 MB/s'],
	['it is half full', { immutableCount: 2, activeShare: 0.5 }, 'memtables: 80.0 MB/s'],
	['it is full', { immutableCount: 2, activeShare: 1 }, 'memtables: 10.0 MB/s'],
	['level 0 below its mark', { levelZeroCount: 19 }, 'open'],
	['level 0 at its mark', { levelZeroCount: 20 }, 'level-0: 160.0 MB/s'],
	['level 0 in the middle', { levelZeroCount: 28 }, 'level-0: 20.0 MB/s'],
	['level 0 before the stop', { levelZeroCount: 35 }, 'level-0: 3.2 MB/s'],
	['level 0 full', { levelZeroCount: 36 }, 'stopped level-0'],
	['debt at its mark', { debtBytes: 4000 * MB }, 'debt: 160.0 MB/s'],
	['debt in the middle', { debtBytes: 10_000 * MB }, 'debt: 20.0 MB/s'],
	['debt too large', { debtBytes: 16_000 * MB }, 'stopped debt'],
	['the least rate counts', { levelZeroCount: 28, immutableCount: 2, activeShare: 0.1 }, 'level-0: 20.0 MB/s'],
	['nothing measured yet', { levelZeroCount: 28, compactionBytesPerSecond: 0 }, 'level-0: 33.6 MB/s'],
	['the disk is full', { isDiskFull: true, levelZeroCount: 36 }, 'stopped disk'],
];

for (const [name, changed, expected] of rows) {
	test(`write control: ${name}: ${expected}`, () => assert.equal(words(changed), expected));
}

test('the rate falls steadily: never by a cliff', () => {
	let before = Number.POSITIVE_INFINITY;
	for (let debt = marks.compactionDebtSlow; debt < marks.compactionDebtStop; debt += 100 * MB) {
		const { bytesPerSecond } = judgeWrites({ ...calm, debtBytes: debt }, marks);
		assert(bytesPerSecond < before);
		assert(
			before === Number.POSITIVE_INFINITY || bytesPerSecond > before * 0.95,
			`from ${before} to ${bytesPerSecond}`,
		);
		before = bytesPerSecond;
	}
});

const open: WriteVerdict = { state: 'open', reason: '', bytesPerSecond: Number.POSITIVE_INFINITY };
const slowed: WriteVerdict = { state: 'slowed', reason: 'debt', bytesPerSecond: 10 * MB };
const stopped: WriteVerdict = { state: 'stopped', reason: 'level-0', bytesPerSecond: 0 };

test('slowed writes get the rate they are allowed, however they come', () => {
	const gate = new WriteGate(1000);
	let nowMs = 1_000_000;
	const startMs = nowMs;
	let written = 0;
	gate.delayMs(0, open, nowMs);
	for (let i = 0; i < 1000; i++) {
		const bytes = (i * 7919) % 100_000;
		written += bytes;
		let delayMs = gate.delayMs(bytes, slowed, nowMs);
		for (nowMs++; delayMs > 1; nowMs += Math.min(5, delayMs)) delayMs = gate.delayMs(0, slowed, nowMs);
	}
	const rate = (written / (nowMs - startMs)) * 1000;
	assert(rate > 9 * MB && rate < 10.1 * MB, `${rate} bytes a second`);
	assert.equal(gate.delayMs(1_000_000, open, nowMs), 0, 'and at once all of it again');
});

test('a stop waits, then refuses; what it cost is counted by reason', () => {
	const gate = new WriteGate(1000);
	assert.equal(gate.admit(open, 5000), statusOk);
	assert.equal(gate.admit(stopped, 5000), statusWait);
	assert.equal(gate.admit(stopped, 5999), statusWait);
	assert.equal(codeOf(gate.admit(stopped, 6000)), 'MILLRACE_OVERLOADED');
	gate.tick((reason) => reason === 'level-0', open, 6200);
	assert.equal(gate.admit(open, 6200), statusOk);
	assert.equal(gate.wait('memtables', 7000), statusWait);
	gate.delayMs(100, open, 7030);
	assert.equal(gate.wait('memtables', 8000), statusWait, 'a new stop has its own time');
	gate.delayMs(100, open, 8010);
	const { stops, refused } = gate.statistics();
	assert.deepEqual(stops, {
		'level-0': { count: 1, totalMs: 1200, longestMs: 1200 },
		memtables: { count: 2, totalMs: 40, longestMs: 30 },
	});
	assert.equal(refused, 1);
});
