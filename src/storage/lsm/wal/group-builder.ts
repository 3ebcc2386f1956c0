/**
 * Gathers the commands of one drain into a WAL group, straight in the log ring's memory: each command's bytes are copied
 * once, from the request ring, and the log thread writes them from there.
 *
 *   reserve ─ append … append ─ finish (header, commit)     or     marker, when replies wait but nothing was written
 */
import { assert } from '../../../base/assert.js';
import { copyBytes, writeU32 } from '../../../base/bytes.js';
import { groupSizeMax } from '../../../base/limits.js';
import { copyShared } from '../../../base/word-copy.js';
import type { LogQueue } from '../log-queue.js';
import {
	logChannelOffset,
	logChannelPositionOffset,
	logChannelSize,
	logEdit,
	logEditHeaderSize,
	logEditManifestOffset,
	logEditOffsetOffset,
	type logForget,
	logGroup,
	logHeaderSize,
	logKindOffset,
	logMarker,
	type logPublish,
	logPublishPositionOffset,
	type logStop,
	type logSync,
} from './log-message-format.js';
import { encodeGroupHeader, groupHeaderSize, groupSize } from './wal-format.js';

export class GroupBuilder {
	readonly #queue: LogQueue;
	#offset = -1;
	#capacity = 0;
	#payloadSize = 0;
	/** Sequence numbers of the commands gathered. */
	#count = 0;
	#firstSequence = 0;

	constructor(queue: LogQueue) {
		this.#queue = queue;
	}

	get isOpen(): boolean {
		return this.#offset >= 0;
	}

	/** Bytes the open group would take in a segment; 0 when none is open. */
	get size(): number {
		return this.isOpen ? groupSize(this.#payloadSize) : 0;
	}

	/** True when an open group can take a command of this size. */
	fits(commandSize: number): boolean {
		return this.isOpen && groupSize(this.#payloadSize + commandSize) <= this.#capacity;
	}

	/** Opens a group for at least one command of this size. @returns false when the queue has no room now */
	maybeOpen(commandSize: number, firstSequence: number): boolean {
		assert(!this.isOpen, 'one group at a time');
		const capacity = Math.max(groupSizeMax - logHeaderSize, groupSize(commandSize));
		this.#offset = this.#queue.reserve(logHeaderSize + capacity);
		if (this.#offset < 0) return false;
		this.#capacity = capacity;
		this.#payloadSize = 0;
		this.#count = 0;
		this.#firstSequence = firstSequence;
		return true;
	}

	/** @param sequence the command's first @param sequenceCount how many it takes: more than one for a batch */
	append(bytes: Uint8Array, offset: number, size: number, sequence: number, sequenceCount: number): void {
		assert(this.fits(size) && sequence === this.#firstSequence + this.#count, 'room was checked, sequences follow');
		const at = this.#offset + logHeaderSize + groupHeaderSize + this.#payloadSize;
		copyShared(bytes, offset, this.#queue.target, at, size);
		this.#payloadSize += size;
		this.#count += sequenceCount;
	}

	/** Ends the open group at its place in the log. A group that gathered nothing becomes a marker. */
	finish(segmentId: number, segmentOffset: number, timestampMs: number, publishPosition: number): void {
		const { target } = this.#queue;
		assert(this.isOpen && this.#count > 0, 'a group with commands is open');
		const size = groupSize(this.#payloadSize);
		const at = this.#offset + logHeaderSize;
		target.fill(0, at + groupHeaderSize + this.#payloadSize, at + size);
		encodeGroupHeader(
			target,
			at,
			this.#payloadSize,
			segmentId,
			segmentOffset,
			this.#count,
			this.#firstSequence,
			timestampMs,
		);
		this.#finishMessage(logGroup, publishPosition, logHeaderSize + size);
	}

	get isEmpty(): boolean {
		return this.#count === 0;
	}

	/** Ends the open group, which gathered nothing, as a marker: replies may leave once everything before is durable. */
	finishEmpty(publishPosition: number): void {
		assert(this.isOpen && this.#count === 0, 'an empty group is open');
		this.#finishMessage(logMarker, publishPosition, logHeaderSize);
	}

	#finishMessage(kind: number, publishPosition: number, size: number): void {
		writeU32(this.#queue.target, this.#offset + logKindOffset, kind);
		writeU32(this.#queue.target, this.#offset + logPublishPositionOffset, publishPosition);
		this.#queue.commit(size);
		this.#offset = -1;
	}
}

/** Puts a marker, sync or stop into the queue. @returns false when there is no room now */
export function maybePutSignal(
	queue: LogQueue,
	kind: typeof logMarker | typeof logStop | typeof logSync,
	publishPosition: number,
): boolean {
	const offset = queue.reserve(logHeaderSize);
	if (offset < 0) return false;
	writeU32(queue.target, offset + logKindOffset, kind);
	writeU32(queue.target, offset + logPublishPositionOffset, publishPosition);
	queue.commit();
	return true;
}

/** Puts a manifest record into the queue. @returns false when there is no room now */
export function maybePutEdit(
	queue: LogQueue,
	record: Uint8Array,
	manifestNumber: number,
	manifestOffset: number,
	publishPosition: number,
): boolean {
	const offset = queue.reserve(logEditHeaderSize + record.length);
	if (offset < 0) return false;
	const { target } = queue;
	writeU32(target, offset + logKindOffset, logEdit);
	writeU32(target, offset + logPublishPositionOffset, publishPosition);
	writeU32(target, offset + logEditManifestOffset, manifestNumber);
	writeU32(target, offset + logEditOffsetOffset, manifestOffset);
	copyBytes(record, 0, target, offset + logEditHeaderSize, record.length);
	queue.commit();
	return true;
}

/**
 * Puts a message about a channel into the queue. @param channelPosition in its commit ring (logForget: 0)
 * @returns false when there is no room now
 */
export function maybePutChannel(
	queue: LogQueue,
	kind: typeof logPublish | typeof logForget,
	publishPosition: number,
	channel: number,
	channelPosition: number,
): boolean {
	const offset = queue.reserve(logChannelSize);
	if (offset < 0) return false;
	const { target } = queue;
	writeU32(target, offset + logKindOffset, kind);
	writeU32(target, offset + logPublishPositionOffset, publishPosition);
	writeU32(target, offset + logChannelOffset, channel);
	writeU32(target, offset + logChannelPositionOffset, channelPosition);
	queue.commit();
	return true;
}
