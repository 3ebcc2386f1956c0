/**
 * Counters are stored as decimal text, as Redis does, so that GET shows them. Exact over the signed 64-bit range: doubles
 * while both sides have at most 15 digits, BigInt beyond.
 */

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const minus = 0x2d;
const zero = 0x30;

/** What an absent counter counts as. An empty value is no number, as in Redis. */
export const zeroDecimal = Buffer.from('0', 'latin1');

/** Value of up to 15 digits with an optional minus, or NaN. No leading zeros, no plus, as Redis demands. */
function parseShort(bytes: Uint8Array, offset: number, size: number): number {
	const isNegative = size > 0 && bytes[offset] === minus;
	const first = isNegative ? offset + 1 : offset;
	const end = offset + size;
	const digits = end - first;
	if (digits < 1 || digits > 15 || (bytes[first] === zero && (digits > 1 || isNegative))) return Number.NaN;
	let value = 0;
	for (let at = first; at < end; at++) {
		const digit = bytes[at] - zero;
		if (digit < 0 || digit > 9) return Number.NaN;
		value = value * 10 + digit;
	}
	return isNegative ? -value : value;
}

/** Value of any 64-bit integer, or undefined. */
function parseLong(bytes: Uint8Array, offset: number, size: number): bigint | undefined {
	if (size > 20) return undefined;
	const text = Buffer.from(bytes.subarray(offset, offset + size)).toString('latin1');
	if (!/^(0|-?[1-9][0-9]*)$/.test(text)) return undefined;
	const value = BigInt(text);
	return value >= int64Min && value <= int64Max ? value : undefined;
}

/**
 * Sum of two decimals as text.
 * @returns the text, or what is wrong
 */
export function addDecimals(
	a: Uint8Array,
	aOffset: number,
	aSize: number,
	b: Uint8Array,
	bOffset: number,
	bSize: number,
): Buffer | 'not a number' | 'overflow' {
	const aShort = parseShort(a, aOffset, aSize);
	const bShort = parseShort(b, bOffset, bSize);
	const sum = aShort + bShort;
	if (!Number.isNaN(sum)) return Buffer.from(String(sum), 'latin1');
	const aLong = parseLong(a, aOffset, aSize);
	const bLong = parseLong(b, bOffset, bSize);
	if (aLong === undefined || bLong === undefined) return 'not a number';
	const longSum = aLong + bLong;
	if (longSum < int64Min || longSum > int64Max) return 'overflow';
	return Buffer.from(String(longSum), 'latin1');
}
