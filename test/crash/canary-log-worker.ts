/**
 * The canary: a log thread that lets acknowledgements go before their bytes are written. It keeps the last writes to
 * each segment to itself and never syncs, so a kill -9 loses acknowledged data, which the kill loop must report.
 * The real entry point runs on top of a file system bent in this thread only.
 */
import { NodeFileSystem } from '../../src/env/node-file-system.js';
import type { FileHandle } from '../../src/env/ports.js';

/** Writes kept back. */
const lateCountMax = 30;

class LateHandle implements FileHandle {
	readonly path: string;
	readonly #handle: FileHandle;
	readonly #late: { bytes: Uint8Array; position: number }[] = [];

	constructor(handle: FileHandle) {
		this.path = handle.path;
		this.#handle = handle;
	}

	read(target: Uint8Array, offset: number, size: number, position: number): number {
		return this.#handle.read(target, offset, size, position);
	}

	write(source: Uint8Array, offset: number, size: number, position: number): void {
		this.#late.push({ bytes: Uint8Array.from(source.subarray(offset, offset + size)), position });
		this.#writeAllBut(lateCountMax);
	}

	sync(): void {
		// The lie the canary tells.
	}

	size(): number {
		return this.#handle.size();
	}

	truncate(size: number): void {
		this.#handle.truncate(size);
	}

	close(): void {
		this.#writeAllBut(0);
		this.#handle.close();
	}

	#writeAllBut(count: number): void {
		while (this.#late.length > count) {
			const { bytes, position } = this.#late.shift() as { bytes: Uint8Array; position: number };
			this.#handle.write(bytes, 0, bytes.length, position);
		}
	}
}

const open = NodeFileSystem.prototype.open;
NodeFileSystem.prototype.open = function openLate(this: NodeFileSystem, path, mode) {
	const handle = open.call(this, path, mode);
	return path.endsWith('.wal') ? new LateHandle(handle) : handle;
};

await import('../../workers/log-worker.js');
