/**
 * The door to msgpackr: structured values (hello, statistics) to msgpack bytes and back. Operations on keys do not
 * come this way: their few fields are written and read by hand in protocol/frame, without an object.
 *
 * Plain msgpack only: no records, no shared structures, no extension types of our own, so any library can read it.
 * Any thread may call it; the bytes returned are owned by the caller, and nothing returned aliases the input.
 */
import { Packr, Unpackr } from 'msgpackr';
import { MillraceError } from '../base/errors.js';

const packer = new Packr({ useRecords: false, encodeUndefinedAsNil: true });
const plain = { useRecords: false, mapsAsObjects: true, copyBuffers: true };
/** Of messages: nothing in them needs more than 53 bits, and a bigint would surprise whoever reads them. */
const unpacker = new Unpackr({ ...plain, int64AsType: 'number' });
/** Of a program's values: exact, so a bigint where a number is not. Msgpackr's types do not name 'auto', its code does. */
const exactUnpacker = new Unpackr({ ...plain, int64AsType: 'auto' as 'bigint' });

/** @param value made of null, booleans, numbers, strings, bytes, arrays and plain objects */
export function packMessage(value: unknown): Uint8Array {
	return Uint8Array.from(packer.pack(value));
}

/**
 * One msgpack value in `bytes[offset, offset + size)`.
 * @throws MillraceError MILLRACE_PROTOCOL when the bytes are not exactly one value
 */
export function unpackMessage(bytes: Uint8Array, offset = 0, size = bytes.length - offset): unknown {
	return unpackWith(unpacker, bytes.slice(offset, offset + size));
}

/** A program's value. Whole numbers beyond 53 bits are bigints. @throws MillraceError MILLRACE_PROTOCOL as unpackMessage */
export function unpackValue(bytes: Uint8Array): unknown {
	return unpackWith(exactUnpacker, bytes.slice());
}

function unpackWith(unpackr: Unpackr, bytes: Uint8Array): unknown {
	try {
		return unpackr.unpack(bytes);
	} catch (cause) {
		throw new MillraceError('MILLRACE_PROTOCOL', 'bytes that should be one msgpack value are not', { cause });
	}
}
