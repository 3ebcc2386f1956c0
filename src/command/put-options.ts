/**
 * Options of writes, checked once and turned into command flags and numbers. Pure.
 *
 *   { ttlMs: 60_000, ifVersion: 7 } ──check──> { flags, expiryMs, isRelative, version } ──> a command's flags, argument, sequence
 *
 * The embedded database takes all of them (StorePutOptions); the client those its wire has (PutOptions). Each names what it
 * takes, so that nothing is taken in silence: an unknown name, a wrong type and what excludes each other are TypeErrors.
 */
import {
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagSequence,
	flagSliding,
	wishAlways,
	wishDefault,
	wishNone,
} from './command-format.js';
import type {
	AbortOptions,
	BatchOperation,
	ExpiryOptions,
	ReadOptions,
	StorePutOptions,
	StoreWriteOptions,
	WriteOptions,
} from './store.js';
import type { Durability } from './worker-boot.js';

/** Options of put that the client has. */
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
	/** With flagSequence: the version the key must have. */
	readonly version: number;
}

const plain: CheckedPutOptions = { flags: 0, expiryMs: 0, isRelative: false, version: 0 };
const durabilities: readonly unknown[] = ['always', 'interval', 'none'] satisfies Durability[];

/** Names of options by what takes them. */
const expiryNames = ['ttlMs', 'expiresAtMs'];
const clientPutNames = new Set([...expiryNames, 'ifAbsent', 'ifPresent', 'keepExpiry']);
const clientExpiryNames = new Set(expiryNames);
const storePutNames = new Set([...clientPutNames, 'sliding', 'ifVersion', 'durability']);
const storeExpiryNames = new Set([...expiryNames, 'sliding', 'durability']);
const storeWriteNames = new Set(['ifVersion', 'durability']);
const durabilityNames = new Set(['durability']);
const readNames = new Set(['snapshot']);
const abortNames = new Set(['signal']);

interface BatchRow {
	/** Properties without which it is none. */
	readonly must: readonly string[];
	readonly names: ReadonlySet<string>;
}

const keyNames = ['type', 'key'];
const pairNames = [...keyNames, 'value'];
const batchRows: Readonly<Record<BatchOperation['type'], BatchRow>> = {
	put: { must: pairNames, names: new Set([...pairNames, ...storePutNames].filter((name) => name !== 'durability')) },
	append: { must: pairNames, names: new Set([...pairNames, 'ifVersion']) },
	delete: { must: keyNames, names: new Set([...keyNames, 'ifVersion']) },
	increment: { must: keyNames, names: new Set([...keyNames, 'delta', 'ifVersion']) },
};

/** The client's put. @throws TypeError for options that are unknown, out of range or exclude each other */
export function checkPutOptions(options: PutOptions | undefined): CheckedPutOptions {
	return checkPut('put', clientPutNames, options);
}

/** The client's setExpiry. @throws TypeError when both kinds of expiry are given, or one is no positive safe integer */
export function checkExpiry(options: { ttlMs?: number; expiresAtMs?: number } | undefined): CheckedPutOptions {
	return checkPut('setExpiry', clientExpiryNames, options);
}

/** A store's put; `durability` is checked by `wishOf`. @throws TypeError */
export function checkStorePut(options: StorePutOptions | undefined): CheckedPutOptions {
	return checkPut('put', storePutNames, options);
}

/** A store's setExpiry. @throws TypeError */
export function checkStoreExpiry(options: (ExpiryOptions & WriteOptions) | undefined): CheckedPutOptions {
	return checkPut('setExpiry', storeExpiryNames, options);
}

/** A store's delete, increment and append. @throws TypeError */
export function checkStoreWrite(what: string, options: StoreWriteOptions | undefined): CheckedPutOptions {
	return checkPut(what, storeWriteNames, options);
}

/** Options that say nothing but `durability`, which `wishOf` checks. @throws TypeError */
export function checkDurabilityOnly(what: string, options: WriteOptions | undefined): void {
	checkNames(what, durabilityNames, options);
}

/** Options that say nothing but `signal`. @throws TypeError */
export function checkAbortOptions(what: string, options: AbortOptions | undefined): void {
	checkNames(what, abortNames, options);
}

/** Options of a read. @throws TypeError */
export function checkReadOptions(what: string, options: ReadOptions | undefined): void {
	checkNames(what, readNames, options);
}

