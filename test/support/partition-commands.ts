/** Random commands of every kind, over few keys and small values, so that they meet. Pure: the seed decides. */
import type { Prng } from '../../src/base/prng.js';
import {
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
} from '../../src/command/command-format.js';
import type { TestCommand } from './partition-model.js';

export interface CommandMix {
	readonly keyCount: number;
	readonly valueSizeMax: number;
	/** Reads, of 100. */
	readonly readPercent: number;
	/** Clears, of 1000. */
	readonly clearPerMille: number;
}

const numbers = ['0', '1', '-1', '9223372036854775807', '-9223372036854775808', '999999999999999', '-1000000000000000'];
const noNumbers = ['', '-', '-0', '01', '+1', '1 ', '1.5', '9223372036854775808', 'abc'];

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
	if (prng.below(100) < mix.readPercent) return { opcode: [opGet, opHas, opGetExpiry][prng.below(3)], key };
	if (prng.below(1000) < mix.clearPerMille) return { opcode: opClear };
	const style = prng.below(10);
	if (style === 0) return { opcode: opDelete, key };
	if (style === 1) {
		const deltas = prng.chance(0.9) ? numbers : noNumbers;
		return { opcode: opIncrement, key, value: deltas[prng.below(deltas.length)] };
	}
	if (style === 2) {
		if (prng.chance(0.3)) return { opcode: opSetExpiry, key };
		return { opcode: opSetExpiry, flags: flagArgument, argument: randomExpiry(prng, nowMs), key };
	}
	let flags = 0;
	if (prng.chance(0.2)) flags |= prng.chance(0.5) ? flagIfAbsent : flagIfPresent;
	if (prng.chance(0.2)) flags |= flagReturnOld;
	if (prng.chance(0.2)) flags |= flagKeepExpiry;
	const value = randomValue(prng, mix.valueSizeMax);
	if (!prng.chance(0.25)) return { opcode: opPut, flags, key, value };
	return { opcode: opPut, flags: flags | flagArgument, argument: randomExpiry(prng, nowMs), key, value };
}
