/**
 * How a connection begins and what is said when it cannot, or when it is lost. Pure.
 */
import { MillraceError, systemCodeOf } from '../base/errors.js';
import { prefaceSize } from '../protocol/frame/frame-format.js';
import { encodePreface } from '../protocol/frame/frame-writer.js';

/** What a server says of itself when a connection opens. */
export interface Hello {
	readonly partitionCount: number;
	readonly inFlightMax: number;
	readonly version: string;
}

/** The first bytes a client sends. */
export function makePreface(): Buffer {
	const preface = Buffer.alloc(prefaceSize);
	encodePreface(preface, 0);
	return preface;
}

/** Losing the connection leaves in doubt what was done; an error the server gave keeps its own code as the cause. */
export function lostError(failure: MillraceError, outcome: string): MillraceError {
	return new MillraceError('MILLRACE_CONNECTION', `${failure.message}; ${outcome}`, { cause: failure });
}

/** What a connection that never opened is told, with what to do about it. */
export function connectError(where: string, cause: unknown): MillraceError {
	const systemCode = systemCodeOf(cause);
	let message = `${where} closed the connection before it said hello`;
	if (systemCode === 'ECONNREFUSED') message = `nothing listens on ${where}: start a server with 'millrace serve'`;
	else if (systemCode === 'ENOTFOUND' || systemCode === 'EAI_AGAIN') {
		message = `cannot connect to ${where}: the host name is not known`;
	} else if (cause instanceof Error) message = `cannot connect to ${where}: ${cause.message}`;
	return new MillraceError('MILLRACE_CONNECTION', message, { cause });
}

/** @throws MillraceError MILLRACE_PROTOCOL when it is not what a server of our version says */
export function readHello(value: unknown): Hello {
	if (typeof value === 'object' && value !== null && 'partitionCount' in value && 'inFlightMax' in value) {
		const { partitionCount, inFlightMax } = value;
		const version = 'version' in value && typeof value.version === 'string' ? value.version : '';
		if (isCount(partitionCount) && isCount(inFlightMax)) return { partitionCount, inFlightMax, version };
	}
	throw new MillraceError('MILLRACE_PROTOCOL', 'the hello of the server does not have the fields it should');
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
