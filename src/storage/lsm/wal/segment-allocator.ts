/**
 * Says where in the log each group goes: pure bookkeeping, no files. Segments are used in the order of their ids; spares
 * are prepared ahead by jobs, so that rotation waits for nothing, and a full disk shows before anything was promised.
 *
 *   spare ──(group does not fit)──> active ──(next one)──> full ──(flushed up to its last sequence)──> released ──> recycled
 */
import { assert } from '../../../base/assert.js';
import { segmentHeaderSize } from './wal-format.js';

interface FullSegment {
	readonly id: number;
	readonly lastSequence: number;
}

export class SegmentAllocator {
	readonly #segmentSize: number;
	#activeId: number;
	#activeSize: number;
	#offset = segmentHeaderSize;
	#lastSequence = 0;
	readonly #spares: number[] = [];
	readonly #full: FullSegment[];

	/**
	 * @param full segments that recovery found in use, oldest first
	 * @param activeSize of the active segment: less than `segmentSize` when there was no room for more
	 */
	constructor(segmentSize: number, activeId: number, full: readonly FullSegment[], activeSize = segmentSize) {
		this.#segmentSize = segmentSize;
		this.#activeId = activeId;
		this.#activeSize = activeSize;
		this.#full = [...full];
	}

	get spareCount(): number {
		return this.#spares.length;
	}

	/** Bytes of the live segments. */
	get liveBytes(): number {
		return this.#full.length * this.#segmentSize + this.#offset;
	}

	/** Segments that hold groups, oldest first, with the newest sequence given a place in each. */
	written(): FullSegment[] {
		const hasActive = this.#offset > segmentHeaderSize;
		return [...this.#full, ...(hasActive ? [{ id: this.#activeId, lastSequence: this.#lastSequence }] : [])];
	}

	/** A prepared segment, named in the manifest. */
	addSpare(id: number): void {
		assert(id > (this.#spares.at(-1) ?? this.#activeId), 'segments are used in order of id');
		this.#spares.push(id);
	}

	/** True when a group of this size has a place: in the active segment, or at the start of a spare. */
	hasRoom(groupSize: number): boolean {
		return this.#fitsActive(groupSize) || this.#spares.length > 0;
	}

	/** Takes the place of one group. @returns its offset in `activeId` after the call. The caller checked `hasRoom`. */
	allocate(groupSize: number, lastSequence: number): number {
		if (!this.#fitsActive(groupSize)) {
			const next = this.#spares.shift();
			assert(next !== undefined, 'room was checked');
			this.#full.push({ id: this.#activeId, lastSequence: this.#lastSequence });
			this.#activeId = next;
			this.#activeSize = this.#segmentSize;
			this.#offset = segmentHeaderSize;
		}
		const offset = this.#offset;
		this.#offset += groupSize;
		this.#lastSequence = lastSequence;
		return offset;
	}

	get activeId(): number {
		return this.#activeId;
	}

	/** Forgets full segments whose entries are all in tables. @returns their ids, oldest first */
	release(flushedSequence: number): number[] {
		const released: number[] = [];
		while (this.#full.length > 0 && this.#full[0].lastSequence <= flushedSequence) {
			released.push(this.#full[0].id);
			this.#full.shift();
		}
		return released;
	}

	/** A segment may be longer than planned for one group that no segment could hold; a short one may not: the disk was full. */
	#fitsActive(groupSize: number): boolean {
		if (this.#offset + groupSize <= this.#activeSize) return true;
		return this.#offset === segmentHeaderSize && this.#activeSize >= this.#segmentSize;
	}
}
