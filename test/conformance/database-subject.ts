/** The embedded database as a subject of the conformance suite: over real threads and files, in a directory of its own. */
import { basename, dirname, join } from 'node:path';
import { type OpenOptions, open } from '../../src/open.js';
import { TemporaryDirectory } from '../support/server-process.js';
import type { Subject } from './subject.js';

/** A new database; its directory goes with it. */
export async function makeDatabase(options: OpenOptions): Promise<Subject> {
	const directory = new TemporaryDirectory();
	return openAt(join(directory.path, 'db'), options, () => directory[Symbol.dispose]());
}

/** A database at a path. @param onClose called once when it is closed for good */
export async function openAt(path: string, options: OpenOptions, onClose?: () => void): Promise<Subject> {
	const store = await open(path, options);
	let isGone = false;
	return {
		store,
		close: async () => {
			await store.close();
			if (!isGone) onClose?.();
			isGone = true;
		},
		reopen: async () => {
			await store.close();
			isGone = true;
			return openAt(path, options, onClose);
		},
		newPath: (name) => join(dirname(path), `${basename(path)}-${name}`),
		openCopy: (copy) => openAt(copy, options),
	};
}
