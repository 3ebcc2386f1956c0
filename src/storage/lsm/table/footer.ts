/**
 * The footer of a table: 96 bytes at its end that say where filter, index and properties are, and of which format the
 * file is. Layout: table-format.ts. Any thread.
 */
import { readU32, readU53, writeU32, writeU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { checksum64Matches, writeChecksum64 } from '../../../codec/checksum.js';
import {
	blockHeaderSize,
	footerChecksumOffset,
	footerFileOffsetOffset,
	footerFilterOffsetOffset,
	footerFilterSizeOffset,
	footerIndexSizeOffset,
	footerMagic,
	footerMagicOffset,
	footerPropertiesSizeOffset,
	footerSize,
	footerTableIdOffset,
	footerVersionOffset,
	tableFormatVersion,
} from './table-format.js';
import { tableCorrupt } from './table-meta.js';

/** Where the parts of a table lie: filter, index, properties and footer end to end, data blocks before them. */
export interface Footer {
	readonly filterOffset: number;
	readonly filterSize: number;
	readonly indexOffset: number;
	readonly indexSize: number;
	readonly propertiesOffset: number;
	readonly propertiesSize: number;
}

/** Sizes are in bytes, headers included. */
export function encodeFooter(
	tableId: number,
	filterOffset: number,
	filterSize: number,
	indexSize: number,
	propertiesSize: number,
): Uint8Array {
	const footer = new Uint8Array(footerSize);
	writeU53(footer, footerTableIdOffset, tableId);
	writeU53(footer, footerFileOffsetOffset, filterOffset + filterSize + indexSize + propertiesSize);
	writeU53(footer, footerFilterOffsetOffset, filterOffset);
	writeU53(footer, footerFilterSizeOffset, filterSize);
	writeU53(footer, footerIndexSizeOffset, indexSize);
	writeU53(footer, footerPropertiesSizeOffset, propertiesSize);
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
		const versions = `table format ${version}, this Millrace reads up to ${tableFormatVersion}`;
		throw new MillraceError('MILLRACE_FORMAT_NEWER', `${path}: ${versions}`);
	}
	if (version !== tableFormatVersion) throw tableCorrupt(path, offset, `table format ${version} never was`);
	const ownId = readU53(bytes, footerTableIdOffset);
	if (ownId !== tableId) throw tableCorrupt(path, offset, `this is table ${ownId}, not ${tableId}`);
	if (readU53(bytes, footerFileOffsetOffset) !== offset) {
		throw tableCorrupt(path, offset, `the file should end at ${readU53(bytes, footerFileOffsetOffset)}`);
	}
	const filterOffset = readU53(bytes, footerFilterOffsetOffset);
	const filterSize = readU53(bytes, footerFilterSizeOffset);
	const indexSize = readU53(bytes, footerIndexSizeOffset);
	const propertiesSize = readU53(bytes, footerPropertiesSizeOffset);
	const isEndToEnd = filterOffset + filterSize + indexSize + propertiesSize === offset;
	if (!isEndToEnd || Math.min(filterSize, indexSize, propertiesSize) <= blockHeaderSize) {
		throw tableCorrupt(path, offset, 'the parts of the table do not lie end to end');
	}
	const indexOffset = filterOffset + filterSize;
	const propertiesOffset = indexOffset + indexSize;
	return { filterOffset, filterSize, indexOffset, indexSize, propertiesOffset, propertiesSize };
}
