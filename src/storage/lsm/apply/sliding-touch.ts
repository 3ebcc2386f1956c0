/**
 * The command by which a partition moves the expiry of a sliding entry on, after a read of it: opTouch, which nobody else
 * sends. Its bytes are built here, in memory used again and again, and logged like any other command's. Partition's thread only.
 */
import { keySizeMax } from '../../../base/limits.js';
import {
	commandFlagsOffset,
	commandKeyOffset,
	commandSize,
	encodeCommand,
	flagArgument,
	opTouch,
	readCommandKeySize,
} from '../../../command/command-format.js';

const noBytes = new Uint8Array(0);

export class SlidingTouch {
	readonly bytes: Buffer = Buffer.allocUnsafeSlow(commandSize(flagArgument, keySizeMax, 0));
	/** Of the command in `bytes`, which begins at 0. */
	size = 0;

	/** Builds the touch of the key that a read, at `read[offset..]`, asks for. */
	encode(read: Uint8Array, offset: number, expiresAtMs: number): void {
		const keyOffset = offset + commandKeyOffset(read[offset + commandFlagsOffset]);
		const keySize = readCommandKeySize(read, offset);
		this.size = encodeCommand(
			this.bytes,
			0,
			opTouch,
			flagArgument,
			expiresAtMs,
			read,
			keyOffset,
			keySize,
			noBytes,
			0,
			0,
		);
	}

	get keyOffset(): number {
		return commandKeyOffset(flagArgument);
	}

	get keySize(): number {
		return readCommandKeySize(this.bytes, 0);
	}
}
