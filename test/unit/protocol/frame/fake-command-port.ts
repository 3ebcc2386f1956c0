/**
 * A command port without partitions: Maps that answer later, in any order, and refuse when told to. Used by the tests
 * of the frame session and of the client.
 *
 *   submit -> queue -> deliver(): onReply ... onRepliesEnd, and onRoom to those refused
 */

import { writeF64, writeU16, writeU32 } from '../../../../src/base/bytes.js';
import { statusNotFound, statusOf, statusOk } from '../../../../src/base/errors.js';
import type { Prng } from '../../../../src/base/prng.js';
import { xxh32 } from '../../../../src/base/xxh32.js';
import {
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	opClear,
	opCount,
	opDelete,
	opFlush,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opScan,
	opSetExpiry,
	opStats,
	pageEntryHeaderSize,
	pageExpiryOffset,
	pageHeaderSize,
	pageKeySizeOffset,
	pageValueSizeOffset,
	pageVersionOffset,
	replyMessage,
	replyNone,
	replyValue,
} from '../../../../src/command/command-format.js';
import type { CommandPort, ReplySink } from '../../../../src/command/command-port.js';
import { decodeScanOptions } from '../../../../src/command/scan-options.js';

interface Entry {
	value: Buffer;
	version: number;
	expiresAtMs: number;
}

interface Queued {
	partition: number;
	sink: number;
	sequence: number;
	part: number;
	opcode: number;
	flags: number;
	argument: number;
	key: Buffer;
	value: Buffer;
}

interface Answer {
	status: number;
	kind: number;
	number: number;
	payload: Uint8Array;
}

const noBytes = new Uint8Array(0);

export class FakeCommandPort implements CommandPort {
	readonly partitionCount: number;
	/** Commands taken before `submit` says no. */
	roomMax = Number.POSITIVE_INFINITY;
	/** Deliver on `setImmediate` by itself. */
	isAutomatic = false;
	/** Deliver in random order. */
	shuffle: Prng | undefined;
	/** Answer nothing any more. */
	isStuck = false;
	submittedCount = 0;
	refusedCount = 0;
	queuedMax = 0;
	lastArgument = 0;
	lastFlags = 0;
	readonly sinks = new Map<number, ReplySink>();
	readonly data: Map<string, Entry>[];
	#queue: Queued[] = [];
	readonly #roomWaiters = new Set<number>();
	#nextSink = 1;
	#version = 0;
	#isPlanned = false;

	constructor(partitionCount: number) {
		this.partitionCount = partitionCount;
		this.data = Array.from({ length: partitionCount }, () => new Map());
	}

	register(sink: ReplySink): number {
		this.sinks.set(this.#nextSink, sink);
		return this.#nextSink++;
	}

	unregister(sink: number): void {
		this.sinks.delete(sink);
	}

	partitionOf(key: Uint8Array, keyOffset: number, keySize: number): number {
		return xxh32(key, keyOffset, keySize) % this.partitionCount;
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
		if (this.isAutomatic) this.#plan();
		if (this.#queue.length >= this.roomMax) {
			this.refusedCount++;
			this.#roomWaiters.add(sink);
			return false;
		}
		this.submittedCount++;
		this.lastArgument = argument;
		this.lastFlags = flags;
		this.#queue.push({
			partition,
			sink,
			sequence,
			part,
			opcode,
			flags,
			argument,
			key: Buffer.from(key.slice(keyOffset, keyOffset + keySize)),
			value: Buffer.from(value.slice(valueOffset, valueOffset + valueSize)),
		});
		this.queuedMax = Math.max(this.queuedMax, this.#queue.length);
		return true;
	}

	get queuedCount(): number {
		return this.#queue.length;
	}

