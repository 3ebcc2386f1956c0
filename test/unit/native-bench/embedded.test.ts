/** The embedded comparison runs to its end in tiny mode, every store in every cell, and checks what it reads. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cells } from '../../../native-bench/embedded/bench-plan.js';
import { hotNumbers, Load } from '../../../native-bench/embedded/load.js';

const bench = fileURLToPath(new URL('../../../native-bench/embedded/embedded-comparison.js', import.meta.url));

async function run(...parameters: string[]): Promise<string> {
	const { stdout } = await promisify(execFile)(process.execPath, [bench, ...parameters], { timeout: 120_000 });
	return stdout;
}

void test('the comparison runs in tiny mode: every cell, three stores', async () => {
	const stdout = await run('--tiny');
	for (const [name, { label }] of Object.entries(cells)) {
		const line = stdout.split('\n').find((text) => text.startsWith(`${label.padEnd(40)} |`));
		const rates = line?.split('|').slice(1, 4) ?? [];
		const isOurs = !['scanPages', 'getSyncVolatile'].includes(name);
		assert.match(rates[0] ?? '', isOurs ? /\d/ : /^ *$/, `${label}: ours`);
		assert.ok(rates.slice(1).some((rate) => /\d/.test(rate)) || name === 'getManySync', `${label}: another's`);
	}
	assert.match(stdout, /^two reading threads \/ one: millrace [\d.]+, lmdb [\d.]+, classic-level [\d.]+/m);
	for (const name of ['millrace', 'lmdb', 'classic-level']) {
		assert.match(stdout, new RegExp(`^# ${name} \\d+\\.\\d+\\.\\d+, synced: `, 'm'));
		assert.match(stdout, new RegExp(`^peak memory of ${name}'s process`, 'm'));
	}
});

void test('a load through the writer says its rate and memory, and everything is there', async () => {
	const stdout = await run('--tiny', '--load', '20000');
	assert.match(stdout, /^20,000 records loaded: [\d,]+ records\/s/m);
	assert.match(stdout, /^memory of the process: peak [\d,]+ MB/m);
	assert.match(stdout, /^counted 20,000/m);
});

void test('keys sort as their numbers, and hot keys are some of all, each once', () => {
	const load = new Load(1);
	const keys = [0, 1, 9, 10, 15, 16, 255, 65_536, 2 ** 31, 2 ** 32 - 1].map((number) =>
		load.key(number).toString('latin1'),
	);
	assert.deepEqual(keys, [...keys].sort());
	assert.equal(new Set(keys).size, keys.length);
	for (const key of keys) assert.equal(key.length, 16);
	const hot = hotNumbers(1000, 100, 7);
	assert.equal(new Set(hot).size, 100);
	assert.ok(hot.every((number) => number < 1000));
	assert.deepEqual(hot, hotNumbers(1000, 100, 7));
	assert.throws(() => load.mustBe(3, load.value(4)), /another value/);
	assert.throws(() => load.mustBe(3, undefined), /missing/);
	load.mustBe(3, Buffer.from(load.value(3)));
});
