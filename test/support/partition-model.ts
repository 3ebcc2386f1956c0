/**
 * What a partition must be, in the plainest words: a map, written from the meaning of the commands and from nothing else.
 * `sequence` counts the commands that changed something, so the state after any prefix of a log has a number.
 *
 * Keys and values are latin1 strings, one character for each byte: their order is the order of bytes.
 */
import { assert } from '../../src/base/assert.js';
import { statusNotFound, statusOf, statusOk } from '../../src/base/errors.js';
import {
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	flagSequence,
	flagSliding,
	opAppend,
	opBatch,
	opClear,
	opDelete,
	opDeleteRange,
	opGet,
	opGetEntry,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opSetExpiry,
	replyMessage,
	replyNone,
	replyValue,
} from '../../src/command/command-format.js';
import { type Answer, f64Text, type TestCommand } from './test-command.js';

export interface ModelEntry {
	readonly value: string;
	readonly expiresAtMs: number;
	readonly version: number;
}

interface StoredEntry extends ModelEntry {
	/** How far a read moves the expiry; 0: not at all. */
	readonly slidingMs: number;
}

/** Everything a partition remembers, at one moment. */
export interface ModelState {
	readonly sequence: number;
	readonly entries: ReadonlyMap<string, StoredEntry>;
}

const notFound: Answer = { status: statusNotFound, kind: replyNone, number: 0, text: '' };
const integer = /^(0|-?[1-9][0-9]{0,18})$/;
const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;

function failure(code: Parameters<typeof statusOf>[0]): Answer {
	return { status: statusOf(code), kind: replyMessage, number: 0, text: '' };
}

function parseInteger(text: string): bigint | undefined {
	if (!integer.test(text)) return undefined;
	const value = BigInt(text);
	return value < int64Min || value > int64Max ? undefined : value;
}

function isLive(entry: StoredEntry, nowMs: number): boolean {
	return entry.expiresAtMs === 0 || entry.expiresAtMs > nowMs;
}

/** The entries that are live at a time, in the order of keys. */
export function liveEntries(state: ModelState, nowMs: number): [string, ModelEntry][] {
	return [...state.entries]
		.filter(([, entry]) => isLive(entry, nowMs))
		.map(([key, { value, expiresAtMs, version }]): [string, ModelEntry] => [key, { value, expiresAtMs, version }])
		.sort(([a], [b]) => (a < b ? -1 : 1));
}

export class PartitionModel implements ModelState {
	sequence = 0;
	entries = new Map<string, StoredEntry>();
	/** The command that last decided about a key: also a delete. */
	#touched = new Map<string, number>();
	#clearSequence = 0;
	/** What snapshots see, by sequence. */
	readonly snapshots = new Map<number, ModelState>();
	/** A condition of the last command was not met. */
	#isUnmet = false;

	/** A model of what is stored in a state; nothing is pinned in it. */
	static of(state: ModelState): PartitionModel {
		const model = new PartitionModel();
		model.sequence = state.sequence;
		model.entries = new Map(state.entries);
		return model;
	}

	/** The state as it is now, for ever. */
	copy(): ModelState {
		return { sequence: this.sequence, entries: new Map(this.entries) };
	}

	/** The newest command that an answer about this key depends on. */
	dependsOn(key: string): number {
		return Math.max(this.#touched.get(key) ?? 0, this.#clearSequence);
	}

	versionOf(key: string): number {
		return this.entries.get(key)?.version ?? 0;
	}

	live(nowMs: number): [string, ModelEntry][] {
		return liveEntries(this, nowMs);
	}

	/** Pins what is stored now. */
	pin(): number {
		this.snapshots.set(this.sequence, this.copy());
		return this.sequence;
	}

	/** The expiry that a read of the key should lead to; 0: it changes nothing. */
	wantedExpiry(command: TestCommand, nowMs: number): number {
		const { opcode, flags = 0, key = '' } = command;
		if (opcode === opGetExpiry || (flags & flagSequence) !== 0) return 0;
		const entry = this.entries.get(key);
		if (entry === undefined || entry.slidingMs === 0 || !isLive(entry, nowMs)) return 0;
		return (entry.expiresAtMs - nowMs) * 16 < entry.slidingMs * 15 ? nowMs + entry.slidingMs : 0;
	}

	/** The partition has moved the expiry of a key that was read. */
	touch(key: string, expiresAtMs: number): void {
		const entry = this.entries.get(key);
		assert(entry !== undefined && expiresAtMs !== 0, `the touch of ${key} is one that a read wanted`);
		this.#store(key, { ...entry, expiresAtMs });
	}

	apply(command: TestCommand, nowMs: number): Answer {
		this.#isUnmet = false;
		const { opcode, flags = 0, argument = 0, key = '', value = '' } = command;
		const found = this.entries.get(key);
		const old = found !== undefined && isLive(found, nowMs) ? found : undefined;
		const expiresAtMs = (flags & flagArgument) !== 0 ? argument : 0;
		const isExpiryBad = !Number.isSafeInteger(expiresAtMs) || expiresAtMs < 0;
		const slidingMs = (flags & flagSliding) === 0 ? 0 : Math.max(0, expiresAtMs - nowMs);
		const isVersionMet = (flags & flagSequence) === 0 || command.sequence === (old?.version ?? 0);
		switch (opcode) {
			case opGet:
			case opHas:
			case opGetExpiry:
			case opGetEntry:
				return this.#read(command, nowMs);
			case opPut:
				if (isExpiryBad) return failure('MILLRACE_ARGUMENT');
				return this.#put(key, { value, expiresAtMs, slidingMs }, flags, isVersionMet, old);
			case opDelete:
				if (!isVersionMet) return this.#unmet();
				return old ? this.#store(key, undefined) : notFound;
			case opIncrement:
				return isVersionMet ? this.#increment(key, value, old) : this.#unmet();
			case opAppend:
				return isVersionMet ? this.#append(key, value, old) : this.#unmet();
			case opSetExpiry:
				if (isExpiryBad) return failure('MILLRACE_ARGUMENT');
				if (!isVersionMet) return this.#unmet();
				if (old === undefined || (expiresAtMs === 0 && old.expiresAtMs === 0)) return notFound;
				return this.#store(key, { value: old.value, expiresAtMs, slidingMs });
			case opDeleteRange:
				return this.#deleteRange(key, value);
			case opBatch:
				return this.#batch(command.commands ?? [], nowMs);
			case opClear:
				this.entries.clear();
				this.snapshots.clear();
				this.#clearSequence = ++this.sequence;
				return { ...notFound, status: statusOk, number: this.sequence };
			default:
				assert(false, `opcode ${opcode}`);
		}
	}

	#read(command: TestCommand, nowMs: number): Answer {
		const { opcode, flags = 0, key = '', sequence = 0 } = command;
		const state = (flags & flagSequence) === 0 ? this : this.snapshots.get(sequence);
		if (state === undefined) return failure('MILLRACE_SNAPSHOT');
		const entry = state.entries.get(key);
		if (entry === undefined || !isLive(entry, nowMs)) return notFound;
		const { value, expiresAtMs, version } = entry;
		if (opcode === opGet) return { status: statusOk, kind: replyValue, number: version, text: value };
		if (opcode === opHas) return { ...notFound, status: statusOk };
		if (opcode === opGetExpiry) return { ...notFound, status: statusOk, number: expiresAtMs };
		return { status: statusOk, kind: replyValue, number: version, text: f64Text(expiresAtMs) + value };
	}

