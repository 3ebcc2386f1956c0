/**
 * What commands talk to: the process's own streams, or a test's. Exit codes are part of the contract of the command
 * line.
 */
import type { Readable, Writable } from 'node:stream';

export interface CommandIo {
	readonly stdin: Readable;
	readonly stdout: Writable & { readonly isTTY?: boolean };
	readonly stderr: Writable & { readonly isTTY?: boolean };
}

/** Everything went well. */
export const exitOk = 0;
/** An operating error: the server cannot be reached, a file cannot be read, a line is bad, the disk is full. */
export const exitFailed = 1;
/** The command line itself is wrong. */
export const exitUsage = 2;
/** The key is absent, or the condition of a `set` was not met. */
export const exitNotFound = 3;

/** Writes and waits until the stream takes more, so that a slow reader costs no memory. */
export function writeAll(stream: Writable, bytes: string | Uint8Array): Promise<void> {
	return new Promise((resolve, reject) => {
		stream.write(bytes, (error) => {
			if (error) reject(error);
			else resolve();
		});
	});
}
