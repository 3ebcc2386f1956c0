/**
 * Which attached thread holds which snapshots: those of a thread that is gone are released with its channel, whatever it was
 * about to do. The opener's are not kept here: they end with the partition. Partition's thread only.
 */
import { readU32 } from '../src/base/bytes.js';
import { channelMask, requestChannelOffset } from '../src/command/command-format.js';

export class ChannelPins {
	/** Sequences by channel, each as often as it was pinned. */
	readonly #sequences = new Map<number, number[]>();

	/** The request at `request[offset..]` pinned a sequence. */
	add(request: Uint8Array, offset: number, sequence: number): void {
		const channel = channelOf(request, offset);
		if (channel === 0) return;
		const own = this.#sequences.get(channel);
		if (own === undefined) this.#sequences.set(channel, [sequence]);
		else own.push(sequence);
	}

	/** It released one. */
	remove(request: Uint8Array, offset: number, sequence: number): void {
		const own = this.#sequences.get(channelOf(request, offset)) ?? [];
		const index = own.indexOf(sequence);
		if (index >= 0) own.splice(index, 1);
	}

	/** What a channel holds; it holds nothing any more. */
	takeAll(channel: number): readonly number[] {
		const own = this.#sequences.get(channel) ?? [];
		this.#sequences.delete(channel);
		return own;
	}
}

function channelOf(request: Uint8Array, offset: number): number {
	return readU32(request, offset + requestChannelOffset) & channelMask;
}
