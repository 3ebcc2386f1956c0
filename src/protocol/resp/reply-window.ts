/**
 * Puts the replies of one connection in the order of its commands. Main thread only; one per session.
 *
 *   sequences:   head ................ next        (u32, wrapping; slot = sequence & mask)
 *                 |  waiting | parked |
 *                 reply of head comes: encoded straight into the connection's output, then the parked ones after it
 *                 reply of another comes: encoded into the parking buffer, found again by its slot
 *
 * Invariants: next - head <= capacity <= windowSizeMax; the slot of head is never parked between calls;
 * `#parkedCount` slots in [head, next) are parked. The parking buffer is bump-allocated, emptied when nothing is
 * parked and compacted when full. No object per reply, except for commands of many parts (multi-reply.ts).
 *
 * How many commands may be in flight adapts to how large their replies are: starts small, grows by one with each
 * reply, shrinks so that replies as large as the last one would stay below `replyBudgetSize` together.
 */
import { assert } from '../../base/assert.js';
import { copyBytes } from '../../base/bytes.js';
import { statusNotFound, statusOk } from '../../base/errors.js';
import { inFlightPerConnectionMax } from '../../base/limits.js';
import { replyValue } from '../../command/command-format.js';
import { returnChunk, takeChunk } from '../../net/chunk-pool.js';
import type { Connection } from '../../net/connection.js';
import { ReplyBudget } from '../../net/reply-budget.js';
import type { MultiReply } from './multi-reply.js';
import { replyNil, replyOk, replyOne, replyZero } from './resp-format.js';
import {
	encodeBulk,
	encodeErrorStatus,
	encodeInteger,
	encodeIntegerText,
	encodeRaw,
	errorSizeOf,
} from './resp-writer.js';

// How the reply of a command is written, from what the partition answers:
/** ok: +OK; condition unmet: nil. */
export const shapeOk = 1;
/** ok: the payload; not found: nil. */
export const shapeBulk = 2;
/** The payload when there is a value, else nil, whatever the status: SET with GET. */
export const shapeOld = 3;
/** ok: 1; not found: 0. */
export const shapeFlag = 4;
/** The payload is decimal text. */
export const shapeIntegerText = 5;
/** The number is expiresAtMs: seconds until then, -1 never, -2 absent. */
export const shapeTtlSeconds = 6;
/** The same in milliseconds. */
export const shapeTtlMs = 7;
/** Parts go to a MultiReply. */
const shapeMulti = 8;
/** Ready when it was opened. */
const shapeLocal = 9;

const capacityMin = 16;
const notParked = -1;
/** The size of a parked multi-reply: it stays in its object. */
const parkedElsewhere = -2;
/** Bytes of unused room in a parking buffer at most: bounds memory when the replies parked are very large. */
const parkingSlackMax = 16 * 1024 * 1024;
const emptyParking = Buffer.alloc(0);

export class ReplyWindow {
	/** Where `openLocal` said to write. */
	target: Uint8Array = emptyParking;

	readonly #connection: Connection;
	readonly #nowMs: () => number;
	#head = 0;
	#next = 0;
	readonly #budget: ReplyBudget;
	#mask = capacityMin - 1;
	#shapes = new Uint8Array(capacityMin);
	#parkedOffsets = new Int32Array(capacityMin);
	#parkedSizes = new Int32Array(capacityMin).fill(notParked);
	#parkedCount = 0;
	#parking: Buffer = emptyParking;
	#parkingUsed = 0;
	#parkedSize = 0;
	readonly #multis = new Map<number, MultiReply>();
	#multiSize = 0;
	#localSequence = -1;
	#localAt = 0;

	constructor(connection: Connection, nowMs: () => number, windowSizeMax = inFlightPerConnectionMax) {
		this.#connection = connection;
		this.#nowMs = nowMs;
		this.#budget = new ReplyBudget(windowSizeMax);
	}

