/**
 * How protocols and the embedded API give commands to partitions: a port, so that neither knows the engine.
 * Everything here runs on the main thread. No objects, closures or promises per command: a command is a call,
 * its reply is a call back on the sink that asked.
 */

/** Takes replies. One per connection (or one per embedded database); registered once, not per command. */
export interface ReplySink {
	/**
	 * One reply. `bytes[offset, offset + size)` is lent for the duration of the call only.
	 * @param status a status byte of base/errors.ts
	 * @param kind replyNone, replyValue or replyMessage
	 * @param number version, expiry or count, by opcode
	 */
	onReply(
		sequence: number,
		part: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void;
	/** Called once after a burst of replies: the moment to write what they made. */
	onRepliesEnd(): void;
	/** A `submit` was refused for want of room, and there is room again. */
	onRoom(): void;
}

export interface CommandPort {
	readonly partitionCount: number;
	/** @returns the sink's number, to be given with each command */
	register(sink: ReplySink): number;
	/** The sink gets no more calls; replies still under way are dropped. */
	unregister(sink: number): void;
	/** Which partition owns a key. */
	partitionOf(key: Uint8Array, keyOffset: number, keySize: number): number;
	/**
	 * Copies a command into the request ring of `partition`. It becomes visible to the partition at the end of the
	 * turn, with all others.
	 * @param commandSequence what flagSequence is about
	 * @param wish when the reply to a write may leave: wishDefault, wishNone or wishAlways
	 * @returns false when the ring is full: nothing was taken, and the sink's `onRoom` will be called
	 */
	submit(
		partition: number,
		sink: number,
		sequence: number,
		part: number,
		opcode: number,
		flags: number,
		argument: number,
		key: Uint8Array,
		keyOffset: number,
		keySize: number,
		value: Uint8Array,
		valueOffset: number,
		valueSize: number,
		commandSequence?: number,
		wish?: number,
	): boolean;
}
