/** A data directory that lost a part of itself is refused as it is; one that cannot be made is not begun. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MillraceError } from '../../../src/base/errors.js';
import { checkpointDirectory } from '../../../src/engine/checkpoint-directory.js';
import { NodeFileSystem } from '../../../src/env/node-file-system.js';
import { type OpenOptions, open } from '../../../src/open.js';
import { doctorDirectory, verifyDirectory } from '../../../src/server/inspect-directory.js';
import { TemporaryDirectory } from '../../support/server-process.js';

const small: OpenOptions = { memtableSize: 1 << 20, reserveFileSize: 0 };

async function fill(path: string): Promise<void> {
	await using database = await open(path, { ...small, partitions: 3 });
	for (let i = 0; i < 60; i++) await database.put(`key ${i}`, 'v');
	await database.flush();
	await database.checkpoint(`${path}-copy`);
}

async function mustRefuse(path: string, code: string, message: RegExp, options: OpenOptions = {}): Promise<void> {
	await assert.rejects(open(path, { ...small, ...options }), { code, message });
}

test('a lost head file, a lost partition, a lost CURRENT: refused, and nothing is begun anew', {
	timeout: 60_000,
}, async () => {
	using root = new TemporaryDirectory();
	const [path, copy] = [join(root.path, 'data'), join(root.path, 'data-copy')];
	await fill(path);
	const head = join(path, 'MILLRACE');
	rmSync(head);
	await mustRefuse(path, 'MILLRACE_CORRUPT', /partition-001, partition-002, but no head file/, { partitions: 1 });
	await mustRefuse(path, 'MILLRACE_CORRUPT', /partition-00\d holds data, but .* no head file/, { partitions: 3 });
	assert(!existsSync(head));
	rmSync(join(copy, 'partition-001'), { recursive: true });
	await mustRefuse(copy, 'MILLRACE_CORRUPT', /partition-001\/CURRENT is missing, though the head file/);
	assert(!existsSync(join(copy, 'partition-001')));
	rmSync(join(copy, 'partition-002', 'CURRENT'));
	await mustRefuse(copy, 'MILLRACE_CORRUPT', /partition-00[12]\/CURRENT is missing/);
});

test('data that is only in the log is data, too', { timeout: 60_000 }, async () => {
	using root = new TemporaryDirectory();
	{
		await using database = await open(root.path, { ...small, partitions: 1 });
		await database.put('k', 'v');
	}
	rmSync(join(root.path, 'MILLRACE'));
	await mustRefuse(root.path, 'MILLRACE_CORRUPT', /holds data/, { partitions: 1 });
});

test('a checkpoint has its name only once it is complete', async () => {
	using root = new TemporaryDirectory();
	const fileSystem = new NodeFileSystem();
	const target = join(root.path, 'copy');
	const answer = JSON.stringify({ tableCount: 0, tableBytes: 0, copiedBecause: '' });
	await checkpointDirectory(fileSystem, target, 2, (directories) => {
		for (const directory of directories) fileSystem.makeDirectory(directory);
		assert.deepEqual(readdirSync(root.path), ['copy.unfinished']);
		return Promise.resolve([answer, answer]);
	});
	assert.deepEqual(readdirSync(root.path), ['copy']);
	assert.deepEqual(readdirSync(target).sort(), ['MILLRACE', 'partition-000', 'partition-001']);
	const failing = checkpointDirectory(fileSystem, join(root.path, 'other'), 2, () =>
		Promise.reject(new MillraceError('MILLRACE_DISK_FULL', 'full')),
	);
	await assert.rejects(failing, { code: 'MILLRACE_DISK_FULL' });
	assert.deepEqual(readdirSync(root.path), ['copy']);
	fileSystem.makeDirectory(join(root.path, 'third.unfinished'));
	const taken = checkpointDirectory(fileSystem, join(root.path, 'third'), 2, () => Promise.resolve([answer, answer]));
	await assert.rejects(taken, { code: 'MILLRACE_DIRECTORY', message: /cut off/ });
});

test('doctor and verify leave the lock file and a checkpoint as they are', { timeout: 60_000 }, async () => {
	using root = new TemporaryDirectory();
	const [path, copy] = [join(root.path, 'data'), join(root.path, 'data-copy')];
	await fill(path);
	const lock = join(path, 'LOCK');
	const seen = (): unknown => [readFileSync(lock, 'utf8'), statSync(lock).mtimeMs, readdirSync(copy).sort()];
	const before = seen();
	const lines: string[] = [];
	for (const inspect of [doctorDirectory, verifyDirectory]) {
		for (const directory of [path, copy])
			assert(
				inspect(directory, (line) => lines.push(line)),
				lines.join('\n'),
			);
	}
	assert.deepEqual(seen(), before);
	assert.equal(lines.filter((line) => line.startsWith(`${copy} is not locked (it was never opened)`)).length, 2);
	assert(!lines.some((line) => line.startsWith(`${path} is not locked`)));
	await using _database = await open(path, small);
	assert.throws(() => doctorDirectory(path, () => undefined), { code: 'MILLRACE_LOCKED' });
	const held = new NodeFileSystem().lockShared(join(path, 'LOCK'));
	assert.equal(held, String(process.pid));
});

test('options that do not go together are refused before a directory is made', async () => {
	using root = new TemporaryDirectory();
	const path = join(root.path, 'new');
	await mustRefuse(path, 'MILLRACE_OPTION', /at least \d+ \(bytes\) with 4 partitions/, {
		partitions: 4,
		diskBudget: 200_000_000,
	});
	assert.deepEqual(readdirSync(root.path), []);
});