	#put(
		key: string,
		entry: Omit<StoredEntry, 'version'>,
		flags: number,
		isVersionMet: boolean,
		old: StoredEntry | undefined,
	): Answer {
		const isOldShown = (flags & flagReturnOld) !== 0 && old !== undefined;
		const shown = isOldShown ? { kind: replyValue, text: old.value } : { kind: replyNone, text: '' };
		const isRefused = old ? (flags & flagIfAbsent) !== 0 : (flags & flagIfPresent) !== 0;
		if (isRefused || !isVersionMet) return { ...this.#unmet(), ...shown };
		const isKept = old !== undefined && (flags & flagKeepExpiry) !== 0;
		const kept = isKept ? { expiresAtMs: old.expiresAtMs, slidingMs: old.slidingMs } : {};
		return { ...this.#store(key, { ...entry, ...kept }), ...shown };
	}

	#increment(key: string, delta: string, old: StoredEntry | undefined): Answer {
		const base = old === undefined ? 0n : parseInteger(old.value);
		const step = parseInteger(delta);
		if (base === undefined || step === undefined) return failure('MILLRACE_NOT_INTEGER');
		const sum = base + step;
		if (sum < int64Min || sum > int64Max) return failure('MILLRACE_OVERFLOW');
		const value = String(sum);
		return { ...this.#store(key, { ...timesOf(old), value }), kind: replyValue, text: value };
	}

	#append(key: string, tail: string, old: StoredEntry | undefined): Answer {
		const value = (old?.value ?? '') + tail;
		return { ...this.#store(key, { ...timesOf(old), value }), kind: replyValue, text: String(value.length) };
	}

	#deleteRange(start: string, end: string): Answer {
		if (end !== '' && start >= end) return { ...notFound, status: statusOk };
		const version = ++this.sequence;
		for (const key of [...this.entries.keys()]) {
			if (key < start || (end !== '' && key >= end)) continue;
			this.entries.delete(key);
			this.#touched.set(key, version);
		}
		return { status: statusOk, kind: replyNone, number: version, text: '' };
	}

	#batch(commands: readonly TestCommand[], nowMs: number): Answer {
		const before = { sequence: this.sequence, entries: new Map(this.entries), touched: new Map(this.#touched) };
		let hasWritten = false;
		for (let index = 0; index < commands.length; index++) {
			const sequence = before.sequence + index;
			this.sequence = sequence;
			const answer = this.apply(commands[index], nowMs);
			if (this.#isUnmet || answer.status > statusNotFound) {
				this.sequence = before.sequence;
				this.entries = before.entries;
				this.#touched = before.touched;
				return { ...answer, number: index };
			}
			hasWritten ||= this.sequence > sequence;
		}
		this.sequence = before.sequence + (hasWritten ? commands.length : 0);
		return { ...notFound, status: statusOk, number: hasWritten ? this.sequence : 0 };
	}

	#unmet(): Answer {
		this.#isUnmet = true;
		return notFound;
	}

	#store(key: string, entry: Omit<StoredEntry, 'version'> | undefined): Answer {
		const version = ++this.sequence;
		this.#touched.set(key, version);
		if (entry === undefined) this.entries.delete(key);
		else this.entries.set(key, { ...entry, version });
		return { status: statusOk, kind: replyNone, number: version, text: '' };
	}
}

/** Writes that build on a value leave its times alone. */
function timesOf(old: StoredEntry | undefined): { expiresAtMs: number; slidingMs: number } {
	return { expiresAtMs: old?.expiresAtMs ?? 0, slidingMs: old?.slidingMs ?? 0 };
}
