/** The simulated disk proves the storage; here it is proven itself: what must survive does, what may vanish can. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import type { FileHandle } from '../../../src/env/ports.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const seed = testSeed('simulated-disk');
const text = (value: string) => new TextEncoder().encode(value);
const contentOf = (disk: SimulatedDisk, path: string) =>
	disk.exists(path) ? new TextDecoder().decode(disk.readFile(path)) : undefined;

function put(file: FileHandle, value: string, position = 0): void {
	file.write(text(value), 0, text(value).length, position);
}

/** The distinct contents a path may have after a crash at the end of the journal. */
function outcomes(disk: SimulatedDisk, path: string, limit = 4096): Set<string | undefined> {
	const found = new Set<string | undefined>();
	for (const crashed of disk.enumerateCrashes(disk.position, { limit, prng: new Prng(seed) })) {
		found.add(contentOf(crashed, path));
	}
	return found;
}

function diskWith(value: string): { disk: SimulatedDisk; file: FileHandle } {
	const disk = new SimulatedDisk();
	disk.writeFile('/db/a', text(value));
	disk.settle();
	return { disk, file: disk.open('/db/a', 'write') };
}

function systemCode(code: string): { code: string } {
	return { code };
}

void test('synced contents under a synced name survive every crash', () => {
	const disk = new SimulatedDisk({ directories: ['/db'] });
	const file = disk.open('/db/a', 'create');
	put(file, 'x'.repeat(2000));
	file.sync();
	disk.syncDirectory('/db');
	put(file, 'y', 5000);
	disk.open('/db/b', 'create');
	for (const crashed of disk.enumerateCrashes(disk.position, { limit: 500, prng: new Prng(seed) })) {
		assert.equal(contentOf(crashed, '/db/a')?.slice(0, 2000), 'x'.repeat(2000), crashed.origin());
	}
});

void test('a synced file whose name was not synced may be gone, and so may a directory', () => {
	const disk = new SimulatedDisk();
	disk.makeDirectory('/db/sub');
	const file = disk.open('/db/sub/a', 'create');
	put(file, 'data');
	file.sync();
	assert.deepEqual(outcomes(disk, '/db/sub/a'), new Set([undefined, 'data']));
	disk.syncDirectory('/db/sub');
	assert.deepEqual(outcomes(disk, '/db/sub/a'), new Set([undefined, 'data']));
	disk.syncDirectory('/db');
	disk.syncDirectory('/');
	assert.deepEqual(outcomes(disk, '/db/sub/a'), new Set(['data']));
});

void test('unsynced writes survive in any combination, a later one never under an earlier one', () => {
	const { disk, file } = diskWith('....');
	put(file, 'aa', 0);
	put(file, 'bb', 1);
	put(file, 'c', 3);
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['....', 'aa..', '.bb.', 'abb.', '...c', 'aa.c', '.bbc', 'abbc']));
	file.sync();
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['abbc']));
});

void test('a write over several sectors tears at sectors, as a prefix and with holes', () => {
	const { disk, file } = diskWith('.'.repeat(2048));
	put(file, 'x'.repeat(1100), 500);
	const seen = new Set<string>();
	const prng = new Prng(seed);
	for (let i = 0; i < 400; i++) {
		const content = contentOf(disk.crashAt(disk.position, prng), '/db/a') ?? '';
		assert.equal(content.length, 2048);
		// One letter for each sector the write touches: its part of the write is there as a whole or not at all.
		const parts = [
			content.slice(500, 512),
			content.slice(512, 1024),
			content.slice(1024, 1536),
			content.slice(1536, 1600),
		];
		for (const part of parts) assert.match(part, /^(x+|\.+)$/);
		assert.match(content.slice(0, 500) + content.slice(1600), /^\.+$/);
		seen.add(parts.map((part) => part[0]).join(''));
	}
	for (const expected of ['....', 'xxxx', 'x...', 'xx..', 'xxx.', '..x.', 'x..x'])
		assert.ok(seen.has(expected), expected);
});

void test('a torn append leaves a short file or zeros', () => {
	const { disk, file } = diskWith('');
	put(file, 'x'.repeat(1536));
	const found = outcomes(disk, '/db/a');
	assert.ok(found.has('') && found.has('x'.repeat(1536)));
	assert.ok([...found].some((content) => content !== undefined && content.length > 0 && !/^x{1536}$/.test(content)));
	for (const content of found) assert.match(content ?? '-', /^[x\0]*$/);
});

