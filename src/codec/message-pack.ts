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
const unpacker = new Unpackr({
	useRecords: false,
	mapsAsObjects: true,
	int64AsType: 'number',
	copyBuffers: true,
});

/** @param value made of null, booleans, numbers, strings, bytes, arrays and plain objects */
export function packMessage(value: unknown): Uint8Array {
	return Uint8Array.from(packer.pack(value));
}

/**
 * One msgpack value in `bytes[offset, offset + size)`.
 * @throws MillraceError MILLRACE_PROTOCOL when the bytes are not exactly one value
 */
export function unpackMessage(bytes: Uint8Array, offset = 0, size = bytes.length - offset): unknown {
	try {
		return unpacker.unpack(bytes.slice(offset, offset + size));
	} catch (cause) {
		throw new MillraceError('MILLRACE_PROTOCOL', 'bytes that should be one msgpack value are not', { cause });
	}
}
