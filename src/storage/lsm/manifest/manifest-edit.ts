/**
 * Edits of a manifest and the state they add up to: pure, no files. An edit is applied whole or not at all, which is what
 * makes "this table instead of those segments" atomic.
 */
import { assert } from '../../../base/assert.js';
import { readU32, readU53, writeU32, writeU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { writeChecksum64 } from '../../../codec/checksum.js';
import {
	addTableFieldSize,
	fieldSize,
	manifestFormatVersion,
	recordCheckedOffset,
	recordChecksumOffset,
	recordHeaderSize,
	recordIndexOffset,
	recordMagic,
	recordMagicOffset,
	recordPayloadSizeOffset,
	recordSize,
	tagAddSegment,
	tagAddTable,
	tagFlushedSequence,
	tagFormatVersion,
	tagNextFileId,
	tagRemoveSegment,
	tagRemoveTable,
} from './manifest-format.js';

export interface TableEntry {
	readonly id: number;
	readonly level: number;
	readonly size: number;
}

export interface ManifestEdit {
	readonly addSegments?: readonly number[];
	readonly removeSegments?: readonly number[];
	readonly addTables?: readonly TableEntry[];
	readonly removeTables?: readonly number[];
	/** Everything up to this sequence is in tables (or was cleared). */
	readonly flushedSequence?: number;
	/** File ids from here on were never used, by tables above all: see manifest-format.ts. */
	readonly nextFileId?: number;
}

/** What is live: segments ascending, tables by id. */
export class ManifestState {
	readonly segments = new Set<number>();
	readonly tables = new Map<number, TableEntry>();
	flushedSequence = 0;
	nextFileId = 1;

	/** @throws AssertionError when the edit contradicts the state */
	apply(edit: ManifestEdit): void {
		for (const id of edit.removeSegments ?? []) assert(this.segments.delete(id), `segment ${id} is live`);
		for (const id of edit.addSegments ?? []) {
			assert(!this.segments.has(id), `segment ${id} is new`);
			this.segments.add(id);
		}
		for (const id of edit.removeTables ?? []) assert(this.tables.delete(id), `table ${id} is live`);
		for (const table of edit.addTables ?? []) {
			assert(!this.tables.has(table.id), `table ${table.id} is new`);
			this.tables.set(table.id, table);
		}
		if (edit.flushedSequence !== undefined) {
			assert(edit.flushedSequence >= this.flushedSequence, 'flushed sequences only grow');
			this.flushedSequence = edit.flushedSequence;
		}
		if (edit.nextFileId !== undefined) this.nextFileId = Math.max(this.nextFileId, edit.nextFileId);
	}

	get fileCount(): number {
		return this.segments.size + this.tables.size;
	}

	/** Bytes of the whole state as a record. */
	get encodedSize(): number {
		const { size } = this.tables;
		return recordSize((3 + this.segments.size) * fieldSize + size * addTableFieldSize);
	}

	/** The state as one edit on nothing. */
	toEdit(): ManifestEdit {
		return {
			addSegments: [...this.segments],
			addTables: [...this.tables.values()],
			flushedSequence: this.flushedSequence,
			nextFileId: this.nextFileId,
		};
	}
}

/** Encodes an edit as the manifest's record number `index`. */
export function encodeEdit(edit: ManifestEdit, index: number): Buffer {
	const addSegments = edit.addSegments ?? [];
	const removeSegments = edit.removeSegments ?? [];
	const addTables = edit.addTables ?? [];
	const removeTables = edit.removeTables ?? [];
	const plainCount = 3 + addSegments.length + removeSegments.length + removeTables.length;
	const record = Buffer.alloc(recordSize(plainCount * fieldSize + addTables.length * addTableFieldSize));
	let at = recordHeaderSize;
	const put = (tag: number, value: number): void => {
		record[at] = tag;
		writeU53(record, at + 1, value);
		at += fieldSize;
	};
	put(tagFormatVersion, manifestFormatVersion);
	for (const id of removeSegments) put(tagRemoveSegment, id);
	for (const id of addSegments) put(tagAddSegment, id);
	for (const id of removeTables) put(tagRemoveTable, id);
	for (const table of addTables) {
		record[at] = tagAddTable;
		record[at + 1] = table.level;
		writeU53(record, at + 2, table.id);
		writeU53(record, at + 10, table.size);
		at += addTableFieldSize;
	}
	if (edit.flushedSequence !== undefined) put(tagFlushedSequence, edit.flushedSequence);
	if (edit.nextFileId !== undefined) put(tagNextFileId, edit.nextFileId);
	const payloadSize = at - recordHeaderSize;
	writeU32(record, recordMagicOffset, recordMagic);
	writeU32(record, recordPayloadSizeOffset, payloadSize);
	writeU53(record, recordIndexOffset, index);
	writeChecksum64(record, recordCheckedOffset, at - recordCheckedOffset, record, recordChecksumOffset);
	return record.subarray(0, recordSize(payloadSize));
}

/**
 * Decodes the fields of a record whose checksum was verified.
 * @throws MILLRACE_FORMAT_NEWER when a newer version wrote it; MILLRACE_CORRUPT when fields do not add up
 */
export function decodeEdit(bytes: Uint8Array, payloadOffset: number, payloadSize: number, path: string): ManifestEdit {
	const addSegments: number[] = [];
	const removeSegments: number[] = [];
	const addTables: TableEntry[] = [];
	const removeTables: number[] = [];
	const numbers: { flushedSequence?: number; nextFileId?: number } = {};
	const end = payloadOffset + payloadSize;
	let at = payloadOffset;
	while (at < end) {
		const tag = bytes[at];
		const size = tag === tagAddTable ? addTableFieldSize : fieldSize;
		if (at + size > end) throw new MillraceError('MILLRACE_CORRUPT', `${path}: a field of tag ${tag} is cut off`);
		const value = readU53(bytes, at + 1);
		if (tag === tagAddTable) {
			addTables.push({ level: bytes[at + 1], id: readU53(bytes, at + 2), size: readU53(bytes, at + 10) });
		} else if (tag === tagAddSegment) addSegments.push(value);
		else if (tag === tagRemoveSegment) removeSegments.push(value);
		else if (tag === tagRemoveTable) removeTables.push(value);
		else if (tag === tagFlushedSequence) numbers.flushedSequence = value;
		else if (tag === tagNextFileId) numbers.nextFileId = value;
		else if (tag !== tagFormatVersion || value > manifestFormatVersion) {
			const what = tag === tagFormatVersion ? `manifest format ${value}` : `manifest field ${tag}`;
			throw new MillraceError(
				'MILLRACE_FORMAT_NEWER',
				`${path} has ${what}; this version reads up to ${manifestFormatVersion}: open it with a newer version of Millrace`,
			);
		}
		at += size;
	}
	return { addSegments, removeSegments, addTables, removeTables, ...numbers };
}

/** The format version that wrote the record whose payload begins here; 0 when it does not say. */
export function recordVersion(bytes: Uint8Array, payloadOffset: number): number {
	return bytes[payloadOffset] === tagFormatVersion ? readU53(bytes, payloadOffset + 1) : 0;
}

/** Bytes of the record at `offset` if its frame could be whole, else 0. */
export function maybeRecordSize(bytes: Uint8Array, offset: number, size: number): number {
	if (offset + recordHeaderSize > size || readU32(bytes, offset + recordMagicOffset) !== recordMagic) return 0;
	const payloadSize = readU32(bytes, offset + recordPayloadSizeOffset);
	// Before rounding up, which damaged sizes above 2^31 would overflow.
	if (payloadSize > size) return 0;
	const total = recordSize(payloadSize);
	return offset + total <= size ? total : 0;
}