	/** Commands that were opened and whose replies are not in the output yet. */
	get inFlightCount(): number {
		return (this.#next - this.#head) >>> 0;
	}

	/** Take no more commands before some replies have come. */
	get isFull(): boolean {
		return this.inFlightCount >= this.#budget.limit;
	}

	/** Bytes of replies held here because an earlier one is missing. */
	get heldSize(): number {
		return this.#parkedSize + this.#multiSize;
	}

	/** Takes the next place in the order. @returns its sequence number */
	open(shape: number): number {
		const sequence = this.#next;
		if (this.inFlightCount > this.#mask) this.#grow();
		this.#shapes[sequence & this.#mask] = shape;
		this.#next = (sequence + 1) >>> 0;
		return sequence;
	}

	/** Gives back the place taken last: its command was refused. */
	cancel(sequence: number): void {
		assert((sequence + 1) >>> 0 === this.#next, 'only the last place can be given back');
		this.#next = sequence;
	}

	/** Takes the next place for a reply of many parts. */
	openMulti(multi: MultiReply): number {
		const sequence = this.open(shapeMulti);
		this.#multis.set(sequence, multi);
		return sequence;
	}

	/**
	 * Takes the next place for a reply that is known now.
	 * @returns the offset in `this.target` to write up to `sizeMax` bytes at; `closeLocal` must follow
	 */
	openLocal(sizeMax: number): number {
		if (this.#head === this.#next) {
			this.#localSequence = -1;
			this.#localAt = this.#connection.reserve(sizeMax);
			this.target = this.#connection.output;
		} else {
			this.#localSequence = this.open(shapeLocal);
			this.#localAt = this.#reserveParking(sizeMax);
			this.target = this.#parking;
		}
		return this.#localAt;
	}

	/** @param end the offset after what was written */
	closeLocal(end: number): void {
		this.target = emptyParking;
		if (this.#localSequence < 0) this.#connection.advance(end - this.#localAt);
		else this.#park(this.#localSequence & this.#mask, this.#localAt, end);
	}

	/** A partition's reply: see ReplySink. */
	onReply(
		sequence: number,
		part: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		assert((sequence - this.#head) >>> 0 < this.inFlightCount, 'a reply belongs to a command in flight');
		const slot = sequence & this.#mask;
		const shape = this.#shapes[slot] as number;
		this.#budget.onReply(size);
		if (shape === shapeMulti) {
			this.#onPart(sequence, part, status, number, bytes, offset, size);
			return;
		}
		const sizeMax = errorSizeOf(size);
		if (sequence === this.#head) {
			const at = this.#connection.reserve(sizeMax);
			const output = this.#connection.output;
			this.#connection.advance(this.#encode(output, at, shape, status, kind, number, bytes, offset, size) - at);
			this.#head = (sequence + 1) >>> 0;
			if (this.#parkedCount > 0) this.#unpark();
		} else {
			const at = this.#reserveParking(sizeMax);
			this.#park(slot, at, this.#encode(this.#parking, at, shape, status, kind, number, bytes, offset, size));
		}
	}

	/** Gives memory back when nothing is in flight: idle connections hold none. */
	release(): void {
		if (this.#parking.length === 0 || this.#parkedCount > 0) return;
		returnChunk(this.#parking);
		this.#parking = emptyParking;
		this.#parkingUsed = 0;
	}

	#onPart(
		sequence: number,
		part: number,
		status: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		const multi = this.#multis.get(sequence) as MultiReply;
		this.#multiSize -= multi.heldSize;
		multi.onReply(part, status, number, bytes, offset, size);
		this.#multiSize += multi.heldSize;
		if (!multi.isReady) return;
		this.#parkedSizes[sequence & this.#mask] = parkedElsewhere;
		this.#parkedCount++;
		if (sequence === this.#head) this.#unpark();
	}

	#encode(
		target: Uint8Array,
		at: number,
		shape: number,
		status: number,
		kind: number,
		number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): number {
		if (status !== statusOk && status !== statusNotFound)
			return encodeErrorStatus(target, at, status, bytes, offset, size);
		const isOk = status === statusOk;
		switch (shape) {
			case shapeOk:
				return encodeRaw(target, at, isOk ? replyOk : replyNil);
			case shapeBulk:
				return isOk ? encodeBulk(target, at, bytes, offset, size) : encodeRaw(target, at, replyNil);
			case shapeOld:
				if (kind === replyValue) return encodeBulk(target, at, bytes, offset, size);
				return encodeRaw(target, at, replyNil);
			case shapeFlag:
				return encodeRaw(target, at, isOk ? replyOne : replyZero);
			case shapeIntegerText:
				return encodeIntegerText(target, at, bytes, offset, size);
			default:
				return encodeInteger(target, at, isOk ? this.#timeLeft(shape, number) : -2);
		}
	}

	/** Redis rounds seconds to the nearest. */
	#timeLeft(shape: number, expiresAtMs: number): number {
		if (expiresAtMs === 0) return -1;
		const leftMs = Math.max(0, expiresAtMs - this.#nowMs());
		return shape === shapeTtlMs ? leftMs : Math.floor((leftMs + 500) / 1000);
	}

	#park(slot: number, at: number, end: number): void {
		this.#parkedOffsets[slot] = at;
		this.#parkedSizes[slot] = end - at;
		this.#parkingUsed = end;
		this.#parkedSize += end - at;
		this.#parkedCount++;
	}

	/** Moves parked replies into the output while the one at the head is there. */
	#unpark(): void {
		const connection = this.#connection;
		while (this.#head !== this.#next) {
			const slot = this.#head & this.#mask;
			const size = this.#parkedSizes[slot] as number;
			if (size === notParked) break;
			if (size === parkedElsewhere) {
				this.#emitMulti(this.#head);
			} else {
				const at = connection.reserve(size);
				copyBytes(this.#parking, this.#parkedOffsets[slot] as number, connection.output, at, size);
				connection.advance(size);
				this.#parkedSize -= size;
			}
			this.#parkedSizes[slot] = notParked;
			this.#parkedCount--;
			this.#head = (this.#head + 1) >>> 0;
		}
		if (this.#parkedCount === 0) this.#parkingUsed = 0;
	}

	#emitMulti(sequence: number): void {
		const multi = this.#multis.get(sequence) as MultiReply;
		this.#multis.delete(sequence);
		this.#multiSize -= multi.heldSize;
		const at = this.#connection.reserve(multi.encodedSizeMax);
		this.#connection.advance(multi.encode(this.#connection.output, at) - at);
	}

	/** @returns where to write `sizeMax` bytes in the parking buffer; the buffer may be another one afterwards */
	#reserveParking(sizeMax: number): number {
		if (this.#parkingUsed + sizeMax > this.#parking.length) this.#compact(sizeMax);
		return this.#parkingUsed;
	}

	/** Copies what is parked into a buffer with as much room again, and more, so that the next time is far away. */
	#compact(sizeMax: number): void {
		const old = this.#parking;
		const parking = takeChunk(this.#parkedSize + sizeMax + Math.min(3 * this.#parkedSize, parkingSlackMax));
		let used = 0;
		for (let sequence = this.#head; sequence !== this.#next; sequence = (sequence + 1) >>> 0) {
			const slot = sequence & this.#mask;
			const size = this.#parkedSizes[slot] as number;
			if (size < 0) continue;
			copyBytes(old, this.#parkedOffsets[slot] as number, parking, used, size);
			this.#parkedOffsets[slot] = used;
			used += size;
		}
		assert(used === this.#parkedSize, 'the parked size is the sum of what is parked');
		if (old.length > 0) returnChunk(old);
		this.#parking = parking;
		this.#parkingUsed = used;
	}

	/** Doubles the window; slots move, sequences stay. */
	#grow(): void {
		const capacity = (this.#mask + 1) * 2;
		const shapes = new Uint8Array(capacity);
		const offsets = new Int32Array(capacity);
		const sizes = new Int32Array(capacity).fill(notParked);
		for (let sequence = this.#head; sequence !== this.#next; sequence = (sequence + 1) >>> 0) {
			const from = sequence & this.#mask;
			const to = sequence & (capacity - 1);
			shapes[to] = this.#shapes[from] as number;
			offsets[to] = this.#parkedOffsets[from] as number;
			sizes[to] = this.#parkedSizes[from] as number;
		}
		this.#mask = capacity - 1;
		this.#shapes = shapes;
		this.#parkedOffsets = offsets;
		this.#parkedSizes = sizes;
	}
}
