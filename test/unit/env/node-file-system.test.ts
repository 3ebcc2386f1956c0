/** The real file system against the real kernel, and the lock against real processes that are really killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeClock } from '../../../src/env/node-clock.js';
import { NodeFileSystem, readFully, writeFully } from '../../../src/env/node-file-system.js';

const directory = mkdtempSync(join(tmpdir(), 'millrace-env-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const fileSystem = new NodeFileSystem();
const text = (value: string) => new TextEncoder().encode(value);

void test('files: create, write at positions, read back, truncate, sync, reopen', () => {
	const path = join(directory, 'a');
	const file = fileSystem.open(path, 'create');
	file.write(text('--hello--'), 2, 5, 3);
	assert.equal(file.size(), 8);
	const target = new Uint8Array(10).fill(1);
	assert.equal(file.read(target, 1, 9, 3), 5, 'short only at the end of the file');
	assert.deepEqual(target.subarray(0, 7), new Uint8Array([1, ...text('hello'), 1]));
	file.truncate(5);
	file.sync();
	file.close();
	assert.throws(() => file.sync(), /was closed/);
	assert.throws(() => fileSystem.open(path, 'create'), { code: 'EEXIST' });
	assert.throws(() => fileSystem.open(join(directory, 'none'), 'write'), { code: 'ENOENT' });
	const reopened = fileSystem.open(path, 'write');
	assert.equal(reopened.size(), 5);
	assert.throws(() => reopened.write(target, 5, 6, 0), /transfer of 6 B/);
	reopened.close();
	assert.deepEqual(readFileSync(path), Buffer.from('\0\0\0he'));
});

void test('directories: make with parents, list, rename over, remove, sync', () => {
	const sub = join(directory, 'x', 'y');
	fileSystem.makeDirectory(sub);
	fileSystem.makeDirectory(sub);
	writeFileSync(join(sub, 'old'), 'old');
	writeFileSync(join(sub, 'new'), 'new');
	fileSystem.rename(join(sub, 'new'), join(sub, 'old'));
	fileSystem.syncDirectory(sub);
	assert.deepEqual(fileSystem.list(sub), ['old']);
	assert.equal(readFileSync(join(sub, 'old'), 'utf8'), 'new');
	fileSystem.remove(join(sub, 'old'));
	assert.equal(fileSystem.exists(join(sub, 'old')), false);
	assert.throws(() => fileSystem.remove(join(sub, 'old')), { code: 'ENOENT' });
	assert.throws(() => fileSystem.syncDirectory(join(sub, 'none')), { code: 'ENOENT' });
});

void test('links: two names of one file, of which one may go; empty directories go; free space is known', () => {
	const sub = join(directory, 'links');
	fileSystem.makeDirectory(sub);
	writeFileSync(join(sub, 'a'), 'data');
	fileSystem.link(join(sub, 'a'), join(sub, 'b'));
	assert.throws(() => fileSystem.link(join(sub, 'a'), join(sub, 'b')), { code: 'EEXIST' });
	assert.throws(() => fileSystem.link(join(sub, 'none'), join(sub, 'c')), { code: 'ENOENT' });
	fileSystem.remove(join(sub, 'a'));
	assert.equal(readFileSync(join(sub, 'b'), 'utf8'), 'data');
	assert.throws(() => fileSystem.removeDirectory(sub), { code: 'ENOTEMPTY' });
	fileSystem.remove(join(sub, 'b'));
	fileSystem.removeDirectory(sub);
	assert.equal(fileSystem.exists(sub), false);
	assert(fileSystem.freeBytes(directory) > 0);
});

/** A system call that moves at most 3 bytes and is interrupted every second time. */
function reluctant(move: (bytes: Uint8Array, offset: number, size: number, position: number) => number) {
	let calls = 0;
	return (_: number, bytes: Uint8Array, offset: number, size: number, position: number) => {
		if (calls++ % 2 === 0) throw Object.assign(new Error('interrupted'), { code: 'EINTR' });
		return move(bytes, offset, Math.min(size, 3), position);
	};
}

