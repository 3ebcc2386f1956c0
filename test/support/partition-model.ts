/**
 * What a partition must be, in the plainest words: a map, written from the meaning of the commands and from nothing else.
 * `sequence` counts the commands that changed something, so the state after any prefix of a log has a number.
 *
 * Keys and values are latin1 strings, one character for each byte: their order is the order of bytes.
 */
import { assert } from '../../src/base/assert.js';
import { statusNotFound, statusOf, statusOk } from '../../src/base/errors.js';
import {
	commandSize,
	encodeCommand,
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	opClear,
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
} from '../../src/command/command-format.js';

export interface TestCommand {
	readonly opcode: number;
	readonly flags?: number;
	readonly argument?: number;
	readonly key?: string;
	readonly value?: string;
}

export interface ModelEntry {
	readonly value: string;
	readonly expiresAtMs: number;
	readonly version: number;
}

export interface Answer {
	readonly status: number;
	readonly kind: number;
	readonly number: number;
	/** The payload; '' for the words of an error, which are no contract. */
	readonly text: string;
}

/** The bytes of a command, with something before and behind that must not matter. */
export function commandBytes(command: TestCommand, offset = 0): Uint8Array {
	const { opcode, flags = 0, argument = 0, key = '', value = '' } = command;
	const size = commandSize(flags, key.length, value.length);
	const bytes = new Uint8Array(offset + size + 8).fill(0xee);
	const keyBytes = Buffer.from(key, 'latin1');
	const valueBytes = Buffer.from(value, 'latin1');
	encodeCommand(bytes, offset, opcode, flags, argument, keyBytes, 0, keyBytes.length, valueBytes, 0, valueBytes.length);
	return bytes;
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

export class PartitionModel {
	sequence = 0;
	readonly entries = new Map<string, ModelEntry>();
	/** The command that last decided about a key: also a delete. */
	readonly #touched = new Map<string, number>();
	#clearSequence = 0;

	/** The newest command that an answer about this key depends on. */
	dependsOn(key: string): number {
		return Math.max(this.#touched.get(key) ?? 0, this.#clearSequence);
	}

	/** The entries that are live at a time, in the order of keys. */
	live(nowMs: number): [string, ModelEntry][] {
		return [...this.entries]
			.filter(([, entry]) => entry.expiresAtMs === 0 || entry.expiresAtMs > nowMs)
			.sort(([a], [b]) => (a < b ? -1 : 1));
	}

	apply(command: TestCommand, nowMs: number): Answer {
		const { opcode, flags = 0, argument = 0, key = '', value = '' } = command;
		const found = this.entries.get(key);
		const old = found !== undefined && (found.expiresAtMs === 0 || found.expiresAtMs > nowMs) ? found : undefined;
		const expiresAtMs = (flags & flagArgument) !== 0 ? argument : 0;
		const isExpiryBad = !Number.isSafeInteger(expiresAtMs) || expiresAtMs < 0;
		switch (opcode) {
			case opGet:
				return old ? { status: statusOk, kind: replyValue, number: old.version, text: old.value } : notFound;
			case opHas:
				return old ? { ...notFound, status: statusOk } : notFound;
			case opGetExpiry:
				return old ? { ...notFound, status: statusOk, number: old.expiresAtMs } : notFound;
			case opPut:
				return isExpiryBad ? failure('MILLRACE_ARGUMENT') : this.#put(key, value, flags, expiresAtMs, old);
			case opDelete:
				return old ? this.#store(key, undefined) : notFound;
			case opIncrement:
				return this.#increment(key, value, old);
			case opSetExpiry:
				if (isExpiryBad) return failure('MILLRACE_ARGUMENT');
				if (old === undefined || (expiresAtMs === 0 && old.expiresAtMs === 0)) return notFound;
				return this.#store(key, { value: old.value, expiresAtMs });
			case opClear:
				this.entries.clear();
				this.#clearSequence = ++this.sequence;
				return { ...notFound, status: statusOk, number: this.sequence };
			default:
				assert(false, `opcode ${opcode}`);
		}
	}

	#put(key: string, value: string, flags: number, expiresAtMs: number, old: ModelEntry | undefined): Answer {
		const isOldShown = (flags & flagReturnOld) !== 0 && old !== undefined;
		const shown = isOldShown ? { kind: replyValue, text: old.value } : { kind: replyNone, text: '' };
		const isRefused = old ? (flags & flagIfAbsent) !== 0 : (flags & flagIfPresent) !== 0;
		if (isRefused) return { ...notFound, ...shown };
		const isKept = old !== undefined && (flags & flagKeepExpiry) !== 0;
		return { ...this.#store(key, { value, expiresAtMs: isKept ? old.expiresAtMs : expiresAtMs }), ...shown };
	}

	#increment(key: string, delta: string, old: ModelEntry | undefined): Answer {
		const base = old === undefined ? 0n : parseInteger(old.value);
		const step = parseInteger(delta);
		if (base === undefined || step === undefined) return failure('MILLRACE_NOT_INTEGER');
		const sum = base + step;
		if (sum < int64Min || sum > int64Max) return failure('MILLRACE_OVERFLOW');
		const value = String(sum);
		const answer = this.#store(key, { value, expiresAtMs: old?.expiresAtMs ?? 0 });
		return { ...answer, kind: replyValue, text: value };
	}

	#store(key: string, entry: { value: string; expiresAtMs: number } | undefined): Answer {
		const version = ++this.sequence;
		this.#touched.set(key, version);
		if (entry === undefined) this.entries.delete(key);
		else this.entries.set(key, { ...entry, version });
		return { status: statusOk, kind: replyNone, number: version, text: '' };
	}
}
