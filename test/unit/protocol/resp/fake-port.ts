/**
 * Partitions in memory behind a CommandPort, for protocol tests. Commands are applied when submitted, as a partition
 * would in ring order; replies are delivered when the test says, in any order, by seed. Main thread only.
 */
import { statusNotFound, statusOf, statusOk } from '../../../../src/base/errors.js';
import { Prng } from '../../../../src/base/prng.js';
import {
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	opAppend,
	opClear,
	opCount,
	opDelete,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opSetExpiry,
	replyMessage,
	replyNone,
	replyValue,
} from '../../../../src/command/command-format.js';
import type { CommandPort, ReplySink } from '../../../../src/command/command-port.js';

interface Entry {
	value: Buffer;
	expiresAtMs: number;
}

interface Reply {
	sink: number;
	sequence: number;
	part: number;
	status: number;
	kind: number;
	number: number;
	bytes: Buffer;
}

const nothing = Buffer.alloc(0);

export class FakePort implements CommandPort {
	readonly partitionCount = 3;
	nowMs = 1_700_000_000_000;
	/** Chance that a submit is refused. */
	fullChance = 0;
	submitCount = 0;
	/** When not 0: every command is answered with this error status. */
	errorStatus = 0;
	readonly #sinks = new Map<number, ReplySink>();
	readonly #partitions = [0, 1, 2].map(() => new Map<string, Entry>());
	readonly #prng: Prng;
	readonly #isShuffled: boolean;
	#replies: Reply[] = [];
	readonly #refused = new Set<number>();
	#nextSink = 7;

	constructor(seed: number, isShuffled = true) {
		this.#prng = new Prng(seed);
		this.#isShuffled = isShuffled;
	}

	get waitingCount(): number {
		return this.#replies.length;
	}

	get sinkCount(): number {
		return this.#sinks.size;
	}

	register(sink: ReplySink): number {
		this.#sinks.set(this.#nextSink, sink);
		return this.#nextSink++;
	}

	unregister(sink: number): void {
		this.#sinks.delete(sink);
	}

	partitionOf(key: Uint8Array, keyOffset: number, keySize: number): number {
		let sum = keySize;
		for (let i = 0; i < keySize; i++) sum += key[keyOffset + i] as number;
		return sum % this.partitionCount;
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
	): boolean {
		if (this.#prng.chance(this.fullChance)) {
			this.#refused.add(sink);
			return false;
		}
		this.submitCount++;
		const name = Buffer.from(key.subarray(keyOffset, keyOffset + keySize)).toString('latin1');
		const bytes = Buffer.from(value.subarray(valueOffset, valueOffset + valueSize));
		const expiresAtMs = (flags & flagArgument) !== 0 ? argument : 0;
		const reply = this.#apply(this.#partitions[partition] ?? new Map(), opcode, flags, expiresAtMs, name, bytes);
		this.#replies.push({ sink, sequence, part, ...reply });
		return true;
	}

