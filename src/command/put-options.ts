/**
 * Options of put, the same for the embedded database and the client, checked once and turned into command flags. Pure.
 */
import { flagIfAbsent, flagIfPresent, flagKeepExpiry } from './command-format.js';

export interface PutOptions {
	/** Expires so many milliseconds after the command was taken, by the clock of whoever takes it. */
	readonly ttlMs?: number;
	/** Expires at this time, milliseconds since the epoch. */
	readonly expiresAtMs?: number;
	/** Only when the key is absent. */
	readonly ifAbsent?: boolean;
	/** Only when the key is present. */
	readonly ifPresent?: boolean;
	/** The key keeps the expiry it has. */
	readonly keepExpiry?: boolean;
}

export interface CheckedPutOptions {
	/** Command flags, without flagArgument. */
	readonly flags: number;
	/** 0: none. */
	readonly expiryMs: number;
	/** The expiry counts from now, whose now is the taker's. */
	readonly isRelative: boolean;
}

const plain: CheckedPutOptions = { flags: 0, expiryMs: 0, isRelative: false };
const names = new Set(['ttlMs', 'expiresAtMs', 'ifAbsent', 'ifPresent', 'keepExpiry']);

/** @throws TypeError for options that are unknown, out of range or exclude each other */
export function checkPutOptions(options: PutOptions | undefined): CheckedPutOptions {
	if (options === undefined) return plain;
	for (const name of Object.keys(options)) {
		if (!names.has(name)) throw new TypeError(`put has no option '${name}'`);
	}
	if (options.ifAbsent && options.ifPresent) throw new TypeError('ifAbsent and ifPresent exclude each other');
	const expiry = checkExpiry(options);
	if (options.keepExpiry && expiry.expiryMs !== 0) throw new TypeError('keepExpiry excludes ttlMs and expiresAtMs');
	let flags = 0;
	if (options.ifAbsent) flags |= flagIfAbsent;
	if (options.ifPresent) flags |= flagIfPresent;
	if (options.keepExpiry) flags |= flagKeepExpiry;
	return { flags, expiryMs: expiry.expiryMs, isRelative: expiry.isRelative };
}

/** @throws TypeError when both kinds of expiry are given, or one is no positive safe integer */
export function checkExpiry(options: { ttlMs?: number; expiresAtMs?: number } | undefined): CheckedPutOptions {
	if (options === undefined) return plain;
	const { ttlMs, expiresAtMs } = options;
	if (ttlMs !== undefined && expiresAtMs !== undefined) throw new TypeError('ttlMs and expiresAtMs exclude each other');
	if (ttlMs !== undefined) return { flags: 0, expiryMs: mustBePositive('ttlMs', ttlMs), isRelative: true };
	if (expiresAtMs !== undefined) {
		return { flags: 0, expiryMs: mustBePositive('expiresAtMs', expiresAtMs), isRelative: false };
	}
	return plain;
}

function mustBePositive(name: string, value: number): number {
	if (!Number.isSafeInteger(value) || value <= 0)
		throw new TypeError(`${name} is a positive whole number, not ${value}`);
	return value;
}
