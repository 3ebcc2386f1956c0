/**
 * Unsigned varints of up to 32 bits (LEB128: seven bits a byte, low bits first, the top bit says "more").
 * Writers are canonical: no padding, so `varintSize(value)` is also the number of bytes a reader must skip.
 * Plain functions over (bytes, offset), so that hot loops inline them; any thread.
 */

/** Longest encoding in bytes. */
export const varintSizeMax = 5;

/** Bytes `value` takes. @param value integer in [0, 2^32) */
export function varintSize(value: number): number {
	if (value < 0x80) return 1;
	if (value < 0x4000) return 2;
	if (value < 0x20_0000) return 3;
	return value < 0x1000_0000 ? 4 : 5;
}

/** Encodes at `target[offset..]`, where there must be room. @returns the offset after it */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
	while (value >= 0x80) {
		target[offset++] = (value & 0x7f) | 0x80;
		value >>>= 7;
	}
	target[offset++] = value;
	return offset;
}

/**
 * Decodes at `bytes[offset..]`. Looks at no more than five bytes; a malformed varint gives some number of up to
 * 35 bits, which the caller's bounds must refuse. Skip `varintSize(result)` bytes.
 */
export function readVarint(bytes: Uint8Array, offset: number): number {
	let byte = bytes[offset] as number;
	let value = byte & 0x7f;
	let scale = 1;
	for (let i = 1; i < varintSizeMax && byte >= 0x80; i++) {
		byte = bytes[offset + i] as number;
		scale *= 0x80;
		value += (byte & 0x7f) * scale;
	}
	return value;
}
