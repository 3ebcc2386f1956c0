/**
 * The real file system: `FileSystem` over synchronous node:fs calls.
 *
 *   handle.write ── pwrite until all is written ──> page cache ── handle.sync: fdatasync ──> disk
 *   rename/create/remove ─────────────────────────> directory  ── syncDirectory: fsync ────> disk
 *
 * Invariants: a handle is closed once and not used after; nothing here buffers, so what `write` returned from is
 * in the kernel and survives kill -9. Callers own the byte buffers, which are used only during the call.
 * Any thread may use it; a handle belongs to the thread that opened it. Errors are Node's own.
 */
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { assert } from '../base/assert.js';
import { systemCodeOf } from '../base/errors.js';
import { lockFile, lockFileShared } from './file-lock.js';
import type { FileHandle, FileLock, FileSystem, OpenMode } from './ports.js';

/** Times in a row that one transfer may be interrupted before the error is let through. */
const interruptionsMax = 1000;

const flagsByMode: Record<OpenMode, string> = { read: 'r', write: 'r+', create: 'wx+' };

type Transfer = (fileDescriptor: number, bytes: Uint8Array, offset: number, size: number, position: number) => number;

/** One pread or pwrite, repeated while signals interrupt it: libuv does not repeat interrupted reads. */
function transferOnce(
	transfer: Transfer,
	fileDescriptor: number,
	bytes: Uint8Array,
	offset: number,
	size: number,
	position: number,
): number {
	for (let interruptions = 0; ; interruptions++) {
		try {
			return transfer(fileDescriptor, bytes, offset, size, position);
		} catch (error) {
			const code = systemCodeOf(error);
			if ((code !== 'EINTR' && code !== 'EAGAIN') || interruptions >= interruptionsMax) throw error;
		}
	}
}

/**
 * Reads until `size` bytes came or the file ends.
 * @param transfer the system's read; a parameter so that a test can make it short or interrupted
 * @returns bytes read
 */
export function readFully(
	transfer: Transfer,
	fileDescriptor: number,
	target: Uint8Array,
	offset: number,
	size: number,
	position: number,
): number {
	let done = 0;
	while (done < size) {
		const count = transferOnce(transfer, fileDescriptor, target, offset + done, size - done, position + done);
		if (count === 0) break;
		done += count;
	}
	return done;
}

/**
 * Writes until all `size` bytes are taken.
 * @param transfer the system's write; a parameter so that a test can make it short or interrupted
 * @throws the system's error; EIO when the system takes nothing and says nothing. Earlier bytes may be written.
 */
export function writeFully(
	transfer: Transfer,
	fileDescriptor: number,
	source: Uint8Array,
	offset: number,
	size: number,
	position: number,
): void {
	let done = 0;
	while (done < size) {
		const count = transferOnce(transfer, fileDescriptor, source, offset + done, size - done, position + done);
		if (count === 0) throw Object.assign(new Error('EIO: write took no bytes'), { code: 'EIO' });
		done += count;
	}
}

function assertRange(bytes: Uint8Array, offset: number, size: number, position: number): void {
	// The message is made only when it is needed: reads of single blocks come this way.
	if (offset >= 0 && size >= 0 && offset + size <= bytes.length && position >= 0) return;
	assert(false, `transfer of ${size} B at ${offset} of a ${bytes.length} B buffer, file position ${position}`);
}

/** Fine when another process was faster. */
function makeOneDirectory(path: string): void {
	try {
		fs.mkdirSync(path);
	} catch (error) {
		if (systemCodeOf(error) !== 'EEXIST') throw error;
	}
}

class NodeFileHandle implements FileHandle {
	readonly path: string;
	/** -1 once closed, so that a use after close cannot reach another file that got the same number. */
	#fileDescriptor: number;

	constructor(path: string, fileDescriptor: number) {
		this.path = path;
		this.#fileDescriptor = fileDescriptor;
	}

	read(target: Uint8Array, offset: number, size: number, position: number): number {
		assertRange(target, offset, size, position);
		return readFully(fs.readSync, this.#open(), target, offset, size, position);
	}

	write(source: Uint8Array, offset: number, size: number, position: number): void {
		assertRange(source, offset, size, position);
		writeFully(fs.writeSync, this.#open(), source, offset, size, position);
	}

	sync(): void {
		fs.fdatasyncSync(this.#open());
	}

	size(): number {
		return fs.fstatSync(this.#open()).size;
	}

	truncate(size: number): void {
		fs.ftruncateSync(this.#open(), size);
	}

	close(): void {
		const fileDescriptor = this.#open();
		this.#fileDescriptor = -1;
		fs.closeSync(fileDescriptor);
	}

	#open(): number {
		assert(this.#fileDescriptor >= 0, `${this.path} was closed`);
		return this.#fileDescriptor;
	}
}

/** True where the platform has no way to sync a directory; there the file system orders its own metadata. */
function isDirectorySyncUnsupported(error: unknown): boolean {
	return process.platform === 'win32' && ['EISDIR', 'EPERM', 'EINVAL'].includes(systemCodeOf(error));
}

export class NodeFileSystem implements FileSystem {
	/** @throws ENOENT for 'read' and 'write' of a missing file, EEXIST for 'create' of an existing one */
	open(path: string, mode: OpenMode): FileHandle {
		return new NodeFileHandle(path, fs.openSync(path, flagsByMode[mode]));
	}

	exists(path: string): boolean {
		return fs.existsSync(path);
	}

	list(directory: string): string[] {
		return fs.readdirSync(directory);
	}

	makeDirectory(path: string): void {
		// Not mkdir's own `recursive`: it never returns where a directory exists and refuses entries with ENOENT, as /proc does.
		const missing: string[] = [];
		for (let at = resolve(path); !fs.existsSync(at); at = dirname(at)) missing.push(at);
		for (const at of missing.reverse()) makeOneDirectory(at);
		if (!fs.statSync(path).isDirectory()) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' });
	}

	rename(source: string, target: string): void {
		fs.renameSync(source, target);
	}

	/** @throws EEXIST when the target exists; EXDEV, EPERM or ENOTSUP where the file system cannot */
	link(source: string, target: string): void {
		fs.linkSync(source, target);
	}

	/** Removes a file, not a directory. @throws ENOENT when there is none */
	remove(path: string): void {
		fs.unlinkSync(path);
	}

	/** @throws ENOTEMPTY, ENOENT */
	removeDirectory(path: string): void {
		fs.rmdirSync(path);
	}

	freeBytes(path: string): number {
		const { bavail, bsize } = fs.statfsSync(path);
		return bavail * bsize;
	}

	syncDirectory(path: string): void {
		let fileDescriptor: number;
		try {
			fileDescriptor = fs.openSync(path, 'r');
		} catch (error) {
			if (isDirectorySyncUnsupported(error)) return;
			throw error;
		}
		try {
			fs.fsyncSync(fileDescriptor);
		} catch (error) {
			if (!isDirectorySyncUnsupported(error)) throw error;
		} finally {
			fs.closeSync(fileDescriptor);
		}
	}

	lock(path: string, owner: string): FileLock | string {
		return lockFile(path, owner);
	}

	lockShared(path: string): FileLock | string {
		return lockFileShared(path);
	}
}
