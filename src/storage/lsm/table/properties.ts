/** The properties block of a table: the numbers of its `TableMeta` and how it was built. Layout: table-format.ts. Any thread. */
import { readU16, readU32, readU53, writeU16, writeU32, writeU53 } from '../../../base/bytes.js';
import { keySizeMax } from '../../../base/limits.js';
import type { RangeTombstone } from '../entry.js';
import {
	propertiesBlockSizeOffset,
	propertiesEntryCountOffset,
	propertiesExpiryCountOffset,
	propertiesFirstKeySizeOffset,
	propertiesHeaderSize,
	propertiesHeaderSizeVersion1,
	propertiesKeyCountOffset,
	propertiesLastKeySizeOffset,
	propertiesMaxExpiresAtMsOffset,
	propertiesMaxSequenceOffset,
	propertiesMinExpiresAtMsOffset,
	propertiesMinSequenceOffset,
	propertiesRangeTombstoneCountOffset,
	propertiesRawSizeOffset,
	propertiesTombstoneCountOffset,
	propertiesVersionOffset,
	tableFormatVersion,
} from './table-format.js';
import { boundsOf, compareKeys, type TableMeta } from './table-meta.js';

export interface TableProperties {
	readonly meta: TableMeta;
	/** Bytes of a data block the builder aimed at. */
	readonly blockSize: number;
	/** Format of the file. */
	readonly version: number;
}

/** @returns the payload of the properties block, the caller's to keep */
export function encodeProperties(meta: TableMeta, blockSize: number): Uint8Array {
	const payload = new Uint8Array(propertiesHeaderSize + meta.firstKey.length + meta.lastKey.length);
	writeU32(payload, propertiesVersionOffset, tableFormatVersion);
	writeU32(payload, propertiesBlockSizeOffset, blockSize);
	writeU53(payload, propertiesEntryCountOffset, meta.entryCount);
	writeU53(payload, propertiesTombstoneCountOffset, meta.tombstoneCount);
	writeU53(payload, propertiesExpiryCountOffset, meta.expiryCount);
	writeU53(payload, propertiesMinSequenceOffset, meta.minSequence);
	writeU53(payload, propertiesMaxSequenceOffset, meta.maxSequence);
	writeU53(payload, propertiesKeyCountOffset, meta.keyCount);
	writeU53(payload, propertiesRawSizeOffset, meta.rawSize);
	writeU16(payload, propertiesFirstKeySizeOffset, meta.firstKey.length);
	writeU16(payload, propertiesLastKeySizeOffset, meta.lastKey.length);
	writeU53(payload, propertiesMinExpiresAtMsOffset, meta.minExpiresAtMs);
	writeU53(payload, propertiesMaxExpiresAtMsOffset, meta.maxExpiresAtMs);
	writeU32(payload, propertiesRangeTombstoneCountOffset, meta.rangeTombstones.length);
	payload.set(meta.firstKey, propertiesHeaderSize);
	payload.set(meta.lastKey, propertiesHeaderSize + meta.firstKey.length);
	return payload;
}

/**
 * Reads the payload of a properties block; the keys are copied.
 * @param version format of the file, from its footer
 * @param rangeTombstones from the block beside this one
 * @returns undefined when the numbers cannot be those of a table
 */
export function decodeProperties(
	payload: Uint8Array,
	id: number,
	fileSize: number,
	version: number,
	rangeTombstones: readonly RangeTombstone[],
): TableProperties | undefined {
	const headerSize = version === 1 ? propertiesHeaderSizeVersion1 : propertiesHeaderSize;
	if (payload.length < headerSize) return undefined;
	const firstKeySize = readU16(payload, propertiesFirstKeySizeOffset);
	const lastKeySize = readU16(payload, propertiesLastKeySizeOffset);
	const lastKeyOffset = headerSize + firstKeySize;
	if (Math.min(firstKeySize, lastKeySize) < 1 || Math.max(firstKeySize, lastKeySize) > keySizeMax) {
		return undefined;
	}
	if (lastKeyOffset + lastKeySize !== payload.length) return undefined;
	const firstKey = Uint8Array.from(payload.subarray(headerSize, lastKeyOffset));
	const lastKey = Uint8Array.from(payload.subarray(lastKeyOffset));
	const expiryCount = readU53(payload, propertiesExpiryCountOffset);
	const hasTimes = version > 1 || expiryCount === 0;
	const meta: TableMeta = {
		id,
		size: fileSize,
		entryCount: readU53(payload, propertiesEntryCountOffset),
		tombstoneCount: readU53(payload, propertiesTombstoneCountOffset),
		keyCount: readU53(payload, propertiesKeyCountOffset),
		rawSize: readU53(payload, propertiesRawSizeOffset),
		firstKey,
		lastKey,
		...boundsOf(firstKey, lastKey, rangeTombstones),
		minSequence: readU53(payload, propertiesMinSequenceOffset),
		maxSequence: readU53(payload, propertiesMaxSequenceOffset),
		expiryCount,
		// A file of version 1 does not say when its entries expire: some perhaps long ago, some perhaps never.
		minExpiresAtMs: hasTimes ? timeOf(payload, version, propertiesMinExpiresAtMsOffset) : 1,
		maxExpiresAtMs: hasTimes ? timeOf(payload, version, propertiesMaxExpiresAtMsOffset) : Number.MAX_SAFE_INTEGER,
		rangeTombstones,
	};
	const tombstoneCount = version === 1 ? 0 : readU32(payload, propertiesRangeTombstoneCountOffset);
	const isOurs = readU32(payload, propertiesVersionOffset) === version && tombstoneCount === rangeTombstones.length;
	if (!isOurs || !holdsTogether(meta)) return undefined;
	return { meta, blockSize: readU32(payload, propertiesBlockSizeOffset), version };
}

function timeOf(payload: Uint8Array, version: number, offset: number): number {
	return version === 1 ? 0 : readU53(payload, offset);
}

function holdsTogether(meta: TableMeta): boolean {
	const hasExpiry = meta.expiryCount > 0;
	return (
		meta.keyCount >= 1 &&
		meta.keyCount <= meta.entryCount &&
		Math.max(meta.tombstoneCount, meta.expiryCount) <= meta.entryCount &&
		meta.minSequence <= meta.maxSequence &&
		meta.minExpiresAtMs <= meta.maxExpiresAtMs &&
		meta.minExpiresAtMs > 0 === hasExpiry &&
		meta.maxExpiresAtMs > 0 === hasExpiry &&
		compareKeys(meta.firstKey, meta.lastKey) <= 0
	);
}
