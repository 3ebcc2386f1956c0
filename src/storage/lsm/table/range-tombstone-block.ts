/**
 * The range tombstones of a table as one block, read whole when the table is opened. Layout: table-format.ts.
 *
 *   payload   u32 count | rows (u53 sequence, u16 startSize, u16 endSize, start, end)      start ascending, sequence descending
 *
 * Ranges are [start, end); an empty start is the beginning, an empty end the end of all keys. None is empty. Any thread.
 */
import { assert } from '../../../base/assert.js';
import { readU16, readU32, readU53, writeU16, writeU32, writeU53 } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import type { RangeTombstone } from '../entry.js';
import {
	rangeTombstoneCountOffset,
	rangeTombstoneEndSizeOffset,
	rangeTombstoneHeaderSize,
	rangeTombstoneKeysOffset,
	rangeTombstoneStartSizeOffset,
} from './table-format.js';
import { compareKeys } from './table-meta.js';

/** @param tombstones in order */
export function encodeRangeTombstones(tombstones: readonly RangeTombstone[]): Uint8Array {
	let size = rangeTombstoneHeaderSize;
	for (const { start, end } of tombstones) size += rangeTombstoneKeysOffset + start.length + end.length;
	const payload = new Uint8Array(size);
	writeU32(payload, rangeTombstoneCountOffset, tombstones.length);
	let at = rangeTombstoneHeaderSize;
	tombstones.forEach((tombstone, i) => {
		assert(i === 0 || isInOrder(tombstones[i - 1], tombstone), 'range tombstones are in order');
		assert(isRange(tombstone), 'a deleted range is not empty');
		const { start, end, sequence } = tombstone;
		writeU53(payload, at, sequence);
		writeU16(payload, at + rangeTombstoneStartSizeOffset, start.length);
		writeU16(payload, at + rangeTombstoneEndSizeOffset, end.length);
		payload.set(start, at + rangeTombstoneKeysOffset);
		payload.set(end, at + rangeTombstoneKeysOffset + start.length);
		at += rangeTombstoneKeysOffset + start.length + end.length;
	});
	return payload;
}

/** Reads the payload; keys are copied. @returns undefined when these cannot be the range tombstones of a table */
export function decodeRangeTombstones(payload: Uint8Array): RangeTombstone[] | undefined {
	if (payload.length < rangeTombstoneHeaderSize) return undefined;
	const count = readU32(payload, rangeTombstoneCountOffset);
	const tombstones: RangeTombstone[] = [];
	let at = rangeTombstoneHeaderSize;
	for (let i = 0; i < count; i++) {
		if (at + rangeTombstoneKeysOffset > payload.length) return undefined;
		const startSize = readU16(payload, at + rangeTombstoneStartSizeOffset);
		const endSize = readU16(payload, at + rangeTombstoneEndSizeOffset);
		const startOffset = at + rangeTombstoneKeysOffset;
		const next = startOffset + startSize + endSize;
		if (next > payload.length || Math.max(startSize, endSize) > keySizeMax) return undefined;
		const tombstone = {
			start: Uint8Array.from(payload.subarray(startOffset, startOffset + startSize)),
			end: Uint8Array.from(payload.subarray(startOffset + startSize, next)),
			sequence: readU53(payload, at),
		};
		if (!isRange(tombstone)) return undefined;
		if (i > 0 && !isInOrder(tombstones[i - 1], tombstone)) return undefined;
		tombstones.push(tombstone);
		at = next;
	}
	return at === payload.length && count > 0 ? tombstones : undefined;
}

function isRange({ start, end }: RangeTombstone): boolean {
	return end.length === 0 || compareKeys(start, end) < 0;
}

function isInOrder(a: RangeTombstone, b: RangeTombstone): boolean {
	const order = compareKeys(a.start, b.start);
	return order < 0 || (order === 0 && a.sequence > b.sequence);
}
