/** What stays behind a waiting write, and what passes it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { waitingRequestsSizeMax } from '../../../src/base/limits.js';
import {
	encodeCommand,
	opBarrier,
	opBatch,
	opClear,
	opCount,
	opDelete,
	opDeleteRange,
	opFlush,
	opGet,
	opHas,
	opPut,
	opReleaseSnapshot,
	opScan,
	opShutdown,
	opSnapshot,
	opStats,
	requestHeaderSize,
} from '../../../src/command/command-format.js';
import { WaitingRequests } from '../../../workers/waiting-requests.js';

const none = new Uint8Array(0);

/** A request of a sink, with junk before it: nothing may rely on where it stands. */
function requestOf(sink: number, opcode: number, valueSize = 0): { bytes: Buffer; offset: number } {
	const offset = 24;
	const bytes = Buffer.alloc(offset + requestHeaderSize + 64 + valueSize, 0xaa);
	bytes.writeUInt32LE(sink, offset);
	encodeCommand(bytes, offset + requestHeaderSize, opcode, 0, 0, none, 0, 0, none, 0, 0);
	bytes.writeUInt32LE(valueSize, offset + requestHeaderSize + 4);
	return { bytes, offset };
}

class Desk {
	readonly waiting = new WaitingRequests();

	add(sink: number, opcode: number, hash: number, valueSize = 0): this {
		const { bytes, offset } = requestOf(sink, opcode, valueSize);
		this.waiting.add(bytes, offset, hash, 0);
		return this;
	}

	/** Opcodes that must wait. */
	held(sink: number, opcodes: readonly number[], hash: number): number[] {
		return opcodes.filter((opcode) => {
			const { bytes, offset } = requestOf(sink, opcode);
			return this.waiting.mustWait(bytes, offset, hash);
		});
	}
}

const pointReads = [opGet, opHas];
const writes = [opPut, opDelete, opDeleteRange, opClear, opBatch];
const others = [opScan, opCount, opBarrier, opFlush, opSnapshot];
const everything = [...pointReads, ...writes, ...others, opStats, opReleaseSnapshot, opShutdown];
const alice = 1;
const bob = 2;

test('nothing waits: everything passes', () => {
	assert.deepEqual(new Desk().held(alice, everything, 7), []);
});

test('behind a write of one key wait: all writes, its own reads of that key, its own scans; all else passes', () => {
	const desk = new Desk().add(alice, opPut, 7);
	assert.deepEqual(desk.held(alice, everything, 7), [...pointReads, ...writes, ...others, opShutdown]);
	assert.deepEqual(desk.held(alice, everything, 8), [...writes, ...others, opShutdown]);
	assert.deepEqual(desk.held(bob, everything, 7), [...writes, opShutdown]);
	desk.waiting.shift(0);
	assert.deepEqual(desk.held(alice, everything, 7), []);
});

test('a write of many keys stands before every read of its sink, and of no other', () => {
	for (const opcode of [opClear, opDeleteRange, opBatch]) {
		const desk = new Desk().add(alice, opcode, 123).add(alice, opPut, 7);
		assert.deepEqual(desk.held(alice, pointReads, 8), pointReads);
		assert.deepEqual(desk.held(bob, pointReads, 8), []);
		desk.waiting.shift(0);
		assert.deepEqual(desk.held(alice, pointReads, 8), []);
	}
});

test('a read that waits holds up no other read, only what must follow all of its sink', () => {
	const desk = new Desk().add(alice, opPut, 7).add(alice, opGet, 7);
	desk.waiting.shift(0);
	assert.deepEqual(desk.held(alice, [opGet, opScan], 7), [opScan]);
});

test('they come out in order, as they went in, and the bound holds', () => {
	const { waiting } = new Desk();
	let count = 0;
	for (; !waiting.isFull; count++) {
		const { bytes, offset } = requestOf(count, opPut, 40_000);
		waiting.add(bytes, offset, count, count);
	}
	assert.equal(count, Math.ceil(waitingRequestsSizeMax / (requestHeaderSize + 8 + 40_000)));
	for (let i = 0; i < count; i++) {
		assert.equal(waiting.first.bytes.readUInt32LE(0), i);
		assert.equal(waiting.first.hash, i);
		assert.equal(waiting.first.bytes.length, requestHeaderSize + 8 + 40_000);
		waiting.shift(1000);
	}
	assert.equal(waiting.count, 0);
	assert.equal(waiting.isFull, false);
	assert.deepEqual(waiting.statistics(), { waitingRequests: 0, waitedRequests: count, waitedMsMax: 1000 });
});
