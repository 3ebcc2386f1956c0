/**
 * Reads a manifest: adds up its records. A torn last one is dropped, damage before the end is refused. Changes nothing, so that
 * it serves recovery, verification and the doctor alike.
 */
import { readU32, readU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { checksum64Matches } from '../../../codec/checksum.js';
import type { FileSystem } from '../../../env/ports.js';
import { decodeEdit, ManifestState, maybeRecordSize, recordVersion } from './manifest-edit.js';
import {
	currentFileName,
	manifestFileName,
	manifestNumberOf,
	manifestPromisesIdsVersion,
	recordCheckedOffset,
	recordChecksumOffset,
	recordHeaderSize,
	recordIndexOffset,
	recordPayloadSizeOffset,
} from './manifest-format.js';
import { readWholeFile } from './whole-file.js';

export interface ManifestContents {
	readonly state: ManifestState;
	/** True when no table ever had an id from nextFileId on. */
	readonly promisesIds: boolean;
	readonly recordCount: number;
	/** Bytes of the records; what follows are zeros, or a torn record. */
	readonly size: number;
}

/** @returns the number of the manifest that CURRENT names @throws MILLRACE_CORRUPT when it names none */
export function readCurrent(fileSystem: FileSystem, directory: string): number {
	const current = `${directory}/${currentFileName}`;
	const name = readWholeFile(fileSystem, current).toString('latin1');
	const number = manifestNumberOf(name.replace(/\n$/, ''));
	if (number >= 0) return number;
	throw new MillraceError(
		'MILLRACE_CORRUPT',
		`${current} does not name a manifest: ${JSON.stringify(name.slice(0, 100))}. Restore a backup, or, if there is only one ` +
			'file MANIFEST-<number> beside it, write that name into it',
	);
}

/** @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER */
export function readManifest(fileSystem: FileSystem, directory: string, number: number): ManifestContents {
	const path = `${directory}/${manifestFileName(number)}`;
	if (!fileSystem.exists(path))
		throw new MillraceError(
			'MILLRACE_CORRUPT',
			`${path} is missing, though CURRENT names it: put it back, or restore a backup`,
		);
	return addUp(readWholeFile(fileSystem, path), path);
}

function addUp(bytes: Buffer, path: string): ManifestContents {
	const state = new ManifestState();
	let promisesIds = false;
	let offset = 0;
	let index = 0;
	while (isRecord(bytes, offset) && readU53(bytes, offset + recordIndexOffset) === index) {
		const payloadSize = readU32(bytes, offset + recordPayloadSizeOffset);
		state.apply(decodeEdit(bytes, offset + recordHeaderSize, payloadSize, path));
		if (index === 0) promisesIds = recordVersion(bytes, offset + recordHeaderSize) >= manifestPromisesIdsVersion;
		offset += maybeRecordSize(bytes, offset, bytes.length);
		index++;
	}
	let isDamaged = index === 0;
	for (let at = offset + 8; at < bytes.length && !isDamaged; at += 8) {
		isDamaged = isRecord(bytes, at) && readU53(bytes, at + recordIndexOffset) > index;
	}
	if (isDamaged) {
		throw new MillraceError(
			'MILLRACE_CORRUPT',
			`${path}: record ${index} at offset ${offset} is damaged and not the last one: restore a backup of this file`,
		);
	}
	return { state, promisesIds, recordCount: index, size: offset };
}

function isRecord(bytes: Buffer, offset: number): boolean {
	if (maybeRecordSize(bytes, offset, bytes.length) === 0) return false;
	const size = recordHeaderSize - recordCheckedOffset + readU32(bytes, offset + recordPayloadSizeOffset);
	return checksum64Matches(bytes, offset + recordCheckedOffset, size, bytes, offset + recordChecksumOffset);
}
