/**
 * A cursor over the msgpack values of one frame body. Reads what our messages are made of (arrays, unsigned numbers,
 * bytes or text, nil) and says no to everything else; it never throws, allocates or reads past the end.
 *
 *   bytes  |....[ body: at ->          ]....|
 *               ^offset               ^end
 *
 * One per session and per client, reused for every frame. The bytes are lent by the frame parser.
 */
import { readF64BigEndian, readU16BigEndian, readU32BigEndian } from '../../base/bytes.js';
import {
	tagArray16,
	tagArray32,
	tagBin8,
	tagBin16,
	tagBin32,
	tagFixarray,
	tagFixstr,
	tagFloat64,
	tagInt8,
	tagInt16,
	tagInt32,
	tagInt64,
	tagNil,
	tagStr8,
	tagStr16,
	tagStr32,
	tagUint8,
	tagUint16,
	tagUint32,
	tagUint64,
} from './frame-format.js';

const noBytes = new Uint8Array(0);

export class MessageReader {
	bytes: Uint8Array = noBytes;
	at = 0;
	end = 0;
	/** Where the bytes of the last `readBytes` are. */
	valueOffset = 0;
	valueSize = 0;

	reset(bytes: Uint8Array, offset: number, size: number): void {
		this.bytes = bytes;
		this.at = offset;
		this.end = offset + size;
	}

	/** @returns the number of elements of the array that starts here, or -1 when none does */
	readArrayCount(): number {
		const { bytes, at } = this;
		if (at >= this.end) return -1;
		const tag = bytes[at] as number;
		if ((tag & 0xf0) === tagFixarray) {
			this.at = at + 1;
			return tag & 0x0f;
		}
		if (tag === tagArray16 && at + 3 <= this.end) {
			this.at = at + 3;
			return readU16BigEndian(bytes, at + 1);
		}
		if (tag === tagArray32 && at + 5 <= this.end) {
			this.at = at + 5;
			return readU32BigEndian(bytes, at + 1);
		}
		return -1;
	}

	/** @returns an integer in [0, 2^53), whatever msgpack type carries it, or -1 when there is none */
	readNumber(): number {
		const { bytes, at } = this;
		if (at >= this.end) return -1;
		const tag = bytes[at] as number;
		if (tag < 0x80) {
			this.at = at + 1;
			return tag;
		}
		if (tag < tagFloat64 || tag > tagInt64) return -1;
		const size = tag === tagFloat64 ? 8 : 1 << ((tag - tagUint8) & 3);
		if (at + 1 + size > this.end) return -1;
		const value = readNumberBody(bytes, at + 1, tag);
		if (!(value >= 0 && Number.isSafeInteger(value))) return -1;
		this.at = at + 1 + size;
		return value;
	}

	/** Bytes or text: sets `valueOffset` and `valueSize`. @returns false when neither is here */
	readBytes(): boolean {
		const { bytes, at, end } = this;
		if (at >= end) return false;
		const tag = bytes[at] as number;
		let size: number;
		let start: number;
		if ((tag & 0xe0) === tagFixstr) {
			size = tag & 0x1f;
			start = at + 1;
		} else if (tag === tagBin8 || tag === tagStr8) {
			start = at + 2;
			if (start > end) return false;
			size = bytes[at + 1] as number;
		} else if (tag === tagBin16 || tag === tagStr16) {
			start = at + 3;
			if (start > end) return false;
			size = readU16BigEndian(bytes, at + 1);
		} else if (tag === tagBin32 || tag === tagStr32) {
			start = at + 5;
			if (start > end) return false;
			size = readU32BigEndian(bytes, at + 1);
		} else {
			return false;
		}
		if (start + size > end) return false;
		this.valueOffset = start;
		this.valueSize = size;
		this.at = start + size;
		return true;
	}

	/** Steps over a nil. @returns false, and stays, when something else is here */
	maybeReadNil(): boolean {
		if (this.at >= this.end || this.bytes[this.at] !== tagNil) return false;
		this.at++;
		return true;
	}
}

/** The value behind a number's tag; negative or above 2^53 when the caller must refuse it. */
function readNumberBody(bytes: Uint8Array, at: number, tag: number): number {
	switch (tag) {
		case tagUint8:
			return bytes[at] as number;
		case tagUint16:
			return readU16BigEndian(bytes, at);
		case tagUint32:
			return readU32BigEndian(bytes, at);
		case tagUint64:
			return readU32BigEndian(bytes, at) * 0x1_0000_0000 + readU32BigEndian(bytes, at + 4);
		case tagInt8:
			return ((bytes[at] as number) << 24) >> 24;
		case tagInt16:
			return (readU16BigEndian(bytes, at) << 16) >> 16;
		case tagInt32:
			return readU32BigEndian(bytes, at) | 0;
		case tagInt64:
			return (readU32BigEndian(bytes, at) | 0) * 0x1_0000_0000 + readU32BigEndian(bytes, at + 4);
		case tagFloat64:
			return readF64BigEndian(bytes, at);
		default:
			return -1;
	}
}
