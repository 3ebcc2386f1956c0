/** Bytes written by hand are what msgpackr reads, and what msgpackr writes is read by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr, Unpackr } from 'msgpackr';
import { statusOf, statusOk } from '../../../../src/base/errors.js';
import { frameSizeMax, keySizeMax, valueSizeMax } from '../../../../src/base/limits.js';
import { Prng } from '../../../../src/base/prng.js';
import { callSize } from '../../../../src/client/call.js';
import {
	flagArgument,
	flagIfAbsent,
	flagIfPresent,
	flagKeepExpiry,
	opCount,
	opGet,
	opIncrement,
	opPut,
	opScan,
	opSetExpiry,
	scanHasLower,
	scanKeysOnly,
	scanLowerInclusive,
} from '../../../../src/command/command-format.js';
import { decodeScanOptions, wholeRange } from '../../../../src/command/scan-options.js';
import {
	frameHeaderSize,
	frameOverheadMax,
	operationGetMany,
	operationPing,
	wireFlagRelativeExpiry,
} from '../../../../src/protocol/frame/frame-format.js';
import { FrameRequest, requestUnreadable } from '../../../../src/protocol/frame/frame-request.js';
import {
	encodeBareRequest,
	encodeBytes,
	encodeCountRequest,
	encodeGetManyRequest,
	encodeIncrementRequest,
	encodeKeyRequest,
	encodePutRequest,
	encodeReplyEnd,
	encodeReplyStart,
	encodeScanRequest,
	encodeSetExpiryRequest,
	encodeText,
} from '../../../../src/protocol/frame/frame-writer.js';
import { MessageReader } from '../../../../src/protocol/frame/message-reader.js';
import { testSeed } from '../../../support/seed.js';

const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number' });
const packer = new Packr({ useRecords: false });
const target = Buffer.alloc(400_000);

/** What an independent library reads in the frame just written. */
function unpackFrame(end: number): unknown {
	assert.equal(target.readUInt32LE(0), end - frameHeaderSize);
	return unpacker.unpack(target.subarray(frameHeaderSize, end));
}

function decode(message: unknown): FrameRequest & { status: number } {
	const body = Buffer.isBuffer(message) ? message : packer.pack(message);
	const request = new FrameRequest();
	const padded = Buffer.concat([Buffer.from('xx'), body, Buffer.from('yy')]);
	const status = request.decode(padded, 2, body.length);
	return Object.assign(request, { status });
}

const numbers = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5];
numbers.push(Number.MAX_SAFE_INTEGER);

test('requests we write are what msgpackr reads', () => {
	const key = Buffer.from('kéy');
	for (const size of [0, 1, 31, 32, 255, 256, 65_535, 65_536, 300_000]) {
		const value = Buffer.alloc(size, 3);
		for (const expiry of numbers) {
			const end = encodePutRequest(target, 0, 77, key, value, flagIfAbsent, expiry);
			assert.ok(end <= frameOverheadMax + 10 + key.length + value.length);
			assert.deepEqual(unpackFrame(end), [77, opPut, key, value, flagIfAbsent, expiry]);
		}
	}
	assert.deepEqual(unpackFrame(encodePutRequest(target, 0, 9, key, key, 0, 0)), [9, opPut, key, key]);
	for (const id of [1, 1024, 70_000, 2 ** 32 - 1]) {
		assert.deepEqual(unpackFrame(encodeKeyRequest(target, 0, id, opGet, key)), [id, opGet, key]);
		assert.deepEqual(unpackFrame(encodeBareRequest(target, 0, id, operationPing)), [id, operationPing]);
	}
	const delta = Buffer.from('-12');
	assert.deepEqual(unpackFrame(encodeIncrementRequest(target, 0, 1, key, delta)), [1, opIncrement, key, '-12']);
	assert.deepEqual(unpackFrame(encodeSetExpiryRequest(target, 0, 1, key, 500, 128)), [1, opSetExpiry, key, 500, 128]);
	assert.deepEqual(unpackFrame(encodeScanRequest(target, 0, 1, 63, key, 9, wholeRange)), [1, opScan, 63, key, 9]);
	assert.deepEqual(unpackFrame(encodeCountRequest(target, 0, 1, wholeRange)), [1, opCount]);
	for (const [lower, upper] of [
		[key, undefined],
		[undefined, key],
		[Buffer.alloc(0), Buffer.alloc(keySizeMax)],
	]) {
		const options = { ...wholeRange, lower, upper, isLowerInclusive: true, isKeysOnly: true, pageSizeMax: 70_000 };
		const end = encodeScanRequest(target, 0, 2 ** 32 - 1, 63, key, 65_536, options);
		assert.ok(end <= callSize(key, Buffer.alloc(0), options, []));
		const range = [scanKeysOnly | scanLowerInclusive, lower ?? null, upper ?? null];
		assert.deepEqual(unpackFrame(end), [2 ** 32 - 1, opScan, 63, key, 65_536, ...range, 70_000]);
		assert.deepEqual(unpackFrame(encodeCountRequest(target, 0, 1, options)), [1, opCount, ...range]);
		for (const message of [
			[3, opScan, 1, 'c', 10, ...range, 70_000],
			[3, opScan, 1, 'c', 10, ...range],
			[3, opCount, ...range],
		]) {
			const request = decode(message);
			assert.equal(request.status, statusOk, request.message);
			const decoded = decodeScanOptions(request.valueBytes, request.valueOffset, request.valueSize);
			assert.deepEqual(
				{
					...decoded,
					lower: decoded?.lower && Buffer.from(decoded.lower),
					upper: decoded?.upper && Buffer.from(decoded.upper),
				},
				{ ...options, pageSizeMax: message.length === 9 ? 70_000 : 0 },
			);
		}
	}
	for (const count of [0, 1, 15, 16, 65_535]) {
		const keys = Array.from({ length: count }, () => key.subarray(0, 1));
		assert.deepEqual(unpackFrame(encodeGetManyRequest(target, 0, 2, keys)), [2, operationGetMany, keys]);
	}
});

