/**
 * The picker as transcripts: levels drawn as lines, tables as `id:first-last size`, what runs marked with `*`; the choice
 * as one line.
 * Sizes are in MB. In the drawings the base level may hold 40, levels grow tenfold, tables have 4.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import {
	type Compaction,
	completeCompaction,
	isFree,
	rangeOf,
} from '../../../src/storage/lsm/compaction/compaction.js';
import {
	type PickerOptions,
	type PickerState,
	pickCompaction,
	pickManual,
	tieredCount,
} from '../../../src/storage/lsm/compaction/compaction-picker.js';
import { compactionDebt, levelTargets, spaceAmplification } from '../../../src/storage/lsm/compaction/level-targets.js';
import { boundsOf, type TableMeta } from '../../../src/storage/lsm/table/table-meta.js';
import { testSeed } from '../../support/seed.js';

const MB = 1_000_000;
const options: PickerOptions = {
	compaction: 'leveled',
	levelZeroCountTrigger: 4,
	levelSizeRatio: 10,
	baseLevelSize: 40 * MB,
	tableFileSize: 4 * MB,
	lastLevelCodec: 'lz4',
};

/** `id:first-last size`, then `t` a third tombstones, `r` a deleted range over the whole table. */
function metaOf(text: string): TableMeta {
	const match = /^(\d+):(\w+)-(\w+) ([\d.]+)([tr]*)$/.exec(text);
	assert(match !== null, `a table: ${text}`);
	const [, id, first, last, size, marks] = match;
	const firstKey = Buffer.from(first);
	const lastKey = Buffer.from(last);
	const rangeTombstones = marks.includes('r') ? [{ start: firstKey, end: lastKey, sequence: 5 }] : [];
	return {
		id: Number(id),
		size: Number(size) * MB,
		entryCount: 90,
		tombstoneCount: marks.includes('t') ? 30 : 0,
		keyCount: 90,
		rawSize: Number(size) * 2 * MB,
		firstKey,
		lastKey,
		...boundsOf(firstKey, lastKey, rangeTombstones),
		minSequence: 1,
		maxSequence: 10,
		expiryCount: 0,
		minExpiresAtMs: 0,
		maxExpiresAtMs: 0,
		rangeTombstones,
	};
}

/** Reads a drawing: a line for each level, tables separated by commas. `*` before a table: a compaction has it. */
function stateOf(drawing: string, more: Partial<PickerState> = {}): PickerState {
	const levels: TableMeta[][] = [[], [], [], [], [], [], []];
	const starred: { meta: TableMeta; level: number }[] = [];
	for (const line of drawing.split('\n')) {
		const [level, tables] = line.trim().split(/: (.*)/);
		if (tables === undefined) continue;
		for (const text of tables.split(', ')) {
			const meta = metaOf(text.replace('*', ''));
			levels[Number(level)].push(meta);
			if (text.startsWith('*')) starred.push({ meta, level: Number(level) });
		}
	}
	const running = starred.flatMap(({ meta, level }) => busy(levels, meta, level));
	return {
		levels,
		running,
		isIdle: false,
		oldestSnapshot: Number.POSITIVE_INFINITY,
		expiredCountOf: () => 0,
		exemptIds: new Set(),
		...more,
	};
}

function busy(levels: readonly TableMeta[][], meta: TableMeta, level: number): Compaction[] {
	const found = completeCompaction(levels, [], 'size', [meta], level, Math.min(level + 1, 6), () => false);
	return found === undefined ? [] : [found];
}

function words(choice: Compaction | 'done' | 'blocked' | undefined): string {
	if (choice === undefined) return 'nothing';
	if (typeof choice === 'string') return choice;
	const ids = choice.inputs.map(({ meta }) => meta.id).join(' ');
	const verb = choice.isMove ? 'move' : 'compact';
	return `${choice.reason}: ${verb} ${ids} to ${choice.outputLevel}${choice.isBottom ? ', the bottom' : ''}`;
}

