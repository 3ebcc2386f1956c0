/** Scans and counts as a partition's thread does them, read back by the code that clients use. */
import assert from 'node:assert/strict';
import {
	commandSize,
	encodeCommand,
	flagArgument,
	opCount,
	opScan,
	requestHeaderSize,
} from '../../src/command/command-format.js';
import { encodeScanOptions, type ScanOptions } from '../../src/command/scan-options.js';
import { ScanPageReader } from '../../src/command/scan-page.js';
import { CommandResult } from '../../src/storage/lsm/apply/command-result.js';
import { LiveCursor, type Walkable } from '../../src/storage/lsm/scan/live-cursor.js';
import type { ReadSource } from '../../src/storage/lsm/scan/read-session.js';
import { LongRead } from '../../workers/long-reads.js';
import type { LiveEntry } from './scan-world.js';

export interface Page {
	readonly entries: LiveEntry[];
	/** Bytes of the entries. */
	readonly entriesSize: number;
	readonly bytesSize: number;
	readonly cursor: Uint8Array;
	readonly isLast: boolean;
}

const none = Buffer.alloc(0);

/** Carries a request out, slice by slice. */
export function runRead(
	view: Walkable,
	maxSequence: number,
	nowMs: number,
	opcode: number,
	argument: number,
	key: Uint8Array,
	value: Uint8Array,
): CommandResult {
	const flags = argument > 0 ? flagArgument : 0;
	const offset = 3;
	const at = offset + requestHeaderSize;
	const request = new Uint8Array(at + commandSize(flags, key.length, value.length));
	encodeCommand(request, at, opcode, flags, argument, key, 0, key.length, value, 0, value.length);
	const result = new CommandResult();
	const source: ReadSource = {
		sequence: maxSequence,
		isOutdated: false,
		open: () => new LiveCursor(view, maxSequence, nowMs),
		end: () => undefined,
	};
	const read = new LongRead(request, offset, source);
	request.fill(0xee);
	while (!read.step(result));
	return result;
}

/** One page. @param limit entries at most; 0: no limit */
export function readPage(
	view: Walkable,
	maxSequence: number,
	nowMs: number,
	options: ScanOptions,
	limit: number,
	after: Uint8Array = none,
): Page {
	const result = runRead(view, maxSequence, nowMs, opScan, limit, after, encodeScanOptions(options));
	assert.equal(result.observedSequence, maxSequence);
	const { payload, payloadOffset, payloadSize } = result;
	const bytes = payload.slice(payloadOffset, payloadOffset + payloadSize);
	const reader = new ScanPageReader(bytes);
	const entries: LiveEntry[] = [];
	const text = (each: Uint8Array): string => Buffer.from(each).toString('latin1');
	for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
		const { key, value, version, expiresAtMs } = entry;
		entries.push({ key: text(key), value: text(value), version, expiresAtMs });
	}
	const cursor = reader.cursor;
	return {
		entries,
		entriesSize: bytes.length - 2 - cursor.length,
		bytesSize: bytes.length,
		cursor,
		isLast: result.number === 1,
	};
}

/** All pages of a range. */
export function readAll(
	view: Walkable,
	maxSequence: number,
	nowMs: number,
	options: ScanOptions,
	limit: number,
): { entries: LiveEntry[]; pages: Page[] } {
	const pages: Page[] = [];
	let after: Uint8Array = none;
	do {
		const page = readPage(view, maxSequence, nowMs, options, limit, after);
		assert.ok(page.isLast || Buffer.compare(page.cursor, after) !== 0, 'a page gets on');
		after = page.cursor;
		pages.push(page);
	} while (!pages[pages.length - 1].isLast);
	return { entries: pages.flatMap((page) => page.entries), pages };
}

export function countEntries(view: Walkable, maxSequence: number, nowMs: number, options: ScanOptions): number {
	return runRead(view, maxSequence, nowMs, opCount, 0, none, encodeScanOptions(options)).number;
}
