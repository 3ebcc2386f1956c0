/**
 * The files of the manifest: reading it back at open, writing a fresh one, and rolling on to a successor while running.
 *
 *   MANIFEST-7   state │ edit │ edit │ … │ zeros          CURRENT ─> MANIFEST-7
 *   MANIFEST-8   zeros, made by a job beforehand          CURRENT.tmp ─> MANIFEST-8
 *   roll: the log thread writes the whole state into MANIFEST-8, syncs, renames CURRENT.tmp to CURRENT, syncs the directory
 *
 * While running, everything is written by the log thread (log-executor.ts), in order with the groups around it; this class only
 * encodes, and counts offsets. Edits and the roll stay within room that was taken beforehand, so that a full disk stops neither.
 * Numbers of files come from here as well: they are promised on disk before they are used.
 *
 * Used by the thread that owns the partition.
 */
import { assert } from '../../../base/assert.js';
import { MillraceError } from '../../../base/errors.js';
import { manifestEditCountMax } from '../../../base/limits.js';
import type { FileSystem } from '../../../env/ports.js';
import { encodeEdit, type ManifestEdit, ManifestState } from './manifest-edit.js';
import {
	currentFileName,
	manifestFileName,
	manifestReservedSize,
	manifestRoomMin,
	nextCurrentFileName,
} from './manifest-format.js';
import { type ManifestContents, readCurrent, readManifest } from './manifest-reader.js';
import { writeWholeFile } from './whole-file.js';

/** File ids promised ahead of their use, and how few of them may be left before an edit promises more. */
const idsPromised = 16_384;
const idsLeftMin = 8_192;

export interface ManifestStoreOptions {
	/** Edits before it rolls on. */
	readonly editCountMax?: number;
}

export class ManifestStore {
	readonly state: ManifestState;
	/** True when a table with an id from nextFileId on, found at open, proves that records are lost. */
	readonly promisesIds: boolean;
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #editCountMax: number;
	#number: number;
	#nextIndex = 0;
	#size = 0;
	#reservedSize = 0;
	/** First id never taken; the state's nextFileId is what was promised. */
	#nextFileId: number;
	/** Bytes of the successor that stands ready; 0: none does. */
	#successorSize = 0;

