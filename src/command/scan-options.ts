/**
 * What a scan or count looks at: a range of keys with bounds, a direction, and how much of it at once. Made from what a program
 * says (`checkScan`), carried as opScan's value (layout: command-format.ts), read where the scan is done.
 *
 *   { prefix: 'a:', gt: 'a:5' } ──checkScan──> ScanOptions ──encode──> bytes ──decode──> ScanOptions
 *
 * Pure, any thread.
 */
import { assert } from '../base/assert.js';
import {
	compareBytes,
	copyBytes,
	copyOf,
	prefixUpperBound,
	readU16,
	readU32,
	writeU16,
	writeU32,
} from '../base/bytes.js';
import { keySizeMax } from '../base/limits.js';
import { type Bytes, mustBound } from './checked-bytes.js';
import {
	scanHasLower,
	scanHasUpper,
	scanKeysOnly,
	scanLowerInclusive,
	scanLowerSizeOffset,
	scanOptionsHeaderSize,
	scanPageSizeOffset,
	scanReverse,
	scanUpperInclusive,
	scanUpperSizeOffset,
} from './command-format.js';

/** A range of keys and the direction in which it is walked. */
export interface ScanRange {
	readonly isReverse: boolean;
	/** undefined: from the first key. */
	readonly lower: Uint8Array | undefined;
	readonly isLowerInclusive: boolean;
	/** undefined: to the last key. */
	readonly upper: Uint8Array | undefined;
	readonly isUpperInclusive: boolean;
}

export interface ScanOptions extends ScanRange {
	readonly isKeysOnly: boolean;
	/** Bytes of a page; 0: the partition's choice. */
	readonly pageSizeMax: number;
}

/** Every key, forward. */
export const wholeRange: ScanOptions = {
	isReverse: false,
	lower: undefined,
	isLowerInclusive: false,
	upper: undefined,
	isUpperInclusive: false,
	isKeysOnly: false,
	pageSizeMax: 0,
};

/** What a program says. Bounds together with a prefix narrow it. */
export interface ScanSelection {
	readonly gt?: Bytes | undefined;
	readonly gte?: Bytes | undefined;
	readonly lt?: Bytes | undefined;
	readonly lte?: Bytes | undefined;
	/** Only keys that begin with this. */
	readonly prefix?: Bytes | undefined;
	/** From the last key to the first. */
	readonly reverse?: boolean | undefined;
	/** Entries at most. Default: all. */
	readonly limit?: number | undefined;
	/** Leave the values out. */
	readonly keysOnly?: boolean | undefined;
}

export interface CheckedScan {
	readonly options: ScanOptions;
	/** Infinity: all. */
	readonly limit: number;
}

const names = new Set(['gt', 'gte', 'lt', 'lte', 'prefix', 'reverse', 'limit', 'keysOnly']);
const rangeNames = new Set(['gt', 'gte', 'lt', 'lte', 'prefix']);

/** @throws TypeError for options that are unknown, of the wrong kind or exclude each other; MILLRACE_KEY_SIZE for a long bound */
export function checkScan(selection: ScanSelection = {}, isRangeOnly = false): CheckedScan {
	if (typeof selection !== 'object' || selection === null) throw new TypeError('a range is an object, as { gte, lt }');
	for (const name of Object.keys(selection)) {
		if ((isRangeOnly ? rangeNames : names).has(name)) continue;
		throw new TypeError(`${isRangeOnly ? 'a range' : 'a scan'} has no option '${name}'`);
	}
	const { gt, gte, lt, lte, prefix, reverse, limit, keysOnly } = selection;
	if (gt !== undefined && gte !== undefined) throw new TypeError('gt and gte exclude each other');
	if (lt !== undefined && lte !== undefined) throw new TypeError('lt and lte exclude each other');
	if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
		throw new TypeError(`limit is a whole number of entries, not ${limit}`);
	}
	const given: ScanOptions = {
		isReverse: mustBeBoolean('reverse', reverse),
		lower: mustBound('gt or gte', gt === undefined ? gte : gt),
		isLowerInclusive: gte !== undefined,
		upper: mustBound('lt or lte', lt === undefined ? lte : lt),
		isUpperInclusive: lte !== undefined,
		isKeysOnly: mustBeBoolean('keysOnly', keysOnly),
		pageSizeMax: 0,
	};
	const options = prefix === undefined ? given : withinPrefix(given, mustBound('prefix', prefix) ?? new Uint8Array(0));
	return { options, limit: limit ?? Number.POSITIVE_INFINITY };
}