	/** Delivers up to `count` replies in one burst, then says that there is room to whoever was refused. */
	step(count: number): void {
		const touched = new Set<number>();
		for (let i = 0; i < count && this.#replies.length > 0; i++) {
			const reply = this.#takeReply();
			touched.add(reply.sink);
			const { sequence, part, status, kind, number, bytes } = reply;
			// The payload is lent: somewhere inside other bytes, and overwritten afterwards.
			const lent = Buffer.concat([Buffer.from('junk'), bytes, Buffer.from('junk')]);
			this.#sinks.get(reply.sink)?.onReply(sequence, part, status, kind, number, lent, 4, bytes.length);
			lent.fill(0x21);
		}
		for (const sink of touched) this.#sinks.get(sink)?.onRepliesEnd();
		const refused = [...this.#refused];
		this.#refused.clear();
		for (const sink of refused) this.#sinks.get(sink)?.onRoom();
	}

	#takeReply(): Reply {
		if (!this.#isShuffled) return this.#replies.shift() as Reply;
		const index = this.#prng.below(this.#replies.length);
		const reply = this.#replies[index] as Reply;
		const last = this.#replies.pop() as Reply;
		if (last !== reply) this.#replies[index] = last;
		return reply;
	}

	#apply(
		entries: Map<string, Entry>,
		opcode: number,
		flags: number,
		expiresAtMs: number,
		key: string,
		value: Buffer,
	): Omit<Reply, 'sink' | 'sequence' | 'part'> {
		const ok = { status: statusOk, kind: replyNone, number: 0, bytes: nothing };
		const notFound = { ...ok, status: statusNotFound };
		if (this.errorStatus !== 0)
			return { ...ok, status: this.errorStatus, kind: replyMessage, bytes: Buffer.from('it\r\nfailed') };
		if (opcode === opClear) entries.clear();
		if (opcode === opClear) return ok;
		let old = entries.get(key);
		if (old !== undefined && old.expiresAtMs > 0 && old.expiresAtMs <= this.nowMs) {
			entries.delete(key);
			old = undefined;
		}
		if (opcode === opCount) return { ...ok, number: entries.size };
		if (opcode === opPut) return this.#put(entries, flags, expiresAtMs, key, value, old);
		if (opcode === opAppend) {
			const joined = Buffer.concat([old?.value ?? nothing, value]);
			entries.set(key, { value: joined, expiresAtMs: old?.expiresAtMs ?? 0 });
			return { ...ok, kind: replyValue, number: 9, bytes: Buffer.from(String(joined.length)) };
		}
		if (opcode === opIncrement) {
			const before = old?.value.toString() ?? '0';
			if (!/^-?\d+$/.test(before))
				return {
					...ok,
					status: statusOf('MILLRACE_NOT_INTEGER'),
					kind: replyMessage,
					bytes: Buffer.from('no'),
				};
			const sum = BigInt(before) + BigInt(value.toString());
			if (BigInt.asIntN(64, sum) !== sum)
				return { ...ok, status: statusOf('MILLRACE_OVERFLOW'), kind: replyMessage, bytes: Buffer.from('no') };
			const bytes = Buffer.from(String(sum));
			entries.set(key, { value: bytes, expiresAtMs: old?.expiresAtMs ?? 0 });
			return { ...ok, kind: replyValue, bytes };
		}
		if (old === undefined) return notFound;
		if (opcode === opGet) return { ...ok, kind: replyValue, number: 1, bytes: old.value };
		if (opcode === opHas) return ok;
		if (opcode === opGetExpiry) return { ...ok, number: old.expiresAtMs };
		if (opcode === opDelete) {
			entries.delete(key);
			return ok;
		}
		if (opcode !== opSetExpiry) throw new Error(`opcode ${opcode}`);
		if (expiresAtMs === 0 && old.expiresAtMs === 0) return notFound;
		old.expiresAtMs = expiresAtMs;
		return ok;
	}

	#put(
		entries: Map<string, Entry>,
		flags: number,
		expiresAtMs: number,
		key: string,
		value: Buffer,
		old: Entry | undefined,
	): Omit<Reply, 'sink' | 'sequence' | 'part'> {
		const isMet = (flags & flagIfAbsent) === 0 || old === undefined;
		const isMetToo = (flags & flagIfPresent) === 0 || old !== undefined;
		const kept = (flags & flagKeepExpiry) !== 0 ? (old?.expiresAtMs ?? 0) : expiresAtMs;
		const isPut = isMet && isMetToo;
		if (isPut) entries.set(key, { value, expiresAtMs: kept });
		const hasOld = (flags & flagReturnOld) !== 0 && old !== undefined;
		return {
			status: isPut ? statusOk : statusNotFound,
			kind: hasOld ? replyValue : replyNone,
			number: 9,
			bytes: hasOld && old !== undefined ? old.value : nothing,
		};
	}
}
