/**
 * The bytes of the write-ahead log. Writer, reader and log thread use this file; docs/formats/wal.md is its page.
 *
 *   segment   file <id>.wal, preallocated: 64-byte header, then groups back to back, then zeros or the groups of an
 *             earlier life of the file (segments are recycled; a group names its segment, so old ones never count)
 *     header  0 u32 magic | 4 u32 formatVersion | 8 u53 segmentId | 16..55 zero | 56 XXH3-64 of bytes 0..55
 *   group     0 XXH3-64 of the bytes from 8 to the end of the payload | 8 u32 magic | 12 u32 payloadSize | 16 u53 segmentId
 *             | 24 u32 offset of this group in its segment | 28 u32 count | 32 u53 firstSequence | 40 u53 timestampMs
 *             | 48 u53 durableSequence | 56 payload: commands back to back | zeros to a multiple of 8
 *
 * A group is what one drain of the request ring applied. Its commands take `count` sequence numbers from firstSequence on, one
 * each (a batch one for each of its commands), and share the timestamp. `durableSequence` is the newest sequence that was known
 * to be synced when the group was written: it tells a torn tail (a bad group nobody was promised) from damage (a bad group
 * that had been durable). A group with count 0 is a seal: it adds no entry, only the promise that everything before it is
 * durable; one is written at a clean close.
 */
import { align8, writeU32, writeU53 } from '../../../base/bytes.js';

/**
 * 2: groups may hold append, deleteRange, batch, touch and flagSequence, which a reader of version 1 does not know.
 * 3: and prepare and decide.
 */
export const walFormatVersion = 3;

export const segmentMagic = 0x4c57_524d;
export const segmentMagicOffset = 0;
export const segmentVersionOffset = 4;
export const segmentIdOffset = 8;
export const segmentChecksumOffset = 56;
export const segmentHeaderSize = 64;

export const groupMagic = 0x3147_524d;
export const groupChecksumOffset = 0;
/** First byte the checksum covers. */
export const groupCheckedOffset = 8;
export const groupMagicOffset = 8;
export const groupPayloadSizeOffset = 12;
export const groupSegmentOffset = 16;
export const groupOffsetOffset = 24;
export const groupCountOffset = 28;
export const groupFirstSequenceOffset = 32;
export const groupTimestampOffset = 40;
export const groupDurableSequenceOffset = 48;
export const groupHeaderSize = 56;

/** Bytes a group takes in its segment. */
export function groupSize(payloadSize: number): number {
	return align8(groupHeaderSize + payloadSize);
}

/** Everything of a group's header but its checksum and durableSequence, which the log thread fills in. */
export function encodeGroupHeader(
	bytes: Uint8Array,
	offset: number,
	payloadSize: number,
	segmentId: number,
	groupOffset: number,
	count: number,
	firstSequence: number,
	timestampMs: number,
): void {
	writeU32(bytes, offset + groupMagicOffset, groupMagic);
	writeU32(bytes, offset + groupPayloadSizeOffset, payloadSize);
	writeU53(bytes, offset + groupSegmentOffset, segmentId);
	writeU32(bytes, offset + groupOffsetOffset, groupOffset);
	writeU32(bytes, offset + groupCountOffset, count);
	writeU53(bytes, offset + groupFirstSequenceOffset, firstSequence);
	writeU53(bytes, offset + groupTimestampOffset, timestampMs);
}

export function segmentFileName(id: number): string {
	return `${String(id).padStart(8, '0')}.wal`;
}

/** The segment's number, or -1 when this is no segment's name. */
export function segmentIdOf(fileName: string): number {
	const match = /^(\d{8,})\.wal$/.exec(fileName);
	return match === null ? -1 : Number(match[1]);
}
