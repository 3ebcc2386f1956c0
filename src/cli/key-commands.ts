/**
 * `millrace get | set | del`: one key (or a few) by hand or from a script. Values pass through as bytes.
 */
import { hasCode, MillraceError } from '../base/errors.js';
import { valueSizeMax } from '../base/limits.js';
import type { Client, PutOptions } from '../client/client.js';
import { type CommandIo, exitNotFound, exitOk, writeAll } from './command-io.js';

/**
 * Writes the value; a newline follows only on a terminal, so that bytes stay exact in pipes. @returns the exit code
 */
export async function getKey(client: Client, key: string, io: CommandIo): Promise<number> {
	const value = await client.get(key);
	if (value === undefined) {
		io.stderr.write(`key not found: ${key}\n`);
		return exitNotFound;
	}
	await writeAll(io.stdout, value);
	if (io.stdout.isTTY === true) await writeAll(io.stdout, '\n');
	return exitOk;
}

/** @param value '-' reads standard input. @returns the exit code */
export async function setKey(
	client: Client,
	key: string,
	value: string,
	options: PutOptions,
	io: CommandIo,
): Promise<number> {
	const bytes = value === '-' ? await readAll(io.stdin) : value;
	const written = await client.put(key, bytes, options);
	if (written !== undefined) return exitOk;
	const why = options.ifAbsent ? 'the key exists already' : 'the key does not exist';
	io.stderr.write(`not set, ${why}: ${key}\n`);
	return exitNotFound;
}

/** @returns the exit code: not found when none of the keys existed */
export async function deleteKeys(client: Client, keys: readonly string[], io: CommandIo): Promise<number> {
	const deleted = await Promise.all(keys.map((key) => client.delete(key)));
	const count = deleted.filter(Boolean).length;
	io.stderr.write(`deleted ${count} of ${keys.length}\n`);
	return count === 0 ? exitNotFound : exitOk;
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
	const chunks: Uint8Array[] = [];
	let size = 0;
	for await (const chunk of stream) {
		chunks.push(chunk);
		size += chunk.length;
		if (size <= valueSizeMax) continue;
		const message = `standard input holds more than the ${valueSizeMax} bytes a value may have`;
		throw new MillraceError('MILLRACE_VALUE_SIZE', message);
	}
	return Buffer.concat(chunks);
}

/** What to do about an error, in a few words; '' when its message says so already. */
export function adviceFor(error: unknown): string {
	if (hasCode(error, 'MILLRACE_PROTOCOL')) return 'check --url and the versions of both sides';
	if (hasCode(error, 'MILLRACE_DISK_FULL')) return 'free space on the disk of the server; it goes on by itself';
	if (hasCode(error, 'MILLRACE_POISONED')) return 'look at the log of the server, then restart it';
	if (hasCode(error, 'MILLRACE_BUSY')) return 'try again';
	return '';
}
