/** Random commands of every kind, over few keys and small values, so that they meet. Pure: the seed decides. */
import type { Prng } from '../../src/base/prng.js';
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
} from '../../src/command/command-format.js';
import type { TestCommand } from './test-command.js';

export interface CommandMix {
	readonly keyCount: number;
	readonly valueSizeMax: number;
	/** Reads, of 100. */
	readonly readPercent: number;
	/** Clears, of 1000. */
	readonly clearPerMille: number;
	/** The version a key has, for conditions that are met now and then. */
	readonly versionOf?: (key: string) => number;
	/** Snapshots that are held, for reads at them. */
	readonly snapshots?: readonly number[];
}

const numbers = ['0', '1', '-1', '9223372036854775807', '-9223372036854775808', '999999999999999', '-1000000000000000'];
const noNumbers = ['', '-', '-0', '01', '+1', '1 ', '1.5', '9223372036854775808', 'abc'];
const reads = [opGet, opHas, opGetExpiry, opGetEntry];

export function randomKey(prng: Prng, keyCount: number): string {
	const number = prng.below(keyCount);
	// Some are prefixes of others, some long, some with bytes above 0x7f.
	if (number % 7 === 0) return 'k'.repeat(1 + (number % 40));
	if (number % 7 === 1) return `\xff\x00${number}`;
	return `key${number}`;
}

function randomValue(prng: Prng, sizeMax: number): string {
	const style = prng.below(10);
	if (style < 2) return numbers[prng.below(numbers.length)];
	if (style === 2) return noNumbers[prng.below(noNumbers.length)];
	const letter = String.fromCharCode(33 + prng.below(200));
	return letter.repeat(prng.below(sizeMax)) + String(prng.nextU32());
}

/** A time before, at, or after now; rarely one that is no time. */
function randomExpiry(prng: Prng, nowMs: number): number {
	const style = prng.below(12);
	if (style === 0) return nowMs;
	if (style === 1) return Math.max(1, nowMs - prng.below(1000));
	if (style === 2) return [0, -1, 1.5, Number.NaN, 2 ** 53 - 1, Number.POSITIVE_INFINITY][prng.below(6)];
	return nowMs + 1 + prng.below(3000);
}

export function randomCommand(prng: Prng, nowMs: number, mix: CommandMix): TestCommand {
	const key = randomKey(prng, mix.keyCount);
	if (prng.below(100) < mix.readPercent) return randomRead(prng, key, mix.snapshots ?? []);
	if (prng.below(1000) < mix.clearPerMille) return { opcode: opClear };
	const style = prng.below(100);
	if (style < 10) return randomBatch(prng, nowMs, mix);
	if (style < 13) return randomRange(prng, mix);
	return randomWrite(prng, nowMs, mix, key, flagReturnOld);
}

function randomRead(prng: Prng, key: string, snapshots: readonly number[]): TestCommand {
	const opcode = reads[prng.below(reads.length)];
	if (snapshots.length === 0 || prng.chance(0.6)) return { opcode, key };
	// Now and then there is none.
	const sequence = prng.chance(0.05) ? prng.below(1000) : snapshots[prng.below(snapshots.length)];
	return { opcode, key, flags: flagSequence, sequence };
}

/** Mostly a few keys; sometimes without a bound, or empty. */
function randomRange(prng: Prng, mix: CommandMix): TestCommand {
	const bound = (): string => (prng.chance(0.05) ? '' : randomKey(prng, mix.keyCount));
	const start = bound();
	const end = prng.chance(0.6) ? `${start}${prng.below(10)}` : bound();
	return { opcode: opDeleteRange, key: start, value: end };
}

function randomBatch(prng: Prng, nowMs: number, mix: CommandMix): TestCommand {
	const commands: TestCommand[] = [];
	const count = 1 + prng.below(prng.chance(0.1) ? 12 : 5);
	const valueSizeMax = Math.max(1, mix.valueSizeMax >>> 2);
	const inner = { ...mix, valueSizeMax, keyCount: prng.chance(0.5) ? Math.min(3, mix.keyCount) : mix.keyCount };
	for (let i = 0; i < count; i++) {
		const key = randomKey(prng, inner.keyCount);
		commands.push(prng.chance(0.1) ? randomRange(prng, inner) : randomWrite(prng, nowMs, inner, key, 0, 0.1));
	}
	return { opcode: opBatch, commands };
}

/** A write of one key. @param returnOld flagReturnOld, or 0 where it cannot be @param conditionChance of a condition */
function randomWrite(
	prng: Prng,
	nowMs: number,
	mix: CommandMix,
	key: string,
	returnOld: number,
	conditionChance = 0.2,
): TestCommand {
	const isVersioned = prng.chance(conditionChance);
	const versions = [0, mix.versionOf?.(key) ?? 0, mix.versionOf?.(key) ?? 0, prng.below(1000)];
	const condition = isVersioned ? { sequence: versions[prng.below(versions.length)] } : {};
	let flags = isVersioned ? flagSequence : 0;
	const style = prng.below(10);
	if (style === 0) return { opcode: opDelete, flags, key, ...condition };
	if (style === 1) {
		const deltas = prng.chance(0.9) ? numbers : noNumbers;
		return { opcode: opIncrement, flags, key, value: deltas[prng.below(deltas.length)], ...condition };
	}
	if (style === 2)
		return { opcode: opAppend, flags, key, value: randomValue(prng, mix.valueSizeMax >>> 3), ...condition };
	if (prng.chance(0.3)) flags |= flagArgument | (prng.chance(0.4) ? flagSliding : 0);
	const argument = randomExpiry(prng, nowMs);
	if (style === 3) return { opcode: opSetExpiry, flags, argument, key, ...condition };
	if (prng.chance(conditionChance)) flags |= prng.chance(0.5) ? flagIfAbsent : flagIfPresent;
	if (prng.chance(0.2)) flags |= returnOld;
	if (prng.chance(0.2)) flags |= flagKeepExpiry;
	return { opcode: opPut, flags, argument, key, value: randomValue(prng, mix.valueSizeMax), ...condition };
}