void test('short and interrupted transfers are carried on with; other errors and endless ones are not', () => {
	const stored = new Uint8Array(20);
	const write = reluctant((bytes, offset, size, position) => {
		stored.set(bytes.subarray(offset, offset + size), position);
		return size;
	});
	writeFully(write, 0, text('..0123456789'), 2, 10, 5);
	assert.deepEqual(stored.subarray(5, 15), text('0123456789'));
	const read = reluctant((bytes, offset, size, position) => {
		const part = stored.subarray(position, Math.min(position + size, 15));
		bytes.set(part, offset);
		return part.length;
	});
	const target = new Uint8Array(12);
	assert.equal(readFully(read, 0, target, 1, 11, 8), 7);
	assert.deepEqual(target.subarray(1, 8), text('3456789'));
	const always = (code: string) => () => {
		throw Object.assign(new Error(code), { code });
	};
	assert.throws(() => writeFully(always('EIO'), 0, target, 0, 1, 0), { code: 'EIO' });
	assert.throws(() => writeFully(always('EAGAIN'), 0, target, 0, 1, 0), { code: 'EAGAIN' });
	assert.throws(() => writeFully(() => 0, 0, target, 0, 1, 0), { code: 'EIO' });
});

void test('a full device says ENOSPC', {
	skip: existsSync('/dev/full') ? false : 'no /dev/full here',
}, () => {
	const file = fileSystem.open('/dev/full', 'write');
	assert.throws(() => file.write(text('x'), 0, 1, 0), { code: 'ENOSPC' });
	file.close();
});

void test('the clock gives whole milliseconds of the epoch', () => {
	assert.ok(Number.isInteger(nodeClock.nowMs()) && nodeClock.nowMs() > Date.UTC(2025, 0));
});

const ownerScript = fileURLToPath(new URL('../../support/lock-owner.js', import.meta.url));
/** Killed at the end, come what may: a failed assertion must not leave owners behind that keep this file running. */
const children = new Set<ChildProcess>();
after(() => {
	for (const child of children) child.kill('SIGKILL');
});
type Outcome = { won: string } | { lostTo: string };

async function start(path: string, owner: string): Promise<{ child: ChildProcess; outcome: Outcome }> {
	const child = fork(ownerScript, [path, owner]);
	children.add(child);
	child.once('exit', () => children.delete(child));
	const [outcome] = (await once(child, 'message')) as [Outcome];
	return { child, outcome };
}

async function kill(child: ChildProcess): Promise<void> {
	const exited = once(child, 'exit');
	child.kill('SIGKILL');
	await exited;
}

void test('the lock names its owner to others and is free at once after kill -9', async () => {
	const path = join(directory, 'LOCK');
	const first = await start(path, 'owner one, pid 1');
	assert.deepEqual(first.outcome, { won: 'owner one, pid 1' });
	const second = await start(path, 'two');
	assert.deepEqual(second.outcome, { lostTo: 'owner one, pid 1' });
	assert.equal(fileSystem.lock(path, 'three'), 'owner one, pid 1');
	await Promise.all([kill(first.child), kill(second.child)]);
	const lock = fileSystem.lock(path, 'four');
	assert.notEqual(typeof lock, 'string');
	assert.equal(readFileSync(path, 'utf8'), 'four', 'nothing is left of a longer text');
	assert.equal(fileSystem.lock(path, 'five'), 'four', 'excludes within a process too');
	if (typeof lock !== 'string') lock.release();
	const third = await start(path, 'six');
	assert.deepEqual(third.outcome, { won: 'six' });
	await kill(third.child);
});

void test('of several processes that start at once exactly one wins, and the others learn its name', async () => {
	const path = join(directory, 'RACE');
	const started = await Promise.all(['a', 'b', 'c', 'd'].map((owner) => start(path, owner)));
	const winners = started.flatMap(({ outcome }) => ('won' in outcome ? [outcome.won] : []));
	assert.equal(winners.length, 1);
	for (const { outcome } of started) if ('lostTo' in outcome) assert.equal(outcome.lostTo, winners[0]);
	await Promise.all(started.map(({ child }) => kill(child)));
});

void test('owner texts that cannot be told are refused', () => {
	assert.throws(() => fileSystem.lock(join(directory, 'LOCK2'), ''), TypeError);
	assert.equal(existsSync(join(directory, 'LOCK2')), false);
});
