/**
 * Requests that cannot be sent yet, because their partition's ring or the thread's window is full: one queue for each partition,
 * in the order asked, with keys and values of its own. One asking thread.
 *
 *   partition 0   [oldest … newest]      a request waits while others of its partition do: none is overtaken
 *   partition 1   []                     the other partitions go on
 *
 * Bytes of all together are bounded by the owner, who asks `size` before it adds.
 */
import { assert } from '../base/assert.js';

export interface WaitingRequest {
	readonly slot: number;
	readonly part: number;
	readonly opcode: number;
	readonly flags: number;
	readonly argument: number;
	readonly key: Uint8Array;
	readonly value: Uint8Array;
	readonly sequence: number;
	readonly wish: number;
	/** Bytes of the request in a ring. */
	readonly size: number;
}

/** Taken from the front by moving `first`; the array is cut when half of it is behind. */
interface Queue {
	first: number;
	requests: (WaitingRequest | undefined)[];
}

export class WaitingCalls {
	#queues: readonly Queue[];
	#count = 0;
	#size = 0;
	/** Where the next round of `drain` begins, so that no partition is always served last. */
	#turn = 0;

	constructor(partitionCount: number) {
		this.#queues = Array.from({ length: partitionCount }, () => ({ first: 0, requests: [] }));
	}

	get count(): number {
		return this.#count;
	}

	/** Bytes of all requests that wait. */
	get size(): number {
		return this.#size;
	}

	has(partition: number): boolean {
		const queue = this.#queues[partition];
		return queue.first < queue.requests.length;
	}

	/** @param request whose key and value are copies @param isUrgent goes before those that wait */
	add(partition: number, request: WaitingRequest, isUrgent = false): void {
		const queue = this.#queues[partition];
		if (!isUrgent) queue.requests.push(request);
		else if (queue.first > 0) queue.requests[--queue.first] = request;
		else queue.requests.unshift(request);
		this.#count++;
		this.#size += request.size;
	}

	/** Gives requests to `send` until it refuses one of each partition; what it takes is forgotten here. */
	drain(send: (partition: number, request: WaitingRequest) => boolean): void {
		const partitionCount = this.#queues.length;
		this.#turn = (this.#turn + 1) % partitionCount;
		for (let i = 0; i < partitionCount && this.#count > 0; i++) {
			this.#drainOne((this.#turn + i) % partitionCount, send);
		}
	}

	#drainOne(partition: number, send: (partition: number, request: WaitingRequest) => boolean): void {
		const queue = this.#queues[partition];
		while (queue.first < queue.requests.length) {
			const request = queue.requests[queue.first];
			assert(request !== undefined, 'a request that waits is there');
			if (!send(partition, request)) break;
			queue.requests[queue.first++] = undefined;
			this.#count--;
			this.#size -= request.size;
		}
		if (queue.first * 2 >= queue.requests.length && queue.first > 0) {
			queue.requests = queue.requests.slice(queue.first);
			queue.first = 0;
		}
	}

	clear(): void {
		for (const queue of this.#queues) {
			queue.first = 0;
			queue.requests = [];
		}
		this.#count = 0;
		this.#size = 0;
	}
}
