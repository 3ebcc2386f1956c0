/** Options: every row's range, names that are unknown, relations, and that `open` asks the same table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOptions, type OptionRow, rangeText } from '../../../src/base/option-table.js';
import { engineOptions, type OpenOptions, openOptionTable } from '../../../src/open.js';
import { partitionOptions, partitionOptionTable } from '../../../src/storage/lsm/partition-options.js';

function badValues(row: OptionRow): unknown[] {
	const always = [null, Number.NaN, Number.POSITIVE_INFINITY, {}, true, '', 'nonsense', '1'];
	if (row.kind === 'choice') return [...always, 0, row.choices[0].toUpperCase()];
	const below = row.mayBeZero === true && row.least === 1 ? -1 : row.least - 1;
	return [...always, below, row.most + 1, row.least + 0.5, -1];
}

test('the defaults hold, alone and together', () => {
	const options = partitionOptions();
	for (const [name, row] of Object.entries(partitionOptionTable)) {
		checkOptions(partitionOptionTable, { [name]: row.default });
		assert.equal(options[name as keyof typeof options], row.default);
		assert(row.words.length > 5);
	}
	assert.equal(partitionOptions({ blockSize: undefined } as object).blockSize, partitionOptionTable.blockSize.default);
});

for (const [where, table] of [
	['a partition', partitionOptionTable],
	['open', openOptionTable],
] as const) {
	test(`${where}: a value outside its range is refused with the name and the range`, () => {
		for (const [name, row] of Object.entries(table as Record<string, OptionRow>)) {
			for (const value of badValues(row)) {
				const given = { [name]: value };
				const message = new RegExp(`^${name} is ${rangeText(row).replace(/[()/]/g, '\\$&')}, not `);
				const check =
					where === 'open' ? () => engineOptions('/d', given as OpenOptions) : () => partitionOptions(given);
				assert.throws(check, { code: 'MILLRACE_OPTION', message }, `${name}: ${String(value)}`);
			}
		}
	});

	test(`${where}: an unknown name is refused, with those there are`, () => {
		for (const name of ['memTableSize', 'toString', '__proto__x', '']) {
			const given = { [name]: 1 };
			const check = where === 'open' ? () => engineOptions('/d', given as OpenOptions) : () => partitionOptions(given);
			assert.throws(check, { code: 'MILLRACE_OPTION', message: /there is no option '.*'; there are .*memtableSize/ });
		}
	});
}

test('relations between options are refused with what was given', () => {
	const cases: [Parameters<typeof partitionOptions>[0], RegExp][] = [
		[{ levelZeroCountTrigger: 20 }, /levelZeroCountTrigger 20, levelZeroSlowCount 20/],
		[{ levelZeroSlowCount: 40 }, /below levelZeroStopCount.*levelZeroSlowCount 40/],
		[{ compactionDebtSlow: 2 ** 35 }, /below compactionDebtStop/],
		[{ tableFileSize: 2048 }, /blockSize is not above tableFileSize.*blockSize 4096/],
		[{ segmentSize: 4096 }, /blockSize is below segmentSize/],
		[{ diskBudget: 100 << 20 }, /diskBudget is 0, or holds the log.*diskBudget 104857600/],
	];
	for (const [given, message] of cases) {
		assert.throws(() => partitionOptions(given), { code: 'MILLRACE_OPTION', message });
	}
	partitionOptions({ diskBudget: 1 << 30 });
});

test('a disk budget that is too small is refused with the least one that all partitions together need', () => {
	const storageFor = (options: OpenOptions, count: number): unknown =>
		engineOptions('/d', options).storageOptionsFor?.(count);
	const message =
		/^diskBudget is 0, or at least (\d+) \(bytes\) with 4 partitions and memtableSize 67108864, not 400000000:/;
	let least = 0;
	assert.throws(
		() => storageFor({ diskBudget: 400_000_000 }, 4),
		(error: Error & { code?: string }) => {
			least = Number(message.exec(error.message)?.[1]);
			return error.code === 'MILLRACE_OPTION' && least > 400_000_000;
		},
	);
	assert.throws(() => storageFor({ diskBudget: least - 1 }, 4), { code: 'MILLRACE_OPTION' });
	storageFor({ diskBudget: least }, 4);
	storageFor({ diskBudget: openOptionTable.diskBudget.least, memtableSize: 1 << 20 }, 1);
});

test('open shares what belongs to the whole database among its partitions', () => {
	const { storageOptionsFor } = engineOptions('/d', {
		diskBudget: 10 ** 10,
		compactionBytesPerSecond: 0,
		memtableSize: (1 << 20) + 3,
		compaction: 'tiered',
	});
	assert.deepEqual(storageOptionsFor?.(4), {
		memtableSize: 1 << 20,
		compaction: 'tiered',
		diskBudget: 2.5 * 10 ** 9,
		compactionBytesPerSecond: 0,
	});
});
