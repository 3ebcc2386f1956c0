/**
 * Where a partition puts its log messages: a port that a ring's producer satisfies. The log thread (or, in tests, a queue
 * in memory) takes them in order.
 */
export interface LogQueue {
	/** Memory to write into after a successful `reserve`. */
	readonly target: Uint8Array;
	/** @returns offset into `target` of `size` contiguous bytes, or -1 when there is no room now */
	reserve(size: number): number;
	/** Ends the message, keeping its first `size` bytes. */
	commit(size?: number): void;
	/** Hands all ended messages over. */
	publish(): void;
}
