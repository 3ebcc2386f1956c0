/**
 * How a partition moves the expiry of a sliding entry on, after a read of it: with opTouch, which nobody else sends. Its bytes
 * are built here, in memory used again and again, and logged like any other command's. Partition's thread only.
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
import { foundStoredSize, touchFound } from './apply-read.js';
import { logReady } from './command-log.js';
import type { TransactionParts } from './transaction-writes.js';

const noBytes = new Uint8Array(0);

class SlidingTouch {
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

export class SlidingTouches {
	readonly #parts: TransactionParts;
	readonly #touch = new SlidingTouch();
	/** Expiries moved on, and those that found no room. */
	count = 0;
	missedCount = 0;
	/** A touch found no room in the active memtable: with no write to come, the next drain rotates. */
	needsRotation = false;

	constructor(parts: TransactionParts) {
		this.#parts = parts;
	}

	/**
	 * Moves the expiry of the sliding entry that was just read, if that can be done here and now. The answer stays what it is: it
	 * was true when it was read, and waits for nothing. Its value may be lent by a memtable, so this is no moment to rotate.
	 */
	maybeTouch(hash: number, bytes: Uint8Array, offset: number, expiresAtMs: number): void {
		const { tree, log, maintenance, transactions } = this.#parts;
		const touch = this.#touch;
		touch.encode(bytes, offset, expiresAtMs);
		const hasRoom = tree.active.hasRoom(touch.keySize, foundStoredSize());
		if (!hasRoom) this.needsRotation = true;
		const isRefused = maintenance.refusal !== undefined || maintenance.isDiskFull || transactions.isLocked(hash);
		if (isRefused || !hasRoom || log.reserve(touch.size) !== logReady) {
			this.missedCount++;
			return;
		}
		this.count++;
		touchFound(tree, log.lastSequence + 1, expiresAtMs, hash, touch.bytes, touch.keyOffset, touch.keySize);
		log.append(touch.bytes, 0, touch.size, 1);
	}
}
