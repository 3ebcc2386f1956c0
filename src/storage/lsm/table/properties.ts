/** The properties block of a table: its `TableMeta` and how it was built. Layout: table-format.ts. Any thread. */
import { compareBytes, readU16, readU32, readU53, writeU16, writeU32, writeU53 } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import {
	propertiesBlockSizeOffset,
	propertiesEntryCountOffset,
	propertiesExpiryCountOffset,
	propertiesFirstKeySizeOffset,
	propertiesHeaderSize,
	propertiesKeyCountOffset,
	propertiesLastKeySizeOffset,
	propertiesMaxSequenceOffset,
	propertiesMinSequenceOffset,
	propertiesRawSizeOffset,
	propertiesTombstoneCountOffset,
	propertiesVersionOffset,
	tableFormatVersion,
} from './table-format.js';
import type { TableMeta } from './table-meta.js';

export interface TableProperties {
	readonly meta: TableMeta;
	/** Bytes of a data block the builder aimed at. */
	readonly blockSize: number;
	/** Distinct keys. */
	readonly keyCount: number;
	/** Bytes of all data blocks before compression. */
	readonly rawSize: number;
}

/** @returns the payload of the properties block; `meta.size` is not part of it */
export function encodeProperties(meta: TableMeta, blockSize: number, keyCount: number, rawSize: number): Uint8Array {
	const payload = new Uint8Array(propertiesHeaderSize + meta.firstKey.length + meta.lastKey.length);
	writeU32(payload, propertiesVersionOffset, tableFormatVersion);
	writeU32(payload, propertiesBlockSizeOffset, blockSize);
	writeU53(payload, propertiesEntryCountOffset, meta.entryCount);
	writeU53(payload, propertiesTombstoneCountOffset, meta.tombstoneCount);
	writeU53(payload, propertiesExpiryCountOffset, meta.expiryCount);
	writeU53(payload, propertiesMinSequenceOffset, meta.minSequence);
	writeU53(payload, propertiesMaxSequenceOffset, meta.maxSequence);
	writeU53(payload, propertiesKeyCountOffset, keyCount);
	writeU53(payload, propertiesRawSizeOffset, rawSize);
	writeU16(payload, propertiesFirstKeySizeOffset, meta.firstKey.length);
	writeU16(payload, propertiesLastKeySizeOffset, meta.lastKey.length);
	payload.set(meta.firstKey, propertiesHeaderSize);
	payload.set(meta.lastKey, propertiesHeaderSize + meta.firstKey.length);
	return payload;
}

/**
 * Reads the payload of a properties block; the keys are copied.
 * @returns undefined when the numbers cannot be those of a table
 */
export function decodeProperties(payload: Uint8Array, id: number, fileSize: number): TableProperties | undefined {
	if (payload.length < propertiesHeaderSize) return undefined;
	const firstKeySize = readU16(payload, propertiesFirstKeySizeOffset);
	const lastKeySize = readU16(payload, propertiesLastKeySizeOffset);
	const lastKeyOffset = propertiesHeaderSize + firstKeySize;
	if (Math.min(firstKeySize, lastKeySize) < 1 || Math.max(firstKeySize, lastKeySize) > keySizeMax) {
		return undefined;
	}
	if (lastKeyOffset + lastKeySize !== payload.length) return undefined;
	const meta: TableMeta = {
		id,
		size: fileSize,
		entryCount: readU53(payload, propertiesEntryCountOffset),
		tombstoneCount: readU53(payload, propertiesTombstoneCountOffset),
		firstKey: Uint8Array.from(payload.subarray(propertiesHeaderSize, lastKeyOffset)),
		lastKey: Uint8Array.from(payload.subarray(lastKeyOffset)),
		minSequence: readU53(payload, propertiesMinSequenceOffset),
		maxSequence: readU53(payload, propertiesMaxSequenceOffset),
		expiryCount: readU53(payload, propertiesExpiryCountOffset),
	};
	const keyCount = readU53(payload, propertiesKeyCountOffset);
	const order = compareBytes(meta.firstKey, 0, firstKeySize, meta.lastKey, 0, lastKeySize);
	const holds =
		readU32(payload, propertiesVersionOffset) === tableFormatVersion &&
		keyCount >= 1 &&
		keyCount <= meta.entryCount &&
		Math.max(meta.tombstoneCount, meta.expiryCount) <= meta.entryCount &&
		meta.minSequence <= meta.maxSequence &&
		order <= 0;
	if (!holds) return undefined;
	const blockSize = readU32(payload, propertiesBlockSizeOffset);
	return { meta, blockSize, keyCount, rawSize: readU53(payload, propertiesRawSizeOffset) };
}
