/**
 * Blocks on disk: a header of 40 bytes, then the payload, perhaps compressed. `encodeBlock` writes the frame. `checkBlock` is
 * the only way from bytes read to bytes believed: checksum first, then that this is the block that was asked for (table,
 * offset, kind), then sizes and codec. Only then may the payload be decompressed, to the size the header says.
 *
 * Data blocks are read, checked and decompressed within a CodecMemory (table-blocks.ts), without an object; `openBlock` is for
 * all others and for data blocks too large for that. Any thread.
 */
import { assert } from '../../../base/assert.js';
import { bufferOver, copyBytes, readU32, readU53, writeU32, writeU53 } from '../../../base/bytes.js';
import { hasCode, MillraceError } from '../../../base/errors.js';
import { codecAreaSize } from '../../../base/limits.js';
import { compressInto, decompressInto } from '../../../codec/block-codec.js';
import { checksum64Matches, checksumSize, writeChecksum64 } from '../../../codec/checksum.js';
import { CodecMemory, shortChecksumSizeMax } from '../../../codec/codec-memory.js';
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
	codecDeflate,
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
	assert(codec !== codecRaw || storedSize === rawSize, 'raw payloads are stored as they are');
	writeU32(target, offset + blockStoredSizeOffset, storedSize);
	writeU32(target, offset + blockRawSizeOffset, rawSize);
	writeU53(target, offset + blockTableIdOffset, tableId);
	writeU53(target, offset + blockFileOffsetOffset, fileOffset);
	target[offset + blockCodecOffset] = codec;
	target[offset + blockKindOffset] = kind;
	target.fill(0, offset + blockReservedOffset, offset + blockHeaderSize);
	const memory = CodecMemory.ofThread;
	const coveredSize = blockHeaderSize - checksumSize + storedSize;
	if (target === memory.bytes && coveredSize > shortChecksumSizeMax) {
		memory.writeChecksum(offset + checksumSize, coveredSize, offset + blockChecksumOffset);
	} else {
		writeChecksum64(target, offset + checksumSize, coveredSize, target, offset + blockChecksumOffset);
	}
}

/**
 * Writes a whole block, header and payload, to `target[targetOffset..]`, where there is room for `blockHeaderSize + size`.
 * @param codec `codecNumberOf` a name, used when it saves an eighth; codecRaw to store the payload as it is
 * @returns bytes of the block with header
 */
export function encodeBlock(
	kind: number,
	codec: number,
	payload: Uint8Array,
	payloadOffset: number,
	size: number,
	target: Uint8Array,
	targetOffset: number,
	tableId: number,
	fileOffset: number,
): number {
	// In linear memory compression and checksum cost no call of an addon; one copy takes the result out.
	const memory = CodecMemory.ofThread;
	const isSmall = size <= codecAreaSize;
	const frame = isSmall ? memory.bytes : target;
	const frameOffset = isSmall ? memory.output : targetOffset;
	const start = frameOffset + blockHeaderSize;
	let storedSize = codec === codecRaw ? 0 : compressInto(codec, payload, payloadOffset, size, frame, start);
	if (storedSize === 0) {
		codec = codecRaw;
		storedSize = size;
		copyBytes(payload, payloadOffset, frame, start, size);
	}
	encodeBlockHeader(frame, frameOffset, kind, codec, storedSize, size, tableId, fileOffset);
	const blockSize = blockHeaderSize + storedSize;
	if (isSmall) copyBytes(frame, frameOffset, target, targetOffset, blockSize);
	return blockSize;
}

/**
 * Verifies the block at `bytes[offset, offset + size)`, all but the decompression of its payload. Afterwards the payload is the
 * `size - blockHeaderSize` bytes behind the header, and `rawSizeOf` says what it decompresses to.
 * @param size bytes with header, as the index or footer has it
 * @param path for the message of an error
 * @param fileOffset where in the file of table `tableId` these bytes were read
 * @param memory where `bytes` lie in it, the checksum needs no addon
 * @returns the codec
 * @throws MillraceError MILLRACE_CORRUPT
 */
export function checkBlock(
	bytes: Uint8Array,
	offset: number,
	size: number,
	path: string,
	tableId: number,
	fileOffset: number,
	kind: number,
	memory: CodecMemory | undefined,
): number {
	if (size < blockHeaderSize) throw tableCorrupt(path, fileOffset, `a block of ${size} bytes`);
	if (!isChecksumRight(bytes, offset, size, memory)) {
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
	const isSound =
		codec === codecRaw
			? rawSize === storedSize
			: codec <= codecDeflate && kind === blockKindData && rawSize <= dataBlockRawSizeMax;
	if (!isSound) throw tableCorrupt(path, fileOffset, `codec ${codec}, ${storedSize} bytes for ${rawSize}`);
	return codec;
}

function isChecksumRight(bytes: Uint8Array, offset: number, size: number, memory: CodecMemory | undefined): boolean {
	const covered = offset + checksumSize;
	const coveredSize = size - checksumSize;
	if (memory !== undefined && bytes === memory.bytes && coveredSize > shortChecksumSizeMax) {
		return memory.checksumMatches(covered, coveredSize, offset + blockChecksumOffset);
	}
	return checksum64Matches(bytes, covered, coveredSize, bytes, offset + blockChecksumOffset);
}

/** Bytes of the payload of a block that was checked, once decompressed. */
export function rawSizeOf(bytes: Uint8Array, offset: number): number {
	return readU32(bytes, offset + blockRawSizeOffset);
}

/**
 * Decompresses the payload of a block that was checked, at `bytes[offset..]` with header, to `target[targetOffset..]`.
 * @param codec what `checkBlock` returned
 * @throws MillraceError MILLRACE_CORRUPT; MILLRACE_CODEC when this Node.js lacks the codec
 */
export function decompressBlockInto(
	codec: number,
	bytes: Uint8Array,
	offset: number,
	path: string,
	target: Uint8Array,
	targetOffset: number,
	memory: CodecMemory,
): void {
	const payload = offset + blockHeaderSize;
	const storedSize = readU32(bytes, offset + blockStoredSizeOffset);
	const rawSize = rawSizeOf(bytes, offset);
	if (codec === codecRaw) {
		if (target === bytes) target.copyWithin(targetOffset, payload, payload + storedSize);
		else copyBytes(bytes, payload, target, targetOffset, storedSize);
		return;
	}
	try {
		decompressInto(codec, bytes, payload, storedSize, target, targetOffset, rawSize, memory);
	} catch (cause) {
		if (hasCode(cause, 'MILLRACE_CODEC'))
			throw new MillraceError('MILLRACE_CODEC', `${path}: ${cause.message}`, { cause });
		const fileOffset = readU53(bytes, offset + blockFileOffsetOffset);
		throw tableCorrupt(path, fileOffset, 'a block does not decompress', cause);
	}
}

/**
 * Verifies the block at `bytes[offset, offset + size)` and gives its payload, decompressed: a fresh Buffer, or a view of
 * `bytes` where the payload is stored raw. Parameters as for `checkBlock`.
 * @throws MillraceError MILLRACE_CORRUPT; MILLRACE_CODEC when this Node.js lacks the codec
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
	const codec = checkBlock(bytes, offset, size, path, tableId, fileOffset, kind, undefined);
	if (codec === codecRaw) return bufferOver(bytes, offset + blockHeaderSize, size - blockHeaderSize);
	const raw = Buffer.allocUnsafeSlow(rawSizeOf(bytes, offset));
	decompressBlockInto(codec, bytes, offset, path, raw, 0, CodecMemory.ofThread);
	return raw;
}
