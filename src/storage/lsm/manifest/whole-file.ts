/** Small files read and written whole. Any thread. */
import type { FileSystem } from '../../../env/ports.js';

export function readWholeFile(fileSystem: FileSystem, path: string): Buffer {
	const file = fileSystem.open(path, 'read');
	try {
		const bytes = Buffer.alloc(file.size());
		return bytes.subarray(0, file.read(bytes, 0, bytes.length, 0));
	} finally {
		file.close();
	}
}

/**
 * Writes a new file and syncs it; takes the place of one that a crash may have left. Its name is not synced yet.
 * @throws the system's error; nothing is left then
 */
export function writeWholeFile(fileSystem: FileSystem, path: string, bytes: Uint8Array): void {
	if (fileSystem.exists(path)) fileSystem.remove(path);
	const file = fileSystem.open(path, 'create');
	try {
		file.write(bytes, 0, bytes.length, 0);
		file.sync();
	} catch (error) {
		fileSystem.remove(path);
		throw error;
	} finally {
		file.close();
	}
}
