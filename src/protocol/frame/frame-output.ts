/**
 * Writes a session's frames into its connection's output: reserve the most they can take, encode, advance by what
 * they took. Main thread only. The bytes given are copied during the call.
 */
import { statusOk } from '../../base/errors.js';
import { packMessage } from '../../codec/message-pack.js';
import { opStats, replyMessage, replyNone } from '../../command/command-format.js';
import type { Connection } from '../../net/connection.js';
import { bytesHeaderSizeMax, frameOverheadMax, operationGetMany, prefaceSize } from './frame-format.js';
import type { FrameGather } from './frame-gather.js';
import {
	encodeArrayHeader,
	encodeBytes,
	encodeNil,
	encodePreface,
	encodeReplyEnd,
	encodeReplyStart,
	encodeText,
} from './frame-writer.js';

/** The part of a connection a session uses; tests have a fake one. */
export type FrameConnection = Pick<
	Connection,
	'output' | 'reserve' | 'advance' | 'flush' | 'pause' | 'resume' | 'isCongested' | 'end'
>;

const noBytes = new Uint8Array(0);

export class FrameOutput {
	readonly #connection: FrameConnection;

	constructor(connection: FrameConnection) {
		this.#connection = connection;
	}

	writePreface(): void {
		const start = this.#connection.reserve(prefaceSize);
		this.#connection.advance(encodePreface(this.#connection.output, start) - start);
	}

	/** @param kind replyNone: nil, replyValue: bytes, replyMessage: text */
	writeReply(
		id: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		const connection = this.#connection;
		const start = connection.reserve(frameOverheadMax + size);
		const output = connection.output;
		let at = encodeReplyStart(output, start, id, status);
		if (kind === replyNone) at = encodeNil(output, at);
		else if (kind === replyMessage) at = encodeText(output, at, bytes, offset, size);
		else at = encodeBytes(output, at, bytes, offset, size);
		connection.advance(encodeReplyEnd(output, start, at, number) - start);
	}

	writeError(id: number, status: number, message: string): void {
		const text = Buffer.from(message);
		this.writeReply(id, status, replyMessage, 0, text, 0, text.length);
	}

	/** A reply whose payload is msgpack already. */
	writePacked(id: number, packed: Uint8Array): void {
		const connection = this.#connection;
		const start = connection.reserve(frameOverheadMax + packed.length);
		const output = connection.output;
		const at = encodeReplyStart(output, start, id, statusOk);
		output.set(packed, at);
		connection.advance(encodeReplyEnd(output, start, at + packed.length, 0) - start);
	}

	/** The one reply to a request that had many parts. */
	writeGathered(id: number, gather: FrameGather): void {
		if (gather.status !== statusOk) {
			this.writeReply(id, gather.status, replyMessage, 0, gather.message, 0, gather.message.length);
		} else if (gather.operation === operationGetMany) {
			this.#writeValues(id, gather);
		} else if (gather.operation === opStats) {
			this.writePacked(id, packMessage(parseStats(gather)));
		} else {
			this.writeReply(id, statusOk, replyNone, gather.number, noBytes, 0, 0);
		}
	}

	#writeValues(id: number, gather: FrameGather): void {
		const connection = this.#connection;
		const sizeMax = frameOverheadMax + gather.partCount * bytesHeaderSizeMax + gather.collectedSize;
		const start = connection.reserve(sizeMax);
		const output = connection.output;
		let at = encodeReplyStart(output, start, id, statusOk);
		at = encodeArrayHeader(output, at, gather.partCount);
		for (let part = 0; part < gather.partCount; part++) {
			const offset = gather.offsetOf(part);
			if (offset < 0) at = encodeNil(output, at);
			else at = encodeBytes(output, at, gather.bytes, offset, gather.sizeOf(part));
		}
		connection.advance(encodeReplyEnd(output, start, at, 0) - start);
	}
}

/** The partitions' statistics, in partition order; the partitions give them as JSON. */
function parseStats(gather: FrameGather): unknown[] {
	const stats: unknown[] = [];
	for (let part = 0; part < gather.partCount; part++) {
		const offset = gather.offsetOf(part);
		if (offset < 0) {
			stats.push(null);
			continue;
		}
		const bytes = gather.bytes.subarray(offset, offset + gather.sizeOf(part));
		stats.push(JSON.parse(Buffer.from(bytes).toString()));
	}
	return stats;
}
