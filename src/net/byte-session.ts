/**
 * What a protocol is to a connection: a thing that is given bytes and told when to go on and when to stop.
 * The connection knows nothing of commands; the session knows nothing of sockets. All calls on the main thread.
 */
export interface ByteSession {
	/** Bytes arrived. The session owns the chunk from now on and may write into it. Never called after `onDrain`. */
	onBytes(chunk: Buffer): void;
	/** The output went below the soft limit again. */
	onWritable(): void;
	/** No more input will come: answer what was read, then call `connection.end()`. Idempotent. */
	onDrain(): void;
	/** The connection is gone (the peer closed, an error, or we closed it): let go of everything. Idempotent. */
	onClose(): void;
}
