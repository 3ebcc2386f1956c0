/**
 * The file format of import and export: one JSON object a line, UTF-8, read and written only here.
 *
 *   {"key": "text", "value": "text", "expiresAtMs": 1700000000000}
 *   "keyBase64" and "valueBase64" instead for bytes that are no UTF-8; "expiresAtMs" only when the key expires
 *
 * What is written reads back to the same bytes. Pure, apart from the stream that lines are cut from.
 */
import { isUtf8 } from 'node:buffer';
import { MillraceError } from '../base/errors.js';
import { valueSizeMax } from '../base/limits.js';

/** The longest line believed: a largest value with every byte escaped as six characters, and some more. */
export const lineSizeMax = 8 * valueSizeMax;

export interface LineEntry {
	readonly key: Uint8Array;
	readonly value: Uint8Array;
	/** 0: never. */
	readonly expiresAtMs: number;
}

const fieldNames = new Set(['key', 'keyBase64', 'value', 'valueBase64', 'expiresAtMs']);
const newline = 0x0a;

/**
 * Cuts a stream into lines without their ends. @throws MillraceError MILLRACE_MESSAGE_SIZE for a line over the limit
 */
export async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
	let parts: Buffer[] = [];
	let partsSize = 0;
	for await (const bytes of stream) {
		const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
		let start = 0;
		for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
			parts.push(chunk.subarray(start, end));
			yield Buffer.concat(parts);
			parts = [];
			partsSize = 0;
			start = end + 1;
		}
		if (start === chunk.length) continue;
		parts.push(chunk.subarray(start));
		partsSize += chunk.length - start;
		if (partsSize > lineSizeMax) {
			throw new MillraceError('MILLRACE_MESSAGE_SIZE', `a line is longer than ${lineSizeMax} bytes`);
		}
	}
	if (partsSize > 0) yield Buffer.concat(parts);
}

/** @returns the entry, undefined for a blank line. @throws MillraceError MILLRACE_ARGUMENT that says what is wrong */
export function parseLine(line: Buffer): LineEntry | undefined {
	if (!isUtf8(line)) throw badLine('it is not UTF-8');
	const text = line.toString().trim();
	if (text === '') return undefined;
	let parsed: unknown;
	try {
		parsed = JSON.parse(text);
	} catch (cause) {
		throw badLine(`it is not JSON (${cause instanceof Error ? cause.message : 'unknown'})`);
	}
	if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
		throw badLine('it is not an object like {"key": "...", "value": "..."}');
	}
	const fields = parsed as Record<string, unknown>;
	for (const name of Object.keys(fields)) {
		if (!fieldNames.has(name)) throw badLine(`it has an unknown field "${name}"`);
	}
	return {
		key: readField(fields, 'key'),
		value: readField(fields, 'value'),
		expiresAtMs: readExpiresAt(fields.expiresAtMs),
	};
}

/** One line, with its end. @param isKeyOnly without the value: such a line is for people, it cannot be imported */
export function formatLine(entry: LineEntry, isKeyOnly = false): string {
	const fields: Record<string, unknown> = {};
	putField(fields, 'key', entry.key);
	if (!isKeyOnly) putField(fields, 'value', entry.value);
	if (entry.expiresAtMs !== 0) fields.expiresAtMs = entry.expiresAtMs;
	return `${JSON.stringify(fields)}\n`;
}

function putField(fields: Record<string, unknown>, name: string, given: Uint8Array): void {
	const bytes = Buffer.from(given.buffer, given.byteOffset, given.length);
	if (isUtf8(bytes)) fields[name] = bytes.toString();
	else fields[`${name}Base64`] = bytes.toString('base64');
}

function readField(fields: Record<string, unknown>, name: string): Uint8Array {
	const text = fields[name];
	const base64 = fields[`${name}Base64`];
	if (text !== undefined && base64 !== undefined) {
		throw badLine(`it has both "${name}" and "${name}Base64"`);
	}
	if (base64 !== undefined) {
		if (typeof base64 !== 'string') throw badLine(`"${name}Base64" is not a string`);
		const bytes = Buffer.from(base64, 'base64');
		// Buffer skips what is no base64; the way back shows whether something was skipped.
		if (bytes.toString('base64') !== base64) throw badLine(`"${name}Base64" is not padded base64`);
		return bytes;
	}
	if (typeof text !== 'string') throw badLine(`it has no string "${name}" and no "${name}Base64"`);
	const bytes = Buffer.from(text);
	// Half a surrogate pair, which JSON can spell, has no UTF-8.
	if (bytes.toString() !== text) throw badLine(`"${name}" holds half a surrogate pair`);
	return bytes;
}

function readExpiresAt(value: unknown): number {
	if (value === undefined || value === 0) return 0;
	if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
	throw badLine('"expiresAtMs" is not a number of milliseconds since 1970');
}

function badLine(why: string): MillraceError {
	return new MillraceError('MILLRACE_ARGUMENT', why);
}
