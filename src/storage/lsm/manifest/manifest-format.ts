/**
 * The bytes of a partition's manifest: an append-only file of edits that says which files are live.
 * docs/formats/manifest.md is its page.
 *
 *   record    0 XXH3-64 of the bytes from 8 to the end of the payload | 8 u32 magic | 12 u32 payloadSize
 *             | 16 u53 index (0, 1, 2 …) | 24 payload: fields | zeros to a multiple of 8
 *   field     u8 tag, then by tag:  1 formatVersion u53 | 2 addSegment u53 id | 3 removeSegment u53 id
 *             | 4 addTable u8 level, u53 id, u53 size | 5 removeTable u53 id | 6 flushedSequence u53 | 7 nextFileId u53
 *   CURRENT   text: the name of the live manifest and a newline; replaced by rename
 *
 * A record is synced before anything acts on it, so a bad last record is a torn one and may be dropped; a bad record with a
 * whole one after it is damage. Every open writes a fresh manifest (one record: the whole state) and switches CURRENT to it; a
 * partition that runs for long does so again, with a successor whose room was taken beforehand (manifest-store.ts).
 * Tags are persistent: append, never renumber.
 *
 * Version 2: tables have levels; and nextFileId is a promise made beforehand (no table ever had this id or a higher one), so that
 * a table beyond it proves that the manifest lost records.
 */
import { align8 } from '../../../base/bytes.js';

export const manifestFormatVersion = 2;
/** From this version on, no table has the id nextFileId or a higher one. */
export const manifestPromisesIdsVersion = 2;
export const currentFileName = 'CURRENT';
/** Names the manifest that `CURRENT` will name next. */
export const nextCurrentFileName = 'CURRENT.tmp';

/** A fresh manifest is filled with zeros up to this, at least: some 600 edits. */
const reservedSizeMin = 64 * 1024;
/** Room for the largest edits of everything that may be under way at once. */
const editRoomMin = 8 * 1024;
/** In such an edit a file leaves, and two come. */
const editRoomPerFile = 48;

export const recordMagic = 0x464d_524d;
export const recordChecksumOffset = 0;
export const recordCheckedOffset = 8;
export const recordMagicOffset = 8;
export const recordPayloadSizeOffset = 12;
export const recordIndexOffset = 16;
export const recordHeaderSize = 24;

export const tagFormatVersion = 1;
export const tagAddSegment = 2;
export const tagRemoveSegment = 3;
export const tagAddTable = 4;
export const tagRemoveTable = 5;
export const tagFlushedSequence = 6;
export const tagNextFileId = 7;

export const fieldSize = 9;
export const addTableFieldSize = 18;

/** Bytes that must be left for edits when `fileCount` files are live, so that none ever needs more of a full disk. */
export function manifestRoomMin(fileCount: number): number {
	return editRoomMin + editRoomPerFile * fileCount;
}

/** Bytes of a new manifest, zeros included, whose first record is this long. */
export function manifestReservedSize(firstRecordSize: number, fileCount: number): number {
	return align8(Math.max(reservedSizeMin, 2 * firstRecordSize + 4 * manifestRoomMin(fileCount)));
}

export function recordSize(payloadSize: number): number {
	return align8(recordHeaderSize + payloadSize);
}

export function manifestFileName(number: number): string {
	return `MANIFEST-${String(number).padStart(6, '0')}`;
}

/** The manifest's number, or -1 when this is no manifest's name. */
export function manifestNumberOf(fileName: string): number {
	const match = /^MANIFEST-(\d{6,})$/.exec(fileName);
	return match === null ? -1 : Number(match[1]);
}

export function tableFileName(id: number): string {
	return `${String(id).padStart(8, '0')}.sst`;
}

/** The table's id, or -1 when this is no table's name. */
export function tableIdOf(fileName: string): number {
	const match = /^(\d{8,})\.sst$/.exec(fileName);
	return match === null ? -1 : Number(match[1]);
}