void test('a rename is all or nothing and needs its directory synced', () => {
	const { disk } = diskWith('old');
	const file = disk.open('/db/a.new', 'create');
	put(file, 'new');
	file.sync();
	disk.rename('/db/a.new', '/db/a');
	assert.equal(contentOf(disk, '/db/a'), 'new');
	assert.deepEqual(disk.list('/db'), ['a']);
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['old', 'new']));
	disk.syncDirectory('/db');
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['new']));
	assert.deepEqual(outcomes(disk, '/db/a.new'), new Set([undefined]));
});

void test('a rename over a file whose contents were not synced may show nothing', () => {
	const { disk } = diskWith('old');
	put(disk.open('/db/a.new', 'create'), 'new');
	disk.rename('/db/a.new', '/db/a');
	disk.syncDirectory('/db');
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['', 'new']));
});

void test('a removal may come back until its directory is synced', () => {
	const { disk } = diskWith('old');
	disk.remove('/db/a');
	assert.equal(disk.exists('/db/a'), false);
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['old', undefined]));
	disk.syncDirectory('/db');
	assert.deepEqual(outcomes(disk, '/db/a'), new Set([undefined]));
	assert.throws(() => disk.open('/db/a', 'read'), systemCode('ENOENT'));
});

void test('after a failed sync nothing makes the pending data certain, while newer data can become so', () => {
	const { disk, file } = diskWith('..');
	put(file, 'a', 0);
	disk.failNext({ operation: 'sync', path: /a$/, error: 'EIO' });
	assert.throws(() => file.sync(), systemCode('EIO'));
	file.sync();
	assert.equal(contentOf(disk, '/db/a'), 'a.', 'the page cache still shows it');
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['..', 'a.']));
	put(file, 'b', 1);
	file.sync();
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['.b', 'ab']));
});

void test('crashes are decided by the journal up to the position given, not by what came later', () => {
	const { disk, file } = diskWith('..');
	put(file, 'a', 0);
	const before = disk.position;
	file.sync();
	const prng = new Prng(seed);
	const early = new Set([...disk.enumerateCrashes(before, { prng })].map((crashed) => contentOf(crashed, '/db/a')));
	assert.deepEqual(early, new Set(['..', 'a.']));
	assert.equal(contentOf(disk.crashAt(disk.position, prng), '/db/a'), 'a.');
	assert.equal(contentOf(disk.crashAt(0, prng), '/db/a'), '..');
});

void test('the same seed gives the same crashes, and crashed disks share no bytes', () => {
	const { disk, file } = diskWith('.'.repeat(4096));
	for (let i = 0; i < 30; i++) put(file, 'z'.repeat(700), i * 100);
	const run = (prng: Prng) => {
		const list = [...disk.enumerateCrashes(disk.position, { limit: 40, prng })];
		return list.map((crashed) => contentOf(crashed, '/db/a'));
	};
	const first = run(new Prng(seed));
	assert.deepEqual(first, run(new Prng(seed)));
	assert.equal(first.length, 40);
	const one = disk.crashAt(disk.position, new Prng(seed));
	const other = disk.crashAt(disk.position, new Prng(seed));
	put(one.open('/db/a', 'write'), 'only here');
	assert.notDeepEqual(one.readFile('/db/a'), other.readFile('/db/a'));
	assert.deepEqual(other.readFile('/db/a'), disk.crashAt(disk.position, new Prng(seed)).readFile('/db/a'));
});

void test('planned faults: after, path, partial writes, persistent, cleared', () => {
	const { disk, file } = diskWith('');
	disk.failNext({ operation: 'write', after: 1, error: 'EIO', writtenSize: 2 });
	put(file, 'ok');
	assert.throws(() => put(file, 'abcd', 2), systemCode('EIO'));
	assert.equal(contentOf(disk, '/db/a'), 'okab');
	disk.failNext({ operation: 'open', path: /\/b$/, error: 'ENOSPC', persistent: true });
	disk.open('/db/c', 'create').close();
	for (let i = 0; i < 2; i++) assert.throws(() => disk.open('/db/b', 'create'), systemCode('ENOSPC'));
	assert.equal(disk.exists('/db/b'), false);
	disk.clearFaults();
	disk.open('/db/b', 'create').close();
	for (const operation of ['rename', 'remove', 'syncDirectory', 'makeDirectory'] as const) {
		disk.failNext({ operation, error: 'EIO' });
	}
	assert.throws(() => disk.rename('/db/b', '/db/d'), systemCode('EIO'));
	assert.throws(() => disk.remove('/db/b'), systemCode('EIO'));
	assert.throws(() => disk.syncDirectory('/db'), systemCode('EIO'));
	assert.throws(() => disk.makeDirectory('/db/e'), systemCode('EIO'));
	assert.ok(disk.exists('/db/b') && !disk.exists('/db/d'));
	assert.deepEqual(outcomes(disk, '/db/c').size, 2, 'a failed directory sync makes nothing durable');
});

