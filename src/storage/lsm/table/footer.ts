/**
 * The footer of a table: 96 bytes at its end that say where its parts are, and of which format the file is.
 * Layout: table-format.ts. Any thread.
 */
import { readU32, readU53, writeU32, writeU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { checksum64Matches, writeChecksum64 } from '../../../codec/checksum.js';
import {
	blockHeaderSize,
	footerChecksumOffset,
	footerExpiryDirectorySizeOffset,
	footerExpirySizeOffset,
	footerFileOffsetOffset,
	footerFilterOffsetOffset,
	footerFilterSizeOffset,
	footerIndexSizeOffset,
	footerMagic,
	footerMagicOffset,
	footerPropertiesSizeOffset,
	footerRangeTombstonesSizeOffset,
	footerSize,
	footerTableIdOffset,
	footerVersionOffset,
	tableFormatVersion,
	tableFormatVersionMin,
} from './table-format.js';
import { tableCorrupt } from './table-meta.js';

/** Bytes of each part, headers included, in the order in which they lie end to end; the footer follows. 0: not there. */
export interface PartSizes {
	readonly dataSize: number;
	/** All expiry blocks. */
	readonly expirySize: number;
	readonly filterSize: number;
	readonly indexSize: number;
	readonly rangeTombstonesSize: number;
	readonly expiryDirectorySize: number;
	readonly propertiesSize: number;
}

/** Where the parts of a table lie. */
export interface Footer extends PartSizes {
	readonly version: number;
	/** Where the data blocks end and the expiry blocks start. */
	readonly expiryOffset: number;
	readonly filterOffset: number;
	readonly indexOffset: number;
	readonly rangeTombstonesOffset: number;
	readonly expiryDirectoryOffset: number;
	readonly propertiesOffset: number;
}

export function encodeFooter(tableId: number, sizes: PartSizes): Uint8Array {
	const footer = new Uint8Array(footerSize);
	const filterOffset = sizes.dataSize + sizes.expirySize;
	const indexEnd = filterOffset + sizes.filterSize + sizes.indexSize;
	const fileOffset = indexEnd + sizes.rangeTombstonesSize + sizes.expiryDirectorySize + sizes.propertiesSize;
	writeU53(footer, footerTableIdOffset, tableId);
	writeU53(footer, footerFileOffsetOffset, fileOffset);
	writeU53(footer, footerFilterOffsetOffset, filterOffset);
	writeU53(footer, footerFilterSizeOffset, sizes.filterSize);
	writeU53(footer, footerIndexSizeOffset, sizes.indexSize);
	writeU53(footer, footerPropertiesSizeOffset, sizes.propertiesSize);
	writeU53(footer, footerExpirySizeOffset, sizes.expirySize);
	writeU53(footer, footerRangeTombstonesSizeOffset, sizes.rangeTombstonesSize);
	writeU53(footer, footerExpiryDirectorySizeOffset, sizes.expiryDirectorySize);
	writeU32(footer, footerVersionOffset, tableFormatVersion);
	writeChecksum64(footer, 0, footerChecksumOffset, footer, footerChecksumOffset);
	footer.set(footerMagic, footerMagicOffset);
	return footer;
}

/**
 * Reads the last 96 bytes of a file of `fileSize` bytes.
 * @throws MillraceError MILLRACE_CORRUPT, or MILLRACE_FORMAT_NEWER when a later Millrace wrote the file
 */
export function decodeFooter(bytes: Uint8Array, path: string, tableId: number, fileSize: number): Footer {
	const offset = fileSize - footerSize;
	for (let i = 0; i < footerMagic.length; i++) {
		if (bytes[footerMagicOffset + i] !== footerMagic[i]) {
			throw tableCorrupt(path, offset + footerMagicOffset, 'this is not the end of a table');
		}
	}
	if (!checksum64Matches(bytes, 0, footerChecksumOffset, bytes, footerChecksumOffset)) {
		throw tableCorrupt(path, offset, 'the checksum of the footer does not hold');
	}
	const version = readU32(bytes, footerVersionOffset);
	if (version > tableFormatVersion) {
		const versions = `table format ${version}, this Millrace reads up to ${tableFormatVersion}: open it with a newer version`;
		throw new MillraceError('MILLRACE_FORMAT_NEWER', `${path}: ${versions}`);
	}
	if (version < tableFormatVersionMin) throw tableCorrupt(path, offset, `table format ${version} never was`);
	const ownId = readU53(bytes, footerTableIdOffset);
	if (ownId !== tableId) throw tableCorrupt(path, offset, `this is table ${ownId}, not ${tableId}`);
	if (readU53(bytes, footerFileOffsetOffset) !== offset) {
		throw tableCorrupt(path, offset, `the file should end at ${readU53(bytes, footerFileOffsetOffset)}`);
	}
	const footer = partsOf(bytes, version);
	if (footer === undefined || footer.propertiesOffset + footer.propertiesSize !== offset) {
		throw tableCorrupt(path, offset, 'the parts of the table do not lie end to end');
	}
	return footer;
}

/** @returns undefined when the sizes cannot be those of a table's parts */
function partsOf(bytes: Uint8Array, version: number): Footer | undefined {
	const filterOffset = readU53(bytes, footerFilterOffsetOffset);
	const filterSize = readU53(bytes, footerFilterSizeOffset);
	const indexSize = readU53(bytes, footerIndexSizeOffset);
	const propertiesSize = readU53(bytes, footerPropertiesSizeOffset);
	const expirySize = readU53(bytes, footerExpirySizeOffset);
	const rangeTombstonesSize = readU53(bytes, footerRangeTombstonesSizeOffset);
	const expiryDirectorySize = readU53(bytes, footerExpiryDirectorySizeOffset);
	const expiryOffset = filterOffset - expirySize;
	const isBlock = (size: number) => size > blockHeaderSize;
	const isBlockOrNothing = (size: number) => size === 0 || isBlock(size);
	const holds =
		isBlock(expiryOffset) &&
		[filterSize, indexSize, propertiesSize].every(isBlock) &&
		[expirySize, rangeTombstonesSize, expiryDirectorySize].every(isBlockOrNothing) &&
		(expirySize === 0) === (expiryDirectorySize === 0);
	if (!holds) return undefined;
	const indexOffset = filterOffset + filterSize;
	const rangeTombstonesOffset = indexOffset + indexSize;
	const expiryDirectoryOffset = rangeTombstonesOffset + rangeTombstonesSize;
	const propertiesOffset = expiryDirectoryOffset + expiryDirectorySize;
	return {
		version,
		dataSize: expiryOffset,
		expiryOffset,
		expirySize,
		filterOffset,
		filterSize,
		indexOffset,
		indexSize,
		rangeTombstonesOffset,
		rangeTombstonesSize,
		expiryDirectoryOffset,
		expiryDirectorySize,
		propertiesOffset,
		propertiesSize,
	};
}
