/**
 * SET with its options, its relatives, and the commands that set an expiry. Times become absolute milliseconds here,
 * because partitions read no clock.
 */
import {
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	opPut,
	opSetExpiry,
} from '../../command/command-format.js';
import type { CommandContext } from './command-context.js';
import { noBytes } from './command-context.js';
import { shapeFlag, shapeOk, shapeOld } from './reply-window.js';
import { errorNotInteger, errorSyntax } from './resp-format.js';
import { parseInteger } from './resp-integer.js';

/** 0 means "never" in the store, so a time at or before the epoch, which is long past, becomes 1. */
const expiryPast = 1;

function errorExpireTime(name: string): string {
	return `ERR invalid expire time in '${name}' command`;
}

/**
 * Reads the time in argument `index`, in units of `unitMs`, and makes it absolute.
 * @returns expiresAtMs, at least 1; or -1 when an error was answered
 */
function mustReadExpiry(
	context: CommandContext,
	name: string,
	index: number,
	unitMs: number,
	isAbsolute: boolean,
	isPositive: boolean,
): number {
	const time = parseInteger(context.bytes, context.offsetOf(index), context.sizeOf(index));
	if (Number.isNaN(time)) {
		context.replyError(errorNotInteger);
		return -1;
	}
	const expiresAtMs = time * unitMs + (isAbsolute ? 0 : context.host.nowMs());
	if ((isPositive && time <= 0) || !Number.isSafeInteger(expiresAtMs)) {
		context.replyError(errorExpireTime(name));
		return -1;
	}
	return Math.max(expiryPast, expiresAtMs);
}

/** Milliseconds in the unit of a SET option that takes a time; 0 for other words. */
function expiryUnitMs(word: string): number {
	if (word === 'EX' || word === 'EXAT') return 1000;
	return word === 'PX' || word === 'PXAT' ? 1 : 0;
}

function flagOf(word: string): number {
	if (word === 'NX') return flagIfAbsent;
	if (word === 'XX') return flagIfPresent;
	if (word === 'GET') return flagReturnOld;
	return word === 'KEEPTTL' ? flagKeepExpiry : 0;
}

/** SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] */
export function runSet(context: CommandContext): boolean {
	let flags = 0;
	let timeIndex = 0;
	let timeWord = '';
	for (let index = 3; index < context.argumentCount; index++) {
		const word = context.wordOf(index);
		const flag = flagOf(word);
		flags |= flag;
		if (flag !== 0) continue;
		if (expiryUnitMs(word) === 0 || timeIndex !== 0 || index + 1 === context.argumentCount)
			return context.replyError(errorSyntax);
		timeWord = word;
		timeIndex = ++index;
	}
	const isBoth = (flags & flagIfAbsent) !== 0 && (flags & flagIfPresent) !== 0;
	if (isBoth || (timeIndex !== 0 && (flags & flagKeepExpiry) !== 0)) return context.replyError(errorSyntax);
	let expiresAtMs = 0;
	if (timeIndex !== 0) {
		const isAbsolute = timeWord.endsWith('AT');
		expiresAtMs = mustReadExpiry(context, 'set', timeIndex, expiryUnitMs(timeWord), isAbsolute, true);
		if (expiresAtMs < 0) return true;
		flags |= flagArgument;
	}
	return submitPut(context, (flags & flagReturnOld) !== 0 ? shapeOld : shapeOk, flags, expiresAtMs, 2);
}

/** SETNX key value */
export function runSetNx(context: CommandContext): boolean {
	return submitPut(context, shapeFlag, flagIfAbsent, 0, 2);
}

/** GETSET key value */
export function runGetSet(context: CommandContext): boolean {
	return submitPut(context, shapeOld, flagReturnOld, 0, 2);
}

/** SETEX and PSETEX: key time value */
export function runSetExpiring(context: CommandContext, name: string, unitMs: number): boolean {
	const expiresAtMs = mustReadExpiry(context, name, 2, unitMs, false, true);
	if (expiresAtMs < 0) return true;
	return submitPut(context, shapeOk, flagArgument, expiresAtMs, 3);
}

/** EXPIRE and its relatives: key time. A time that has passed makes the key disappear at once. */
export function runExpire(context: CommandContext, name: string, unitMs: number, isAbsolute: boolean): boolean {
	if (context.argumentCount > 3) return context.replyError(`ERR Unsupported option ${context.textOf(3, 64)}`);
	const expiresAtMs = mustReadExpiry(context, name, 2, unitMs, isAbsolute, false);
	if (expiresAtMs < 0) return true;
	return context.submit(shapeFlag, opSetExpiry, flagArgument, expiresAtMs, 1, noBytes, 0, 0);
}

function submitPut(
	context: CommandContext,
	shape: number,
	flags: number,
	expiresAtMs: number,
	valueIndex: number,
): boolean {
	const valueOffset = context.offsetOf(valueIndex);
	const valueSize = context.sizeOf(valueIndex);
	return context.submit(shape, opPut, flags, expiresAtMs, 1, context.bytes, valueOffset, valueSize);
}