void test('a full disk takes what fits, says ENOSPC, and takes more when space returns', () => {
	const disk = new SimulatedDisk({ directories: ['/db'], capacityBytes: 100 });
	const file = disk.open('/db/a', 'create');
	put(file, 'x'.repeat(90));
	assert.throws(() => put(file, 'y'.repeat(20), 90), systemCode('ENOSPC'));
	assert.deepEqual(disk.snapshot(), { '/db/a': 100 });
	put(file, 'z', 0);
	const other = disk.open('/db/b', 'create');
	assert.throws(() => put(other, 'b'), systemCode('ENOSPC'));
	assert.throws(() => other.truncate(5), systemCode('ENOSPC'));
	disk.remove('/db/a');
	put(other, 'b');
	assert.equal(disk.usedBytes(), 1);
});

void test('flipped bits stay flipped through crashes', () => {
	const { disk } = diskWith('abc');
	disk.flipBit('/db/a', 1, 0);
	assert.equal(contentOf(disk, '/db/a'), 'acc');
	assert.deepEqual(outcomes(disk, '/db/a'), new Set(['acc']));
});

void test('the port: modes, lists, ends of files, locks', () => {
	const { disk, file } = diskWith('hello');
	assert.throws(() => disk.open('/db/a', 'create'), systemCode('EEXIST'));
	assert.throws(() => disk.open('/none/a', 'create'), systemCode('ENOENT'));
	assert.throws(() => put(disk.open('/db/a', 'read'), 'x'), systemCode('EBADF'));
	const target = new Uint8Array(8);
	assert.equal(file.read(target, 2, 4, 3), 2);
	assert.equal(new TextDecoder().decode(target.subarray(2, 4)), 'lo');
	assert.equal(file.read(target, 0, 4, 99), 0);
	file.truncate(2);
	file.truncate(4);
	assert.deepEqual(disk.readFile('/db/a'), new Uint8Array([104, 101, 0, 0]));
	put(file, 'y', 1);
	file.truncate(1);
	put(file, 'x', 3);
	assert.deepEqual(disk.readFile('/db/a'), new Uint8Array([104, 0, 0, 120]), 'gaps are zeros, not what was there');
	file.close();
	assert.throws(() => file.size(), /was closed/);
	const lock = disk.lock('/db/LOCK', 'me');
	assert.equal(disk.lock('/db/LOCK', 'you'), 'me');
	assert.notEqual(typeof disk.crashAt(disk.position, new Prng(seed)).lock('/db/LOCK', 'after'), 'undefined');
	if (typeof lock !== 'string') lock.release();
	assert.notEqual(disk.lock('/db/LOCK', 'you'), 'me');
	assert.deepEqual(disk.list('/db').sort(), ['LOCK', 'a']);
});

/** Random calls on a few names, any of which may fail for a good reason (no such file, already there). */
function doSomething(disk: SimulatedDisk, prng: Prng): void {
	const path = () => `/db/${'abcd'[prng.below(4)]}`;
	const target = path();
	const isThere = disk.exists(target);
	const step = prng.below(8);
	if (step <= 2) {
		const file = disk.open(target, isThere ? 'write' : 'create');
		put(file, String.fromCharCode(97 + prng.below(26)).repeat(1 + prng.below(1500)), prng.below(2000));
		if (prng.chance(0.3)) file.sync();
		file.close();
	} else if (step === 3) disk.syncDirectory('/db');
	else if (isThere && step === 4) disk.remove(target);
	else if (isThere && step === 5) disk.rename(target, path());
	else if (isThere && step === 6) disk.open(target, 'write').truncate(prng.below(2500));
	else if (isThere) disk.open(target, 'read').sync();
}

