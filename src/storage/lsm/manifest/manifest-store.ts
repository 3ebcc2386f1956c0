/**
 * The files of the manifest: reading it back at open, and writing a fresh one. Edits while running are appended by the
 * log thread (log-executor.ts), in order with the groups around them; this class only encodes them and counts the offsets.
 *
 * Used by the thread that owns the partition.
 */
import { readU32, readU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { checksum64Matches } from '../../../codec/checksum.js';
import type { FileSystem } from '../../../env/ports.js';
import { decodeEdit, encodeEdit, type ManifestEdit, ManifestState, maybeRecordSize } from './manifest-edit.js';
import {
	currentFileName,
	manifestFileName,
	manifestNumberOf,
	manifestReservedSize,
	recordCheckedOffset,
	recordChecksumOffset,
	recordHeaderSize,
	recordIndexOffset,
	recordPayloadSizeOffset,
} from './manifest-format.js';

export class ManifestStore {
	readonly state: ManifestState;
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	#number: number;
	#nextIndex = 0;
	#size = 0;

	private constructor(fileSystem: FileSystem, directory: string, number: number, state: ManifestState) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
		this.#number = number;
		this.state = state;
	}

	/**
	 * Reads the live manifest, or starts an empty one in a directory that has none.
	 * @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER
	 */
	static open(fileSystem: FileSystem, directory: string): ManifestStore {
		const current = `${directory}/${currentFileName}`;
		if (!fileSystem.exists(current)) {
			const stray = fileSystem.list(directory).find((name) => name.endsWith('.sst'));
			if (stray !== undefined) {
				throw new MillraceError('MILLRACE_CORRUPT', `${current} is missing, though ${directory} has tables (${stray})`);
			}
			return new ManifestStore(fileSystem, directory, 0, new ManifestState());
		}
		const name = readWhole(fileSystem, current).toString('latin1').trimEnd();
		const number = manifestNumberOf(name);
		if (number < 0)
			throw new MillraceError('MILLRACE_CORRUPT', `${current} does not name a manifest: ${JSON.stringify(name)}`);
		const path = `${directory}/${name}`;
		if (!fileSystem.exists(path))
			throw new MillraceError('MILLRACE_CORRUPT', `${path} is missing, though CURRENT names it`);
		return new ManifestStore(fileSystem, directory, number, readManifest(readWhole(fileSystem, path), path));
	}

	get number(): number {
		return this.#number;
	}

	/**
	 * Writes the whole state as a new manifest, with room for edits to come, and switches to it; removes the old one. The room is
	 * zeros: a disk that fills up later does not stop an edit that would free space.
	 */
	writeFresh(): void {
		const old = this.#number;
		this.#number = old + 1;
		const path = `${this.#directory}/${manifestFileName(this.#number)}`;
		if (this.#fileSystem.exists(path)) this.#fileSystem.remove(path);
		const record = encodeEdit(this.state.toEdit(), 0);
		const reserved = Buffer.alloc(Math.max(manifestReservedSize, record.length));
		record.copy(reserved);
		writeWhole(this.#fileSystem, path, reserved);
		this.#fileSystem.syncDirectory(this.#directory);
		const current = `${this.#directory}/${currentFileName}`;
		const unnamed = `${current}.tmp`;
		if (this.#fileSystem.exists(unnamed)) this.#fileSystem.remove(unnamed);
		writeWhole(this.#fileSystem, unnamed, Buffer.from(`${manifestFileName(this.#number)}\n`, 'latin1'));
		this.#fileSystem.rename(unnamed, current);
		this.#fileSystem.syncDirectory(this.#directory);
		this.#nextIndex = 1;
		this.#size = record.length;
		const oldPath = `${this.#directory}/${manifestFileName(old)}`;
		if (this.#fileSystem.exists(oldPath)) this.#fileSystem.remove(oldPath);
	}

	/** Applies an edit to the state and encodes it. @returns the record, and the offset at which it must be written */
	append(edit: ManifestEdit): { record: Buffer; offset: number } {
		this.state.apply(edit);
		const record = encodeEdit(edit, this.#nextIndex);
		const offset = this.#size;
		this.#nextIndex++;
		this.#size += record.length;
		return { record, offset };
	}
}

/** Adds up the records; a torn last one is dropped, damage before the end is refused. */
function readManifest(bytes: Buffer, path: string): ManifestState {
	const state = new ManifestState();
	let offset = 0;
	let index = 0;
	while (isRecord(bytes, offset) && readU53(bytes, offset + recordIndexOffset) === index) {
		state.apply(decodeEdit(bytes, offset + recordHeaderSize, readU32(bytes, offset + recordPayloadSizeOffset), path));
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
	return state;
}

function isRecord(bytes: Buffer, offset: number): boolean {
	if (maybeRecordSize(bytes, offset, bytes.length) === 0) return false;
	const size = recordHeaderSize - recordCheckedOffset + readU32(bytes, offset + recordPayloadSizeOffset);
	return checksum64Matches(bytes, offset + recordCheckedOffset, size, bytes, offset + recordChecksumOffset);
}

function readWhole(fileSystem: FileSystem, path: string): Buffer {
	const file = fileSystem.open(path, 'read');
	try {
		const bytes = Buffer.alloc(file.size());
		return bytes.subarray(0, file.read(bytes, 0, bytes.length, 0));
	} finally {
		file.close();
	}
}

function writeWhole(fileSystem: FileSystem, path: string, bytes: Uint8Array): void {
	const file = fileSystem.open(path, 'create');
	try {
		file.write(bytes, 0, bytes.length, 0);
		file.sync();
	} finally {
		file.close();
	}
}
