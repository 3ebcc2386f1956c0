/**
 * Decimal integers in bytes, as strictly as Redis reads them (string2ll): an optional '-', no leading zeros, no
 * blanks, no '+', no "-0", within the signed 64-bit range.
 */
import { byteMinus, byteNine, byteZero } from './resp-format.js';

/** Digits that always fit a double exactly and need no range check. */
const exactDigitCount = 15;
const digitCountMax = 19;
const int64Max = 2n ** 63n - 1n;
const int64Min = -(2n ** 63n);

/**
 * @returns the integer, rounded to a double beyond 2^53; NaN when the bytes are not a decimal signed 64-bit integer
 */
export function parseInteger(bytes: Uint8Array, offset: number, size: number): number {
	const end = offset + size;
	const isNegative = size > 0 && bytes[offset] === byteMinus;
	const digitsStart = isNegative ? offset + 1 : offset;
	const digitCount = end - digitsStart;
	if (digitCount < 1 || digitCount > digitCountMax) return Number.NaN;
	if (bytes[digitsStart] === byteZero) return digitCount === 1 && !isNegative ? 0 : Number.NaN;
	let value = 0;
	for (let at = digitsStart; at < end; at++) {
		const byte = bytes[at] as number;
		if (byte < byteZero || byte > byteNine) return Number.NaN;
		value = value * 10 + (byte - byteZero);
	}
	if (digitCount > exactDigitCount) return parseLong(bytes, offset, size);
	return isNegative ? -value : value;
}

/** The same for digits that may be out of range, through a BigInt. */
function parseLong(bytes: Uint8Array, offset: number, size: number): number {
	const exact = BigInt(Buffer.from(bytes.subarray(offset, offset + size)).toString('latin1'));
	return exact >= int64Min && exact <= int64Max ? Number(exact) : Number.NaN;
}

/** True when a text that `parseInteger` accepts is -2^63, the one integer that cannot be negated. */
export function isInt64Min(bytes: Uint8Array, offset: number, size: number): boolean {
	if (size !== digitCountMax + 1) return false;
	return Buffer.from(bytes.subarray(offset, offset + size)).toString('latin1') === String(int64Min);
}

/** Writes the negation of a text that `parseInteger` accepts. @returns its size, at most `size` + 1 */
export function negateInteger(bytes: Uint8Array, offset: number, size: number, target: Uint8Array): number {
	let from = offset;
	let to = 0;
	if (bytes[offset] === byteMinus) from++;
	else if (bytes[offset] !== byteZero) target[to++] = byteMinus;
	while (from < offset + size) target[to++] = bytes[from++] as number;
	return to;
}
