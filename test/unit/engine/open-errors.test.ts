/** Openings that fail say which file it is and what helps; long ones say how far they are. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ErrorCode, MillraceError } from '../../../src/base/errors.js';
import { xxh32 } from '../../../src/base/xxh32.js';
import { directoryError, partitionError } from '../../../src/engine/open-errors.js';
import type { OpenProgress } from '../../../src/engine/partition-link.js';
import { type OpenOptions, open } from '../../../src/open.js';
import { TemporaryDirectory } from '../../support/server-process.js';

const small: OpenOptions = { partitions: 2, memtableSize: 1 << 20, reserveFileSize: 0, durability: 'none' };

/** Some tables, and a log that is not flushed. */
async function fill(path: string): Promise<void> {
	await using db = await open(path, small);
	for (let round = 0; round < 3; round++) {
		await Promise.all(Array.from({ length: 200 }, (_, i) => db.put(`key ${round} ${i}`, Buffer.alloc(100, round))));
		if (round < 2) await db.flush();
	}
}

/** @param words all of them are in the message */
async function mustRefuse(
	path: string,
	code: ErrorCode,
	words: readonly string[],
	options: OpenOptions = {},
): Promise<void> {
	await assert.rejects(open(path, { ...small, ...options }), (error) => {
		assert.ok(error instanceof MillraceError, String(error));
		assert.equal(error.code, code, error.message);
		for (const word of words) assert.ok(error.message.includes(word), `"${word}" is not in: ${error.message}`);
		return true;
	});
}

function fileOf(directory: string, pattern: RegExp): string {
	const name = readdirSync(directory).find((candidate) => pattern.test(candidate));
	assert.ok(name !== undefined, `no ${pattern} in ${directory}`);
	return join(directory, name);
}

test('what is wrong with the directory itself', async () => {
	using root = new TemporaryDirectory();
	const file = join(root.path, 'file');
	writeFileSync(file, 'text');
	await mustRefuse(file, 'MILLRACE_DIRECTORY', [file, 'a directory of its own']);
	await mustRefuse(join(file, 'below'), 'MILLRACE_DIRECTORY', [file, 'a directory of its own']);
	const foreign = join(root.path, 'foreign');
	mkdirSync(foreign);
	writeFileSync(join(foreign, 'mine.txt'), 'text');
	await mustRefuse(foreign, 'MILLRACE_DIRECTORY', [foreign, 'mine.txt', 'a directory of its own']);
	const path = join(root.path, 'data');
	await fill(path);
	{
		await using _held = await open(path);
		await mustRefuse(path, 'MILLRACE_LOCKED', [
			path,
			`process ${process.pid}: this one`,
			'db.attachment()',
			'close it',
		]);
	}
	await mustRefuse(path, 'MILLRACE_PARTITION_COUNT', [path, '2 partitions, not 3', 'Leave the option out'], {
		partitions: 3,
	});
	const head = join(path, 'MILLRACE');
	const good = readFileSync(head);
	const newer = good.toString().split('\n')[0].replace('"format":1', '"format":9');
	const checksum = xxh32(Buffer.from(newer), 0, newer.length).toString(16).padStart(8, '0');
	writeFileSync(head, `${newer}\n${checksum}\n`);
	await mustRefuse(path, 'MILLRACE_FORMAT_NEWER', [head, 'format 9', 'a newer version']);
	writeFileSync(head, 'something else\n');
	await mustRefuse(path, 'MILLRACE_CORRUPT', [head, 'restore it', 'the same in all']);
	writeFileSync(head, good);
	await using _again = await open(path);
});

test('what is missing or damaged in a partition', async () => {
	using root = new TemporaryDirectory();
	const broken: readonly [RegExp, (path: string) => void, ErrorCode, string[]][] = [
		[/\.sst$/, (path) => rmSync(path), 'MILLRACE_CORRUPT', ['missing', 'put it back, or restore a backup']],
		[/^MANIFEST/, (path) => rmSync(path), 'MILLRACE_CORRUPT', ['missing', 'put it back, or restore a backup']],
		[/^CURRENT$/, (path) => rmSync(path), 'MILLRACE_CORRUPT', ['missing', 'restore it from a backup']],
		[/\.sst$/, (path) => writeFileSync(path, 'no table'), 'MILLRACE_CORRUPT', []],
		[/^CURRENT$/, makeDirectory, 'MILLRACE_DIRECTORY', ['a directory stands where a file should be']],
	];
	for (const [index, [pattern, damage, code, words]] of broken.entries()) {
		const path = join(root.path, String(index));
		await fill(path);
		const file = fileOf(join(path, 'partition-001'), pattern);
		damage(file);
		const doctor = code === 'MILLRACE_CORRUPT' ? [`millrace doctor ${path}`] : [];
		await mustRefuse(path, code, [join(path, 'partition-001'), ...words, ...doctor]);
	}
});