function mustBeBoolean(name: string, value: boolean | undefined): boolean {
	if (value === undefined || typeof value === 'boolean') return value === true;
	throw new TypeError(`${name} is true or false, not ${typeof value}`);
}

function withinPrefix(range: ScanOptions, prefix: Uint8Array): ScanOptions {
	const { lower, upper } = range;
	const end = prefixUpperBound(prefix);
	const isLowerTighter = lower !== undefined && compareBytes(lower, 0, lower.length, prefix, 0, prefix.length) >= 0;
	const isUpperTighter =
		end === undefined || (upper !== undefined && compareBytes(upper, 0, upper.length, end, 0, end.length) < 0);
	return {
		...range,
		lower: isLowerTighter ? lower : prefix,
		isLowerInclusive: isLowerTighter ? range.isLowerInclusive : true,
		upper: isUpperTighter ? upper : end,
		isUpperInclusive: isUpperTighter ? range.isUpperInclusive : false,
	};
}

/** Scan flags of the options. */
export function scanFlagsOf(options: ScanOptions): number {
	return (
		(options.isReverse ? scanReverse : 0) |
		(options.isKeysOnly ? scanKeysOnly : 0) |
		(options.isLowerInclusive ? scanLowerInclusive : 0) |
		(options.isUpperInclusive ? scanUpperInclusive : 0) |
		(options.lower === undefined ? 0 : scanHasLower) |
		(options.upper === undefined ? 0 : scanHasUpper)
	);
}

const allFlags = scanReverse | scanKeysOnly | scanLowerInclusive | scanUpperInclusive | scanHasLower | scanHasUpper;

/** True for a number made of scan flags and nothing else. */
export function areScanFlags(flags: number): boolean {
	return flags >= 0 && flags <= allFlags && (flags & ~allFlags) === 0;
}

/** The options as opScan's value; those of the whole range forward, with values, take no bytes. */
export function encodeScanOptions(options: ScanOptions): Uint8Array {
	const flags = scanFlagsOf(options);
	if (flags === 0 && options.pageSizeMax === 0) return new Uint8Array(0);
	const { lower = new Uint8Array(0), upper = new Uint8Array(0), pageSizeMax } = options;
	assert(lower.length <= keySizeMax && upper.length <= keySizeMax, 'bounds were checked');
	const bytes = new Uint8Array(scanOptionsHeaderSize + lower.length + upper.length);
	bytes[0] = flags;
	writeU16(bytes, scanLowerSizeOffset, lower.length);
	writeU16(bytes, scanUpperSizeOffset, upper.length);
	writeU32(bytes, scanPageSizeOffset, pageSizeMax);
	copyBytes(lower, 0, bytes, scanOptionsHeaderSize, lower.length);
	copyBytes(upper, 0, bytes, scanOptionsHeaderSize + lower.length, upper.length);
	return bytes;
}

/** The options of `bytes[offset, offset + size)`, bounds copied; undefined when they are not what this file writes. */
export function decodeScanOptions(bytes: Uint8Array, offset: number, size: number): ScanOptions | undefined {
	if (size === 0) return wholeRange;
	if (size < scanOptionsHeaderSize) return undefined;
	const flags = bytes[offset] as number;
	const lowerSize = readU16(bytes, offset + scanLowerSizeOffset);
	const upperSize = readU16(bytes, offset + scanUpperSizeOffset);
	if (!areScanFlags(flags) || size !== scanOptionsHeaderSize + lowerSize + upperSize) return undefined;
	if (lowerSize > keySizeMax || upperSize > keySizeMax) return undefined;
	const lowerAt = offset + scanOptionsHeaderSize;
	const upperAt = lowerAt + lowerSize;
	return {
		isReverse: (flags & scanReverse) !== 0,
		isKeysOnly: (flags & scanKeysOnly) !== 0,
		lower: (flags & scanHasLower) !== 0 ? copyOf(bytes, lowerAt, upperAt) : undefined,
		isLowerInclusive: (flags & scanLowerInclusive) !== 0,
		upper: (flags & scanHasUpper) !== 0 ? copyOf(bytes, upperAt, upperAt + upperSize) : undefined,
		isUpperInclusive: (flags & scanUpperInclusive) !== 0,
		pageSizeMax: readU32(bytes, offset + scanPageSizeOffset),
	};
}
