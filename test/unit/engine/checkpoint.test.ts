/** Checkpoint, doctor and verify over real threads and files: a copy made while writes go on, and what is said of damage. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import { runCommandLine } from '../../../src/cli/command-line.js';
import { open } from '../../../src/open.js';
import { TemporaryDirectory } from '../../support/server-process.js';

/** Runs a command. @returns its exit code and what it wrote */
async function run(...argv: string[]): Promise<{ code: number; text: string }> {
	const stdout = new PassThrough();
	const chunks: Buffer[] = [];
	stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
	const code = await runCommandLine(argv, { stdin: new PassThrough(), stdout, stderr: stdout });
	return { code, text: Buffer.concat(chunks).toString() };
}

test('a checkpoint made while writes go on opens with all that was written before', { timeout: 60_000 }, async () => {
	using directory = new TemporaryDirectory();
	const [data, copy] = [join(directory.path, 'data'), join(directory.path, 'copy')];
	const database = await open(data, { partitions: 3 });
	const keys = Array.from({ length: 900 }, (_, i) => `key ${i}`);
	await Promise.all(keys.map((key) => database.put(key, `value of ${key}`)));
	await Promise.all(keys.slice(0, 100).map((key) => database.delete(key)));
	const making = database.checkpoint(copy);
	const later = keys.map((key) => database.put(`later ${key}`, 'x'));
	const { tableCount, copiedBecause, directory: made } = await making;
	assert.deepEqual([made, tableCount, copiedBecause], [copy, 3, '']);
	await Promise.all(later);
	const taken = (error: unknown): boolean => hasCode(error, 'MILLRACE_DIRECTORY');
	await assert.rejects(database.checkpoint(copy), taken);
	await assert.rejects(database.checkpoint(join(directory.path, 'no', 'copy')), taken);
	assert.deepEqual(readdirSync(directory.path).sort(), ['copy', 'data']);
	const open1 = await run('doctor', data);
	assert.equal(open1.code, 1);
	assert.match(open1.text, /MILLRACE_LOCKED/);
	await database.close();
	await using restored = await open(copy);
	assert.equal(restored.partitionCount, 3);
	const values = await restored.getMany(keys);
	for (const [i, value] of values.entries()) {
		assert.equal(value && Buffer.from(value).toString(), i < 100 ? undefined : `value of ${keys[i]}`);
	}
	await restored.put('new', 'life');
});

test('doctor and verify: healthy, damaged, no directory', { timeout: 60_000 }, async () => {
	using directory = new TemporaryDirectory();
	const data = join(directory.path, 'data');
	{
		await using database = await open(data, { partitions: 2, reserveFileSize: 1 << 20 });
		for (let i = 0; i < 50; i++) await database.put(`key ${i}`, `${i}`.repeat(50));
		await database.flush();
		await database.put('in the log', 'x');
	}
	const healthy = await run('doctor', data);
	assert.equal(healthy.code, 0, healthy.text);
	assert.match(healthy.text, /2 partitions\npartition-000:\n {2}manifest \d+.*\n {2}level 0: 1 file, .*entries/);
	assert.match(healthy.text, /[01] sequence numbers to replay/);
	assert.match(healthy.text, /healthy\n$/);
	const verified = await run('verify', data);
	assert.equal(verified.code, 0, verified.text);
	assert.match(verified.text, /partition-001: 5 files, \d+ bytes, \d+ entries: no problem/);
	const partition = join(data, 'partition-001');
	const table = join(partition, readdirSync(partition).find((name) => name.endsWith('.sst')) ?? '');
	const bytes = readFileSync(table);
	bytes[100] ^= 1;
	writeFileSync(table, bytes);
	const damaged = await run('verify', data);
	assert.equal(damaged.code, 1);
	assert.match(damaged.text, /partition-001: .*\.sst: at 0: .*checksum/);
	assert.equal((await run('doctor', data)).code, 0, 'the doctor does not read blocks');
	writeFileSync(table, bytes.subarray(0, 50));
	const short = await run('doctor', data);
	assert.equal(short.code, 1);
	assert.match(short.text, /PROBLEM \d+\.sst: .*\n {2}remedy: .*backup[\s\S]*not healthy\n$/);
	const none = await run('doctor', join(directory.path, 'nothing'));
	assert.equal(none.code, 1);
	assert.match(none.text, /no data directory/);
	assert.deepEqual(readdirSync(directory.path), ['data']);
});