test('a damaged log: refused with what would be lost, and cut when asked', async () => {
	using root = new TemporaryDirectory();
	{
		await using db = await open(root.path, { ...small, partitions: 1, durability: 'always' });
		for (let i = 0; i < 20; i++) await db.put(`k${i}`, 'v');
	}
	const path = fileOf(join(root.path, 'partition-000'), /\.wal$/);
	const bytes = readFileSync(path);
	bytes[600] ^= 1;
	writeFileSync(path, bytes);
	const words = [path, 'damaged at offset', "damagedLog: 'truncate'", 'keep everything up to sequence'];
	await mustRefuse(root.path, 'MILLRACE_CORRUPT', words, { partitions: 1 });
	const notes: string[] = [];
	await using db = await open(root.path, { damagedLog: 'truncate', onNote: (text) => notes.push(text) });
	assert.match(notes.join(), /was given up, as asked/);
	assert.ok((await db.count()) < 20);
});

test('the system’s errors get our codes, the place and what helps', () => {
	const system = (code: string): Error => Object.assign(new Error(`${code}: it said so`), { code });
	for (const [code, ours, remedy] of [
		['EACCES', 'MILLRACE_DIRECTORY', /owner or the mode/],
		['EROFS', 'MILLRACE_DIRECTORY', /read-only/],
		['ENOSPC', 'MILLRACE_DISK_FULL', /make room.*nothing is lost/],
		['EMFILE', 'MILLRACE_DIRECTORY', /ulimit/],
		['EWHATEVER', 'MILLRACE_DIRECTORY', /may read and write/],
	] as const) {
		for (const error of [
			directoryError('/data', system(code)),
			partitionError('/data/partition-000', { code: undefined, message: `${code}: it said so, write` }),
			// As a partition's thread reports a full disk.
			...(code === 'ENOSPC' ? [partitionError('/data', { code: ours, message: 'ENOSPC: no space, write' })] : []),
		]) {
			assert.equal(error.code, ours);
			assert.match(error.message, remedy);
			assert.match(error.message, /^\/data/);
		}
	}
	const own = new MillraceError('MILLRACE_OPTION', 'as it is');
	assert.equal(directoryError('/data', own), own);
	assert.equal(partitionError('/data', { code: 'MILLRACE_CORRUPT', message: 'as it is' }).message, 'as it is');
	assert.equal(partitionError('/data', { code: 'MILLRACE_DISK_FULL', message: 'of ours' }).code, 'MILLRACE_DISK_FULL');
});

test('an opening says how far it is: tables, then log, of each partition', async () => {
	using root = new TemporaryDirectory();
	await fill(root.path);
	const seen: OpenProgress[] = [];
	{
		await using _db = await open(root.path, { ...small, onProgress: (progress) => seen.push(progress) });
	}
	for (const partition of [0, 1]) {
		const own = seen.filter((progress) => progress.partition === partition);
		assert.deepEqual([...new Set(own.map(({ step }) => step))], ['tables', 'log']);
		for (const step of ['tables', 'log'] as const) {
			const steps = own.filter((progress) => progress.step === step);
			assert.ok(steps.every(({ done }, i) => i === 0 || done >= steps[i - 1].done));
			const last = steps.at(-1);
			assert.ok(last !== undefined && last.total > 0 && last.done === last.total, JSON.stringify(last));
		}
	}
	assert.equal(seen.findLast(({ step }) => step === 'tables')?.total, 2);
	const wrong = { onProgress: 'tell me' } as unknown as OpenOptions;
	await assert.rejects(open(root.path, wrong), TypeError);
});

function makeDirectory(path: string): void {
	rmSync(path);
	mkdirSync(path);
}
