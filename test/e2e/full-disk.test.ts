/**
 * A disk that fills up: writes are refused with a code, reads go on, nothing acknowledged is lost, and with space the
 * server works again. On a small tmpfs, which needs the right to mount.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RawConnection, type ReplyError } from '../support/raw-connection.js';
import { startServer, startToFail, TemporaryDirectory } from '../support/server-process.js';

/** A file system of `size` bytes, unmounted when it goes out of scope. */
class SmallDisk implements Disposable {
	readonly #directory = new TemporaryDirectory();

	static isAllowed(): boolean {
		try {
			new SmallDisk('1m')[Symbol.dispose]();
			return true;
		} catch {
			return false;
		}
	}

	constructor(size: string) {
		const options = ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', this.path];
		const { status, stderr } = spawnSync('mount', options, { encoding: 'utf8' });
		if (status === 0) return;
		this.#directory[Symbol.dispose]();
		throw new Error(`mount: ${stderr}`);
	}

	get path(): string {
		return this.#directory.path;
	}

	/** Takes all but this many bytes; less may be left, because the server prepares its spare segments meanwhile. */
	fill(freeSize: number): void {
		const { bavail, bsize } = statfsSync(this.path);
		const size = Math.max(0, bavail * bsize - freeSize);
		spawnSync('sh', ['-c', `head -c ${size} /dev/zero > ${join(this.path, 'filler')}`]);
	}

	free(): void {
		rmSync(join(this.path, 'filler'));
	}

	[Symbol.dispose](): void {
		spawnSync('umount', ['-l', this.path]);
		this.#directory[Symbol.dispose]();
	}
}

const skip = SmallDisk.isAllowed() ? false : 'mounting a tmpfs is not allowed here';

test('a disk too small for a new directory', { skip }, async () => {
	using disk = new SmallDisk('8m');
	const { exit, stderr } = await startToFail({ directory: join(disk.path, 'data'), extra: ['--partitions', '1'] });
	assert.deepEqual(exit, { code: 1, signal: null });
	assert.match(stderr, /^millrace: [^\n]*no space left[^\n]*\n$/);
});

test('a disk that fills up while writing, and gets space again', { skip }, async () => {
	using disk = new SmallDisk('256m');
	const directory = join(disk.path, 'data');
	const start = { directory, extra: ['--partitions', '1'] };
	const value = Buffer.alloc(256 * 1024, 'v');
	let acknowledgedCount = 0;
	{
		await using server = await startServer(start);
		using raw = await RawConnection.open(server.port);
		await raw.command('SET', 'first', 'there');
		disk.fill(2 << 20);
		let refusal: ReplyError | undefined;
		for (let i = 0; i < 2000 && refusal === undefined; i++) {
			const reply = await raw.command('SET', `fill:${i}`, value);
			if (reply === 'OK') acknowledgedCount++;
			else refusal = reply as ReplyError;
		}
		assert.match(refusal?.text ?? 'never refused', /^MISCONF MILLRACE_DISK_FULL /);
		assert.ok(acknowledgedCount > 10, `${acknowledgedCount} writes before the disk was full`);
		assert.equal(String(await raw.command('GET', 'first')), 'there');
		assert.equal(String(await raw.command('GET', `fill:${acknowledgedCount - 1}`)), String(value));
		disk.free();
		let reply = await raw.command('SET', 'again', 'space');
		for (let i = 0; i < 20_000 && reply !== 'OK'; i++) reply = await raw.command('SET', 'again', 'space');
		assert.equal(reply, 'OK', 'writes go on when there is space');
		await server.kill();
	}
	await using server = await startServer(start);
	using raw = await RawConnection.open(server.port);
	for (let i = 0; i < acknowledgedCount; i++) {
		assert.ok(value.equals((await raw.command('GET', `fill:${i}`)) as Buffer), `fill:${i}`);
	}
	assert.equal(String(await raw.command('GET', 'again')), 'space');
	assert.equal(await raw.command('DBSIZE'), acknowledgedCount + 2);
});
