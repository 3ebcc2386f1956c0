/**
 * The one table of operating errors. Codes are the contract (messages may change); each has a status
 * byte, which is how an error crosses a ring or a socket, and a word that starts its RESP error line.
 * docs/errors.md has a paragraph for each. Programmer errors are `TypeError` or `AssertionError`
 * instead and have no code.
 *
 * Status bytes are persistent on the wire: append, never renumber. 0 and 1 are not errors:
 * `statusOk` and `statusNotFound` (the key is absent, or a condition was not met).
 */

export const statusOk = 0;
export const statusNotFound = 1;

interface ErrorRow {
	readonly status: number;
	readonly resp: string;
}

export const errorTable = {
	/** Anything the table has no better word for; `cause` says more. */
	MILLRACE_INTERNAL: { status: 2, resp: 'ERR' },
	/** The database or connection was closed. */
	MILLRACE_CLOSED: { status: 3, resp: 'ERR' },
	/** A key is empty or longer than `keySizeMax`. */
	MILLRACE_KEY_SIZE: { status: 4, resp: 'ERR' },
	/** A value is longer than `valueSizeMax`. */
	MILLRACE_VALUE_SIZE: { status: 5, resp: 'ERR' },
	/** The stored value is not a decimal 64-bit integer, so it cannot be incremented. */
	MILLRACE_NOT_INTEGER: { status: 6, resp: 'ERR' },
	/** The increment would leave the signed 64-bit range. */
	MILLRACE_OVERFLOW: { status: 7, resp: 'ERR' },
	/** A write or fsync failed: the partition refuses writes until reopened. */
	MILLRACE_POISONED: { status: 8, resp: 'MISCONF' },
	/** No disk space for the log: writes are refused until space returns. */
	MILLRACE_DISK_FULL: { status: 9, resp: 'MISCONF' },
	/** Checksums, magic numbers or sequence numbers of a file do not hold. */
	MILLRACE_CORRUPT: { status: 10, resp: 'ERR' },
	/** Another process owns the directory. */
	MILLRACE_LOCKED: { status: 11, resp: 'ERR' },
	/** The directory is not ours, or not readable or writable. */
	MILLRACE_DIRECTORY: { status: 12, resp: 'ERR' },
	/** The directory was written by a newer format. */
	MILLRACE_FORMAT_NEWER: { status: 13, resp: 'ERR' },
	/** The directory has another partition count than the one asked for. */
	MILLRACE_PARTITION_COUNT: { status: 14, resp: 'ERR' },
	/** Bytes that are not the protocol; the connection is closed after the reply. */
	MILLRACE_PROTOCOL: { status: 15, resp: 'ERR' },
	/** A command or opcode we do not have. */
	MILLRACE_UNKNOWN_COMMAND: { status: 16, resp: 'ERR' },
	/** Wrong number or kind of arguments. */
	MILLRACE_ARGUMENT: { status: 17, resp: 'ERR' },
	/** A frame or message is over its limit. */
	MILLRACE_MESSAGE_SIZE: { status: 18, resp: 'ERR' },
	/** Too much is in flight or queued; try again. */
	MILLRACE_BUSY: { status: 19, resp: 'BUSY' },
	/** A worker thread ended unexpectedly. */
	MILLRACE_WORKER_DIED: { status: 20, resp: 'ERR' },
	/** An option has a value outside its range, or an unknown name. */
	MILLRACE_OPTION: { status: 21, resp: 'ERR' },
	/** The address to listen on is taken or not allowed. */
	MILLRACE_LISTEN: { status: 22, resp: 'ERR' },
	/** The other side could not be reached, or the connection was lost with the outcome unknown. */
	MILLRACE_CONNECTION: { status: 23, resp: 'ERR' },
	/** A snapshot was released, or held for longer than allowed. */
	MILLRACE_SNAPSHOT: { status: 24, resp: 'ERR' },
	/** Writes outran compaction for too long: this one was refused, nothing was written; try again later. */
	MILLRACE_OVERLOADED: { status: 25, resp: 'BUSY' },
	/** A file needs a codec that this Node.js does not have; or stored bytes are not what a view's encoding says. */
	MILLRACE_CODEC: { status: 26, resp: 'ERR' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

/** Every operating error of Millrace: a stable `code`, a message for people, and the `cause` below it. */
export class MillraceError extends Error {
	override readonly name = 'MillraceError';
	readonly code: ErrorCode;

	constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
	}
}

const codeByStatus: ErrorCode[] = [];
for (const [code, row] of Object.entries(errorTable)) codeByStatus[row.status] = code as ErrorCode;

/** The status byte of a code. */
export function statusOf(code: ErrorCode): number {
	return errorTable[code].status;
}

/** The code of a status byte; a status we do not know (a newer peer) is MILLRACE_INTERNAL. */
export function codeOf(status: number): ErrorCode {
	return codeByStatus[status] ?? 'MILLRACE_INTERNAL';
}

/** True for `MillraceError`s with this code. */
export function hasCode(error: unknown, code: ErrorCode): error is MillraceError {
	return error instanceof MillraceError && error.code === code;
}

/** The system's own code (`ENOSPC`, `EACCES`, …) of an error thrown by Node, or ''. */
export function systemCodeOf(error: unknown): string {
	if (typeof error !== 'object' || error === null || !('code' in error)) return '';
	return typeof error.code === 'string' ? error.code : '';
}