function pick(drawing: string, more: Partial<PickerState> = {}, changed: Partial<PickerOptions> = {}): string {
	return words(pickCompaction(stateOf(drawing, more), { ...options, ...changed }));
}

test('level 0 goes to the base level, all of it, with what it meets there', () => {
	assert.equal(pick('0: 3:a-z 2, 2:a-z 2, 1:a-z 2'), 'nothing', 'below the trigger');
	assert.equal(pick('0: 4:a-z 2, 3:a-z 2, 2:a-z 2, 1:a-z 2'), 'level-0: compact 4 3 2 1 to 6, the bottom');
	const withLast = `
		0: 9:c-f 2, 8:a-d 2, 7:b-g 2, 6:d-e 2
		6: 1:a-b 4, 2:c-d 4, 3:f-g 4, 4:h-k 4`;
	assert.equal(pick(withLast), 'level-0: compact 9 8 7 6 1 2 3 to 6, the bottom');
	const withBase = `
		0: 9:c-f 2, 8:a-d 2, 7:b-g 2, 6:d-e 2
		5: 10:a-c 4, 11:d-e 4, 12:p-q 4
		6: 1:a-b 30, 2:c-d 30, 3:f-g 30, 4:h-k 30`;
	assert.equal(pick(withBase), 'level-0: compact 9 8 7 6 10 11 to 5');
});

test('tables that nothing is in the way of move as they are', () => {
	const fresh = '0: 4:m-p 2, 3:i-l 2, 2:e-h 2, 1:a-d 2';
	assert.equal(pick(fresh), 'level-0: move 4 3 2 1 to 6, the bottom');
	assert.equal(pick(fresh, {}, { lastLevelCodec: 'zstd' }), 'level-0: compact 4 3 2 1 to 6, the bottom', 'codec');
	const garbage = '0: 4:m-p 2, 3:i-l 2t, 2:e-h 2, 1:a-d 2';
	assert.equal(pick(garbage), 'level-0: compact 4 3 2 1 to 6, the bottom', 'a rewrite drops the tombstones');
	const gap = `
		5: 1:c-d 30, 2:k-l 25
		6: 3:a-b 200, 4:m-z 200`;
	assert.equal(pick(gap), 'size: move 1 to 6, the bottom');
	const farBelow = `
		4: 1:c-d 45
		5: 2:a-b 40
		6: 3:a-z 4000`;
	assert.equal(pick(farBelow), 'size: compact 1 to 5', 'it would overlap too much of the level below it');
});

test('from a level that is too large goes first what costs least, with neighbours while it is far too large', () => {
	const levels = `
		5: 1:a-c 20, 2:d-f 20, 3:g-i 20
		6: 10:a-b 100, 11:c-f 100, 12:g-i 10, 13:j-z 290`;
	assert.equal(pick(levels), 'size: compact 3 12 to 6, the bottom');
	const busyBelow = `
		5: 1:a-c 20, 2:d-f 20, *3:g-i 20
		6: 10:a-b 100, 11:c-f 100, 12:g-i 10, 13:j-z 290`;
	assert.equal(pick(busyBelow), 'nothing', 'what remains is within the target');
	const farOver = `
		5: 1:a-c 30, 2:d-f 30, 3:g-i 30, 4:j-l 30, 5:m-o 30
		6: 10:a-e 100, 11:f-h 100, 12:i-l 100, 13:m-z 100`;
	assert.equal(pick(farOver, {}, { tableFileSize: 30 * MB }), 'size: compact 1 2 3 4 10 11 12 to 6, the bottom');
	const garbage = `
		5: 1:a-c 20, 2:d-f 20t, 3:g-i 20
		6: 10:a-b 100, 11:c-f 100, 12:g-i 100, 13:j-z 200`;
	assert.equal(pick(garbage), 'size: compact 2 11 to 6, the bottom');
});