/** The options of an operation in a batch: what else it has. @throws TypeError */
export function checkBatchOperation(operation: BatchOperation): CheckedPutOptions {
	const { type } = operation;
	const row = batchRows[type];
	// As many as it must have, and these are all its own and not inherited: nothing else. The usual case, and a dear one to check.
	const isPlain =
		Object.keys(operation).length === row.must.length && row.must.every((name) => Object.hasOwn(operation, name));
	return isPlain ? plain : checkPut(`a ${type} in a batch`, row.names, operation);
}

/** @throws TypeError for a name that is not among them, and for options that are no object */
export function checkNames(what: string, names: ReadonlySet<string>, options: object | undefined): void {
	if (options === undefined) return;
	if (typeof options !== 'object' || options === null) throw new TypeError(`options of ${what} are an object`);
	for (const name of Object.keys(options)) {
		if (!names.has(name)) throw new TypeError(`${what} has no option '${name}'`);
	}
}

/**
 * The wish that travels with a write. 'interval' has no wish of its own: where the database does not sync at intervals, the write
 * waits for its own sync, which is more than was asked for.
 * @throws TypeError for what is no durability
 */
export function wishOf(options: WriteOptions | undefined, database: Durability): number {
	const durability = options?.durability;
	if (durability === undefined) return wishDefault;
	if (!durabilities.includes(durability)) {
		throw new TypeError(`durability is 'always', 'interval' or 'none', not ${String(durability)}`);
	}
	if (durability === database) return wishDefault;
	return durability === 'none' ? wishNone : wishAlways;
}

/** When it expires by this clock, in milliseconds since the epoch; 0: never. */
export function expiresAtMsOf(checked: CheckedPutOptions, nowMs: number): number {
	if (!checked.isRelative) return checked.expiryMs;
	return Math.min(nowMs + checked.expiryMs, Number.MAX_SAFE_INTEGER);
}

/** @param names what this caller takes */
function checkPut(what: string, names: ReadonlySet<string>, options: StorePutOptions | undefined): CheckedPutOptions {
	if (options === undefined) return plain;
	checkNames(what, names, options);
	const { ttlMs, expiresAtMs, sliding, ifVersion } = options;
	const isAbsent = mustBeBoolean('ifAbsent', options.ifAbsent);
	const isPresent = mustBeBoolean('ifPresent', options.ifPresent);
	const isKept = mustBeBoolean('keepExpiry', options.keepExpiry);
	const isSliding = mustBeBoolean('sliding', sliding);
	if (ttlMs !== undefined && expiresAtMs !== undefined) throw new TypeError('ttlMs and expiresAtMs exclude each other');
	if (ttlMs !== undefined) mustBePositive('ttlMs', ttlMs);
	if (expiresAtMs !== undefined) mustBePositive('expiresAtMs', expiresAtMs);
	if (isAbsent && isPresent) throw new TypeError('ifAbsent and ifPresent exclude each other');
	const expiryMs = ttlMs ?? expiresAtMs ?? 0;
	if (isKept && expiryMs !== 0) throw new TypeError('keepExpiry excludes ttlMs and expiresAtMs');
	if (isSliding && expiryMs === 0) throw new TypeError('sliding needs ttlMs or expiresAtMs: it moves that on');
	if (ifVersion !== undefined) mustBeVersion(ifVersion);
	return {
		flags:
			(isAbsent ? flagIfAbsent : 0) |
			(isPresent ? flagIfPresent : 0) |
			(isKept ? flagKeepExpiry : 0) |
			(isSliding ? flagSliding : 0) |
			(ifVersion === undefined ? 0 : flagSequence),
		expiryMs,
		isRelative: ttlMs !== undefined,
		version: ifVersion ?? 0,
	};
}

function mustBeBoolean(name: string, value: unknown): boolean {
	if (value === undefined || typeof value === 'boolean') return value === true;
	throw new TypeError(`${name} is true or false, not ${typeof value}`);
}

function mustBePositive(name: string, value: unknown): void {
	if (Number.isSafeInteger(value) && (value as number) > 0) return;
	throw new TypeError(`${name} is a positive whole number, not ${String(value)}`);
}

function mustBeVersion(value: unknown): void {
	if (Number.isSafeInteger(value) && (value as number) >= 0) return;
	throw new TypeError(`ifVersion is a version, or 0 for an absent key, not ${String(value)}`);
}
