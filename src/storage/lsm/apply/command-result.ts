/**
 * What a command came to: filled in anew for each command, so that none makes an object. Payload bytes are lent until the
 * next one.
 */

import { type ErrorCode, statusNotFound, statusOf, statusOk } from '../../../base/errors.js';
import { replyMessage, replyNone, replyValue } from '../../../command/command-format.js';

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
	/** True when a condition of a write was not met, which is more than that there was nothing to do. */
	isUnmet = false;
	/** What the expiry of a sliding entry should become for having been read; 0: as it is. */
	wantedExpiryMs = 0;

	reset(): void {
		this.status = statusOk;
		this.kind = replyNone;
		this.number = 0;
		this.payload = noBytes;
		this.payloadOffset = 0;
		this.payloadSize = 0;
		this.observedSequence = 0;
		this.hasWritten = false;
		this.isUnmet = false;
		this.wantedExpiryMs = 0;
	}

	/** Takes over everything; the payload is lent on. */
	copyFrom(other: CommandResult): void {
		this.status = other.status;
		this.kind = other.kind;
		this.number = other.number;
		this.payload = other.payload;
		this.payloadOffset = other.payloadOffset;
		this.payloadSize = other.payloadSize;
		this.observedSequence = other.observedSequence;
		this.hasWritten = other.hasWritten;
		this.isUnmet = other.isUnmet;
		this.wantedExpiryMs = other.wantedExpiryMs;
	}

	setValue(bytes: Uint8Array, offset: number, size: number): void {
		this.kind = replyValue;
		this.payload = bytes;
		this.payloadOffset = offset;
		this.payloadSize = size;
	}

	/** A condition of the write was not met: nothing changes. */
	setUnmet(): void {
		this.status = statusNotFound;
		this.isUnmet = true;
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
