/**
 * What the methods of the Store port take as options, checked in the plainest words for the memory store: every function but
 * `sumOf` throws TypeError for what is wrong. Pure.
 */
import { MillraceError } from '../../src/base/errors.js';
import type {
	BatchOperation,
	ExpiryOptions,
	ReadOptions,
	StorePutOptions,
	StoreWriteOptions,
} from '../../src/command/store.js';

const expiryNames = ['ttlMs', 'expiresAtMs', 'sliding'];
const putNames = [...expiryNames, 'ifVersion', 'ifAbsent', 'ifPresent', 'keepExpiry'];
const namesByOperation: Record<BatchOperation['type'], readonly string[]> = {
	put: ['type', 'key', 'value', ...putNames],
	delete: ['type', 'key', 'ifVersion'],
	increment: ['type', 'key', 'delta', 'ifVersion'],
	append: ['type', 'key', 'value', 'ifVersion'],
};

export function operationNames(type: BatchOperation['type']): readonly string[] {
	if (!Object.hasOwn(namesByOperation, type)) throw new TypeError(`a batch has no '${type}'`);
	return namesByOperation[type];
}

/** Also that they are an object, and that `durability`, which many have, is one. */
export function checkNames(options: object, names: readonly string[]): void {
	if (typeof options !== 'object' || options === null) throw new TypeError('options are an object');
	for (const name of Object.keys(options)) if (!names.includes(name)) throw new TypeError(`no option '${name}'`);
	const { durability } = options as StoreWriteOptions;
	if (durability !== undefined && !['always', 'interval', 'none'].includes(durability)) {
		throw new TypeError(`durability is 'always', 'interval' or 'none', not ${durability}`);
	}
}

export function checkRead(options: ReadOptions | undefined): void {
	if (options !== undefined) checkNames(options, ['snapshot']);
}

export function checkWrite(options: StoreWriteOptions): void {
	checkNames(options, ['ifVersion', 'durability']);
	const { ifVersion } = options;
	if (ifVersion !== undefined && !(Number.isSafeInteger(ifVersion) && ifVersion >= 0)) {
		throw new TypeError(`ifVersion is a version, not ${ifVersion}`);
	}
}

export function checkPut(options: StorePutOptions): void {
	checkNames(options, [...putNames, 'durability']);
	const { ifVersion, ifAbsent, ifPresent, keepExpiry, ttlMs, expiresAtMs } = options;
	checkWrite({ ifVersion });
	for (const flag of [ifAbsent, ifPresent, keepExpiry]) {
		if (flag !== undefined && typeof flag !== 'boolean') throw new TypeError('conditions are true or false');
	}
	if (ifAbsent && ifPresent) throw new TypeError('ifAbsent and ifPresent exclude each other');
	if (keepExpiry && (ttlMs ?? expiresAtMs) !== undefined) throw new TypeError('keepExpiry excludes an expiry');
	expiryOf(options, 0);
}

/** When an entry written now expires (0: never), and how far reads move that on. */
export function expiryOf(options: ExpiryOptions, nowMs: number): { expiresAtMs: number; slidingMs: number } {
	const { ttlMs, expiresAtMs, sliding } = options;
	if (ttlMs !== undefined && expiresAtMs !== undefined) throw new TypeError('ttlMs and expiresAtMs exclude each other');
	for (const time of [ttlMs, expiresAtMs]) {
		if (time !== undefined && !(Number.isSafeInteger(time) && time > 0)) throw new TypeError(`no time: ${time}`);
	}
	if (sliding !== undefined && typeof sliding !== 'boolean') throw new TypeError('sliding is true or false');
	if (sliding && (ttlMs ?? expiresAtMs) === undefined) throw new TypeError('only an expiry slides');
	const at = ttlMs === undefined ? (expiresAtMs ?? 0) : nowMs + ttlMs;
	return { expiresAtMs: at, slidingMs: sliding ? Math.max(0, at - nowMs) : 0 };
}

export function checkSignal(signal: AbortSignal | undefined): void {
	if (signal === undefined) return;
	if (!(signal instanceof AbortSignal)) throw new TypeError('signal is an AbortSignal');
	signal.throwIfAborted();
}

const int64Max = 2n ** 63n - 1n;
const integer = /^(0|-?[1-9][0-9]{0,18})$/;

/** A counter and what is added to it. @throws MILLRACE_NOT_INTEGER, MILLRACE_OVERFLOW */
export function sumOf(counter: string, delta: bigint): bigint {
	if (!integer.test(counter) || BigInt.asIntN(64, BigInt(counter)) !== BigInt(counter)) {
		throw new MillraceError('MILLRACE_NOT_INTEGER', `${counter} is no integer of 64 bits`);
	}
	const sum = BigInt(counter) + delta;
	if (sum > int64Max || sum < -int64Max - 1n) throw new MillraceError('MILLRACE_OVERFLOW', `${sum} is too large`);
	return sum;
}
