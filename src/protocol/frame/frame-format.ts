/**
 * The bytes of the native protocol: a preface, then frames both ways, each holding one msgpack array. Session and
 * client both import this file; docs/formats/frame.md is its page.
 *
 *   preface   0 u8 0xC1 | 1 'M' | 2 'R' | 3 u8 version         both ways, once; 0xC1 is the byte msgpack never uses
 *   frame     0 u32 LE bodySize | 4 body
 *   body      request [id, operation, ...]      reply [id, status, payload, number]
 *
 * Invariants: a body is at most `frameSizeMax` bytes and exactly one array; request ids are 1..2^32-1, chosen by the
 * client and free again after the reply; id 0 is the connection's own (hello, and the error that ends it). Operations
 * up to 191 are the opcodes of command/command-format.ts; those from 192 exist only here.
 */

import { assert } from '../../base/assert.js';
import { frameSizeMax } from '../../base/limits.js';
import {
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	flagReturnOld,
	scanKeysOnly,
	scanLowerInclusive,
	scanReverse,
	scanUpperInclusive,
} from '../../command/command-format.js';

export const prefaceByte0 = 0xc1;
export const prefaceByte1 = 0x4d;
export const prefaceByte2 = 0x52;
export const prefaceSize = 4;
/**
 * Raised when a peer of the version before could misread us. Unknown operations need no new version: they have an
 * error.
 */
export const protocolVersion = 1;

/** Bytes of the length before each body. */
export const frameHeaderSize = 4;
/**
 * Length, array header, id, status, payload header and number of a reply, or of a request without keys, at their
 * longest.
 */
export const frameOverheadMax = 4 + 1 + 5 + 2 + 5 + 9 + 9;
/** Msgpack header of bytes or text at its longest. */
export const bytesHeaderSizeMax = 5;

/** Id of frames that answer no request. */
export const connectionRequestId = 0;
export const requestIdMax = 0xffff_ffff;

/** -> ok, at once, without asking a partition */
export const operationPing = 192;
/** [id, op, [key, ...]] -> payload = [value or nil, ...] in the order of the keys */
export const operationGetMany = 193;

/** Flag of put and setExpiry, only on the wire: the expiry is milliseconds from now, by the server's clock. */
export const wireFlagRelativeExpiry = 128;
/** Flags a put may carry; the others are refused, so that they can mean something one day. */
export const putFlagsAllowed = flagIfAbsent | flagIfPresent | flagReturnOld | flagKeepExpiry | wireFlagRelativeExpiry;
/** Scan flags as they travel: whether there are bounds is said by the bounds. */
export const wireScanFlags = scanReverse | scanKeysOnly | scanLowerInclusive | scanUpperInclusive;

// --- msgpack tags (https://github.com/msgpack/msgpack/blob/master/spec.md) ------------------------

export const tagFixarray = 0x90;
export const tagFixstr = 0xa0;
export const tagNil = 0xc0;
export const tagBin8 = 0xc4;
export const tagBin16 = 0xc5;
export const tagBin32 = 0xc6;
export const tagFloat64 = 0xcb;
export const tagUint8 = 0xcc;
export const tagUint16 = 0xcd;
export const tagUint32 = 0xce;
export const tagUint64 = 0xcf;
export const tagInt8 = 0xd0;
export const tagInt16 = 0xd1;
export const tagInt32 = 0xd2;
export const tagInt64 = 0xd3;
export const tagStr8 = 0xd9;
export const tagStr16 = 0xda;
export const tagStr32 = 0xdb;
export const tagArray16 = 0xdc;
export const tagArray32 = 0xdd;

assert(frameSizeMax <= 0x7fff_ffff, 'body sizes are u32 and offsets stay small integers');
