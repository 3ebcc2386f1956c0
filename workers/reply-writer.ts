/**
 * Writes a reply: a header with what the asker gave us back, and the payload. Where the reply goes is up to others: into a
 * ring, or into a buffer of its own. Runs on the partition's thread.
 */
import { readU32, writeF64, writeU32 } from '../src/base/bytes.js';
import { copyShared } from '../src/base/word-copy.js';
import {
	replyHeaderSize,
	replyKindOffset,
	replyNumberOffset,
	replyPartOffset,
	replySequenceOffset,
	replySinkOffset,
	replyStatusOffset,
	requestPartOffset,
	requestSequenceOffset,
	requestSinkOffset,
} from '../src/command/command-format.js';
import type { CommandResult } from '../src/storage/lsm/apply/command-result.js';

/** Bytes of the reply that says this. */
export function replySizeOf(result: CommandResult): number {
	return replyHeaderSize + result.payloadSize;
}

/**
 * Writes the reply to the request whose envelope stands at `request[offset..]`.
 * @param target with room for `replySizeOf(result)` bytes at `at`
 */
export function writeReply(
	target: Uint8Array,
	at: number,
	request: Uint8Array,
	offset: number,
	result: CommandResult,
): void {
	writeU32(target, at + replySinkOffset, readU32(request, offset + requestSinkOffset));
	writeU32(target, at + replySequenceOffset, readU32(request, offset + requestSequenceOffset));
	writeU32(target, at + replyPartOffset, readU32(request, offset + requestPartOffset));
	target[at + replyStatusOffset] = result.status;
	target[at + replyKindOffset] = result.kind;
	target[at + replyKindOffset + 1] = 0;
	target[at + replyKindOffset + 2] = 0;
	writeF64(target, at + replyNumberOffset, result.number);
	copyShared(result.payload, result.payloadOffset, target, at + replyHeaderSize, result.payloadSize);
}