test('replies we write are what msgpackr reads', () => {
	for (const size of [0, 31, 32, 255, 256, 65_535, 65_536]) {
		const payload = Buffer.alloc(size, 'a');
		for (const number of numbers) {
			let at = encodeReplyStart(target, 0, 4_000_000_000, statusOk);
			at = encodeBytes(target, at, payload, 0, size);
			let end = encodeReplyEnd(target, 0, at, number);
			assert.ok(end <= frameOverheadMax + size);
			assert.deepEqual(unpackFrame(end), [4_000_000_000, statusOk, payload, number]);
			at = encodeText(target, encodeReplyStart(target, 0, 1, 255), payload, 0, size);
			end = encodeReplyEnd(target, 0, at, number);
			assert.deepEqual(unpackFrame(end), [1, 255, payload.toString(), number]);
		}
	}
});

test('requests msgpackr writes are what we read', () => {
	for (const expiry of [...numbers.slice(1), 1_700_000_000_000]) {
		const put = decode([5, opPut, Buffer.from('k'), 'text', flagIfPresent, expiry]);
		assert.equal(put.status, statusOk);
		assert.equal(put.argument, expiry);
		assert.equal(put.flags, flagIfPresent | flagArgument);
		assert.equal(Buffer.from(put.bytes).toString('utf8', put.valueOffset, put.valueOffset + put.valueSize), 'text');
	}
	const relative = decode([5, opPut, 'k', 'v', wireFlagRelativeExpiry, 1000]);
	assert.equal(relative.isRelative, true);
	assert.equal(relative.flags, flagArgument);
	const many = decode([6, operationGetMany, ['a', Buffer.from('bb'), 'ccc']]);
	assert.equal(many.status, statusOk);
	const sizes: number[] = [];
	for (let i = 0; i < many.keyCount; i++) {
		many.nextKey();
		sizes.push(many.keySize);
	}
	assert.deepEqual(sizes, [1, 2, 3]);
	assert.equal(decode([7, opSetExpiry, 'k', null]).flags, 0);
	assert.equal(decode([7, opScan, 0, '', 10]).status, statusOk);
});

test('numbers are read in every msgpack form, and refused when negative, broken or too large', () => {
	const reader = new MessageReader();
	const read = (...bytes: number[]): number => {
		reader.reset(Uint8Array.from(bytes), 0, bytes.length);
		return reader.readNumber();
	};
	assert.equal(read(0xd0, 5), 5);
	assert.equal(read(0xd0, 0x85), -1);
	assert.equal(read(0xd1, 1, 2), 258);
	assert.equal(read(0xd2, 0, 1, 0, 0), 65_536);
	assert.equal(read(0xd3, 0, 0, 0, 1, 0, 0, 0, 2), 2 ** 32 + 2);
	assert.equal(read(0xd3, 0xff, 0, 0, 1, 0, 0, 0, 2), -1);
	assert.equal(read(0xcb, 0x42, 0x30, 0, 0, 0, 0, 0, 0), 2 ** 36);
	assert.equal(read(0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0), -1, '0.5');
	assert.equal(read(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0), -1, 'NaN');
	assert.equal(read(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0), -1, '2^53');
	assert.equal(read(0xcf, 0, 0, 0), -1, 'cut');
	assert.equal(read(0xff), -1);
	assert.equal(read(), -1);
	assert.equal(reader.at, 0);
});

