/** Tells the log thread to roll on to the next manifest (log-message-format.ts, kind roll). Partition's thread only. */
import { copyBytes, writeU32 } from '../../../base/bytes.js';
import type { LogQueue } from '../log-queue.js';
import {
	logEditHeaderSize,
	logEditManifestOffset,
	logEditOffsetOffset,
	logKindOffset,
	logPublishPositionOffset,
	logRoll,
} from './log-message-format.js';

/** @param record the successor's record 0 @returns false when the queue has no room now */
export function maybePutRoll(
	queue: LogQueue,
	record: Uint8Array,
	manifestNumber: number,
	publishPosition: number,
): boolean {
	const offset = queue.reserve(logEditHeaderSize + record.length);
	if (offset < 0) return false;
	const { target } = queue;
	writeU32(target, offset + logKindOffset, logRoll);
	writeU32(target, offset + logPublishPositionOffset, publishPosition);
	writeU32(target, offset + logEditManifestOffset, manifestNumber);
	writeU32(target, offset + logEditOffsetOffset, 0);
	copyBytes(record, 0, target, offset + logEditHeaderSize, record.length);
	queue.commit();
	return true;
}
