/**
 * What the storage may ask of the world: files and time, as ports. `node-file-system.ts` is the real one;
 * test/support has a simulated disk that loses unsynced data, tears writes and fails by seed.
 *
 * All calls are synchronous: they run in worker threads that own their disk I/O. Errors are what Node
 * throws (an `Error` with a system `code` such as ENOENT, ENOSPC or EIO), so both implementations look alike.
 */

export interface FileHandle {
	readonly path: string;
	/**
	 * Reads up to `size` bytes at `position` into `target[offset..]`, looping on short reads.
	 * @returns bytes read; less than `size` only at the end of the file
	 */
	read(target: Uint8Array, offset: number, size: number, position: number): number;
	/** Writes all of `source[offset, offset + size)` at `position`, looping on short writes. */
	write(source: Uint8Array, offset: number, size: number, position: number): void;
	/** Makes the file's contents (and its size) durable: fdatasync. A failure is final for this file. */
	sync(): void;
	/** Bytes in the file. */
	size(): number;
	truncate(size: number): void;
	close(): void;
}

/** 'read': must exist. 'write': must exist, read and write. 'create': must not exist, read and write. */
export type OpenMode = 'read' | 'write' | 'create';

export interface FileLock {
	release(): void;
}

export interface FileSystem {
	open(path: string, mode: OpenMode): FileHandle;
	exists(path: string): boolean;
	/** Names (not paths) in a directory, in no particular order. */
	list(directory: string): string[];
	/** Creates the directory and its parents; fine when it exists. */
	makeDirectory(path: string): void;
	/** Atomic: the target is replaced. Durable only after `syncDirectory` of the parent. */
	rename(source: string, target: string): void;
	remove(path: string): void;
	/** Makes `target`, which must not exist, another name of the same file. Durable only after `syncDirectory` of the parent. */
	link(source: string, target: string): void;
	/** Removes a directory that is empty. */
	removeDirectory(path: string): void;
	/** Bytes that files may still take on the disk that holds this path. */
	freeBytes(path: string): number;
	/** Makes creations, renames and removals in this directory durable. */
	syncDirectory(path: string): void;
	/**
	 * Takes an exclusive lock on a file, creating it, and writes `owner` into it. The kernel drops the lock with
	 * the process, however that ends. @returns the lock, or the text its present owner wrote
	 */
	lock(path: string, owner: string): FileLock | string;
	/**
	 * Takes a shared lock on a file that exists, which keeps `lock` out, and changes nothing. @returns as `lock`
	 * @throws ENOENT, EACCES
	 */
	lockShared(path: string): FileLock | string;
}

export interface Clock {
	/** Milliseconds since the epoch, an integer. */
	nowMs(): number;
}
