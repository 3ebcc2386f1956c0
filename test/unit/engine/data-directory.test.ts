/** The data directory as a whole, over the real file system and, for crashes while it is created, the simulated one. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ErrorCode, hasCode } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import {
	completeDataDirectory,
	type DataDirectory,
	openDataDirectory,
	partitionDirectoryName,
} from '../../../src/engine/data-directory.js';
import { NodeFileSystem } from '../../../src/env/node-file-system.js';
import type { FileSystem } from '../../../src/env/ports.js';
import { testSeed } from '../../support/seed.js';
import { TemporaryDirectory } from '../../support/server-process.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const fileSystem = new NodeFileSystem();

function create(path: string, partitionCount: number | undefined): void {
	const directory = openDataDirectory(fileSystem, path, partitionCount, 5);
	completeDataDirectory(fileSystem, directory);
	directory.lock.release();
}

function open(path: string, partitionCount?: number): DataDirectory {
	return openDataDirectory(fileSystem, path, partitionCount, 5);
}

function mustThrow(code: ErrorCode, run: () => unknown): void {
	assert.throws(run, (error) => hasCode(error, code));
}

test('a new directory gets the count asked for, or the default, and keeps it', () => {
	using root = new TemporaryDirectory();
	const path = join(root.path, 'a', 'b');
	const directory = open(path, 3);
	assert.deepEqual([directory.isNew, directory.partitionCount], [true, 3]);
	completeDataDirectory(fileSystem, directory);
	directory.lock.release();
	for (const asked of [undefined, 3]) {
		const again = open(path, asked);
		assert.deepEqual([again.isNew, again.partitionCount], [false, 3]);
		again.lock.release();
	}
	create(join(root.path, 'c'), undefined);
	const other = open(join(root.path, 'c'));
	assert.equal(other.partitionCount, 5);
	other.lock.release();
	assert.equal(partitionDirectoryName(7), 'partition-007');
});

test('the head file is what its page says', () => {
	using root = new TemporaryDirectory();
	create(root.path, 2);
	const text = readFileSync(join(root.path, 'MILLRACE'), 'utf8');
	assert.equal(text, '{"format":1,"partitions":2,"hash":"xxh32"}\ndb7a9de5\n');
	assert.deepEqual(readdirSync(root.path).sort(), ['LOCK', 'MILLRACE']);
});

test('every byte of the head is checked, and every length', () => {
	using root = new TemporaryDirectory();
	create(root.path, 2);
	const path = join(root.path, 'MILLRACE');
	const good = readFileSync(path);
	// The last line end is the only byte that says nothing.
	for (let at = 0; at < good.length - 1; at++) {
		const bent = Buffer.from(good);
		bent[at] ^= 0x04;
		writeFileSync(path, bent);
		mustThrow('MILLRACE_CORRUPT', () => open(root.path));
		writeFileSync(path, good.subarray(0, at));
		mustThrow('MILLRACE_CORRUPT', () => open(root.path));
	}
	writeFileSync(path, good);
	open(root.path).lock.release();
});

test('one owner at a time, also within a process; a refused opening lets go of the lock', () => {
	using root = new TemporaryDirectory();
	create(root.path, 2);
	const held = open(root.path);
	assert.throws(() => open(root.path), new RegExp(`process ${process.pid}\\b`));
	mustThrow('MILLRACE_LOCKED', () => open(root.path));
	held.lock.release();
	mustThrow('MILLRACE_PARTITION_COUNT', () => open(root.path, 3));
	open(root.path).lock.release();
});

test('a foreign directory is refused and left as it is; the rest of a creation is not foreign', () => {
	using root = new TemporaryDirectory();
	writeFileSync(join(root.path, 'mine.txt'), '');
	mustThrow('MILLRACE_DIRECTORY', () => open(root.path));
	assert.deepEqual(readdirSync(root.path), ['mine.txt']);
	const half = join(root.path, 'half');
	mkdirSync(join(half, 'partition-000'), { recursive: true });
	writeFileSync(join(half, 'MILLRACE.tmp'), '{"form');
	writeFileSync(join(half, 'LOCK'), '1');
	create(half, 4);
	const directory = open(half);
	assert.equal(directory.partitionCount, 4);
	directory.lock.release();
});

test('a crash at any moment of a creation leaves a directory that is new or complete', () => {
	const prng = new Prng(testSeed('data-directory'));
	const disk = new SimulatedDisk();
	const directory = openDataDirectory(disk, '/data', 3, 1);
	completeDataDirectory(disk, directory);
	const completeAt = disk.position;
	let states = 0;
	for (let position = 0; position <= completeAt; position++) {
		for (const crashed of disk.enumerateCrashes(position, { limit: 64, prng })) {
			const found = openDataDirectory(crashed as FileSystem, '/data', undefined, 9);
			assert.deepEqual([found.isNew, found.partitionCount], found.isNew ? [true, 9] : [false, 3], crashed.origin());
			if (position === completeAt) assert.equal(found.isNew, false, crashed.origin());
			states++;
		}
	}
	assert.ok(states > 10, `${states} crash states`);
});
