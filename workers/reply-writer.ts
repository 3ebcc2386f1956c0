/**
 * Writes replies into the two rings that lead to the main thread: at once visible ones into the reply ring, ones that wait
 * for a commit into the commit ring. Runs on the partition's thread.
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
import type { RingProducer } from '../src/ring/ring-producer.js';
import type { CommandResult } from '../src/storage/lsm/apply/command-result.js';

/**
 * Writes the reply to the request whose envelope stands at `request[offset..]`.
 * @param waitForRoom blocks until the ring may have room for that many bytes
 */
export function writeReply(
	ring: RingProducer,
	request: Uint8Array,
	offset: number,
	result: CommandResult,
	waitForRoom: (ring: RingProducer, size: number) => void,
): void {
	const size = replyHeaderSize + result.payloadSize;
	let at = ring.reserve(size);
	while (at < 0) {
		waitForRoom(ring, size);
		at = ring.reserve(size);
	}
	const { target } = ring;
	writeU32(target, at + replySinkOffset, readU32(request, offset + requestSinkOffset));
	writeU32(target, at + replySequenceOffset, readU32(request, offset + requestSequenceOffset));
	writeU32(target, at + replyPartOffset, readU32(request, offset + requestPartOffset));
	target[at + replyStatusOffset] = result.status;
	target[at + replyKindOffset] = result.kind;
	target[at + replyKindOffset + 1] = 0;
	target[at + replyKindOffset + 2] = 0;
	writeF64(target, at + replyNumberOffset, result.number);
	copyShared(result.payload, result.payloadOffset, target, at + replyHeaderSize, result.payloadSize);
	ring.commit();
}
