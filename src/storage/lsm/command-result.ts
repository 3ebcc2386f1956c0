/**
 * What a command came to: filled in anew for each command, so that none makes an object. Payload bytes are lent until the
 * next one.
 */

import { type ErrorCode, statusOf, statusOk } from '../../base/errors.js';
import { replyMessage, replyNone, replyValue } from '../../command/command-format.js';

const noBytes = new Uint8Array(0);

export class CommandResult {
	status = statusOk;
	kind = replyNone;
	number = 0;
	payload: Uint8Array = noBytes;
	payloadOffset = 0;
	payloadSize = 0;
	/** Newest sequence the result depends on: its reply may not leave before that is durable. */
	observedSequence = 0;
	/** True when state changed: the command took a sequence number and must be logged. */
	hasWritten = false;

	reset(): void {
		this.status = statusOk;
		this.kind = replyNone;
		this.number = 0;
		this.payload = noBytes;
		this.payloadOffset = 0;
		this.payloadSize = 0;
		this.observedSequence = 0;
		this.hasWritten = false;
	}

	setValue(bytes: Uint8Array, offset: number, size: number): void {
		this.kind = replyValue;
		this.payload = bytes;
		this.payloadOffset = offset;
		this.payloadSize = size;
	}

	/** An error with words for a person. */
	setError(code: ErrorCode, message: string): void {
		this.status = statusOf(code);
		this.kind = replyMessage;
		this.payload = Buffer.from(message, 'utf8');
		this.payloadOffset = 0;
		this.payloadSize = this.payload.length;
	}
}
