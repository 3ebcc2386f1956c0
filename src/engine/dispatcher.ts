/**
 * An asking thread's switchboard: commands into request rings, replies from reply rings to whoever asked. Implements CommandPort.
 * The opener has one over the links of its partitions, each attached thread one over the channels it was given.
 *
 *   submit … submit ─┐ (many sockets read in one turn of the event loop)
 *                    └─> turn: publish all rings once, take replies, tell the sinks that the burst is over
 *
 * While anything is in flight the turn repeats with setImmediate for a few empty rounds, then arms the bell and leaves the loop
 * to sleep; a message from a partition starts it again. Publishing once a turn makes one wake-up and one group of many commands.
 */
import { assert } from '../base/assert.js';
import { readF64, readU32, writeU32 } from '../base/bytes.js';
import { MillraceError } from '../base/errors.js';
import { frameSizeMax } from '../base/limits.js';
import {
	commandSize,
	durabilityShift,
	encodeCommand,
	replyHeaderSize,
	replyKindOffset,
	replyNumberOffset,
	replyPartOffset,
	replySequenceOffset,
	replySinkOffset,
	replyStatusOffset,
	requestChannelOffset,
	requestHeaderSize,
	requestPartOffset,
	requestSequenceOffset,
	requestSinkOffset,
	wishDefault,
} from '../command/command-format.js';
import type { CommandPort, ReplySink } from '../command/command-port.js';
import { PortBellOwner } from '../ring/bell.js';
import type { RingConsumer } from '../ring/ring-consumer.js';
import type { RingProducer } from '../ring/ring-producer.js';
import type { Router } from '../routing/router.js';

/** Turns without a reply before the loop sleeps. Measured: docs/decisions.md, "polling". */
const emptyTurnsMax = 8;
/** Replies taken from one ring in one turn, so that sockets get their turn too. */
const repliesPerTurnMax = 16_384;
/** A sink's number: index, and a generation that tells late replies to its predecessor apart. */
const sinkIndexBits = 18;
const sinkIndexMask = (1 << sinkIndexBits) - 1;

/** This thread's rings to and from one partition. */
export interface Channel {
	/** The partition's number for them. */
	readonly channel: number;
	readonly requests: RingProducer;
	readonly replies: RingConsumer;
	readonly heldReplies: RingConsumer;
}