test('the fuller level comes first; a running compaction keeps its tables and its range', () => {
	const both = `
		0: 9:a-z 2, 8:a-z 2, 7:a-z 2, 6:a-z 2
		5: 1:a-l 80, 2:m-z 80
		6: 10:a-l 150, 11:m-z 200`;
	assert.match(pick(both), /^size: compact 1 10 to 6/);
	const running = `
		0: 9:a-z 2, 8:a-z 2, 7:a-z 2, 6:a-z 2
		5: *1:a-l 80, 2:m-z 20
		6: 10:a-l 150, 11:m-z 200`;
	assert.equal(pick(running), 'nothing', 'level 0 would need table 1');
	const many = `
		0: 9:a-z 2, 8:a-z 2, 7:a-z 2, 6:a-z 2, 5:a-z 2, 4:a-z 2, *3:a-z 2
		6: 10:a-l 20`;
	assert.equal(pick(many), 'nothing', 'level 0 is compacted once at a time');
});

test('two compactions into one level have disjoint ranges, into different levels they need not', () => {
	const { running } = stateOf('5: *1:c-k 20\n6: 2:d-e 20, 3:p-q 20');
	const may = (text: string, outputLevel: number): boolean => {
		const meta = metaOf(text);
		return isFree(running, [{ level: 4, meta }], outputLevel, rangeOf([meta]));
	};
	assert.equal(running[0].inputs.length, 2, 'with what it meets');
	assert.equal(may('9:h-m 4', 6), false, 'c to k is being written');
	assert.equal(may('9:l-m 4', 6), true);
	assert.equal(may('9:h-m 4', 5), true);
	assert.equal(may('2:l-m 4', 5), false, 'one of its tables');
});

test('tables full of garbage are rewritten when nothing else is due, unless a snapshot needs it', () => {
	const bottom = '6: 1:a-f 4, 2:g-k 4t, 3:l-z 4';
	assert.equal(pick(bottom), 'garbage: compact 2 to 6, the bottom');
	assert.equal(pick(bottom, { oldestSnapshot: 9 }), 'nothing');
	assert.equal(pick(bottom, { oldestSnapshot: 10 }), 'garbage: compact 2 to 6, the bottom', 'it sees nothing older');
	assert.equal(pick(bottom, { exemptIds: new Set([2]) }), 'nothing', 'a rewrite has not helped');
	assert.equal(pick('6: 1:a-f 4, 2:g-k 4r'), 'garbage: compact 2 to 6, the bottom');
	assert.equal(
		pick('6: 1:a-f 4', { expiredCountOf: ({ entryCount }) => entryCount / 10 }),
		'nothing',
		'a tenth has expired',
	);
	assert.equal(
		pick('6: 1:a-f 4', { expiredCountOf: ({ entryCount }) => entryCount / 2 }),
		'garbage: compact 1 to 6, the bottom',
	);
	const upper = `
		5: 1:a-c 4t, 2:d-f 4
		6: 10:a-b 100, 11:c-f 100`;
	assert.equal(pick(upper), 'garbage: compact 1 10 11 to 6, the bottom');
});

test('when nobody writes, level 0 and the upper levels are emptied until little is stored twice', () => {
	const rest = `
		0: 9:a-c 2, 8:b-d 2
		5: 1:a-c 9, 2:d-f 9
		6: 10:a-b 100, 11:c-f 100`;
	assert.equal(pick(rest), 'nothing');
	assert.equal(pick(rest, { isIdle: true }), 'level-0: compact 9 8 1 2 to 5');
	const upper = `
		5: 1:a-c 18, 2:d-f 18
		6: 10:a-b 100, 11:c-f 100`;
	assert.equal(pick(upper), 'size: compact 2 11 to 6, the bottom', 'over its target of 20 anyway');
	const within = `
		0: 9:a-c 15
		5: 1:a-c 9, 2:d-f 9
		6: 10:a-b 100, 11:c-f 100`;
	assert.equal(pick(within, { isIdle: true }), 'idle: compact 9 1 to 5');
	const settled = `
		0: 9:a-c 2
		5: 1:a-c 9, 2:d-f 9
		6: 10:a-b 100, 11:c-f 100`;
	assert.equal(pick(settled, { isIdle: true }), 'nothing');
});

