/**
 * Blocks on disk: a header of 40 bytes, then the payload, perhaps compressed. `encodeBlock` writes the frame,
 * `openBlock` is the only way from bytes read to bytes believed: checksum first, then that this is the block that was
 * asked for (table, offset, kind), then sizes, then decompression.
 *
 * Any thread. `openBlock` returns either a fresh Buffer (decompressed) or a view of the bytes it was given (raw).
 */
import { assert } from '../../../base/assert.js';
import { bufferOver, readU32, readU53, writeU32, writeU53 } from '../../../base/bytes.js';
import { checksum64Matches, checksumSize, writeChecksum64 } from '../../../codec/checksum.js';
import { decompressBlock } from '../../../codec/lz4.js';
import {
	blockChecksumOffset,
	blockCodecOffset,
	blockFileOffsetOffset,
	blockHeaderSize,
	blockKindData,
	blockKindOffset,
	blockRawSizeOffset,
	blockReservedOffset,
	blockStoredSizeOffset,
	blockTableIdOffset,
	codecLz4,
	codecRaw,
	dataBlockRawSizeMax,
} from './table-format.js';
import { tableCorrupt } from './table-meta.js';

/**
 * Writes the header of a block whose stored payload already lies behind it, at
 * `target[offset + blockHeaderSize, … + storedSize)`.
 * @param rawSize bytes of the payload once decompressed; equals `storedSize` for codecRaw
 */
export function encodeBlockHeader(
	target: Uint8Array,
	offset: number,
	kind: number,
	codec: number,
	storedSize: number,
	rawSize: number,
	tableId: number,
	fileOffset: number,
): void {
	assert(codec === codecLz4 || storedSize === rawSize, 'raw payloads are stored as they are');
	writeU32(target, offset + blockStoredSizeOffset, storedSize);
	writeU32(target, offset + blockRawSizeOffset, rawSize);
	writeU53(target, offset + blockTableIdOffset, tableId);
	writeU53(target, offset + blockFileOffsetOffset, fileOffset);
	target[offset + blockCodecOffset] = codec;
	target[offset + blockKindOffset] = kind;
	target.fill(0, offset + blockReservedOffset, offset + blockHeaderSize);
	const coveredSize = blockHeaderSize - checksumSize + storedSize;
	writeChecksum64(target, offset + checksumSize, coveredSize, target, offset + blockChecksumOffset);
}

/**
 * Verifies the block at `bytes[offset, offset + size)` and gives its payload, decompressed.
 * @param size bytes with header, as the index or footer has it
 * @param path for the message of an error
 * @param fileOffset where in the file of table `tableId` these bytes were read
 * @throws MillraceError MILLRACE_CORRUPT
 */
export function openBlock(
	bytes: Uint8Array,
	offset: number,
	size: number,
	path: string,
	tableId: number,
	fileOffset: number,
	kind: number,
): Buffer {
	if (size < blockHeaderSize) throw tableCorrupt(path, fileOffset, `a block of ${size} bytes`);
	const covered = offset + checksumSize;
	if (!checksum64Matches(bytes, covered, size - checksumSize, bytes, offset + blockChecksumOffset)) {
		throw tableCorrupt(path, fileOffset, 'the checksum of a block does not hold');
	}
	const storedSize = readU32(bytes, offset + blockStoredSizeOffset);
	const rawSize = readU32(bytes, offset + blockRawSizeOffset);
	const ownTableId = readU53(bytes, offset + blockTableIdOffset);
	const ownFileOffset = readU53(bytes, offset + blockFileOffsetOffset);
	const codec = bytes[offset + blockCodecOffset];
	if (ownTableId !== tableId || ownFileOffset !== fileOffset || bytes[offset + blockKindOffset] !== kind) {
		const claim = `kind ${bytes[offset + blockKindOffset]} of table ${ownTableId}, byte ${ownFileOffset}`;
		throw tableCorrupt(path, fileOffset, `this is another block: ${claim}`);
	}
	if (storedSize !== size - blockHeaderSize) {
		throw tableCorrupt(path, fileOffset, `a block of ${storedSize} bytes where ${size} are indexed`);
	}
	if (codec === codecRaw && rawSize === storedSize) {
		return bufferOver(bytes, offset + blockHeaderSize, storedSize);
	}
	if (codec !== codecLz4 || kind !== blockKindData || rawSize > dataBlockRawSizeMax) {
		throw tableCorrupt(path, fileOffset, `codec ${codec}, ${storedSize} bytes for ${rawSize}`);
	}
	try {
		return decompressBlock(bytes, offset + blockHeaderSize, storedSize, rawSize);
	} catch (cause) {
		throw tableCorrupt(path, fileOffset, 'a block does not decompress', cause);
	}
}
