/**
 * Reads one WAL segment back: its groups in order, up to the first that is not whole.
 *
 * A bad group is a torn tail when nothing says that it had been durable: then reading ends there. It is damage when a later
 * group of the same segment says that sequences up to or past it were synced: then the caller is told the offset, and decides.
 * Checksums are verified before any field but size and magic is believed.
 */
import { align8, readU32, readU53 } from '../../../base/bytes.js';
import { MillraceError } from '../../../base/errors.js';
import { checksum64Matches } from '../../../codec/checksum.js';
import type { FileSystem } from '../../../env/ports.js';
import {
	groupCheckedOffset,
	groupChecksumOffset,
	groupCountOffset,
	groupDurableSequenceOffset,
	groupFirstSequenceOffset,
	groupHeaderSize,
	groupMagic,
	groupMagicOffset,
	groupOffsetOffset,
	groupPayloadSizeOffset,
	groupSegmentOffset,
	groupSize,
	groupTimestampOffset,
	segmentChecksumOffset,
	segmentFileName,
	segmentHeaderSize,
	segmentIdOffset,
	segmentMagic,
	segmentMagicOffset,
	segmentVersionOffset,
	walFormatVersion,
} from './wal-format.js';

/** One whole group; `payload` bytes are lent for the duration of the visit. */
export interface WalGroup {
	offset: number;
	firstSequence: number;
	count: number;
	timestampMs: number;
	durableSequence: number;
	bytes: Uint8Array;
	payloadOffset: number;
	payloadSize: number;
}

export interface SegmentEnd {
	/** True when no whole group of this segment stands anywhere in it: it was prepared and never used. */
	readonly isBlank: boolean;
	/** Its header is of an older format. */
	readonly isOlder: boolean;
	/** Bytes of the file. */
	readonly size: number;
	/** Where reading ended. */
	readonly offset: number;
	/** The newest sequence any group of the segment, also past the end, says had been durable. */
	readonly provenSequence: number;
}

export class SegmentReader {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	#buffer = Buffer.alloc(0);
	/** The segment that is in the buffer, and its size. */
	#id = 0;
	#size = 0;