test('what the base level has outgrown goes down before anything else', () => {
	const shrunk = `
		0: 9:a-c 2, 8:b-d 2, 7:a-z 2, 6:a-z 2
		4: 1:a-c 1
		6: 10:a-b 30`;
	assert.equal(pick(shrunk), 'size: move 1 to 5');
});

test('a manual compaction takes a range level by level; the bottom is rewritten only where that removes something', () => {
	const levels = `
		0: 9:a-f 2, 8:k-m 2, 7:a-b 2
		5: 1:a-c 4, 2:d-f 4, 3:p-q 4
		6: 10:a-b 30, 11:c-f 30t, 12:g-z 200`;
	const ask = (level: number, idLimit = 100, more: Partial<PickerState> = {}): string => {
		const request = { lower: Buffer.from('c'), upper: Buffer.from('e'), level, idLimit };
		return words(pickManual(stateOf(levels, more), options, request));
	};
	assert.equal(ask(0), 'manual: compact 9 8 7 1 2 to 5', 'with all that is older in level 0');
	assert.equal(ask(0, 9), 'done', 'what came later was not asked for');
	assert.equal(ask(3), 'done');
	assert.equal(ask(5), 'manual: compact 1 2 10 11 to 6, the bottom');
	assert.equal(ask(6), 'manual: compact 11 to 6, the bottom');
	assert.equal(ask(6, 100, { oldestSnapshot: 3 }), 'done');
});

test('targets follow from the last level', () => {
	const shape = { levelZeroCountTrigger: 4, levelSizeRatio: 10, baseLevelSize: 256 };
	const lines = [0, 40, 256, 300, 2000, 30_000, 5_000_000].map((last) => {
		const { baseLevel, targets } = levelTargets([0, 0, 0, 0, 0, 0, last], shape);
		return `${last}: base ${baseLevel}, ${targets.slice(baseLevel, 6).join(' ')}`.trim();
	});
	assert.deepEqual(lines, [
		'0: base 6,',
		'40: base 6,',
		'256: base 6,',
		'300: base 5, 30',
		'2000: base 5, 200',
		'30000: base 3, 30 300 3000',
		'5000000: base 1, 50 500 5000 50000 500000',
	]);
	assert.equal(compactionDebt([30, 0, 0, 0, 0, 20, 300], 2, shape), 0);
	assert.equal(compactionDebt([80, 0, 0, 0, 0, 20, 300], 4, shape), 80 + 20 + 70 * (300 / 100 + 1));
	assert.equal(spaceAmplification([10, 0, 0, 0, 0, 20, 300]), 1.1);
});

test('tiered: the newest tables of about one size', () => {
	const count = (...sizes: number[]): number => tieredCount(sizes, 8);
	assert.equal(count(), 0);
	assert.equal(count(10, 10, 10, 10, 10, 10, 10), 0, 'below the trigger');
	assert.equal(count(10, 10, 10, 10, 10, 10, 10, 10), 8);
	assert.equal(count(10, 10, 10, 10, 10, 10, 10, 80), 8, 'as large as all before it');
	assert.equal(count(10, 10, 10, 10, 10, 10, 10, 200), 7, 'a large old one is left alone');
	assert.equal(count(10, 10, 10, 100, 100, 100, 100, 100), 0, 'too few small ones are worth nothing');
	assert.equal(
		count(...Array.from({ length: 16 }, (_, i) => 4 ** i)),
		16,
		'too many are compacted whatever their sizes',
	);
	const tiered = { compaction: 'tiered' } as const;
	const drawing = '0: 6:a-z 2, 5:a-z 2, 4:a-z 2, 3:a-z 2, 2:a-z 100';
	assert.equal(pick(drawing, {}, tiered), 'tiered: compact 6 5 4 3 to 0');
	assert.equal(pick('0: 4:a-z 2, 3:a-z 2, 2:a-z 2, 1:a-z 2', {}, tiered), 'tiered: compact 4 3 2 1 to 0, the bottom');
});

