import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentAllocator } from '../../../src/storage/lsm/wal/segment-allocator.js';

test('groups fill the active segment, then the spares in order; flushed ones are released from the oldest on', () => {
	const allocator = new SegmentAllocator(1000, 5, [
		{ id: 3, lastSequence: 10 },
		{ id: 4, lastSequence: 20 },
	]);
	assert.equal(allocator.activeId, 5);
	assert.equal(allocator.allocate(400, 25), 64);
	assert.equal(allocator.allocate(400, 30), 464);
	assert(!allocator.hasRoom(400), 'no spare yet');
	assert(allocator.hasRoom(136) && !allocator.hasRoom(137), 'up to the last byte');
	allocator.addSpare(7);
	assert(allocator.hasRoom(400));
	assert.equal(allocator.activeId, 5, 'asking changes nothing');
	assert.equal(allocator.allocate(400, 33), 64);
	assert.equal(allocator.activeId, 7);
	assert.deepEqual(allocator.release(9), []);
	assert.deepEqual(allocator.release(20), [3, 4]);
	assert.deepEqual(allocator.release(29), []);
	assert.deepEqual(allocator.release(30), [5]);
	assert.deepEqual(allocator.release(99), [], 'the active one stays');
	assert.equal(allocator.liveBytes, 464);
});

test('a group larger than any segment has one of its own, also when the active one is empty', () => {
	const allocator = new SegmentAllocator(1000, 1, []);
	assert(allocator.hasRoom(5000));
	assert.equal(allocator.allocate(5000, 1), 64);
	assert(!allocator.hasRoom(56));
	allocator.addSpare(2);
	assert.equal(allocator.allocate(56, 2), 64);
	assert.equal(allocator.activeId, 2);
});

test('what cannot be is a programming error', () => {
	const allocator = new SegmentAllocator(1000, 5, []);
	allocator.addSpare(8);
	assert.throws(() => allocator.addSpare(8), /in order of id/);
	allocator.allocate(900, 1);
	allocator.allocate(900, 2);
	assert.throws(() => allocator.allocate(900, 3), /room was checked/);
});
