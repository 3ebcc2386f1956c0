/**
 * What is read of a table when it is opened, in two reads: the footer, then everything between the data and the footer. Each
 * part is verified and made flat arrays that stay in memory. Data and expiry blocks are read when they are needed.
 *
 * Parts are immutable; every reader has its own.
 */
import type { FileHandle } from '../../../env/ports.js';
import { openBlock } from './block-frame.js';
import { ExpiryDirectory } from './expiry-section.js';
import { Filter } from './filter.js';
import { decodeFooter } from './footer.js';
import { decodeProperties, type TableProperties } from './properties.js';
import { decodeRangeTombstones } from './range-tombstone-block.js';
import {
	blockKindExpiryDirectory,
	blockKindFilter,
	blockKindIndex,
	blockKindProperties,
	blockKindRangeTombstones,
	footerSize,
} from './table-format.js';
import { TableIndex } from './table-index.js';
import { tableCorrupt } from './table-meta.js';

export interface TableParts {
	readonly properties: TableProperties;
	readonly index: TableIndex;
	readonly filter: Filter;
	/** undefined: no entry expires, or the file is of format 1, which did not say which do. */
	readonly expiryDirectory: ExpiryDirectory | undefined;
}

/**
 * @param id the number the table was built with
 * @throws MillraceError MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER; and what `FileHandle.read` throws
 */
export function loadTableParts(file: FileHandle, id: number): TableParts {
	const path = file.path;
	const size = file.size();
	if (size < footerSize) throw tableCorrupt(path, 0, `${size} bytes are no table`);
	const footer = decodeFooter(readBytes(file, size - footerSize, footerSize), path, id, size);
	const start = footer.filterOffset;
	const tail = readBytes(file, start, size - footerSize - start);
	const part = (offset: number, partSize: number, kind: number) =>
		openBlock(tail, offset - start, partSize, path, id, offset, kind);
	const filter = Filter.decode(part(footer.filterOffset, footer.filterSize, blockKindFilter));
	if (filter === undefined) throw tableCorrupt(path, footer.filterOffset, 'this is no filter');
	const index = TableIndex.decode(part(footer.indexOffset, footer.indexSize, blockKindIndex), footer.dataSize);
	if (typeof index === 'string') throw tableCorrupt(path, footer.indexOffset, index);
	const tombstones =
		footer.rangeTombstonesSize === 0
			? []
			: decodeRangeTombstones(part(footer.rangeTombstonesOffset, footer.rangeTombstonesSize, blockKindRangeTombstones));
	if (tombstones === undefined) {
		throw tableCorrupt(path, footer.rangeTombstonesOffset, 'these are no range tombstones');
	}
	const payload = part(footer.propertiesOffset, footer.propertiesSize, blockKindProperties);
	const properties = decodeProperties(payload, id, size, footer.version, tombstones);
	if (properties === undefined) throw tableCorrupt(path, footer.propertiesOffset, 'these are no properties');
	const { expiryOffset, expirySize, expiryDirectoryOffset, expiryDirectorySize, version } = footer;
	if (expirySize === 0) {
		if (version > 1 && properties.meta.expiryCount > 0) {
			throw tableCorrupt(path, expiryDirectoryOffset, 'the table says when no entry expires');
		}
		return { properties, index, filter, expiryDirectory: undefined };
	}
	const directoryPayload = part(expiryDirectoryOffset, expiryDirectorySize, blockKindExpiryDirectory);
	const expiryDirectory = ExpiryDirectory.decode(directoryPayload, expiryOffset, expirySize, properties.meta);
	if (typeof expiryDirectory === 'string') throw tableCorrupt(path, expiryDirectoryOffset, expiryDirectory);
	return { properties, index, filter, expiryDirectory };
}

/** @returns a fresh array. @throws MillraceError MILLRACE_CORRUPT when the file ends before */
function readBytes(file: FileHandle, offset: number, size: number): Uint8Array {
	const bytes = new Uint8Array(size);
	readWhole(file, bytes, size, offset);
	return bytes;
}

/** Fills `target[0, size)`. @throws MillraceError MILLRACE_CORRUPT when the file ends before */
export function readWhole(file: FileHandle, target: Uint8Array, size: number, position: number): void {
	const readSize = file.read(target, 0, size, position);
	if (readSize !== size) throw tableCorrupt(file.path, position, `${readSize} bytes where ${size} should be`);
}