test('with flushes of one size, tiered tables stay few and a byte is rewritten a logarithmic number of times', () => {
	let sizes: number[] = [];
	let rewritten = 0;
	let countMax = 0;
	const flushes = 2000;
	for (let i = 0; i < flushes; i++) {
		sizes = [1, ...sizes];
		const count = tieredCount(sizes, 8);
		if (count > 0) {
			const merged = sizes.slice(0, count).reduce((sum, size) => sum + size, 0);
			rewritten += merged;
			sizes = [merged, ...sizes.slice(count)];
		}
		countMax = Math.max(countMax, sizes.length);
	}
	assert(countMax <= 16, `${countMax} tables`);
	assert(rewritten / flushes <= Math.log2(flushes), `each byte was rewritten ${rewritten / flushes} times`);
});

/** Sizes of levels after many flushes over keys spread evenly, with no overwriting: what leveled compaction costs at least. */
test('with flushes over the whole key space, levels keep their shape and a byte is rewritten a bounded number of times', () => {
	const prng = new Prng(testSeed('compaction-picker'));
	const shape: PickerOptions = { ...options, baseLevelSize: 80 * MB, tableFileSize: 20 * MB };
	const levels: TableMeta[][] = [[], [], [], [], [], [], []];
	let id = 1;
	let rewritten = 0;
	const flushes = 100;
	const keyAt = (share: number): string => String(Math.floor(share * 999_999)).padStart(6, '0');
	const make = (from: number, to: number, size: number): TableMeta =>
		metaOf(`${id++}:${keyAt(from)}-${keyAt(to)} ${size / MB}`);
	for (let i = 0; i < flushes; i++) {
		levels[0].unshift(make(prng.below(100) / 1e5, 1 - prng.below(100) / 1e5, 20 * MB));
		for (;;) {
			const state = { ...stateOf(''), levels };
			const choice = pickCompaction(state, shape);
			if (choice === undefined) break;
			const gone = new Set(choice.inputs.map(({ meta }) => meta.id));
			const metas = choice.inputs.map(({ meta }) => meta);
			const size = metas.reduce((sum, meta) => sum + meta.size, 0);
			for (const level of levels) level.splice(0, level.length, ...level.filter((meta) => !gone.has(meta.id)));
			const low = Math.min(...metas.map((meta) => Number(meta.firstKey) / 999_999));
			const high = Math.max(...metas.map((meta) => Number(meta.lastKey) / 999_999));
			const count = Math.max(1, Math.ceil(size / (20 * MB)));
			const step = (high - low) / count;
			const made = Array.from({ length: count }, (_, n) =>
				make(low + n * step + (n === 0 ? 0 : 2e-6), low + (n + 1) * step, size / count),
			);
			if (!choice.isMove) rewritten += size;
			const output = [...levels[choice.outputLevel], ...made];
			output.sort((a, b) => Buffer.compare(a.firstKey, b.firstKey));
			levels[choice.outputLevel] = output;
		}
	}
	const sizes = levels.map((level) => level.reduce((sum, meta) => sum + meta.size, 0));
	assert(spaceAmplification(sizes) <= 1.25, sizes.map((size) => size / MB).join(' '));
	const perByte = rewritten / (flushes * 20 * MB);
	assert(perByte <= 10, `each byte was rewritten ${perByte} times`);
	console.log(
		`each byte was rewritten ${perByte.toFixed(1)} times; levels ${sizes.map((size) => size / MB).join(' ')}`,
	);
});
