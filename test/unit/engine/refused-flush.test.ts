/** A flush that cannot be done is refused, at once and later on; reads and the close are not held up by it. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import { open } from '../../../src/open.js';
import { TemporaryDirectory } from '../../support/server-process.js';

test('when tables cannot be written, flushes are refused, reads go on, and close ends', {
	timeout: 60_000,
}, async () => {
	using directory = new TemporaryDirectory();
	const notes: string[] = [];
	const database = await open(directory.path, { partitions: 1, onNote: (text) => notes.push(text) });
	await database.put('settled', 'value');
	// Whatever file id the flush will take, a directory is in its way.
	for (let id = 1; id < 40; id++) {
		mkdirSync(join(directory.path, 'partition-000', `${String(id).padStart(8, '0')}.sst`), { recursive: true });
	}
	const refused = (error: unknown): boolean => hasCode(error, 'MILLRACE_POISONED');
	await assert.rejects(database.flush(), refused);
	await assert.rejects(database.put('later', 'x'), refused);
	await assert.rejects(database.flush(), refused);
	assert.equal(Buffer.from((await database.get('settled')) ?? []).toString(), 'value');
	assert.match(notes.join(), /could not be flushed/);
	await database.close().catch(refused);
});
