/**
 * A CommandPort without partitions: rings of so many bytes, whose commands lie there until the test answers them. Every answer
 * can be told from its command: the value of a read is its key, the number of a write is made from its value.
 */
import { commandSize, opGet, replyNone, replyValue, requestHeaderSize } from '../../src/command/command-format.js';
import type { CommandPort, ReplySink } from '../../src/command/command-port.js';
import { Router } from '../../src/routing/router.js';

export interface FakeCommand {
	readonly slot: number;
	readonly part: number;
	readonly opcode: number;
	readonly flags: number;
	readonly argument: number;
	readonly key: string;
	readonly value: string;
	readonly sequence: number;
	readonly wish: number;
	readonly size: number;
}

export class FakePort implements CommandPort {
	readonly partitionCount: number;
	/** Commands taken and not answered, by partition. */
	readonly taken: FakeCommand[][];
	/** All commands ever taken, by partition, in the order of their coming. */
	readonly seen: FakeCommand[][];
	readonly #router: Router;
	readonly #ringSize: number;
	#sink: ReplySink | undefined;
	#hasRefused = false;

	constructor(partitionCount: number, ringSize: number) {
		this.partitionCount = partitionCount;
		this.#router = new Router(partitionCount);
		this.#ringSize = ringSize;
		this.taken = Array.from({ length: partitionCount }, () => []);
		this.seen = Array.from({ length: partitionCount }, () => []);
	}

	/** Bytes taken and not answered. */
	get inFlightSize(): number {
		return this.taken.flat().reduce((sum, { size }) => sum + size, 0);
	}

	register(sink: ReplySink): number {
		this.#sink = sink;
		return 1;
	}

	unregister(): void {
		this.#sink = undefined;
	}

	partitionOf(key: Uint8Array, keyOffset: number, keySize: number): number {
		return this.#router.partitionOf(key, keyOffset, keySize);
	}

	submit(
		partition: number,
		_sink: number,
		slot: number,
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
		sequence = 0,
		wish = 0,
	): boolean {
		const size = requestHeaderSize + commandSize(flags, keySize, valueSize);
		const used = this.taken[partition].reduce((sum, command) => sum + command.size, 0);
		if (used > 0 && used + size > this.#ringSize) {
			this.#hasRefused = true;
			return false;
		}
		const command: FakeCommand = {
			slot,
			part,
			opcode,
			flags,
			argument,
			key: textOf(key, keyOffset, keySize),
			value: textOf(value, valueOffset, valueSize),
			sequence,
			wish,
			size,
		};
		this.taken[partition].push(command);
		this.seen[partition].push(command);
		return true;
	}

	/** Answers one command that was taken; a status that is an error carries its text as a message. */
	answer(partition: number, index: number, status = 0, message = ''): void {
		const [{ slot, part, opcode, key, value }] = this.taken[partition].splice(index, 1);
		const payload = Buffer.from(message === '' ? key : message);
		// As in a ring: shared, and overwritten as soon as the sink has returned.
		const bytes = new Uint8Array(new SharedArrayBuffer(payload.length + 3));
		bytes.set(payload, 3);
		const kind = message === '' ? (opcode === opGet ? replyValue : replyNone) : 2;
		this.#sink?.onReply(slot, part, status, kind, numberOf(value), bytes, 3, payload.length);
		bytes.fill(0x21);
	}

	/** The end of a burst of replies. */
	endBurst(): void {
		this.#sink?.onRepliesEnd();
		if (!this.#hasRefused) return;
		this.#hasRefused = false;
		this.#sink?.onRoom();
	}

	/** Answers everything, until nothing comes any more. */
	answerAll(): void {
		do {
			for (let partition = 0; partition < this.partitionCount; partition++) {
				while (this.taken[partition].length > 0) this.answer(partition, 0);
			}
			this.endBurst();
		} while (this.taken.some((commands) => commands.length > 0));
	}
}

/** What a write of this value is answered with. */
export function numberOf(value: string): number {
	return value.length * 1000 + (value.charCodeAt(0) || 0);
}

function textOf(bytes: Uint8Array, offset: number, size: number): string {
	return Buffer.from(bytes.subarray(offset, offset + size)).toString('latin1');
}
