/**
 * Makes a segment ready to be written: zero-filled to its full size (overwriting is about a third cheaper to sync than
 * appending, and a full disk shows here, where nothing has been promised yet), headed, synced and named.
 * Runs in the background pool; on the partition's own thread only when a database is created.
 *
 * A recycled file keeps its old bytes: groups name their segment, so they are no longer groups of it.
 */
import { writeU32, writeU53 } from '../../../base/bytes.js';
import { systemCodeOf } from '../../../base/errors.js';
import { writeChecksum64 } from '../../../codec/checksum.js';
import type { FileHandle, FileSystem } from '../../../env/ports.js';
import {
	segmentChecksumOffset,
	segmentFileName,
	segmentHeaderSize,
	segmentIdOffset,
	segmentMagic,
	segmentMagicOffset,
	segmentVersionOffset,
	walFormatVersion,
} from './wal-format.js';

const fillSize = 1 << 20;

/** Encodes the 64 bytes at the start of a segment. */
export function encodeSegmentHeader(id: number): Buffer {
	const header = Buffer.alloc(segmentHeaderSize);
	writeU32(header, segmentMagicOffset, segmentMagic);
	writeU32(header, segmentVersionOffset, walFormatVersion);
	writeU53(header, segmentIdOffset, id);
	writeChecksum64(header, 0, segmentChecksumOffset, header, segmentChecksumOffset);
	return header;
}

/**
 * Creates segment `id`, or turns the released segment `recycledId` into it.
 * @param size bytes of the whole file
 * @throws the system's error (ENOSPC when the disk is full; nothing half-made is left then)
 */
export function prepareSegment(
	fileSystem: FileSystem,
	directory: string,
	id: number,
	size: number,
	recycledId?: number,
): void {
	const path = `${directory}/${segmentFileName(id)}`;
	if (recycledId !== undefined) {
		const old = `${directory}/${segmentFileName(recycledId)}`;
		const file = fileSystem.open(old, 'write');
		try {
			// It may be a short one, made when the disk was full (recovery.ts).
			zeroFill(file, file.size(), size);
			file.write(encodeSegmentHeader(id), 0, segmentHeaderSize, 0);
			file.sync();
		} catch (error) {
			if (systemCodeOf(error) === 'ENOSPC') fileSystem.remove(old);
			throw error;
		} finally {
			file.close();
		}
		fileSystem.rename(old, path);
	} else {
		const unnamed = `${path}.tmp`;
		if (fileSystem.exists(unnamed)) fileSystem.remove(unnamed);
		const file = fileSystem.open(unnamed, 'create');
		try {
			zeroFill(file, 0, size);
			file.write(encodeSegmentHeader(id), 0, segmentHeaderSize, 0);
			file.sync();
		} catch (error) {
			fileSystem.remove(unnamed);
			throw error;
		} finally {
			file.close();
		}
		fileSystem.rename(unnamed, path);
	}
	fileSystem.syncDirectory(directory);
}

function zeroFill(file: FileHandle, start: number, size: number): void {
	const zeros = Buffer.alloc(Math.min(fillSize, Math.max(0, size - start)));
	for (let at = start; at < size; at += zeros.length) {
		file.write(zeros, 0, Math.min(zeros.length, size - at), at);
	}
}
