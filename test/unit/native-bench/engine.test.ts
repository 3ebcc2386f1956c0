/** The engine benchmark runs to its end in tiny mode, and checks what it reads; db_bench's output is understood as it is. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runDbBench } from '../../../native-bench/engine/db-bench.js';
import { encodeKey, keySize, NumberSet } from '../../../native-bench/engine/workload.js';
import { skipWithout } from '../../support/run-program.js';

const bench = fileURLToPath(new URL('../../../native-bench/engine/engine-comparison.js', import.meta.url));

void test('the engine benchmark runs in tiny mode, every key it wrote found and no other', async () => {
	const { stdout } = await promisify(execFile)(process.execPath, [bench, '--tiny'], { timeout: 120_000 });
	for (const cell of ['fillrandom', 'overwrite', 'readrandom', 'seekrandom', 'readseq']) {
		assert.match(stdout, new RegExp(`^${cell} +\\| +[\\d,]+`, 'm'));
	}
	assert.match(stdout, /^write amplification: \d/m);
	assert.match(stdout, /^space amplification .*: [\d.]+ MB \/ [\d.]+ MB/m);
	assert.match(stdout, /reopened in \d+ ms/);
});

void test('db_bench is run and understood', { skip: skipWithout('db_bench') }, async () => {
	const directory = mkdtempSync(join(tmpdir(), 'millrace-db-bench-'));
	try {
		const report = await runDbBench(2000, 1000, 1 << 20, join(directory, 'rocks'));
		for (const rate of Object.values(report.opsPerSecond)) assert.ok(rate > 0);
		assert.equal(Object.keys(report.opsPerSecond).length, 5);
		assert.ok(report.compactedTableBytes > 50_000 && report.compactedTableBytes < 1_000_000);
		assert.match(report.version, /\d/);
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
});

void test('keys sort as their numbers, and a set of numbers knows what it holds', () => {
	const keys = [0, 1, 255, 256, 65_536, 2 ** 31, 2 ** 32 - 1].map((number) => {
		const key = Buffer.alloc(keySize);
		encodeKey(number, key, 0);
		return key;
	});
	for (let i = 1; i < keys.length; i++) assert.ok(Buffer.compare(keys[i - 1], keys[i]) < 0);
	const numbers = new NumberSet(100);
	for (const number of [0, 31, 32, 99, 31]) numbers.add(number);
	assert.equal(numbers.count, 4);
	assert.deepEqual(
		[0, 30, 31, 32, 98, 99].map((number) => numbers.has(number)),
		[true, false, true, true, false, true],
	);
});