	constructor(fileSystem: FileSystem, directory: string) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
	}

	/**
	 * Visits the groups of a segment in order.
	 * @throws MILLRACE_CORRUPT when the file is missing or its header does not hold; MILLRACE_FORMAT_NEWER
	 */
	read(id: number, visit: (group: WalGroup) => void): SegmentEnd {
		this.load(id);
		return this.visit(visit);
	}

	/** The first half of `read`: takes the file in, and checks its header. @throws as `read` */
	load(id: number): void {
		this.#size = this.#load(id);
		this.#id = id;
		this.#checkHeader(id, this.#size);
	}

	/** The second half of `read`: visits the groups of the segment that was loaded last. */
	visit(visit: (group: WalGroup) => void): SegmentEnd {
		const [id, size] = [this.#id, this.#size];
		let offset = segmentHeaderSize;
		let provenSequence = 0;
		let isBlank = true;
		while (this.#isGroup(id, offset, size)) {
			const group = this.#groupAt(offset);
			provenSequence = Math.max(provenSequence, group.durableSequence);
			isBlank = false;
			visit(group);
			offset += groupSize(group.payloadSize);
		}
		for (let at = offset + 8; at + groupHeaderSize <= size; at += 8) {
			if (readU32(this.#buffer, at + groupMagicOffset) === groupMagic && this.#isGroup(id, at, size)) {
				provenSequence = Math.max(provenSequence, readU53(this.#buffer, at + groupDurableSequenceOffset));
				isBlank = false;
			}
		}
		const isOlder = readU32(this.#buffer, segmentVersionOffset) < walFormatVersion;
		return { isBlank, isOlder, size, offset, provenSequence };
	}

	/** True when this file, which nothing vouches for, is segment `id` and a whole group of it stands anywhere in it. */
	holdsGroups(id: number): boolean {
		const size = this.#load(id);
		if (!this.#isHeader(id, size)) return false;
		for (let at = segmentHeaderSize; at + groupHeaderSize <= size; at += 8) {
			if (this.#isGroup(id, at, size)) return true;
		}
		return false;
	}

	/** The newest sequence that whole groups of a segment hold or say was durable, whatever its header; 0: there is none. */
	newestSequence(id: number): number {
		if (!this.#fileSystem.exists(`${this.#directory}/${segmentFileName(id)}`)) return 0;
		const size = this.#load(id);
		let newest = 0;
		for (let at = segmentHeaderSize; at + groupHeaderSize <= size; at += 8) {
			if (!this.#isGroup(id, at, size)) continue;
			const { firstSequence, count, durableSequence } = this.#groupAt(at);
			newest = Math.max(newest, firstSequence + count - 1, durableSequence);
		}
		return newest;
	}

	#load(id: number): number {
		const path = `${this.#directory}/${segmentFileName(id)}`;
		if (!this.#fileSystem.exists(path)) {
			throw new MillraceError(
				'MILLRACE_CORRUPT',
				`${path} is missing, though the manifest names it: put the file back, or restore a backup`,
			);
		}
		const file = this.#fileSystem.open(path, 'read');
		try {
			const size = file.size();
			if (this.#buffer.length < size) this.#buffer = Buffer.allocUnsafe(align8(size));
			return file.read(this.#buffer, 0, size, 0);
		} finally {
			file.close();
		}
	}

	#isHeader(id: number, size: number): boolean {
		const header = this.#buffer;
		return (
			size >= segmentHeaderSize &&
			readU32(header, segmentMagicOffset) === segmentMagic &&
			checksum64Matches(header, 0, segmentChecksumOffset, header, segmentChecksumOffset) &&
			readU53(header, segmentIdOffset) === id
		);
	}

	#checkHeader(id: number, size: number): void {
		const path = `${this.#directory}/${segmentFileName(id)}`;
		if (!this.#isHeader(id, size)) {
			throw new MillraceError('MILLRACE_CORRUPT', `${path} does not begin with the header of segment ${id}`);
		}
		const version = readU32(this.#buffer, segmentVersionOffset);
		if (version > walFormatVersion) {
			throw new MillraceError(
				'MILLRACE_FORMAT_NEWER',
				`${path} has log format ${version}; this version reads ${walFormatVersion}: open it with a newer version of Millrace`,
			);
		}
	}

	/** True when a whole group of this segment stands at `offset`. */
	#isGroup(id: number, offset: number, size: number): boolean {
		const bytes = this.#buffer;
		if (offset + groupHeaderSize > size || readU32(bytes, offset + groupMagicOffset) !== groupMagic) return false;
		if (readU53(bytes, offset + groupSegmentOffset) !== id) return false;
		if (readU32(bytes, offset + groupOffsetOffset) !== offset) return false;
		const payloadSize = readU32(bytes, offset + groupPayloadSizeOffset);
		if (offset + groupHeaderSize + payloadSize > size) return false;
		const checkedSize = groupHeaderSize - groupCheckedOffset + payloadSize;
		return checksum64Matches(bytes, offset + groupCheckedOffset, checkedSize, bytes, offset + groupChecksumOffset);
	}

	#groupAt(offset: number): WalGroup {
		const bytes = this.#buffer;
		return {
			offset,
			firstSequence: readU53(bytes, offset + groupFirstSequenceOffset),
			count: readU32(bytes, offset + groupCountOffset),
			timestampMs: readU53(bytes, offset + groupTimestampOffset),
			durableSequence: readU53(bytes, offset + groupDurableSequenceOffset),
			bytes,
			payloadOffset: offset + groupHeaderSize,
			payloadSize: readU32(bytes, offset + groupPayloadSizeOffset),
		};
	}
}