	/** Applies what is queued, in order, then answers, perhaps in another order. */
	deliver(): void {
		const queue = this.#queue;
		this.#queue = [];
		const answers = queue.map((queued) => this.#apply(queued));
		const order = queue.map((_, index) => index);
		if (this.shuffle !== undefined) {
			for (let i = order.length - 1; i > 0; i--) {
				const j = this.shuffle.below(i + 1);
				[order[i], order[j]] = [order[j] as number, order[i] as number];
			}
		}
		const touched = new Set<number>();
		for (const index of order) {
			const { sink, sequence, part } = queue[index] as Queued;
			const { status, kind, number, payload } = answers[index] as Answer;
			touched.add(sink);
			// Lent memory is overwritten after the call, so that a session which kept it would be caught.
			const lent = Buffer.concat([Buffer.from('##'), payload]);
			this.sinks.get(sink)?.onReply(sequence, part, status, kind, number, lent, 2, payload.length);
			lent.fill(0xee);
		}
		for (const sink of touched) this.sinks.get(sink)?.onRepliesEnd();
		const waiters = [...this.#roomWaiters];
		this.#roomWaiters.clear();
		for (const sink of waiters) this.sinks.get(sink)?.onRoom();
	}

	#plan(): void {
		if (this.#isPlanned || this.isStuck) return;
		this.#isPlanned = true;
		setImmediate(() => {
			this.#isPlanned = false;
			if (!this.isStuck) this.deliver();
		});
	}

	#apply(queued: Queued): Answer {
		const map = this.data[queued.partition] as Map<string, Entry>;
		const name = queued.key.toString('latin1');
		const entry = map.get(name);
		switch (queued.opcode) {
			case opGet:
				return entry === undefined ? absent() : value(entry.value, entry.version);
			case opHas:
				return entry === undefined ? absent() : done();
			case opGetExpiry:
				return entry === undefined ? absent() : done(entry.expiresAtMs);
			case opPut:
				return this.#put(map, name, entry, queued);
			case opDelete:
				return map.delete(name) ? done() : absent();
			case opIncrement:
				return this.#increment(map, name, entry, queued);
			case opSetExpiry:
				if (entry === undefined || (queued.argument === 0 && entry.expiresAtMs === 0)) return absent();
				entry.expiresAtMs = queued.argument;
				return done();
			case opClear:
				map.clear();
				return done();
			case opCount:
				return done(namesIn(map, queued.value).length);
			case opStats:
				return value(Buffer.from(JSON.stringify({ partition: queued.partition, keys: map.size })), 0);
			case opFlush:
				return done();
			case opScan:
				return scan(map, name, queued.argument, queued.value);
			default:
				throw new Error(`the fake has no opcode ${queued.opcode}`);
		}
	}

	#put(map: Map<string, Entry>, name: string, entry: Entry | undefined, queued: Queued): Answer {
		const { flags } = queued;
		if ((flags & flagIfAbsent) !== 0 && entry !== undefined) return absent();
		if ((flags & flagIfPresent) !== 0 && entry === undefined) return absent();
		const kept = (flags & flagKeepExpiry) !== 0 ? (entry?.expiresAtMs ?? 0) : queued.argument;
		this.#version++;
		map.set(name, { value: queued.value, version: this.#version, expiresAtMs: kept });
		if ((flags & flagReturnOld) === 0 || entry === undefined) return done(this.#version);
		return value(entry.value, this.#version);
	}

	#increment(map: Map<string, Entry>, name: string, entry: Entry | undefined, queued: Queued): Answer {
		const text = entry?.value.toString() ?? '0';
		if (!/^-?\d+$/.test(text)) {
			const message = Buffer.from('the value is not an integer');
			return { status: statusOf('MILLRACE_NOT_INTEGER'), kind: replyMessage, number: 0, payload: message };
		}
		const sum = Buffer.from((BigInt(text) + BigInt(queued.value.toString())).toString());
		this.#version++;
		map.set(name, { value: sum, version: this.#version, expiresAtMs: entry?.expiresAtMs ?? 0 });
		return value(sum, 0);
	}
}

function absent(): Answer {
	return { status: statusNotFound, kind: replyNone, number: 0, payload: noBytes };
}

function done(number = 0): Answer {
	return { status: statusOk, kind: replyNone, number, payload: noBytes };
}

function value(payload: Uint8Array, number: number): Answer {
	return { status: statusOk, kind: replyValue, number, payload };
}

/** The names in the range of a scan or count, in its order. Latin-1 names order as their bytes do. */
function namesIn(map: Map<string, Entry>, options: Uint8Array): string[] {
	const range = decodeScanOptions(options, 0, options.length);
	if (range === undefined) throw new Error('scan options that cannot be read');
	const bound = (bytes: Uint8Array | undefined): string | undefined =>
		bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1');
	const lower = bound(range.lower);
	const upper = bound(range.upper);
	const names = [...map.keys()].sort().filter((name) => {
		if (lower !== undefined && (range.isLowerInclusive ? name < lower : name <= lower)) return false;
		return upper === undefined || (range.isUpperInclusive ? name <= upper : name < upper);
	});
	return range.isReverse ? names.reverse() : names;
}

/** A page. Forward every other one is empty and not the last, as those over deleted stretches are. */
function scan(map: Map<string, Entry>, after: string, countMax: number, options: Uint8Array): Answer {
	const range = decodeScanOptions(options, 0, options.length);
	const isReverse = range?.isReverse === true;
	const names = namesIn(map, options).filter((name) => after === '' || (isReverse ? name < after : name > after));
	const isEmpty = !isReverse && after !== '' && !after.endsWith('\0');
	const page = isEmpty ? [] : names.slice(0, countMax);
	const cursor = Buffer.from(page[page.length - 1] ?? `${after}\0`, 'latin1');
	const size = Buffer.alloc(pageHeaderSize);
	writeU16(size, 0, cursor.length);
	const parts: Uint8Array[] = [size, cursor];
	for (const name of page) {
		const entry = map.get(name) as Entry;
		const key = Buffer.from(name, 'latin1');
		const stored = range?.isKeysOnly === true ? noBytes : entry.value;
		const header = Buffer.alloc(pageEntryHeaderSize);
		writeU32(header, pageKeySizeOffset, key.length);
		writeU32(header, pageValueSizeOffset, stored.length);
		writeF64(header, pageExpiryOffset, entry.expiresAtMs);
		writeF64(header, pageVersionOffset, entry.version);
		parts.push(header, key, stored);
	}
	return value(Buffer.concat(parts), !isEmpty && names.length <= countMax ? 1 : 0);
}