test('bad requests are refused with a status, and those without an id are unreadable', () => {
	const refused: [string, unknown][] = [
		['MILLRACE_UNKNOWN_COMMAND', [1, 250]],
		['MILLRACE_UNKNOWN_COMMAND', [1, 2 ** 40, 'k']],
		['MILLRACE_ARGUMENT', [1, 'get', 'k']],
		['MILLRACE_ARGUMENT', [1, opGet]],
		['MILLRACE_ARGUMENT', [1, opGet, 7]],
		['MILLRACE_ARGUMENT', [1, opGet, 'k', 'more']],
		['MILLRACE_KEY_SIZE', [1, opGet, '']],
		['MILLRACE_KEY_SIZE', [1, opGet, Buffer.alloc(keySizeMax + 1)]],
		['MILLRACE_VALUE_SIZE', [1, opPut, 'k', Buffer.alloc(valueSizeMax + 1)]],
		['MILLRACE_ARGUMENT', [1, opPut, 'k', 'v', flagArgument]],
		['MILLRACE_ARGUMENT', [1, opPut, 'k', 'v', 2 ** 32 + flagIfAbsent]],
		['MILLRACE_ARGUMENT', [1, opPut, 'k', 'v', flagIfAbsent | flagIfPresent]],
		['MILLRACE_ARGUMENT', [1, opPut, 'k', 'v', flagKeepExpiry, 5]],
		['MILLRACE_ARGUMENT', [1, opPut, 'k', 'v', wireFlagRelativeExpiry]],
		['MILLRACE_ARGUMENT', [1, opPut, 'k', 'v', 0, -5]],
		['MILLRACE_ARGUMENT', [1, opIncrement, 'k', '9223372036854775808']],
		['MILLRACE_ARGUMENT', [1, opIncrement, 'k', '-9223372036854775809']],
		['MILLRACE_ARGUMENT', [1, opIncrement, 'k', '1.5']],
		['MILLRACE_ARGUMENT', [1, opIncrement, 'k', '-']],
		['MILLRACE_ARGUMENT', [1, opIncrement, 'k', 3]],
		['MILLRACE_ARGUMENT', [1, opSetExpiry, 'k', 5, 1]],
		['MILLRACE_ARGUMENT', [1, opScan, 0, 'k', 0]],
		['MILLRACE_ARGUMENT', [1, opScan, 0, 'k', 1, 0]],
		['MILLRACE_ARGUMENT', [1, opScan, 0, 'k', 1, 64, null, null]],
		['MILLRACE_ARGUMENT', [1, opScan, 0, 'k', 1, scanHasLower, 'a', null]],
		['MILLRACE_ARGUMENT', [1, opScan, 0, 'k', 1, 0, 5, null]],
		['MILLRACE_ARGUMENT', [1, opScan, 0, 'k', 1, 0, 'a']],
		['MILLRACE_ARGUMENT', [1, opScan, 0, 'k', 1, 0, null, null, valueSizeMax + 1]],
		['MILLRACE_KEY_SIZE', [1, opCount, 0, null, Buffer.alloc(keySizeMax + 1)]],
		['MILLRACE_ARGUMENT', [1, opCount, 0]],
		['MILLRACE_ARGUMENT', [1, operationGetMany, 'k']],
		['MILLRACE_ARGUMENT', [1, operationGetMany, ['k', 4]]],
		['MILLRACE_KEY_SIZE', [1, operationGetMany, ['k', '']]],
		['MILLRACE_ARGUMENT', Buffer.concat([packer.pack([1, opGet, 'k']), Buffer.from('x')])],
		['MILLRACE_ARGUMENT', Buffer.concat([packer.pack([1, operationGetMany, ['k']]), Buffer.from('x')])],
	];
	for (const [code, message] of refused) {
		const request = decode(message);
		assert.equal(request.status, statusOf(code as 'MILLRACE_ARGUMENT'), `${code}: ${request.message}`);
		assert.equal(request.id, 1);
		assert.ok(request.message.length > 0);
	}
	assert.equal(decode([1, opIncrement, 'k', '9223372036854775807']).status, statusOk);
	assert.equal(decode([1, opIncrement, 'k', '-9223372036854775808']).status, statusOk);
	const unreadable = [
		7,
		'text',
		{ id: 1 },
		[],
		[1],
		[0, opGet, 'k'],
		[2 ** 32, opGet, 'k'],
		['1', opGet, 'k'],
		[-1, opGet],
	];
	for (const message of unreadable) assert.equal(decode(message).status, requestUnreadable, JSON.stringify(message));
});

test('any bytes can be decoded without throwing or reading past the end', () => {
	const prng = new Prng(testSeed('frame-messages'));
	const valid = packer.pack([3, opPut, Buffer.from('key'), Buffer.from('value'), flagIfAbsent, 12_345_678_901]);
	for (let cut = 0; cut < valid.length; cut++) {
		assert.notEqual(decode(valid.subarray(0, cut)).status, statusOk);
	}
	const bytesLast = packer.pack([3, opPut, Buffer.from('key'), Buffer.from('value')]);
	for (let cut = 0; cut < bytesLast.length; cut++) {
		assert.notEqual(decode(bytesLast.subarray(0, cut)).status, statusOk);
	}
	for (let round = 0; round < 20_000; round++) {
		const body = Buffer.from(valid);
		for (let i = prng.below(4); i >= 0; i--) body[prng.below(body.length)] = prng.below(256);
		const request = decode(body);
		if (request.status !== statusOk) continue;
		assert.ok(request.keyOffset + request.keySize <= 2 + body.length);
		assert.ok(request.valueOffset + request.valueSize <= 2 + body.length);
	}
	assert.ok(frameSizeMax > valueSizeMax + keySizeMax);
});
