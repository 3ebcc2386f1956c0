/**
 * The log segments of a partition that opens: which go on, and a new one if need be. Where the disk has no room for a whole
 * one, a short one does, so that deletes have a log to go to; nobody takes it for a spare.
 */
import { systemCodeOf } from '../../../base/errors.js';
import { segmentShortLeaves, segmentShortSizeMin } from '../../../base/limits.js';
import type { FileSystem } from '../../../env/ports.js';
import type { ManifestState } from '../manifest/manifest-edit.js';
import type { ManifestStore } from '../manifest/manifest-store.js';
import { SegmentAllocator } from '../wal/segment-allocator.js';
import { encodeSegmentHeader, prepareSegment } from '../wal/segment-preparer.js';
import { segmentHeaderSize } from '../wal/wal-format.js';
import { withRoom } from './make-room.js';

/**
 * @param mayBeShort a partition that holds nothing has nothing to delete, and says that the disk is too small
 * @returns its size @throws the system's error
 */
export function makeSegment(
	fileSystem: FileSystem,
	directory: string,
	state: ManifestState,
	id: number,
	segmentSize: number,
	mayBeShort: boolean,
): number {
	try {
		withRoom(fileSystem, directory, state, () => prepareSegment(fileSystem, directory, id, segmentSize));
		return segmentSize;
	} catch (error) {
		const room = fileSystem.freeBytes(directory) - segmentShortLeaves;
		const isUseful = mayBeShort && room >= segmentShortSizeMin && room < segmentSize;
		if (systemCodeOf(error) !== 'ENOSPC' || !isUseful) throw error;
		const size = room - (room % 8);
		prepareSegment(fileSystem, directory, id, size);
		return size;
	}
}

/** A segment with groups, and the newest sequence in it. */
export interface UsedSegment {
	readonly id: number;
	readonly lastSequence: number;
}

/** A segment without a group. */
export interface SizedSegment {
	readonly id: number;
	readonly size: number;
	/** Its header is of an older format. */
	readonly isOlder?: boolean;
}

/** A blank segment of an older format becomes one of this: who reads no more than that one must not read what will be in it. */
export function renewHeader(fileSystem: FileSystem, path: string, id: number): void {
	const file = fileSystem.open(path, 'write');
	try {
		// Within one sector: it is the old one or the new one.
		file.write(encodeSegmentHeader(id), 0, segmentHeaderSize, 0);
		file.sync();
	} finally {
		file.close();
	}
}

/**
 * A blank segment after all used ones becomes the active one; further ones are spares; others leave the manifest. A segment
 * that holds anything of its own, be it only groups that nobody was promised, is never written again under its number.
 * @param make makes a new one, and says its size
 */
export function readySegments(
	manifest: ManifestStore,
	used: readonly UsedSegment[],
	blanks: readonly SizedSegment[],
	segmentSize: number,
	make: (id: number) => number,
): SegmentAllocator {
	const { state } = manifest;
	const lastUsed = used.at(-1)?.id ?? 0;
	// A short one, made when the disk was full, would not do as a spare.
	const empty = blanks.filter(({ id, size }) => id > lastUsed && size >= segmentSize).map(({ id }) => id);
	empty.sort((a, b) => a - b);
	const kept = new Set([...used.map(({ id }) => id), ...empty]);
	state.apply({ removeSegments: [...state.segments].filter((id) => !kept.has(id)) });
	let active = empty.shift();
	let activeSize = segmentSize;
	if (active === undefined) {
		active = manifest.takeFileIds(1);
		activeSize = make(active);
		state.apply({ addSegments: [active] });
	}
	const segments = new SegmentAllocator(segmentSize, active, used, activeSize);
	for (const id of empty) segments.addSpare(id);
	return segments;
}

export function syncFile(fileSystem: FileSystem, path: string): void {
	const file = fileSystem.open(path, 'write');
	try {
		file.sync();
	} finally {
		file.close();
	}
}
