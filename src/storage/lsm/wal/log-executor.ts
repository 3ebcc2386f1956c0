/**
 * Carries out what a partition tells its log (log-message-format.ts): writes groups, syncs them as the durability asks,
 * lets their replies go, appends manifest edits, rolls on to the next manifest. Runs in the log thread, or inside a test over a
 * simulated disk.
 *
 *   accept(message) … accept(message)   stages groups side by side
 *   commit()                            one write, one fdatasync, then the replies of all of them may leave
 *
 * Order, which recovery relies on: a segment is synced before the first byte of the next one is written; groups before an edit
 * are written (and synced, if durability is 'always') before the edit is; an edit is synced before anything after it.
 * A failed write or sync is final: the error leaves `accept` or `commit`, and no further call may be made.
 */
import { assert } from '../../../base/assert.js';
import { bufferOver, copyBytes, readU32, readU53, writeU53 } from '../../../base/bytes.js';
import { systemCodeOf } from '../../../base/errors.js';
import { logStagingSize } from '../../../base/limits.js';
import { writeChecksum64 } from '../../../codec/checksum.js';
import type { Durability } from '../../../command/worker-boot.js';
import type { FileHandle, FileSystem } from '../../../env/ports.js';
import { currentFileName, manifestFileName, nextCurrentFileName } from '../manifest/manifest-format.js';
import {
	logChannelOffset,
	logChannelPositionOffset,
	logEdit,
	logEditHeaderSize,
	logEditManifestOffset,
	logEditOffsetOffset,
	logForget,
	logGroup,
	logHeaderSize,
	logKindOffset,
	logMarker,
	logPublish,
	logPublishPositionOffset,
	logRoll,
	logStop,
	logSync,
} from './log-message-format.js';
import {
	encodeGroupHeader,
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
	segmentFileName,
} from './wal-format.js';

/** How the executor tells the world what is done. Called in order, from within `accept` and `commit`. */
export interface LogListener {
	/** Replies up to this position of a channel's commit ring may leave; channel 0 is the opener's. */
	publish(position: number, channel: number): void;
	/** The channel is not named again. */
	forget(channel: number): void;
	/** Sequences up to this one are as durable as asked for. */
	reached(sequence: number): void;
	/** One more edit is durable. */
	edited(): void;
}

export class LogExecutor {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #durability: Durability;
	readonly #listener: LogListener;
	readonly #staging = Buffer.alloc(logStagingSize);
	#stagedSize = 0;
	#stagedOffset = 0;
	#segment: FileHandle | undefined;
	#segmentId = 0;
	#segmentEnd = 0;
	#manifest: FileHandle | undefined;
	#manifestNumber = 0;
	/** Newest sequence staged, and newest synced; 0 until this run has one. */
	#stagedSequence = 0;
	#syncedSequence = 0;
	#isDirty = false;
	/** The opener's, or -1 when there is nothing to publish. */
	#publishPosition = -1;
	/** Positions of other channels that may be published after the next commit. */
	readonly #channelPositions = new Map<number, number>();
	/** Replies wait for more than the durability asks for. */
	#mustSync = false;
	/** True once a stop message was carried out. */
	isStopped = false;