void test('after any calls, once all is synced, every crash leaves exactly what reads see', () => {
	const prng = new Prng(seed);
	for (let round = 0; round < 60; round++) {
		const disk = new SimulatedDisk({ directories: ['/db'] });
		for (let i = 0; i < 40; i++) doSomething(disk, prng);
		for (const name of disk.list('/db')) disk.open(`/db/${name}`, 'read').sync();
		disk.syncDirectory('/db');
		for (const crashed of disk.enumerateCrashes(disk.position, { limit: 8, prng })) {
			assert.deepEqual(crashed.snapshot(), disk.snapshot());
			for (const path of Object.keys(disk.snapshot())) assert.deepEqual(crashed.readFile(path), disk.readFile(path));
		}
	}
});

/** A tiny protocol under test: replaces /db/current by steps, and the promise that an acknowledged value stays. */
function lostAcknowledgements(steps: { syncFile: boolean; syncDirectory: boolean }): number {
	const disk = new SimulatedDisk();
	disk.writeFile('/db/current', text('0'));
	disk.settle();
	const acknowledged: { position: number; value: number }[] = [{ position: 0, value: 0 }];
	for (let value = 1; value <= 4; value++) {
		const file = disk.open(`/db/new.${value}`, 'create');
		put(file, String(value));
		if (steps.syncFile) file.sync();
		file.close();
		disk.rename(`/db/new.${value}`, '/db/current');
		if (steps.syncDirectory) disk.syncDirectory('/db');
		acknowledged.push({ position: disk.position, value });
	}
	let lost = 0;
	const prng = new Prng(seed);
	for (let position = 0; position <= disk.position; position++) {
		const promised = Math.max(...acknowledged.filter((a) => a.position <= position).map((a) => a.value));
		for (const crashed of disk.enumerateCrashes(position, { limit: 128, prng })) {
			const content = contentOf(crashed, '/db/current');
			if (content === undefined || content === '' || Number(content) < promised) lost++;
		}
	}
	return lost;
}

void test('a protocol that forgets a sync is caught, the right one passes', () => {
	assert.equal(lostAcknowledgements({ syncFile: true, syncDirectory: true }), 0);
	assert.ok(lostAcknowledgements({ syncFile: false, syncDirectory: true }) > 0);
	assert.ok(lostAcknowledgements({ syncFile: true, syncDirectory: false }) > 0);
});

void test('a link is another name of the same file: durable with its own directory, and the other name may go', () => {
	const { disk } = diskWith('data');
	disk.makeDirectory('/copy');
	disk.syncDirectory('/');
	disk.link('/db/a', '/copy/a');
	assert.throws(() => disk.link('/db/a', '/copy/a'), systemCode('EEXIST'));
	assert.throws(() => disk.link('/db/none', '/copy/b'), systemCode('ENOENT'));
	assert.deepEqual(outcomes(disk, '/copy/a'), new Set([undefined, 'data']));
	assert.equal(disk.usedBytes(), 4, 'one file, two names');
	disk.syncDirectory('/copy');
	disk.remove('/db/a');
	disk.syncDirectory('/db');
	assert.deepEqual(outcomes(disk, '/copy/a'), new Set(['data']));
	assert.deepEqual(outcomes(disk, '/db/a'), new Set([undefined]));
	const file = disk.open('/copy/a', 'write');
	put(file, 'more');
	file.sync();
	assert.deepEqual(outcomes(disk, '/copy/a'), new Set(['more']));
});

void test('a link whose name was not synced may be gone with the file, when the first name is removed durably', () => {
	const { disk } = diskWith('data');
	disk.makeDirectory('/copy');
	disk.syncDirectory('/');
	disk.link('/db/a', '/copy/a');
	disk.remove('/db/a');
	disk.syncDirectory('/db');
	assert.deepEqual(outcomes(disk, '/copy/a'), new Set([undefined, 'data']));
});

void test('a directory goes only when it is empty; its removal is durable with its parent', () => {
	const disk = new SimulatedDisk({ directories: ['/db/sub'] });
	const file = disk.open('/db/sub/a', 'create');
	file.close();
	assert.throws(() => disk.removeDirectory('/db/sub'), systemCode('ENOTEMPTY'));
	disk.remove('/db/sub/a');
	disk.removeDirectory('/db/sub');
	assert.equal(disk.exists('/db/sub'), false);
	disk.syncDirectory('/db');
	for (const crashed of disk.enumerateCrashes(disk.position, { limit: 100, prng: new Prng(seed) })) {
		assert.equal(crashed.exists('/db/sub'), false);
	}
});

void test('free bytes are what files may still take', () => {
	const { disk } = diskWith('data');
	disk.capacityBytes = 100;
	assert.equal(disk.freeBytes(), 96);
	disk.capacityBytes = 2;
	assert.equal(disk.freeBytes(), 0);
});
