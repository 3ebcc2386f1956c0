/**
 * One owner of a directory at a time, by a kernel lock on a file (Linux: open file description lock; macOS: flock;
 * Windows: LockFileEx). The kernel drops the lock with the owner's last descriptor, so a kill -9 cannot leave it
 * stuck, and no pid has to be guessed alive or dead.
 *
 *   lock file   0 owner text, UTF-8 | … | 2^30 the one byte that is locked
 *
 * The locked byte lies far behind the text because Windows locks are mandatory: the text must stay readable.
 * Two opens in one process exclude each other as well. The text is only for people: it is written after the lock is
 * taken, so a reader in between may see nothing (it waits a little) or the text of an owner that was killed.
 */
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import type { FileLock } from './ports.js';

interface NativeLocks {
	/** @returns false when another open file holds the range */
	tryLock(fileDescriptor: number, offset: number, length: number, options?: { shared: boolean }): boolean;
}

const lockedOffset = 2 ** 30;
const ownerSizeMax = 4096;
/** How long a loser waits for the winner to write its text, in all. */
const ownerWaitRounds = 20;
const ownerWaitMs = 5;

// The package is CommonJS without types; loaded on first use because only one thread of a process takes locks.
let nativeLocks: NativeLocks | undefined;

function loadNativeLocks(): NativeLocks {
	nativeLocks ??= createRequire(import.meta.url)('fs-native-extensions') as NativeLocks;
	return nativeLocks;
}

function readOwner(fileDescriptor: number): string {
	const bytes = Buffer.alloc(ownerSizeMax);
	const sleeper = new Int32Array(new SharedArrayBuffer(4));
	for (let round = 0; round < ownerWaitRounds; round++) {
		const size = fs.readSync(fileDescriptor, bytes, 0, ownerSizeMax, 0);
		if (size > 0) return bytes.toString('utf8', 0, size);
		Atomics.wait(sleeper, 0, 0, ownerWaitMs);
	}
	return 'unknown owner';
}

/**
 * See `FileSystem.lock`. @param owner non-empty text that names the owner to the loser, at most 4096 bytes
 * @throws the system's error when the file cannot be created, locked or written
 */
export function lockFile(path: string, owner: string): FileLock | string {
	const text = Buffer.from(owner, 'utf8');
	if (text.length === 0 || text.length > ownerSizeMax) throw new TypeError('owner text is 1..4096 bytes');
	const { tryLock } = loadNativeLocks();
	// Not 'w+': that would truncate the owner's text before knowing whether the lock is ours.
	const fileDescriptor = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644);
	try {
		if (!tryLock(fileDescriptor, lockedOffset, 1)) {
			const presentOwner = readOwner(fileDescriptor);
			fs.closeSync(fileDescriptor);
			return presentOwner;
		}
		fs.ftruncateSync(fileDescriptor, 0);
		fs.writeSync(fileDescriptor, text, 0, text.length, 0);
	} catch (error) {
		fs.closeSync(fileDescriptor);
		throw error;
	}
	return openLock(fileDescriptor);
}

/**
 * See `FileSystem.lockShared`: who only reads needs no more than to read the lock file, and leaves its text alone.
 * @throws the system's error when the file cannot be opened or locked
 */
export function lockFileShared(path: string): FileLock | string {
	const { tryLock } = loadNativeLocks();
	const fileDescriptor = fs.openSync(path, fs.constants.O_RDONLY);
	try {
		if (tryLock(fileDescriptor, lockedOffset, 1, { shared: true })) return openLock(fileDescriptor);
		const presentOwner = readOwner(fileDescriptor);
		fs.closeSync(fileDescriptor);
		return presentOwner;
	} catch (error) {
		fs.closeSync(fileDescriptor);
		throw error;
	}
}

function openLock(fileDescriptor: number): FileLock {
	let isReleased = false;
	return {
		release() {
			if (isReleased) return;
			isReleased = true;
			fs.closeSync(fileDescriptor);
		},
	};
}
