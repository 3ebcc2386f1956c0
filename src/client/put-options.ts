/**
 * Options of put and setExpiry, checked and turned into wire flags. Pure.
 */
import { flagIfAbsent, flagIfPresent, flagKeepExpiry } from '../command/command-format.js';
import { wireFlagRelativeExpiry } from '../protocol/frame/frame-format.js';

export interface PutOptions {
	/** Expires so many milliseconds after the server took the command, by the server's clock. */
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

interface WireOptions {
	readonly flags: number;
	/** 0: none. */
	readonly expiryMs: number;
}

const plain: WireOptions = { flags: 0, expiryMs: 0 };
const putOptionNames = new Set(['ttlMs', 'expiresAtMs', 'ifAbsent', 'ifPresent', 'keepExpiry']);

/** @throws TypeError for options that are unknown, out of range or exclude each other */
export function readPutOptions(options: PutOptions | undefined): WireOptions {
	if (options === undefined) return plain;
	for (const name of Object.keys(options)) {
		if (!putOptionNames.has(name)) throw new TypeError(`put has no option '${name}'`);
	}
	if (options.ifAbsent && options.ifPresent) {
		throw new TypeError('ifAbsent and ifPresent exclude each other');
	}
	const expiry = readExpiry(options);
	if (options.keepExpiry && expiry.expiryMs !== 0) {
		throw new TypeError('keepExpiry excludes ttlMs and expiresAtMs');
	}
	let flags = expiry.flags;
	if (options.ifAbsent) flags |= flagIfAbsent;
	if (options.ifPresent) flags |= flagIfPresent;
	if (options.keepExpiry) flags |= flagKeepExpiry;
	return { flags, expiryMs: expiry.expiryMs };
}

/** @throws TypeError when both kinds of expiry are given, or one is no positive safe integer */
export function readExpiry(options: { ttlMs?: number; expiresAtMs?: number } | undefined): WireOptions {
	if (options === undefined) return plain;
	const { ttlMs, expiresAtMs } = options;
	if (ttlMs !== undefined && expiresAtMs !== undefined) {
		throw new TypeError('ttlMs and expiresAtMs exclude each other');
	}
	if (ttlMs !== undefined) {
		return { flags: wireFlagRelativeExpiry, expiryMs: mustBePositive('ttlMs', ttlMs) };
	}
	if (expiresAtMs !== undefined) {
		return { flags: 0, expiryMs: mustBePositive('expiresAtMs', expiresAtMs) };
	}
	return plain;
}

function mustBePositive(name: string, value: number): number {
	if (Number.isSafeInteger(value) && value > 0) return value;
	throw new TypeError(`${name} is a positive integer of milliseconds, not ${value}`);
}