export class Dispatcher implements CommandPort {
	readonly #router: Router;
	#links: readonly Channel[] = [];
	#partitionCount = 0;
	readonly #bell: PortBellOwner;
	readonly #sinks: (ReplySink | undefined)[] = [];
	readonly #sinkNumbers: number[] = [];
	readonly #freeSinkIndexes: number[] = [];
	/** Sinks that got replies in this turn. */
	readonly #touched: ReplySink[] = [];
	#lastTouched = -1;
	readonly #waitingForRoom = new Set<ReplySink>();
	#inFlight = 0;
	#emptyTurns = 0;
	#isScheduled = false;
	#isStopped = false;
	/** Called before the thread may go to sleep. @param isWaiting replies or room are still to come */
	onSleep: (isWaiting: boolean) => void = () => undefined;
	readonly #turnBound = (): void => this.#turn();
	/** What may have come between a look at the rings and the moment we are known to sleep. */
	readonly #hasWork = (): boolean =>
		this.#links.some((link) => link.replies.hasNext() || link.heldReplies.hasNext()) ||
		(this.#waitingForRoom.size > 0 && this.#hasRoom());

	constructor(router: Router, bell: SharedArrayBuffer) {
		this.#router = router;
		this.#bell = new PortBellOwner(bell);
	}

	/** The partitions, in order of their numbers. Before the first command. */
	connect(links: readonly Channel[]): void {
		this.#links = links;
		this.#partitionCount = links.length;
	}

	/** Nothing is sent or taken any more: the rings are not ours any longer. Commands in flight get no reply. */
	stop(): void {
		this.#isStopped = true;
		this.#links = [];
		this.#waitingForRoom.clear();
		this.#inFlight = 0;
	}

	/** A partition rang: there may be replies or room. */
	readonly onBell = (): void => {
		this.#schedule();
	};

	get partitionCount(): number {
		return this.#partitionCount;
	}

	/** Commands submitted and not yet answered. */
	get inFlight(): number {
		return this.#inFlight;
	}

	register(sink: ReplySink): number {
		const index = this.#freeSinkIndexes.pop() ?? this.#sinks.length;
		assert(index <= sinkIndexMask, 'fewer sinks than their index can count');
		const generation = ((this.#sinkNumbers[index] ?? 0) >>> sinkIndexBits) + 1;
		const number = ((generation << sinkIndexBits) | index) >>> 0;
		this.#sinks[index] = sink;
		this.#sinkNumbers[index] = number;
		return number;
	}

	unregister(sink: number): void {
		const index = sink & sinkIndexMask;
		if (this.#sinkNumbers[index] !== sink || this.#sinks[index] === undefined) return;
		this.#waitingForRoom.delete(this.#sinks[index]);
		this.#sinks[index] = undefined;
		this.#freeSinkIndexes.push(index);
	}

	partitionOf(key: Uint8Array, keyOffset: number, keySize: number): number {
		return this.#router.partitionOf(key, keyOffset, keySize);
	}

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
		commandSequence = 0,
		wish = wishDefault,
	): boolean {
		if (this.#isStopped) throw new MillraceError('MILLRACE_CLOSED', 'the database is closed');
		const ring = this.#links[partition].requests;
		const at = ring.reserve(requestHeaderSize + commandSize(flags, keySize, valueSize));
		if (at < 0) {
			this.#waitForRoom(partition, sink);
			return false;
		}
		const { target } = ring;
		writeU32(target, at + requestSinkOffset, sink);
		writeU32(target, at + requestSequenceOffset, sequence);
		writeU32(target, at + requestPartOffset, part);
		writeU32(target, at + requestChannelOffset, this.#links[partition].channel | (wish << durabilityShift));
		const command = at + requestHeaderSize;
		encodeCommand(
			target,
			command,
			opcode,
			flags,
			argument,
			key,
			keyOffset,
			keySize,
			value,
			valueOffset,
			valueSize,
			commandSequence,
		);
		ring.commit();
		this.#inFlight++;
		if (!this.#isScheduled) this.#schedule();
		return true;
	}

	#waitForRoom(partition: number, sink: number): void {
		const waiting = this.#sinks[sink & sinkIndexMask];
		assert(waiting !== undefined, 'only a registered sink submits');
		this.#waitingForRoom.add(waiting);
		this.#links[partition].requests.waitingForRoom(true);
		this.#schedule();
	}

	#schedule(): void {
		if (this.#isScheduled || this.#isStopped) return;
		this.#isScheduled = true;
		this.#bell.disarm();
		setImmediate(this.#turnBound);
	}

	#turn(): void {
		this.#isScheduled = false;
		if (this.#isStopped) return;
		for (let i = 0; i < this.#links.length; i++) this.#links[i].requests.publish();
		let count = 0;
		for (let i = 0; i < this.#links.length; i++) {
			count += this.#take(this.#links[i].replies);
			count += this.#take(this.#links[i].heldReplies);
		}
		this.#inFlight -= count;
		this.#endBurst();
		if (this.#waitingForRoom.size > 0) this.#offerRoom();
		this.#emptyTurns = count > 0 ? 0 : this.#emptyTurns + 1;
		if (this.#isScheduled || this.#inFlight === 0) {
			if (this.#inFlight === 0 && !this.#isScheduled) this.#sleep();
			return;
		}
		// What was submitted while replies were handled is published by the turn it scheduled.
		if (this.#emptyTurns < emptyTurnsMax) this.#schedule();
		else this.#sleep();
	}

	/** Leaves it to a bell to wake us, unless something has come. */
	#sleep(): void {
		if (this.#isStopped) return;
		if (this.#bell.arm(this.#hasWork)) this.onSleep(this.#inFlight > 0 || this.#waitingForRoom.size > 0);
		else this.#schedule();
	}

	/** Gives the replies of one ring to their sinks. @returns how many */
	#take(ring: RingConsumer): number {
		let count = 0;
		while (count < repliesPerTurnMax && ring.next()) {
			count++;
			const { source, offset, size } = ring;
			const number = readU32(source, offset + replySinkOffset);
			const index = number & sinkIndexMask;
			const sink = this.#sinks[index];
			if (sink === undefined || this.#sinkNumbers[index] !== number) continue;
			if (index !== this.#lastTouched) {
				this.#lastTouched = index;
				this.#touched.push(sink);
			}
			sink.onReply(
				readU32(source, offset + replySequenceOffset),
				readU32(source, offset + replyPartOffset),
				source[offset + replyStatusOffset],
				source[offset + replyKindOffset],
				readF64(source, offset + replyNumberOffset),
				source,
				offset + replyHeaderSize,
				size - replyHeaderSize,
			);
		}
		ring.release();
		return count;
	}

	/** A sink may stand in the list more than once; the call is idempotent and the second one cheap. */
	#endBurst(): void {
		for (let i = 0; i < this.#touched.length; i++) this.#touched[i].onRepliesEnd();
		this.#touched.length = 0;
		this.#lastTouched = -1;
	}

	/** Every ring has room for an ordinary burst, and for one of the largest commands. */
	#hasRoom(): boolean {
		return this.#links.every(
			({ requests }) => requests.hasRoom(requests.bytes.length / 8) && requests.hasRoom(frameSizeMax),
		);
	}

	#offerRoom(): void {
		if (!this.#hasRoom()) return;
		for (const link of this.#links) link.requests.waitingForRoom(false);
		const sinks = [...this.#waitingForRoom];
		this.#waitingForRoom.clear();
		for (const sink of sinks) sink.onRoom();
	}
}