	constructor(fileSystem: FileSystem, directory: string, durability: Durability, listener: LogListener) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
		this.#durability = durability;
		this.#listener = listener;
	}

	/** True when something was written and not synced: an interval's sync has work. */
	get isDirty(): boolean {
		return this.#isDirty;
	}

	/** Takes one message; its bytes may be changed, and are not needed afterwards. */
	accept(bytes: Uint8Array, offset: number, size: number): void {
		assert(size >= logHeaderSize && !this.isStopped, 'a whole message, before the stop');
		const kind = readU32(bytes, offset + logKindOffset);
		this.#publishPosition = readU32(bytes, offset + logPublishPositionOffset);
		if (kind === logGroup) {
			this.#acceptGroup(bytes, offset + logHeaderSize, size - logHeaderSize);
		} else if (kind === logEdit) {
			this.commit();
			this.#appendEdit(bytes, offset, size);
		} else if (kind === logRoll) {
			this.commit();
			this.#rollManifest(bytes, offset, size);
		} else if (kind === logPublish) {
			const channel = readU32(bytes, offset + logChannelOffset);
			this.#channelPositions.set(channel, readU32(bytes, offset + logChannelPositionOffset));
		} else if (kind === logSync) {
			this.#mustSync = true;
		} else if (kind === logForget) {
			const channel = readU32(bytes, offset + logChannelOffset);
			this.#channelPositions.delete(channel);
			this.#listener.forget(channel);
		} else if (kind === logStop) {
			this.#stop();
		} else {
			assert(kind === logMarker, `log message kind ${kind}`);
		}
	}

	/** Writes what is staged, syncs if it must be, and lets the replies go. */
	commit(): void {
		if (this.isStopped) return;
		this.#writeStaged();
		if (this.#mustSync || this.#durability === 'always') this.sync();
		this.#mustSync = false;
		if (this.#stagedSequence > 0) this.#listener.reached(this.#stagedSequence);
		if (this.#publishPosition >= 0) this.#listener.publish(this.#publishPosition, 0);
		this.#publishPosition = -1;
		if (this.#channelPositions.size > 0) this.#publishChannels();
	}

	#publishChannels(): void {
		for (const [channel, position] of this.#channelPositions) this.#listener.publish(position, channel);
		this.#channelPositions.clear();
	}

	/** Makes everything accepted so far durable. Durability 'interval' calls it by the clock. */
	sync(): void {
		this.#writeStaged();
		if (!this.#isDirty || this.#segment === undefined) return;
		this.#segment.sync();
		this.#isDirty = false;
		this.#syncedSequence = this.#stagedSequence;
	}

	#acceptGroup(bytes: Uint8Array, offset: number, size: number): void {
		const payloadSize = readU32(bytes, offset + groupPayloadSizeOffset);
		assert(readU32(bytes, offset + groupMagicOffset) === groupMagic, 'a group has its magic');
		assert(size === groupSize(payloadSize), `group of ${payloadSize} bytes in ${size}`);
		const id = readU53(bytes, offset + groupSegmentOffset);
		const position = readU32(bytes, offset + groupOffsetOffset);
		if (id !== this.#segmentId) this.#openSegment(id, position);
		assert(position === this.#segmentEnd, `group at ${position}, segment ends at ${this.#segmentEnd}`);
		writeU53(bytes, offset + groupDurableSequenceOffset, this.#syncedSequence);
		const checkedSize = groupHeaderSize - groupCheckedOffset + payloadSize;
		writeChecksum64(bytes, offset + groupCheckedOffset, checkedSize, bytes, offset + groupChecksumOffset);
		if (this.#stagedSize + size > logStagingSize) this.#writeStaged();
		if (size > logStagingSize) {
			this.#write(bytes, offset, size, position);
		} else {
			if (this.#stagedSize === 0) this.#stagedOffset = position;
			copyBytes(bytes, offset, this.#staging, this.#stagedSize, size);
			this.#stagedSize += size;
		}
		this.#segmentEnd = position + size;
		this.#stagedSequence =
			readU53(bytes, offset + groupFirstSequenceOffset) + readU32(bytes, offset + groupCountOffset) - 1;
	}

	#writeStaged(): void {
		if (this.#stagedSize === 0) return;
		this.#write(this.#staging, 0, this.#stagedSize, this.#stagedOffset);
		this.#stagedSize = 0;
	}

	#write(bytes: Uint8Array, offset: number, size: number, position: number): void {
		assert(this.#segment !== undefined, 'a segment is open');
		this.#segment.write(bytes, offset, size, position);
		this.#isDirty = true;
	}

	/** The old segment is durable before the new one has a first record: no hole can open between them. */
	#openSegment(id: number, firstOffset: number): void {
		assert(id > this.#segmentId, `segment ${id} after ${this.#segmentId}`);
		this.#writeStaged();
		this.sync();
		this.#segment?.close();
		this.#segment = this.#fileSystem.open(`${this.#directory}/${segmentFileName(id)}`, 'write');
		this.#segmentId = id;
		this.#segmentEnd = firstOffset;
	}

	#appendEdit(bytes: Uint8Array, offset: number, size: number): void {
		this.#writeRecord(bytes, offset, size);
		this.#listener.edited();
	}

	#writeRecord(bytes: Uint8Array, offset: number, size: number): void {
		const number = readU32(bytes, offset + logEditManifestOffset);
		if (this.#manifest === undefined || number !== this.#manifestNumber) {
			this.#manifest?.close();
			this.#manifest = this.#fileSystem.open(`${this.#directory}/${manifestFileName(number)}`, 'write');
			this.#manifestNumber = number;
		}
		const at = readU32(bytes, offset + logEditOffsetOffset);
		const record = bufferOver(bytes, offset + logEditHeaderSize, size - logEditHeaderSize);
		this.#manifest.write(record, 0, record.length, at);
		this.#manifest.sync();
	}

	/**
	 * The successor's first record is durable before CURRENT names it, and the name is durable before anything goes on: whichever
	 * manifest a crash leaves named, it holds every edit that was acted on.
	 */
	#rollManifest(bytes: Uint8Array, offset: number, size: number): void {
		this.#writeRecord(bytes, offset, size);
		this.#fileSystem.rename(`${this.#directory}/${nextCurrentFileName}`, `${this.#directory}/${currentFileName}`);
		this.#fileSystem.syncDirectory(this.#directory);
		this.#listener.edited();
	}

	/** Seals the segment, so that damage to its last groups can be told from a torn tail, and closes. */
	#stop(): void {
		this.commit();
		this.sync();
		if (this.#segment !== undefined) this.#seal(this.#segment);
		this.#segment?.close();
		this.#manifest?.close();
		this.isStopped = true;
	}

	/** A segment that is full grows by its seal; on a full disk it goes without, for everything it holds is durable. */
	#seal(segment: FileHandle): void {
		const seal = Buffer.alloc(groupHeaderSize);
		encodeGroupHeader(seal, 0, 0, this.#segmentId, this.#segmentEnd, 0, this.#syncedSequence + 1, 0);
		writeU53(seal, groupDurableSequenceOffset, this.#syncedSequence);
		const checkedSize = groupHeaderSize - groupCheckedOffset;
		writeChecksum64(seal, groupCheckedOffset, checkedSize, seal, groupChecksumOffset);
		try {
			segment.write(seal, 0, seal.length, this.#segmentEnd);
			segment.sync();
		} catch (error) {
			if (systemCodeOf(error) !== 'ENOSPC') throw error;
		}
	}
}
