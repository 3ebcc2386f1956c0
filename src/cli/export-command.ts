/**
 * `millrace export`: writes the entries of a server, or of a range of its keys, as JSON lines in the order of the keys. A file
 * appears under its name only when it is complete.
 */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Client, ScanSelection } from '../client/client.js';
import { type CommandIo, exitOk, writeAll } from './command-io.js';
import { formatLine } from './json-lines.js';
import { Progress } from './progress.js';

/** Characters gathered for one write. */
const batchSize = 64 * 1024;

/** @param path of the file; '-' is standard output. @returns the exit code */
export async function exportFile(
	client: Client,
	path: string,
	selection: ScanSelection,
	io: CommandIo,
): Promise<number> {
	if (path === '-') {
		await exportTo(client, io.stdout, selection, io);
		return exitOk;
	}
	const partialPath = `${path}.partial`;
	const stream = createWriteStream(partialPath);
	const closed = finished(stream);
	try {
		await Promise.race([exportTo(client, stream, selection, io), closed]);
		stream.end();
		await closed;
	} catch (error) {
		stream.destroy();
		await closed.catch(() => {});
		await rm(partialPath, { force: true });
		throw error;
	}
	await rename(partialPath, path);
	return exitOk;
}

async function exportTo(client: Client, stream: Writable, selection: ScanSelection, io: CommandIo): Promise<void> {
	const { limit = Number.POSITIVE_INFINITY, reverse: _reverse, keysOnly = false, ...range } = selection;
	const progress = new Progress(io, 'exporting', Math.min(limit, await client.count(range)));
	let count = 0;
	let batch = '';
	try {
		for await (const entry of client.scan(selection)) {
			count++;
			batch += formatLine(entry, keysOnly);
			progress.advance(count);
			if (batch.length < batchSize) continue;
			await writeAll(stream, batch);
			batch = '';
		}
		if (batch !== '') await writeAll(stream, batch);
	} finally {
		progress.stop();
	}
	io.stderr.write(`exported ${count} records\n`);
}
