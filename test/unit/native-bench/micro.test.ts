/** Every micro benchmark runs to its end in tiny mode and prints a result: they cannot rot unseen. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const directory = fileURLToPath(new URL('../../../native-bench/micro/', import.meta.url));
const benches = [
	'memtable.js',
	'merge.js',
	'resp.js',
	'ring-threads.js',
	'ring.js',
	'router.js',
	'row-cache.js',
	'sync-read.js',
	'table-read.js',
	'wake-latency.js',
	'xxh32.js',
];

for (const bench of benches) {
	void test(`${bench} runs`, async () => {
		const { stdout } = await promisify(execFile)(process.execPath, [directory + bench], {
			env: { ...process.env, MILLRACE_BENCH_TINY: '1' },
			timeout: 60_000,
		});
		assert.match(stdout, /^# node v/m);
		assert.match(stdout, / ops\/s | p50 /);
	});
}

void test('every micro benchmark is run here', () => {
	const found = readdirSync(directory).filter((name) => /(?<!-worker|harness)\.js$/.test(name));
	assert.deepEqual(found.sort(), benches);
});