	private constructor(
		fileSystem: FileSystem,
		directory: string,
		number: number,
		contents: ManifestContents,
		options: ManifestStoreOptions,
	) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
		this.#number = number;
		this.#editCountMax = options.editCountMax ?? manifestEditCountMax;
		this.state = contents.state;
		this.promisesIds = contents.promisesIds;
		this.#nextFileId = contents.state.nextFileId;
	}

	/**
	 * Reads the live manifest, or starts an empty one in a directory that has none.
	 * @throws MILLRACE_CORRUPT, MILLRACE_FORMAT_NEWER
	 */
	static open(fileSystem: FileSystem, directory: string, options: ManifestStoreOptions = {}): ManifestStore {
		if (!fileSystem.exists(`${directory}/${currentFileName}`)) {
			const stray = fileSystem.list(directory).find((name) => name.endsWith('.sst'));
			if (stray !== undefined) {
				const current = `${directory}/${currentFileName}`;
				throw new MillraceError(
					'MILLRACE_CORRUPT',
					`${current} is missing, though ${directory} has tables (${stray}): put it back, or restore a backup`,
				);
			}
			const contents = { state: new ManifestState(), promisesIds: false, recordCount: 0, size: 0 };
			return new ManifestStore(fileSystem, directory, 0, contents, options);
		}
		const number = readCurrent(fileSystem, directory);
		return new ManifestStore(fileSystem, directory, number, readManifest(fileSystem, directory, number), options);
	}

	get number(): number {
		return this.#number;
	}

	/** Edits since the whole state was written. */
	get editCount(): number {
		return this.#nextIndex - 1;
	}

	/** Bytes on the disk, zeros included, of the live manifest and of the successor that stands ready. */
	get sizeOnDisk(): number {
		return Math.max(this.#reservedSize, this.#size) + this.#successorSize;
	}

	/** True once a fresh manifest of this run is live: ids may be taken, edits appended. */
	get isFresh(): boolean {
		return this.#nextIndex > 0;
	}

	/** @returns the first of `count` file ids that were never used */
	takeFileIds(count: number): number {
		const first = this.#nextFileId;
		this.#nextFileId += count;
		assert(!this.isFresh || this.#nextFileId <= this.state.nextFileId, 'ids are promised before they are used');
		return first;
	}

	/** True when an edit, even an empty one, should be put soon: it promises more ids. */
	get isShortOfIds(): boolean {
		return this.state.nextFileId - this.#nextFileId < idsLeftMin;
	}

	/**
	 * Writes the whole state as a new manifest, with room for edits to come, and switches to it; removes the old one.
	 * @throws the system's error; after ENOSPC nothing is left of it, and it may be tried again
	 */
	writeFresh(): void {
		const old = this.#number;
		const number = old + 1;
		this.state.nextFileId = this.#nextFileId + idsPromised;
		const path = `${this.#directory}/${manifestFileName(number)}`;
		const record = encodeEdit(this.state.toEdit(), 0);
		const reserved = Buffer.alloc(manifestReservedSize(record.length, this.state.fileCount));
		record.copy(reserved);
		writeWholeFile(this.#fileSystem, path, reserved);
		this.#fileSystem.syncDirectory(this.#directory);
		const unnamed = `${this.#directory}/${nextCurrentFileName}`;
		try {
			writeWholeFile(this.#fileSystem, unnamed, Buffer.from(`${manifestFileName(number)}\n`, 'latin1'));
		} catch (error) {
			this.#fileSystem.remove(path);
			throw error;
		}
		this.#number = number;
		this.#fileSystem.rename(unnamed, `${this.#directory}/${currentFileName}`);
		this.#fileSystem.syncDirectory(this.#directory);
		this.#begin(record.length, reserved.length);
		const oldPath = `${this.#directory}/${manifestFileName(old)}`;
		if (this.#fileSystem.exists(oldPath)) this.#fileSystem.remove(oldPath);
	}

	/** Applies an edit to the state and encodes it. @returns the record, and the offset at which it must be written */
	append(edit: ManifestEdit): { record: Buffer; offset: number } {
		assert(this.isFresh, 'edits follow the whole state');
		const nextFileId = this.isShortOfIds ? this.#nextFileId + idsPromised : this.state.nextFileId;
		const promising = { ...edit, nextFileId };
		this.state.apply(promising);
		const record = encodeEdit(promising, this.#nextIndex);
		const offset = this.#size;
		this.#nextIndex++;
		this.#size += record.length;
		return { record, offset };
	}

	// --- rolling on -------------------------------------------------------------------------------

	/** True when the room is nearly used up. */
	get isShortOfRoom(): boolean {
		return this.#reservedSize - this.#size < manifestRoomMin(this.state.fileCount);
	}

	/** True when the room is nearly used up and nothing stands ready: nothing that ends in an edit may begin. */
	get isStuck(): boolean {
		return this.isShortOfRoom && !this.#isSuccessorFit;
	}

	/** What a job must prepare now (prepare-manifest.ts); undefined while a successor of the right size stands ready. */
	orderSuccessor(): { number: number; size: number } | undefined {
		if (this.#isSuccessorFit) return undefined;
		this.#successorSize = 0;
		const { encodedSize, fileCount } = this.state;
		return { number: this.#number + 1, size: manifestReservedSize(encodedSize, fileCount) };
	}

	/** The job prepared it. */
	onSuccessorReady(size: number): void {
		this.#successorSize = size;
	}

	/** True when the next edit should go to a successor. */
	get mustRoll(): boolean {
		return this.#isSuccessorFit && (this.editCount >= this.#editCountMax || this.isShortOfRoom);
	}

	/** Rolls on. @returns the record to write at offset 0 of the manifest that is now `number` */
	roll(): Buffer {
		assert(this.#isSuccessorFit, 'a successor stands ready');
		const size = this.#successorSize;
		this.#number++;
		const record = encodeEdit(this.state.toEdit(), 0);
		this.#begin(record.length, size);
		return record;
	}

	/** False also when the partition outgrew the successor's room. */
	get #isSuccessorFit(): boolean {
		if (this.#successorSize === 0) return false;
		const { fileCount } = this.state;
		return this.#successorSize >= this.state.encodedSize + 2 * manifestRoomMin(fileCount);
	}

	#begin(recordLength: number, reservedSize: number): void {
		this.#nextIndex = 1;
		this.#size = recordLength;
		this.#reservedSize = reservedSize;
		this.#successorSize = 0;
	}
}
